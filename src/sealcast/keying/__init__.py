"""Ways in which the two ends of a leg come to share keys, each as a claim.

Does: reads out of signalling what a method says it has: who would be proved, and by what.

Does not: admit anything (that is `sealcast.policy`), hold media keys, or run a handshake (the
native core does, told beforehand which outcomes are admissible).

Methods never import one another; each knows `agreement` and what it parses.
"""

from sealcast.keying.agreement import Claim, DtlsClaim, Identity, Proof, TlsClaim

__all__ = ["Claim", "DtlsClaim", "Identity", "Proof", "TlsClaim"]
