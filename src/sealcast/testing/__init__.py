"""The test kit: real nodes, real networks and real peers for tests.

Does: says which outside programs a test needs and what is missing
(:mod:`sealcast.testing.requirement`), makes two hosts out of network namespaces
(:mod:`sealcast.testing.network`), runs a node as its users do
(:mod:`sealcast.testing.node_process`), drives real browsers, ffmpeg and aiortc.

Does not: replace anything by a mirror of our own code: what comes out of here is what a user would
run.

The caller must still: end what it started; everything here is a context manager for that reason.
"""
