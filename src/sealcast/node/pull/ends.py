"""Who we are to an origin, and whom we take for one: asked for again before each use.

Does: finds the sources of certificate, key and bundle, by a pull's own files or from the node's
authority; makes of a pair what a handshake shows, wherever its key lives.

Does not: renew files (`sealcast agent` does), or swap: each connection takes what there is.
"""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity.key_places import load_key, sign_handshake, uri_in
from sealcast.identity.names import SCHEME
from sealcast.identity.profiles import Side
from sealcast.keying.agreement import Identity, Proof
from sealcast.node.certificate_files import FileBundle, FilePair
from sealcast.node.certificate_sources import Lifetime, Source
from sealcast.node.config import Config, Pull
from sealcast.node.own_authority import OwnBundle, OwnPair
from sealcast.node.state_folder import KeyPair
from sealcast.permission import Certificate, subject_of
from sealcast.secret import Secret
from sealcast.tls import TlsIdentity

if TYPE_CHECKING:
    from sealcast.identity.authority import Authority

NODE: Final = "node"
"""The profile that both ends of a leg between nodes have."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What is shown and trusted at one moment."""

    pair: KeyPair
    shown: TlsIdentity
    us: Identity
    until: datetime.datetime
    roots_pem: bytes


@dataclass(frozen=True, slots=True)
class EndSources:
    """Where a pull gets both."""

    pair: Source[KeyPair]
    bundle: Source[bytes]
    trust_domain: str
    lock: threading.Lock
    """Pulls may share a source, and a source has one caller at a time."""

    def look(self, now: datetime.datetime) -> None:
        """Takes in what is newer. Blocks; raises why the newer one cannot be used, what was there
        stays.
        """
        with self.lock:
            self.pair.look(now)
            self.bundle.look(now)

    def now(self) -> Ends:
        """What there is. Blocks where a token takes its time.

        PULL.NOT_A_NODE, IDENTITY.CERTIFICATE_MALFORMED; of a key in a token its refusals.
        """
        pair = self.pair.current()
        us = check_node(_name(pair.chain_pem), self.trust_domain, "Ours")
        until = Lifetime.of(pair.chain_pem).not_after
        return Ends(pair, _shown(pair), us, until, self.bundle.current())


def check_node(identity: Identity, trust_domain: str, whose: str) -> Identity:
    """`identity` if it is a node of this trust domain; PULL.NOT_A_NODE."""
    subject = subject_of(identity, trust_domain)
    if not isinstance(subject, Certificate) or subject.profile != NODE:
        name = identity.name[:200] or "nobody"
        raise LocalError(
            "PULL.NOT_A_NODE", f"{whose} says {name!r}, not spiffe://{trust_domain}/{NODE}/…."
        )
    return identity


class EndMaker:
    """The sources of all pulls of a node: those without files of their own share one pair."""

    def __init__(self, config: Config, authority: Authority | None) -> None:
        self._config = config
        self._authority = authority
        self._own: OwnPair | None = None
        self._lock = threading.Lock()

    def of(self, pull: Pull, now: datetime.datetime) -> EndSources:
        """Of one pull. Blocks. The codes of `FilePair`, `FileBundle` and `Authority.issue`."""
        authority, trust_domain = self._authority, self._config.node.trust_domain
        pair: Source[KeyPair]
        bundle: Source[bytes]
        if pull.certificate:
            pair = FilePair(Path(pull.certificate), Path(pull.key), side=Side.CLIENT)
        else:
            pair = self._own_pair(now)
        if pull.trust:
            bundle = FileBundle(Path(pull.trust))
        elif authority is not None:
            bundle = OwnBundle(authority, now)
        else:
            raise _no_authority()
        return EndSources(pair, bundle, trust_domain, self._lock)

    def _own_pair(self, now: datetime.datetime) -> OwnPair:
        if self._authority is None:
            raise _no_authority()
        if self._own is None:
            names = self._config.node.names
            self._own = OwnPair(self._authority, names, now, side=Side.CLIENT)
        return self._own


def _no_authority() -> LocalError:
    return LocalError("IDENTITY.NO_AUTHORITY", "A [[pull]] without files needs [identity].")


def _name(chain_pem: bytes) -> Identity:
    try:
        leaf = x509.load_pem_x509_certificate(chain_pem)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except ValueError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", "It is not PEM.") from error
    except x509.ExtensionNotFound:
        return Identity("", Proof.CERTIFICATE)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    name = next((uri for uri in uris if uri.startswith(SCHEME)), "")
    return Identity(name, Proof.CERTIFICATE)


def _shown(pair: KeyPair) -> TlsIdentity:
    uri = uri_in(pair.key_pem)
    if uri is None:
        return TlsIdentity(pair.chain_pem, Secret(pair.key_pem))
    return TlsIdentity(pair.chain_pem, partial(sign_handshake, load_key(uri)))
