"""Room on the disk for revocations, kept while there is some.

Does: keeps a file of 2 MiB beside the store that holds nothing but its place. Work that meets a
full disk and must not fail (a revocation, its list) is done again after the place was given up,
which is then taken back as far as there is room. A node that starts may have a small share of it,
for the files that SQLite needs to read the store at all.

Does not: help issuing, renewing or rolling. These wait for somebody to make room.

Why a file, and how much: `docs/decisions/0022-a-reserve-for-revocations.md`.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sealcast.errors import LocalError
from sealcast.identity.private_files import sync_folder

RESERVE_FILE: Final = "reserve"
RESERVE_BYTES: Final = 2 * 1024 * 1024
"""A revocation writes each page that it changes: two hundred living certificates of one name, each
in a page of its own, are below 1 MiB."""
SHARE_OF_A_START: Final = 256 * 1024
"""What a node may have that starts on a full disk: SQLite's shared memory (32 kB), some pages."""
_STEP: Final = 64 * 1024
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


def is_full(folder: Path) -> bool:
    """Whether nothing more can be written there. Tried, not computed: quotas, blocks kept for root
    and a lack of file names all count.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, _STEP)
    except OSError as error:
        return error.errno in _FULL
    return False


class Reserve:
    """The reserve of the authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / RESERVE_FILE

    def size(self) -> int:
        """How much there is, in bytes."""
        try:
            return self.file.stat().st_size
        except OSError:
            return 0

    def fill(self) -> int:
        """Takes as much as is missing and the disk has; how much there is then. Never fails."""
        had = self.size()
        if had >= RESERVE_BYTES:
            return had
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return had
        try:
            for wanted in range(RESERVE_BYTES, had, -_STEP):
                try:
                    os.posix_fallocate(descriptor, 0, wanted)
                except OSError as error:
                    if error.errno not in _FULL:
                        break
                    # What was taken on the way to the refusal.
                    os.ftruncate(descriptor, had)
                else:
                    break
            os.fsync(descriptor)
        except OSError:
            pass  # it is asked again, and says how much there is
        finally:
            os.close(descriptor)
        return self.size()

    def give(self, most: int = RESERVE_BYTES) -> bool:
        """Gives up to `most` bytes back to the disk; False if there was nothing to give."""
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            left = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, max(0, left - most))
            # Journaling file systems have the blocks only once this is on the disk.
            os.fsync(descriptor)
            sync_folder(self.file.parent)
        finally:
            os.close(descriptor)
        return left > 0


def with_reserve(folder: Path, work: Callable[[], T], most: int = RESERVE_BYTES) -> T:
    """What `work` gives. Where it met a full disk it is done once more with up to `most` bytes of
    the reserve; what it did not need is taken back.
    """
    try:
        return work()
    except LocalError as error:
        reserve = Reserve(folder)
        if error.code != "IDENTITY.STORE_FULL" or not reserve.give(most):
            raise
    try:
        return work()
    finally:
        reserve.fill()
