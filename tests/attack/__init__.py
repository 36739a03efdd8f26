"""What bad input gets (design §7): each kind of it has one code, one counter, one clear sentence,
and no effect on other legs.

Does: attacks one node, which runs as its users run it, from outside. While each test runs, a
control publisher and a control viewer are live on the same node, and every frame between them must
arrive: see :mod:`attack.control`.

Does not: repeat what the Rust crates prove with a fake clock and a lossy link
(`crates/*/tests`): here is what an operator sees of it.

The peer is our own, made of OpenSSL (pyOpenSSL) and libsrtp (pylibsrtp), because attacks need a
hand on every packet, and because neither shares a line with the node's BoringSSL and SRTP.
"""
