"""Files that only their owner may read.

Does: writes them whole or not at all (a new file in the same folder, flushed, renamed), mode 0600,
folder 0700; refuses to read one that others could have read.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from sealcast.errors import LocalError
from sealcast.secret import Secret

LEAST_PASSPHRASE: Final = 12


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Puts `content` into `path`, atomically; readers see the old file or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # The mode is given at creation: there is no moment at which others could open it.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def hand_out(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """`write_private` for what an operator asked for; IDENTITY.NOT_WRITTEN where it cannot be."""
    try:
        write_private(path, content, mode=mode)
    except OSError as error:
        raise LocalError("IDENTITY.NOT_WRITTEN", f"{path}: {error.strerror}.") from error


def sync_folder(folder: Path) -> None:
    """Makes new names in `folder` outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """The content of `path`; IDENTITY.KEY_EXPOSED if group or others may read or write it."""
    with path.open("rb") as file:
        # Of the opened file: a name can be given to another one in between.
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise LocalError("IDENTITY.KEY_EXPOSED", f"{path.name} has mode {mode:04o}.")
        return file.read()


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
