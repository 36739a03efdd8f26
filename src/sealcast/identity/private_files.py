"""Files that only their owner may read.

Does: writes them whole or not at all (a new file in the same folder, flushed, renamed), mode 0600,
folder 0700; removes what killed writers left; refuses to read one that others could have read.
"""

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sealcast.errors import LocalError
from sealcast.secret import Secret

LEAST_PASSPHRASE: Final = 12


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Puts `content` into `path`, atomically; readers see the old file or the new one."""
    with _draft(path, content, mode) as fresh:
        fresh.replace(path)
        sync_folder(path.parent)


def write_pair(chain: Path, chain_pem: bytes, key: Path, key_pem: bytes) -> None:
    """A chain and its key, in one folder. Whenever the writer dies: the old pair, a key whose chain
    is missing, or the new pair; never a chain beside another one's key.

    An end that reads while this writes may meet no chain. One that renews by itself has folders
    that are swapped whole.
    """
    with _draft(key, key_pem, 0o600) as fresh_key, _draft(chain, chain_pem, 0o644) as fresh_chain:
        chain.unlink(missing_ok=True)
        # Each step is on the disk before the next: a loss of power keeps their order.
        sync_folder(chain.parent)
        fresh_key.replace(key)
        sync_folder(key.parent)
        fresh_chain.replace(chain)
        sync_folder(chain.parent)


@contextmanager
def _draft(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A new file with `content` beside `path`, hidden, to be renamed; else it is gone after it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(path)
    fresh, descriptor = _opened(path, mode)
    try:
        # The lock goes with the descriptor, however its process ends: see `_sweep`.
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _opened(path: Path, mode: int) -> tuple[Path, int]:
    """A fresh name and a descriptor that holds the lock of its file."""
    while True:
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # The mode is given at creation: there is no moment at which others could open it.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 1:
            return fresh, descriptor
        # It was swept away before it was locked.
        os.close(descriptor)


def _sweep(path: Path) -> None:
    """Removes what writers of `path` left that were killed: perhaps a key. Whoever is still writing
    holds the lock of its draft.
    """
    draft = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}")
    for left in path.parent.iterdir():
        if not draft.fullmatch(left.name):
            continue
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # renamed meanwhile, or not ours to open
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)
        except OSError:
            pass  # its writer lives
        finally:
            os.close(descriptor)


@contextmanager
def handing_out(path: Path) -> Iterator[None]:
    """For what an operator asked for: IDENTITY.NOT_WRITTEN where it cannot be written."""
    try:
        yield
    except OSError as error:
        raise LocalError("IDENTITY.NOT_WRITTEN", f"{path}: {error.strerror}.") from error


def hand_out(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """`write_private` for what an operator asked for; IDENTITY.NOT_WRITTEN where it cannot be."""
    with handing_out(path):
        write_private(path, content, mode=mode)


def sync_folder(folder: Path) -> None:
    """Makes new names in `folder` outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """The content of `path`; IDENTITY.KEY_EXPOSED if others could have read or written it."""
    with path.open("rb") as file:
        # Of the opened file: a name can be given to another one in between.
        known = os.fstat(file.fileno())
        if is_exposed(known, os.getgroups()):
            mode = stat.S_IMODE(known.st_mode)
            raise LocalError(
                "IDENTITY.KEY_EXPOSED",
                f"{path} has mode {mode:04o}, user {known.st_uid}, group {known.st_gid}.",
            )
        return file.read()


def is_exposed(known: os.stat_result, own_groups: Collection[int]) -> bool:
    """Whether anybody but its owner and this process could have read or written a file.

    A group may read it if root owns the file and the group is this process's: that is how root
    hands a key to a service without making it the service's own. Kubernetes does (a Secret in a pod
    with `fsGroup` has mode 0440, whatever its `defaultMode`), so does Debian (`ssl-cert`). Group 0
    is left out: root needs no such thing, and a stray mode stays noticed.
    """
    mode = stat.S_IMODE(known.st_mode)
    if not mode & 0o077:
        return False
    handed_over = known.st_uid == 0 and known.st_gid != 0 and known.st_gid in own_groups
    return not handed_over or bool(mode & 0o037)


def read_passphrase(path: Path | None) -> Secret:
    """The passphrase in a private file, without the newline at its end; random bytes do as well.

    IDENTITY.PASSPHRASE_MISSING (no path, or an empty file), IDENTITY.PASSPHRASE_SHORT,
    IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED.
    """
    if path is None:
        raise LocalError("IDENTITY.PASSPHRASE_MISSING")
    try:
        text = read_private(path).rstrip(b"\r\n")
    except OSError as error:
        raise LocalError("IDENTITY.KEY_UNREADABLE", f"{path}: {error.strerror}.") from error
    if not text:
        raise LocalError("IDENTITY.PASSPHRASE_MISSING", f"{path} is empty.")
    if len(text) < LEAST_PASSPHRASE:
        raise LocalError("IDENTITY.PASSPHRASE_SHORT")
    return Secret(text)
