"""A small disk of its own for a test that fills it: a tmpfs of the real kernel.

The caller must still: `require("tmpfs")`, and stop whatever works there before the disk goes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """It, mounted at `path`."""

    path: Path

    def fill(self) -> None:
        """Takes all that is free, to the last page."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        assert self.free() == 0

    def free(self) -> int:
        """Bytes."""
        known = os.statvfs(self.path)
        return known.f_bavail * known.f_frsize

    def make_room(self) -> None:
        """Gives back what `fill` took."""
        (self.path / "filler").unlink()


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of `size` bytes at `path`, which does not exist."""
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "sealcast-test", str(path)],
        check=True,
        timeout=20,
    )
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=20)
