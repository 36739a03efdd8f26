"""Who publishes: a certificate, its key and the authority, in files that somebody may replace.

Does: reads `NAME.pem`, `NAME-key.pem` and `authority.pem` of a folder as they are now, notices when
they are others, and says what was read: which certificate, until when.

A chain and its key are two files. Whoever replaces them does it one after the other, so a reader
can meet a pair that does not fit: that is TLS.KEY_MISMATCH here, and the next look settles it.

Does not: renew, or keep what was read.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity.private_files import read_private

AUTHORITY: Final = "authority.pem"
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate that can be shown: `context` trusts the authority and has the key."""

    context: ssl.SSLContext
    serial: str
    not_after_unix: int


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """Where the files are."""

    chain: Path
    key: Path
    authority: Path

    @staticmethod
    def named(path: Path, authority: Path | None = None) -> IdentityFiles:
        """Those that `sealcast identity issue --out DIR` and `sealcast agent` write: `path` is
        DIR/NAME.
        """
        path = path.expanduser()
        # A name with its ending is what a shell completes.
        stem = path.name.removesuffix(".pem")
        folder = path.parent
        return IdentityFiles(
            folder / f"{stem}.pem", folder / f"{stem}-key.pem", authority or folder / AUTHORITY
        )

    def stamp(self) -> Stamp:
        """What is another when a file is another."""
        return tuple(_stamp(path) for path in (self.chain, self.key, self.authority))

    def load(self) -> Presented:
        """What the files hold now.

        IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED, IDENTITY.CERTIFICATE_MALFORMED,
        TLS.KEY_MISMATCH.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            read_private(self.key)
            pem = self.chain.read_bytes()
            context.load_verify_locations(self.authority)
        except ssl.SSLError as error:
            detail = f"{self.authority} holds no certificate."
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", detail) from error
        except OSError as error:
            detail = f"{error.filename or self.authority}: {error.strerror}."
            raise LocalError("IDENTITY.KEY_UNREADABLE", detail) from error
        try:
            leaf = x509.load_pem_x509_certificate(pem)
        except ValueError as error:
            detail = f"{self.chain} holds no certificate."
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", detail) from error
        try:
            context.load_cert_chain(self.chain, self.key, password=_no_passphrase)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                detail = f"{self.key.name} is not of {self.chain.name}."
                raise LocalError("TLS.KEY_MISMATCH", detail) from error
            detail = f"{self.key}: OpenSSL cannot read it."
            raise LocalError("IDENTITY.KEY_UNREADABLE", detail) from error
        until = int(leaf.not_valid_after_utc.timestamp())
        return Presented(context, f"{leaf.serial_number:x}", until)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _no_passphrase() -> str:
    # Without this OpenSSL would ask at the terminal for the passphrase of an encrypted key.
    return ""
