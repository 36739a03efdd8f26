"""Names for both ends of a leg, and what proves them.

Does: a throw-away authority that issues certificates for servers and encoders, and tokens signed by
this node, bound to stream and purpose.

Does not yet: enrol, renew or revoke. Does not: judge a handshake; that is BoringSSL's alone.
"""

from sealcast.identity.issued import Issued
from sealcast.identity.throw_away import ThrowAwayAuthority
from sealcast.identity.tokens import TokenClaims, TokenIssuer, TokenKey, TokenVerifier, Verb

__all__ = [
    "Issued",
    "ThrowAwayAuthority",
    "TokenClaims",
    "TokenIssuer",
    "TokenKey",
    "TokenVerifier",
    "Verb",
]
