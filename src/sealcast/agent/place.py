"""Where an end keeps its key and chain, and how both are swapped at once.

    DIR/authority.pem               whom to trust
    DIR/NAME.pem                    -> NAME.d/current/chain.pem
    DIR/NAME-key.pem                -> NAME.d/current/key.pem      (mode 0600)
    DIR/NAME.d/current              -> 5f3a…-91c2
    DIR/NAME.d/5f3a…-91c2/          chain.pem and key.pem that belong together, never changed

A new pair is written into a folder of its own, flushed, and then one symbolic link is renamed. So
the two paths always lead to a pair. A reader that opens one path before the swap and the other
after it has two files that do not fit; every TLS library says so, and reading again gives the new
pair: no reader keeps a new key with an old chain. Whoever never wants to see even that resolves
`NAME.d/current` once and reads both files from there; the pair before stays until the next swap.

Does: reads a pair, takes over plain files as `identity issue` writes them, swaps, sweeps.

Does not: ask anybody for anything (`sealcast.agent.keeper`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from sealcast.agent.life import Life
from sealcast.errors import LocalError
from sealcast.identity.issued import ROOTS_FILE
from sealcast.identity.key_places import read_key, uri_in
from sealcast.identity.names import SCHEME
from sealcast.identity.private_files import read_private, sync_folder, write_private
from sealcast.identity.profiles import Side

_CHAIN: Final = "chain.pem"
_KEY: Final = "key.pem"
_CURRENT: Final = "current"
_NODE: Final = "node.url"
_DRAFT: Final = ".draft-"
# A draft holds a key that nobody certified yet. One this old is of a process that died.
_DRAFT_DEAD_S: Final = 3600.0
_ROOM: Final = 16 * 1024
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain (PEM, leaf first) and the key of its leaf: PEM, or the URI of one in a token."""

    chain_pem: bytes
    key_pem: bytes
    leaf: x509.Certificate

    @staticmethod
    def of(chain_pem: bytes, key_pem: bytes, what: str = "It") -> Pair:
        """IDENTITY.CERTIFICATE_MALFORMED, TLS.KEY_MISMATCH; of a token its refusals."""
        try:
            leaf = x509.load_pem_x509_certificates(chain_pem)[0]
            if uri_in(key_pem) is None:
                # Typed as any of many kinds, of which each has a public key.
                public = serialization.load_pem_private_key(key_pem, None).public_key()
            else:
                public = read_key(key_pem, what).public_key()
            fits = public == leaf.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Nothing of what a damaged file holds may come out with the error.
            raise LocalError(
                "IDENTITY.CERTIFICATE_MALFORMED", f"{what} has no readable certificate and key."
            ) from None
        if not fits:
            raise LocalError("TLS.KEY_MISMATCH", f"{what} has a key of another certificate.")
        return Pair(chain_pem, key_pem, leaf)

    def __repr__(self) -> str:
        return f"Pair({self.name!r}, serial={self.serial!r})"

    @property
    def name(self) -> str:
        """The SPIFFE ID; empty if there is none."""
        try:
            names = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ""
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        return next((uri for uri in uris if uri.startswith(SCHEME)), "")

    @property
    def serial(self) -> str:
        return f"{self.leaf.serial_number:x}"

    @property
    def is_servers(self) -> bool:
        """Whether it is for the server's side alone, so that no client can show it."""
        try:
            usages = self.leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return False
        return Side.CLIENT.usage not in usages

    @property
    def life(self) -> Life:
        return Life.of(self.leaf)


class Draft:
    """A pair in the making: its key is on the disk, its chain is still to come."""

    def __init__(self, folder: Path, key_pem: bytes) -> None:
        """IDENTITY.NOT_WRITTEN, also when there would be no room for the chain."""
        self._path = folder / f"{_DRAFT}{secrets.token_hex(4)}"
        self._key_pem = key_pem
        with told(self._path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.mkdir(mode=0o700)
            _sweep_drafts(folder, self._path)
            try:
                write_private(self._path / _KEY, key_pem)
                # A certificate that is issued and then finds no room would be lost.
                write_private(self._path / _CHAIN, bytes(_ROOM))
            except BaseException:
                self.drop()
                raise

    def complete(self, chain_pem: bytes, what: str) -> tuple[Path, Pair]:
        """The folder with both, whole and flushed."""
        pair = Pair.of(chain_pem, self._key_pem, what)
        with told(self._path):
            write_private(self._path / _CHAIN, chain_pem, mode=0o644)
        return self._path, pair

    def drop(self) -> None:
        """Forget the key, if it was not put into its place."""
        shutil.rmtree(self._path, ignore_errors=True)


class Place:
    """The files of one end, `folder/stem…`."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder = folder
        self.stem = stem
        self.chain = folder / f"{stem}.pem"
        self.key = folder / f"{stem}-key.pem"
        self.roots = folder / ROOTS_FILE
        self.kept = folder / f"{stem}.d"
        self._links = {
            self.key: Path(self.kept.name, _CURRENT, _KEY),
            self.chain: Path(self.kept.name, _CURRENT, _CHAIN),
        }

    @staticmethod
    def at(path: Path) -> Place:
        """`DIR/NAME`; also `DIR/NAME.pem`, as a shell completes it."""
        stem = path.name.removesuffix(".pem").removesuffix("-key")
        return Place(path.parent, stem)

    def __str__(self) -> str:
        return str(self.folder / self.stem)

    # ---- reading -----------------------------------------------------------------------------

    def read(self) -> Pair:
        """The pair that is in place. AGENT.NO_IDENTITY, IDENTITY.KEY_EXPOSED,
        IDENTITY.CERTIFICATE_MALFORMED, TLS.KEY_MISMATCH.
        """
        for _ in range(_TRIES):
            # Somebody else may swap them between the two openings: then the second look fits.
            with suppress(LocalError):
                return self._read()
        return self._read()

    def mark(self) -> tuple[int, ...] | None:
        """Another one when the files are others, or others may read them; None without files."""
        try:
            found = self.chain.stat(), self.key.stat()
        except OSError:
            return None
        return tuple(
            number
            for one in found
            for number in (one.st_ino, one.st_mtime_ns, one.st_ctime_ns, one.st_size, one.st_mode)
        )

    def _read(self) -> Pair:
        try:
            return Pair.of(self.chain.read_bytes(), read_private(self.key), str(self))
        except OSError as error:
            raise LocalError("AGENT.NO_IDENTITY", f"{error.filename}: {error.strerror}.") from error

    def roots_pem(self) -> bytes:
        """Whom to trust; AGENT.NO_IDENTITY."""
        try:
            return self.roots.read_bytes()
        except OSError as error:
            raise LocalError("AGENT.NO_IDENTITY", f"{self.roots}: {error.strerror}.") from error

    def files_of_now(self) -> tuple[Path, Path]:
        """Chain and key as files that stay as they are, even if the pair is swapped meanwhile."""
        folder = self._current()
        if folder is None:
            return self.chain, self.key
        return folder / _CHAIN, folder / _KEY

    # ---- writing -----------------------------------------------------------------------------

    def put(self, draft: Draft, chain_pem: bytes) -> Pair:
        """Puts a completed draft into place. IDENTITY.NOT_WRITTEN, TLS.KEY_MISMATCH."""
        path, pair = draft.complete(chain_pem, str(self))
        with told(self.kept), self._alone():
            self._take_over()
            made = self._keep(path, pair)
            self._point_to(made)
            for link, target in self._links.items():
                _link(link, target)
            sync_folder(self.folder)
            # What is left over takes room and nothing else.
            with suppress(OSError):
                self._sweep(made)
        return pair

    def remember_node(self, url: str) -> None:
        """Where renewals come in. IDENTITY.NOT_WRITTEN."""
        with told(self.kept):
            write_private(self.kept / _NODE, f"{url}\n".encode())

    def node(self) -> str | None:
        """Where renewals come in, if it is known."""
        try:
            return (self.kept / _NODE).read_text("utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def put_roots(self, roots_pem: bytes) -> bool:
        """Writes whom to trust; whether that is something new. IDENTITY.NOT_WRITTEN."""
        with told(self.roots):
            if self.roots.exists() and self.roots.read_bytes() == roots_pem:
                return False
            write_private(self.roots, roots_pem, mode=0o644)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time swaps: an agent, or an enrolment into the same folder."""
        self.kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.kept / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _take_over(self) -> None:
        """Plain files become the pair that `current` leads to: their paths lead to the same bytes
        at every moment.
        """
        if all(_leads_to(link, target) for link, target in self._links.items()):
            return
        try:
            pair = self._read()
        except LocalError:
            # Nothing usable is there: nothing can be lost.
            return
        draft = Draft(self.folder, pair.key_pem)
        try:
            path, _ = draft.complete(pair.chain_pem, str(self))
            self._point_to(self._keep(path, pair))
        finally:
            draft.drop()
        for link, target in self._links.items():
            _link(link, target)

    def _keep(self, draft: Path, pair: Pair) -> Path:
        made = self.kept / f"{pair.serial[:16]}-{secrets.token_hex(8)}"
        draft.rename(made)
        sync_folder(self.kept)
        return made

    def _point_to(self, made: Path) -> None:
        _link(self.kept / _CURRENT, Path(made.name))
        sync_folder(self.kept)

    def _current(self) -> Path | None:
        if not all(_leads_to(link, target) for link, target in self._links.items()):
            return None
        try:
            return (self.kept / _CURRENT).resolve(strict=True)
        except OSError:
            return None

    def _sweep(self, newest: Path) -> None:
        """Leaves the newest pair, and the one before for whoever is just reading it."""
        older = [
            entry
            for entry in self.kept.iterdir()
            if entry.is_dir() and not entry.is_symlink() and entry != newest
        ]
        older.sort(key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
        for entry in older[1:]:
            shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of the file system in our words; IDENTITY.NOT_WRITTEN."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise LocalError("IDENTITY.NOT_WRITTEN", f"{where}: {error.strerror}.") from error


def _link(path: Path, target: Path) -> None:
    """`path` leads to `target`, from one moment to the next."""
    if _leads_to(path, target):
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh.symlink_to(target)
    try:
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _leads_to(path: Path, target: Path) -> bool:
    return path.is_symlink() and path.readlink() == target


def _sweep_drafts(folder: Path, newest: Path) -> None:
    # By the clock of the file system alone, which need not be this machine's.
    now = newest.stat().st_mtime
    for draft in folder.glob(f"{_DRAFT}*"):
        with suppress(OSError):
            if now - draft.stat().st_mtime > _DRAFT_DEAD_S:
                shutil.rmtree(draft, ignore_errors=True)
