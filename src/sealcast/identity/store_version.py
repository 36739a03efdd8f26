"""Whether somebody else has written to a store, asked cheaply.

Does: keeps one connection open, whose `PRAGMA data_version` changes at each commit of another one,
in this process or elsewhere: a question without news reads a page of shared memory.

The caller must still: ask from one thread at a time, before reading what he goes by; `close` it.
"""

import sqlite3

from sealcast.identity.store import Store

Version = tuple[int, int]
"""Which connection was asked, and what it said: versions of two connections compare to nothing."""


class StoreVersion:
    """The version of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inode: int | None = None
        self._generation = 0
        self.connection: sqlite3.Connection | None = None

    def now(self) -> Version:
        """Equal to the last one if nothing was committed since. sqlite3's and the system's errors;
        after one of them the next answer equals none before.
        """
        try:
            inode = self._store.file.stat().st_ino
            if self.connection is None or self._inode != inode:
                # A restored store is another file under the same name.
                self.close()
                self._inode, self.connection = inode, self._store.connect()
                self._generation += 1
            row = self.connection.execute("PRAGMA data_version").fetchone()
        except BaseException:
            self.close()
            raise
        return self._generation, int(row[0])

    def close(self) -> None:
        """Another question opens it again."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None
