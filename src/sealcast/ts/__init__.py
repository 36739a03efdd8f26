"""MPEG transport streams packet by packet, for whoever sends one and whoever takes one.

Does: `packet` reads the fields of a packet and cuts bytes into packets; `tables` knows which
elementary streams there are; `switch` spreads one stream over two connections so that each carries
a whole one; `announcement` is what the two ends of a connection tell each other in null packets.

Does not: demux (FFmpeg does), or know sockets, clocks or TLS.

Specs: ISO/IEC 13818-1 §2.4 (transport stream).
"""
