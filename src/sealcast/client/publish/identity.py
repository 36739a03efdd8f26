"""Who publishes: a certificate, its key and the authority, in files that somebody may replace.

Does: reads `NAME.pem`, `NAME-key.pem` and `authority.pem` of a folder as they are now, notices when
they are others, and says what was read: which certificate, until when. The key may be in a token.

A chain and its key are two files. Whoever replaces them does it one after the other, so a reader
can meet a pair that does not fit: that is TLS.KEY_MISMATCH here, and the next look settles it.

Does not: renew, or keep what was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.client.tls_identity import load_identity
from sealcast.errors import LocalError
from sealcast.identity.key_uri import is_key_uri
from sealcast.tls import TlsIdentity

AUTHORITY: Final = "authority.pem"
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate that can be shown, and whom to trust."""

    identity: TlsIdentity
    roots_pem: bytes
    serial: str
    not_after_unix: int


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """Where they are; `key` is a file or a `pkcs11:` URI."""

    chain: Path
    key: Path | str
    authority: Path

    @staticmethod
    def named(path: Path, authority: Path | None = None, key: str | None = None) -> IdentityFiles:
        """Those that `sealcast identity issue --out DIR` and `sealcast agent` write: `path` is
        DIR/NAME.
        """
        path = path.expanduser()
        # A name with its ending is what a shell completes.
        stem = path.name.removesuffix(".pem")
        folder = path.parent
        kept = folder / f"{stem}-key.pem" if key is None else Path(key).expanduser()
        return IdentityFiles(
            folder / f"{stem}.pem",
            key if key is not None and is_key_uri(key) else kept,
            authority or folder / AUTHORITY,
        )

    def stamp(self) -> Stamp:
        """What is another when a file is another."""
        files = (self.chain, self.key, self.authority)
        return tuple(_stamp(path) for path in files if isinstance(path, Path))

    def load(self) -> Presented:
        """What the files hold now. Blocks where a token takes its time.

        What `load_identity` refuses; IDENTITY.KEY_UNREADABLE and IDENTITY.CERTIFICATE_MALFORMED
        also of the authority's file.
        """
        try:
            identity = load_identity(self.chain, self.key)
            roots = self.authority.read_bytes()
        except OSError as error:
            detail = f"{error.filename or self.authority}: {error.strerror}."
            raise LocalError("IDENTITY.KEY_UNREADABLE", detail) from error
        try:
            x509.load_pem_x509_certificates(roots)
        except ValueError as error:
            detail = f"{self.authority} holds no certificate."
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", detail) from error
        leaf = x509.load_pem_x509_certificates(identity.chain_pem)[0]
        until = int(leaf.not_valid_after_utc.timestamp())
        return Presented(identity, roots, f"{leaf.serial_number:x}", until)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size
