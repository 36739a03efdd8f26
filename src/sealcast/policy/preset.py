"""Presets: policy as dated data.

Does: reads one of the presets that come with the package, strictly typed. Does not: let a preset be
edited at run time; an operator names one per role.
"""

import datetime
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from importlib import resources
from typing import Final

import msgspec

from sealcast.errors import LocalError
from sealcast.keying.agreement import Proof
from sealcast.wire import Version


class Role(StrEnum):
    """What a leg is for. A policy is named for each role."""

    INGEST = "ingest"
    DELIVERY = "delivery"
    ORIGIN = "origin"
    NODE = "node"
    SIGNALLING = "signalling"
    ADMIN = "admin"


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a preset."""


class TlsRules(Rules, frozen=True):
    """TLS 1.2 always means ECDHE and AEAD; the front has no other ciphers."""

    min_version: Version
    max_version: Version
    groups: tuple[str, ...]


class DtlsRules(Rules, frozen=True):
    """The handshake of media legs. Hashes are those of `a=fingerprint`, strongest first."""

    min_version: Version
    max_version: Version
    groups: tuple[str, ...]
    fingerprint_hashes: tuple[str, ...]


class SrtpRules(Rules, frozen=True):
    """Profiles by their names in RFC 5764 and RFC 7714, best first."""

    profiles: tuple[str, ...]


class IdentityRules(Rules, frozen=True):
    """Which proofs admit a peer, by role; whether a stream may be marked public; for how many
    seconds after its certificate has expired a leg that is live may go on.
    """

    ingest: tuple[Proof, ...]
    delivery: tuple[Proof, ...]
    admin: tuple[Proof, ...]
    public_streams: bool
    expired_grace_s: int


class Policy(Rules, frozen=True):
    """One preset. `downgrades` maps an admitted but weaker outcome to the code of its note."""

    name: str
    dated: datetime.date
    summary: str
    tls: TlsRules
    dtls: DtlsRules
    srtp: SrtpRules
    identities: IdentityRules
    downgrades: dict[str, str]

    def proofs(self, role: Role) -> tuple[Proof, ...]:
        """The proofs that admit a peer to `role`; legs between nodes count as administration."""
        match role:
            case Role.INGEST:
                return self.identities.ingest
            case Role.DELIVERY:
                return self.identities.delivery
            case _:
                return self.identities.admin

    def admits_beyond(self, other: "Policy") -> tuple[str, ...]:
        """What this preset admits and `other` does not, by name; empty if nothing."""
        grace_s = self.identities.expired_grace_s
        longer = grace_s > other.identities.expired_grace_s
        anybody = self.identities.public_streams and not other.identities.public_streams
        more = (
            *_older("TLS", self.tls.min_version, other.tls.min_version),
            *_older("DTLS", self.dtls.min_version, other.dtls.min_version),
            *_more(self.tls.groups, other.tls.groups),
            *_more(self.dtls.groups, other.dtls.groups),
            *_more(self.dtls.fingerprint_hashes, other.dtls.fingerprint_hashes),
            *_more(self.srtp.profiles, other.srtp.profiles),
            *_more(self.identities.ingest, other.identities.ingest, "ingest by "),
            *_more(self.identities.delivery, other.identities.delivery, "delivery by "),
            *_more(self.identities.admin, other.identities.admin, "administration by "),
            *(("public streams",) if anybody else ()),
            *((f"{grace_s} s beyond a certificate's end",) if longer else ()),
        )
        return tuple(dict.fromkeys(more))


def _older(protocol: str, mine: Version, others: Version) -> tuple[str, ...]:
    return (f"{protocol} {mine}",) if mine < others else ()


def _more(mine: Sequence[str], others: Sequence[str], prefix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{entry}" for entry in mine if entry not in others)


PRESETS: Final = ("strict", "standard", "compatible")


def load(name: str) -> Policy:
    """The preset called `name`; CONFIG.UNKNOWN_POLICY for any other."""
    if name not in PRESETS:
        raise LocalError("CONFIG.UNKNOWN_POLICY", f"There is no policy called {name[:40]!r}.")
    text = resources.files("sealcast.policy").joinpath(f"presets/{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Policy)
