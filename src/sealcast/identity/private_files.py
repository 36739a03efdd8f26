"""Files that only their owner may read.

Does: writes them whole or not at all (a new file in the same folder, flushed, renamed), mode 0600,
folder 0700; refuses to read one that others could have read.
"""

import os
import secrets
from pathlib import Path

from sealcast.errors import LocalError


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
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes:
    """The content of `path`; IDENTITY.KEY_EXPOSED if group or others may read or write it."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise LocalError("IDENTITY.KEY_EXPOSED", f"{path.name} has mode {mode:04o}.")
    return path.read_bytes()
