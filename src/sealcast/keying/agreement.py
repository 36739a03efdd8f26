"""A claim: the keys or the identity that a method says it has, before policy has judged it.

Does: gives every method the same words, so that policy, ledger and audit need not know the method.

Does not: carry key material. For DTLS and TLS the keys never leave the native side; what stands
here is how the other end will be proved.
"""

from dataclasses import dataclass
from enum import StrEnum

from sealcast.wire import DtlsRole, FingerprintSpec, TlsFacts


class Proof(StrEnum):
    """How an end was proved to be who it says."""

    CERTIFICATE = "certificate"
    """A certificate that chains to a trusted authority, its key shown in the handshake."""
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    """A token signed by this node, bound to stream and purpose."""
    PASSWORD = "password"  # noqa: S105 - a word, not a secret
    """An account's password and the code of the moment; an administrator's session."""
    FINGERPRINT = "fingerprint"
    """A certificate whose digest the other end's verified signalling had named."""
    UNPROVED = "unproved"
    """Nobody knows."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One end of a leg: a name, and how it was proved.

    `name` is a SPIFFE ID, a token's subject, a fingerprint, or empty for an unproved end.
    """

    name: str
    proof: Proof

    @property
    def proved(self) -> bool:
        return self.proof is not Proof.UNPROVED

    def same_as(self, other: "Identity") -> bool:
        """The same proved end: same name, proved in the same way. Two unproved ends never are."""
        return self.proved and self == other


UNPROVED = Identity("", Proof.UNPROVED)


@dataclass(frozen=True, slots=True)
class DtlsClaim:
    """DTLS-SRTP, claimed by SDP (RFC 8842): our role, and the digests the peer must match.

    All `fingerprints` share the strongest hash that was named; `ignored` are the weaker hashes.
    """

    role: DtlsRole
    fingerprints: tuple[FingerprintSpec, ...]
    ignored: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        return "dtls-srtp"


@dataclass(frozen=True, slots=True)
class TlsClaim:
    """A TLS connection that has been made: its facts."""

    facts: TlsFacts

    @property
    def method(self) -> str:
        return "tls"


Claim = DtlsClaim | TlsClaim
