"""The state folder: what a node is, from one start to the next.

Does: makes it (mode 0700), with the throw-away authority, the server's certificate and the token
key; renews the certificate when its names changed or two thirds of its life are over. Where the
configuration names an authority there is no throw-away one.

Does not: hold anything that cannot be made anew, except trust: whoever trusted the old authority
must be told of a new one.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity import (
    ThrowAwayAuthority,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    certificates,
)
from sealcast.identity.private_files import read_private
from sealcast.identity.throw_away import KEY_FILE, LEAF_LIFETIME, ROOT_FILE
from sealcast.node.config import Config

TOKEN_KEY_FILE: Final = "token-key.json"  # noqa: S105 - a file's name
SERVER: Final = "server"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its key, as PEM."""

    chain_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return "KeyPair(<secret>)"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """An opened state folder."""

    path: Path
    token_key: TokenKey
    first_start: bool
    root_file: Path
    """The file to hand out: what clients must trust."""
    throw_away: ThrowAwayAuthority | None
    """None where `[identity]` names an authority."""

    @property
    def authority(self) -> ThrowAwayAuthority:
        """The throw-away authority; IDENTITY.NOT_THROW_AWAY where there is none."""
        if self.throw_away is None:
            raise LocalError("IDENTITY.NOT_THROW_AWAY", f"It is in {self.root_file.parent}.")
        return self.throw_away

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what clients must trust, as `AB:CD:…`."""
        root = x509.load_pem_x509_certificate(self.root_file.read_bytes())
        return certificates.fingerprint(root)

    @property
    def issuer(self) -> TokenIssuer:
        """Signs tokens with the node's key."""
        return TokenIssuer(self.token_key)

    @property
    def verifier(self) -> TokenVerifier:
        """Verifies them."""
        return TokenVerifier(self.token_key)

    def server(self, names: Sequence[str], now: datetime.datetime) -> KeyPair:
        """A certificate for the node under `names`, made anew when it no longer fits."""
        chain, key = self.path / f"{SERVER}.pem", self.path / f"{SERVER}-key.pem"
        if chain.exists() and key.exists():
            pair = KeyPair(chain.read_bytes(), read_private(key))
            if self._fits(pair.chain_pem, names, now):
                return pair
        issued = self.authority.issue_server(names, now)
        issued.save(self.path, SERVER)
        return KeyPair(issued.chain_pem, issued.key_pem)

    def _fits(self, chain_pem: bytes, names: Sequence[str], now: datetime.datetime) -> bool:
        try:
            leaf = x509.load_pem_x509_certificate(chain_pem)
            root = x509.load_pem_x509_certificate(self.authority.root_pem)
            leaf.verify_directly_issued_by(root)
            held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:
            # Unreadable, or of an authority that is gone: both are mended by a new one.
            return False
        known = {str(name.value) for name in held}
        wanted = {_canonical(name) for name in names}
        return known == wanted and now < leaf.not_valid_after_utc - LEAF_LIFETIME / 3


def open_state_folder(config: Config, now: datetime.datetime) -> StateFolder:
    """The node's state folder; made if there is none.

    CONFIG.BAD_VALUE when the folder cannot be made, and the codes of `sealcast.identity` when what
    is in it must not be used.
    """
    path = config.state_dir()
    own = config.identity.authority
    first_start = not (path / (TOKEN_KEY_FILE if own else KEY_FILE)).exists()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An older one may be open to others.
        path.chmod(0o700)
    except OSError as error:
        detail = f"node.state_dir: {path}: {error.strerror}."
        raise LocalError("CONFIG.BAD_VALUE", detail) from error
    return StateFolder(
        path=path,
        token_key=TokenKey.load_or_create(path / TOKEN_KEY_FILE),
        first_start=first_start,
        root_file=(Path(own).expanduser() if own else path) / ROOT_FILE,
        throw_away=None if own else _throw_away(path, config.node.trust_domain, now),
    )


def _throw_away(path: Path, trust_domain: str, now: datetime.datetime) -> ThrowAwayAuthority:
    authority = ThrowAwayAuthority.load_or_create(path, trust_domain, now)
    if authority.trust_domain != trust_domain:
        # Its certificates name the old domain: nobody who holds one would be recognised.
        raise LocalError(
            "CONFIG.BAD_VALUE",
            f"node.trust_domain is {trust_domain!r}, but the authority in {path} is "
            f"of {authority.trust_domain!r}.",
        )
    return authority


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
