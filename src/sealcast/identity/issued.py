"""What an end is handed: its certificate, and its key where the authority made that."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PBES,
    serialize_key_and_certificates,
)

from sealcast.identity.private_files import hand_out
from sealcast.secret import Secret


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate for a key that its holder made. `chain_pem` begins with the leaf and leaves
    out the root; `name` is the SPIFFE ID.
    """

    name: str
    chain_pem: bytes
    serial: str
    not_after_unix: int

    def save(self, folder: Path, stem: str) -> Path:
        """Writes `stem.pem` and returns its path; IDENTITY.NOT_WRITTEN."""
        path = folder / f"{stem}.pem"
        hand_out(path, self.chain_pem, mode=0o644)
        return path


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, as PEM. `chain_pem` begins with the leaf and leaves out the root.

    `name` is the SPIFFE ID of a client, the first name of a server.
    """

    name: str
    chain_pem: bytes
    key_pem: bytes
    serial: str
    not_after_unix: int

    def __repr__(self) -> str:
        return f"Issued(name={self.name!r}, serial={self.serial!r})"

    def save(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Writes `stem.pem` and `stem-key.pem` (mode 0600); both paths. IDENTITY.NOT_WRITTEN."""
        chain, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
        # The key first: a chain is never there without its key.
        hand_out(key, self.key_pem)
        hand_out(chain, self.chain_pem, mode=0o644)
        return chain, key

    def pkcs12(self, root_pem: bytes, passphrase: Secret) -> bytes:
        """Certificate, key and authorities in one encrypted file (RFC 7292), for browsers and for
        encoders that cannot make a key.
        """
        leaf, *others = x509.load_pem_x509_certificates(self.chain_pem + root_pem)
        key = serialization.load_pem_private_key(self.key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)  # noqa: S101 - as keys.PrivateKey
        return serialize_key_and_certificates(
            self.name.encode(), key, leaf, others, _PKCS12.build(passphrase.reveal())
        )


# AES-256 and SHA-256; the passphrase is not a person's, so the rounds matter little.
_PKCS12: Final = (
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(100_000)
    .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(hashes.SHA256())
)
