"""Certificates, keys and trust bundles in files that somebody else writes.

Does: reads a door's chain and key, or its bundle, and tells when they are others, however they were
replaced: written anew, renamed over, or by a symbolic link that was turned (`..data` of Kubernetes,
Vault Agent's templates). Refuses a key that group or others may read, and a
certificate that is for clients only: the door would show it, and every client would go away.

Does not: judge whether a key fits its certificate or a certificate has ended; the front does.

Files are asked for (one `stat` each) and not watched by inotify: what a path leads to changes by
any link on its way, each in a folder of its own that would need a watch; watches are lost with the
folder they are on; network file systems tell of nothing. A second later is soon enough.

Chain and key are two files and cannot change in one moment. So a change counts once two looks in a
row have seen the same: whoever writes key and chain within that time is never met halfway.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sealcast.errors import LocalError
from sealcast.identity.private_files import read_private
from sealcast.identity.profiles import Side
from sealcast.node.state_folder import KeyPair

Stamp = tuple[tuple[int, ...] | None, ...]
"""Of each file what changes with its content, name or mode; None where there is none."""


_NOT_FOR: Final = {
    Side.SERVER: "IDENTITY.NOT_FOR_SERVERS",
    Side.CLIENT: "IDENTITY.NOT_FOR_CLIENTS",
}


class _Changes:
    """When files were changed and have come to rest."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._taken = self._resting = _stamp(self._files)

    def look(self) -> bool:
        seen = _stamp(self._files)
        rests, self._resting = seen == self._resting, seen
        if seen == self._taken or not rests:
            return False
        self._taken = seen
        return True


class FilePair:
    """A chain and a key: a door's, or of a connection that the node opens."""

    def __init__(self, chain: Path, key: Path, *, side: Side = Side.SERVER) -> None:
        """`side` is the end at which the pair is shown: a door is a server.

        IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED, IDENTITY.CERTIFICATE_MALFORMED,
        IDENTITY.NOT_FOR_SERVERS, IDENTITY.NOT_FOR_CLIENTS.
        """
        self._side = side
        self._chain, self._key = chain.expanduser(), key.expanduser()
        self._changes = _Changes((self._chain, self._key))
        self._pair = self._read()

    @property
    def name(self) -> str:
        return str(self._chain)

    def current(self) -> KeyPair:
        return self._pair

    def look(self, now: datetime.datetime) -> bool:
        if not self._changes.look():
            return False
        self._pair = self._read()
        return True

    def _read(self) -> KeyPair:
        chain = _read(self._chain)
        if not _is_for(self._side, chain):
            raise LocalError(_NOT_FOR[self._side], f"It is {self._chain}.")
        try:
            return KeyPair(chain, read_private(self._key))
        except OSError as error:
            raise LocalError(
                "IDENTITY.KEY_UNREADABLE", f"{self._key}: {error.strerror}."
            ) from error


class FileBundle:
    """The authorities whose client certificates a door admits."""

    def __init__(self, file: Path) -> None:
        """IDENTITY.CERTIFICATE_MALFORMED."""
        self._file = file.expanduser()
        self._changes = _Changes((self._file,))
        self._roots_pem = _read(self._file)

    @property
    def name(self) -> str:
        return str(self._file)

    def current(self) -> bytes:
        return self._roots_pem

    def look(self, now: datetime.datetime) -> bool:
        if not self._changes.look():
            return False
        self._roots_pem = _read(self._file)
        return True


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{file}: {error.strerror}.") from error


def _is_for(side: Side, chain_pem: bytes) -> bool:
    """RFC 5280 §4.2.1.12: without the extension a certificate is for everything. What cannot be
    read here, the front reads, or says why not.
    """
    try:
        leaf = x509.load_pem_x509_certificate(chain_pem)
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return True
    either = (side.usage, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(usage in usages for usage in either)


def _stamp(files: Sequence[Path]) -> Stamp:
    return tuple(_stamp_of(file) for file in files)


def _stamp_of(file: Path) -> tuple[int, ...] | None:
    try:
        # Of what a link leads to, so that a link that was turned is another file.
        known = file.stat()
    except OSError:
        return None
    return (
        *(known.st_dev, known.st_ino, known.st_size, known.st_mode),
        *(known.st_mtime_ns, known.st_ctime_ns),
    )
