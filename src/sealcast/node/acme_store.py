"""What a node keeps of an ACME authority: its account's key, and the certificate that it got.

Does: files of mode 0600 in a folder of the state folder, written whole or not at all, one set for
each directory. Chain and key are one file, so that nobody ever meets halves of two pairs.

Does not: speak to the authority (`sealcast.node.acme_orders`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sealcast.errors import LocalError
from sealcast.identity.private_files import read_private, write_private
from sealcast.node.state_folder import KeyPair

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


def made_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A fresh P-256 key, and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class AcmeStore:
    """The files of one directory."""

    def __init__(self, state: Path, directory: str) -> None:
        # Accounts of a test authority are nothing to a real one.
        name = hashlib.sha256(directory.encode()).hexdigest()[:16]
        self.folder = state / "acme" / name

    def account_key(self) -> ec.EllipticCurvePrivateKey:
        """The account's key, made when first asked for.

        IDENTITY.KEY_EXPOSED, IDENTITY.KEY_UNREADABLE.
        """
        file = self.folder / "account-key.pem"
        if not file.exists():
            key, pem = made_key()
            write_private(file, pem)
            return key
        try:
            found = load_pem_private_key(read_private(file), None)
        except ValueError as error:
            raise LocalError("IDENTITY.KEY_UNREADABLE", f"{file}: no PEM key.") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise LocalError("IDENTITY.KEY_UNREADABLE", f"{file}: no key on P-256.")
        return found

    def pair(self) -> KeyPair | None:
        """The certificate of the last order; None before the first. IDENTITY.KEY_EXPOSED."""
        try:
            content = read_private(self.folder / "certificate.pem")
        except FileNotFoundError:
            return None
        key_pem, begin, rest = content.partition(_BEGIN)
        return KeyPair(begin + rest, key_pem)

    def keep(self, pair: KeyPair) -> None:
        """From now on this is the certificate."""
        write_private(self.folder / "certificate.pem", pair.key_pem + pair.chain_pem)
