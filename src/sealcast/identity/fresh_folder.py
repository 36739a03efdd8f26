"""A folder that comes to be as a whole or not at all.

Does: gives an empty folder beside the one that is wanted, to be filled; puts it there by one
rename; removes it if that did not come to pass.

Does not: replace a folder that has anything in it. Does not sweep what a killed process left.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealcast.errors import LocalError
from sealcast.identity.private_files import sync_folder


class FreshFolder:
    """To be filled below `path`, and then put where it is wanted."""

    def __init__(self, wanted: Path) -> None:
        self._wanted = wanted
        self.path = wanted.with_name(f".{wanted.name}.{secrets.token_hex(4)}")

    def put(self) -> None:
        """Makes it the folder that was wanted. IDENTITY.ALREADY_INITIALISED."""
        sync_folder(self.path)
        try:
            # Onto an empty folder or onto nothing: of two who try at once, one succeeds.
            self.path.rename(self._wanted)
        except OSError:
            raise LocalError("IDENTITY.ALREADY_INITIALISED", f"It is {self._wanted}.") from None


@contextmanager
def fresh_folder(wanted: Path) -> Iterator[FreshFolder]:
    """For an authority's folder, which does not exist or is empty; the block ends with `put`.

    IDENTITY.ALREADY_INITIALISED, IDENTITY.NOT_WRITTEN for what the block could not write, too.
    """
    wanted = wanted.absolute()
    fresh = FreshFolder(wanted)
    try:
        if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
            raise LocalError("IDENTITY.ALREADY_INITIALISED", f"It is {wanted}.")
        fresh.path.mkdir(mode=0o700, parents=True)
        yield fresh
        sync_folder(wanted.parent)
    except OSError as error:
        raise LocalError("IDENTITY.NOT_WRITTEN", f"{error.filename}: {error.strerror}.") from error
    finally:
        shutil.rmtree(fresh.path, ignore_errors=True)
