"""Names for both ends of a leg, and what proves them.

Does: the authority of a trust domain (`founding`, `authority`), which issues by profile,
remembers what it issued and revokes it (`revocation`); a throw-away one for first pictures and
tests; tokens signed by this node, bound to stream and purpose.

Does not: judge a handshake; that is BoringSSL's alone.

An order becomes a certificate in small steps (`issuing`), of which only the last sees a key; one
module makes certificates (`certificates`), one keeps them (`store`), one reads what strangers send
(`requests`).
"""

from sealcast.identity.issued import Issued
from sealcast.identity.throw_away import ThrowAwayAuthority
from sealcast.identity.tokens import TokenClaims, TokenIssuer, TokenKey, TokenVerifier
from sealcast.identity.verbs import Verb

__all__ = [
    "Issued",
    "ThrowAwayAuthority",
    "TokenClaims",
    "TokenIssuer",
    "TokenKey",
    "TokenVerifier",
    "Verb",
]
