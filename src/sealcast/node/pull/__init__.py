"""A stream from another node: this one, the edge, watches it at the other, its origin, and has it
for viewers of its own.

    ends       who we are and whom we trust, as they are at the moment
    origin     the other node's `secure` door: proved, asked, shown a newer certificate
    paths      over which nodes a stream comes, so that no circle comes about
    leg        from its answer to a leg of our relay
    pulling    one pull: asks, holds the leg, asks again (`patience`, `progress`); never gives up

Media comes from the origin's relay straight into a track of ours, as a publisher's does, by a leg
that asks: ICE controlling, DTLS-SRTP with a certificate made for this leg, whose fingerprints both
ends named over mutual TLS. No Python runs per packet.

Does not: decide who may take a stream; the origin does, by its rules. Does not choose an origin, or
know two for one stream.

Specs: draft-ietf-wish-whep-03 §4 (the viewer offers); docs/decisions/0026.
"""

from sealcast.node.pull.paths import NODE_HEADER, PATH_HEADER, Paths
from sealcast.node.pull.pulling import WAY, Pulls

__all__ = ["NODE_HEADER", "PATH_HEADER", "WAY", "Paths", "Pulls"]
