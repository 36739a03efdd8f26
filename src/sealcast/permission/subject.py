"""Who asks, as far as it was proved, and what each kind of caller may do at most.

Specs: SPIFFE ID §2, X509-SVID §2 (one URI name to a certificate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sealcast.errors import RemoteError
from sealcast.identity.names import SCHEME, is_name
from sealcast.identity.profiles import accounts_may, others_may, profiles
from sealcast.identity.verbs import Verb
from sealcast.keying.agreement import UNPROVED, Identity, Proof
from sealcast.wire import PeerCertificate


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whoever holds the key of a certificate that was proved.

    `name` is its SPIFFE ID, else its subject; `path` the name within our own trust domain, None for
    a certificate of another one or without a SPIFFE ID.
    """

    name: str
    path: str | None

    @property
    def profile(self) -> str | None:
        """The profile that the name says; None for what no profile here covers."""
        first = (self.path or "").partition("/")[0]
        return first if first in profiles() else None

    @property
    def proof(self) -> Proof:
        return Proof.CERTIFICATE

    @property
    def ceiling(self) -> Sequence[Verb]:
        profile = self.profile
        return others_may() if profile is None else profiles()[profile].may

    @property
    def kind(self) -> str:
        """What sets the ceiling, in words."""
        if self.profile is not None:
            return f"the profile {self.profile}"
        return "a certificate without a profile of this trust domain"


@dataclass(frozen=True, slots=True)
class Token:
    """Whoever shows a token of this node that was verified; `stream` and `verb` are its words."""

    name: str
    stream: str
    verb: Verb

    @property
    def proof(self) -> Proof:
        return Proof.TOKEN

    @property
    def ceiling(self) -> Sequence[Verb]:
        # Whoever administers may read the counters too.
        return (Verb.ADMIN, Verb.METRICS) if self.verb is Verb.ADMIN else (self.verb,)


@dataclass(frozen=True, slots=True)
class Account:
    """An administrator who gave a password and a code."""

    name: str

    @property
    def proof(self) -> Proof:
        return Proof.PASSWORD

    @property
    def ceiling(self) -> Sequence[Verb]:
        return accounts_may()


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nothing was proved."""

    name: str = ""


NOBODY = Nobody()
Subject = Certificate | Token | Account | Nobody


def identity_of(peer: PeerCertificate | None) -> Identity:
    """The name that a verified certificate proves: its SPIFFE ID, else its subject.

    IDENTITY.NOT_ALLOWED for a certificate with several SPIFFE IDs (X509-SVID §2): any of them might
    be the one that a rule names.
    """
    if peer is None:
        return UNPROVED
    spiffe = [uri for uri in peer.san_uris if uri.startswith(SCHEME)]
    if len(spiffe) > 1:
        raise RemoteError(
            "IDENTITY.NOT_ALLOWED", f"The certificate carries {len(spiffe)} SPIFFE IDs."
        )
    name = spiffe[0] if spiffe else peer.subject
    return Identity(name or f"serial {peer.serial}", Proof.CERTIFICATE)


def subject_of(identity: Identity, trust_domain: str) -> Certificate | Nobody:
    """Who a certificate's identity is to the rules of a node of `trust_domain`."""
    if identity.proof is not Proof.CERTIFICATE:
        return NOBODY
    prefix = f"{SCHEME}{trust_domain}/"
    path = identity.name.removeprefix(prefix) if identity.name.startswith(prefix) else None
    return Certificate(identity.name, path if path is not None and is_name(path) else None)
