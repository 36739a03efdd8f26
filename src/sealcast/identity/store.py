"""What an authority remembers: certificates, tokens, attempts.

Does: keeps them in one SQLite file (write-ahead log, flushed at every commit), one transaction for
each certificate; a serial, a used token and a journal entry can come to be only once, by
constraints of the tables and not by the care of the callers.

Does not: hold private keys, passphrases or tokens (only their digests). Does not decide.

A connection lives for one transaction: threads and processes share the file, never a connection.

The caller must still: give the time (seconds since 1970).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

from sealcast.errors import LocalError
from sealcast.identity.migration import OLDEST, bring_forward
from sealcast.identity.profiles import Side
from sealcast.identity.reserve import is_full
from sealcast.identity.rows import (
    DONE,
    Attempt,
    CrlRow,
    IssuedRow,
    IssuerRow,
    RootRow,
    TokenRow,
)

__all__ = [
    "DONE",
    "PATIENCE_S",
    "STORE_FILE",
    "VERSION",
    "Attempt",
    "CrlRow",
    "IssuedRow",
    "IssuerRow",
    "RootRow",
    "Store",
    "TokenRow",
    "Writing",
]

STORE_FILE: Final = "store.sqlite"
# How long a transaction of another process is waited for.
PATIENCE_S: Final = 10.0
# "seal" in ASCII; the version is that of store.sql.
_APPLICATION: Final = 0x7365616C
VERSION: Final = 2
_ISSUED_AS: Final = "SELECT * FROM issued WHERE serial = ?"
_NOT_MADE: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class Writing:
    """One transaction that writes; it counts as a whole or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_root(self, row: RootRow) -> None:
        self._connection.execute(
            "INSERT INTO roots VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.serial, row.not_after_unix, row.pem, row.key_file),
                *(row.made_unix, row.since_unix, row.until_unix),
            ),
        )

    def add_issuer(self, row: IssuerRow) -> None:
        self._connection.execute(
            "INSERT INTO issuers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.serial, row.root, row.side, row.not_after_unix, row.pem, row.key_file),
                *(json.dumps(row.networks), row.since_unix, row.until_unix, row.why),
            ),
        )

    def end_root(self, serial: str, until: int) -> None:
        """The root is trusted until then at the latest."""
        self._connection.execute(
            "UPDATE roots SET until = min(ifnull(until, ?2), ?2) WHERE serial = ?1", (serial, until)
        )

    def end_issuer(self, serial: str, until: int, why: str) -> None:
        """The issuing authority is trusted until then at the latest."""
        self._connection.execute(
            "UPDATE issuers SET until = min(ifnull(until, ?2), ?2), why = ?3 WHERE serial = ?1",
            (serial, until, why),
        )

    def add_issued(self, row: IssuedRow) -> None:
        """Fails as a whole if the serial exists or the token has a certificate."""
        self._connection.execute(
            "INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.serial, row.issuer, row.name, row.uri, row.profile, row.side),
                *(json.dumps(row.hosts), row.not_before_unix, row.not_after_unix),
                *(row.issued_unix, row.issued_by, row.token),
                *(row.revoked_unix, row.revoked_why, row.pem),
            ),
        )

    def add_token(self, row: TokenRow) -> None:
        self._connection.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
            (
                *(row.digest, row.name, row.profile, row.side, json.dumps(row.hosts)),
                *(row.made_unix, row.made_by, row.expires_unix),
            ),
        )

    def use_token(self, digest: bytes, now: int) -> bool:
        """Marks the token as used; False if it is unknown, was used or revoked, or has expired.

        One statement: of many that try at once, one finds the row unused.
        """
        changed = self._connection.execute(
            "UPDATE tokens SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL "
            "AND revoked_at IS NULL AND expires_at > ?2",
            (digest, now),
        )
        return changed.rowcount == 1

    def revoke(
        self, name: str, serial: str | None, reason: str, now: int, *, after: int
    ) -> list[str]:
        """Revokes what of `name` ends after `after`, or of that only `serial`; the serials."""
        rows = self._connection.execute(
            "UPDATE issued SET revoked_at = ?3, revoked_why = ?4 WHERE name = ?1 "
            "AND (?2 IS NULL OR serial = ?2) AND revoked_at IS NULL AND not_after > ?5 "
            "RETURNING serial",
            (name, serial, now, reason, after),
        )
        return [row["serial"] for row in rows.fetchall()]

    def revoke_tokens(self, name: str | None, now: int, *, after: int) -> int:
        """Revokes the unused tokens of `name`, or of everybody, that end after `after`; how many
        they were.
        """
        return self._connection.execute(
            "UPDATE tokens SET revoked_at = ?2 WHERE (?1 IS NULL OR name = ?1) "
            "AND used_at IS NULL AND revoked_at IS NULL AND expires_at > ?3",
            (name, now, after),
        ).rowcount

    def token(self, digest: bytes) -> TokenRow | None:
        row = self._connection.execute(
            "SELECT * FROM tokens WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else TokenRow.of(row)

    def next_crl_number(self, issuer: str, now: int) -> int:
        """Greater than any before, and than those of a store that was lost and restored."""
        (last,) = self._connection.execute(
            "SELECT max(number) FROM crls WHERE issuer = ?", (issuer,)
        ).fetchone()
        return max(now, 0 if last is None else last + 1)

    def add_crl(self, row: CrlRow, *, only: bool) -> None:
        """Fails if its number is not greater than those before; with `only` they are deleted."""
        self._connection.execute(
            "INSERT INTO crls VALUES (?, ?, ?, ?, ?, ?)",
            (row.issuer, row.number, row.made_unix, row.next_unix, row.lists, row.der),
        )
        if only:
            self._connection.execute(
                "DELETE FROM crls WHERE issuer = ? AND number < ?", (row.issuer, row.number)
            )

    def issued_as(self, serial: str) -> IssuedRow | None:
        row = self._connection.execute(_ISSUED_AS, (serial,)).fetchone()
        return None if row is None else IssuedRow.of(row)

    def note(self, attempt: Attempt) -> None:
        """An entry of the journal."""
        self._connection.execute(
            "INSERT INTO journal (at, who, action, name, profile, outcome, serial) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(attempt.at_unix, attempt.who, attempt.action, attempt.name),
                *(attempt.profile, attempt.outcome, attempt.serial),
            ),
        )


class Store:
    """The store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / STORE_FILE

    @staticmethod
    def create(folder: Path, trust_domain: str, now: int) -> "Store":
        """An empty store in `folder`, which has none."""
        store = Store(folder)
        # Nothing in it is secret; who uses the authority is nobody else's business all the same.
        store.file.touch(mode=0o600, exist_ok=False)
        tables = resources.files("sealcast.identity").joinpath("store.sql").read_text("utf-8")
        with _told(store.file), _connection(store.file) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {_APPLICATION}; "
                f"PRAGMA user_version = {VERSION}; {tables} COMMIT;"
            )
            connection.execute("INSERT INTO authority VALUES (1, ?, ?)", (trust_domain, now))
        return store

    @staticmethod
    def open(folder: Path) -> "Store":
        """The store in `folder`, brought forward if it is of an older version.

        IDENTITY.NO_AUTHORITY, IDENTITY.STORE_DAMAGED, IDENTITY.STORE_NEWER, IDENTITY.STORE_FULL.
        """
        store = Store(folder)
        try:
            known = store.file.is_file()
        except PermissionError as error:
            raise LocalError("IDENTITY.OTHER_USER", f"It is {folder}.") from error
        except OSError as error:
            raise LocalError("IDENTITY.STORE_DAMAGED", f"{folder}: {error.strerror}.") from error
        if not known:
            raise LocalError("IDENTITY.NO_AUTHORITY", f"It is {folder}.")
        with _told(store.file), _connection(store.file) as connection:
            kind = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if kind != _APPLICATION or version < OLDEST:
                raise LocalError("IDENTITY.STORE_DAMAGED", f"{store.file} is not a store.")
            if version > VERSION:
                told = f"{store.file} is of version {version}, and this program knows {VERSION}."
                raise LocalError("IDENTITY.STORE_NEWER", told)
            if version < VERSION:
                bring_forward(connection, store.file, VERSION)
        return store

    def connect(self) -> sqlite3.Connection:
        """A connection to be kept by one who only looks; who uses it in several threads has a lock.
        Its errors are sqlite3's, for `telling`.
        """
        return _connect(self.file, check_same_thread=False)

    def hold(self) -> sqlite3.Connection:
        """A connection that has read. While it is open the files that SQLite needs beside the store
        stay: nobody who opens the store later has to make them, which fails on a full disk.
        """
        with _told(self.file):
            connection = self.connect()
            connection.execute("SELECT count(*) FROM authority").fetchone()
            return connection

    def copied(self) -> bytes:
        """The whole file as of one moment, while others write on. IDENTITY.STORE_*."""
        with _told(self.file), _connection(self.file) as connection:
            copy = sqlite3.connect(":memory:")
            try:
                connection.backup(copy)
                return copy.serialize()
            finally:
                copy.close()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """sqlite3's and the system's errors as IDENTITY.STORE_LOCKED or IDENTITY.STORE_DAMAGED."""
        try:
            with _told(self.file):
                yield
        except OSError as error:
            detail = f"{self.file}: {error.strerror}."
            raise LocalError("IDENTITY.STORE_DAMAGED", detail) from error

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """One transaction. It is undone if the block raises.

        IDENTITY.STORE_LOCKED when another process does not let go, IDENTITY.STORE_FULL,
        IDENTITY.STORE_DAMAGED.
        """
        with _told(self.file), _connection(self.file) as connection:
            # At once, not at the first write: whoever reads before writing must not be overtaken.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def note(self, attempt: Attempt) -> None:
        """An entry of the journal in a transaction of its own."""
        with self.writing() as transaction:
            transaction.note(attempt)

    def trust_domain(self) -> str:
        rows = self._rows("SELECT trust_domain FROM authority")
        if not rows:
            raise LocalError("IDENTITY.STORE_DAMAGED", "It has no row of its authority.")
        domain: str = rows[0]["trust_domain"]
        return domain

    def roots(self) -> list[RootRow]:
        """All roots, the newest first."""
        rows = self._rows("SELECT * FROM roots ORDER BY since DESC, rowid DESC")
        return [RootRow.of(row) for row in rows]

    def issuers(self, side: Side | None = None) -> list[IssuerRow]:
        """All issuing authorities, of one side or of both, the newest first."""
        rows = self._rows(
            "SELECT * FROM issuers WHERE ?1 IS NULL OR side = ?1 ORDER BY since DESC, rowid DESC",
            (side,),
        )
        return [IssuerRow.of(row) for row in rows]

    def issued(self, name: str | None = None) -> list[IssuedRow]:
        """What was issued, to one end or to all, the newest first."""
        where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
        rows = self._rows(f"SELECT * FROM issued {where} ORDER BY rowid DESC", values)  # noqa: S608
        return [IssuedRow.of(row) for row in rows]

    def certificate(self, serial: str) -> IssuedRow | None:
        """What was issued under a serial (lower hex)."""
        rows = self._rows("SELECT * FROM issued WHERE serial = ?", (serial,))
        return IssuedRow.of(rows[0]) if rows else None

    def revoked(self, after: int) -> list[IssuedRow]:
        """What was revoked and would still live, or would have lived until after `after`."""
        rows = self._rows(
            "SELECT * FROM issued WHERE revoked_at IS NOT NULL AND not_after > ? ORDER BY rowid",
            (after,),
        )
        return [IssuedRow.of(row) for row in rows]

    def crl(self, issuer: str, now: int) -> CrlRow | None:
        """The newest revocation list of an authority whose time has come."""
        rows = self._rows(
            "SELECT * FROM crls WHERE issuer = ? AND made_at <= ? ORDER BY number DESC LIMIT 1",
            (issuer, now),
        )
        return CrlRow.of(rows[0]) if rows else None

    def token(self, digest: bytes) -> TokenRow | None:
        """The token with this digest."""
        rows = self._rows("SELECT * FROM tokens WHERE digest = ?", (digest,))
        return TokenRow.of(rows[0]) if rows else None

    def tokens(self) -> list[TokenRow]:
        return [TokenRow.of(row) for row in self._rows("SELECT * FROM tokens ORDER BY rowid")]

    def journal(self) -> list[Attempt]:
        """All attempts, oldest first."""
        return [
            Attempt(**{("at_unix" if key == "at" else key): row[key] for key in row.keys()[1:]})
            for row in self._rows("SELECT * FROM journal ORDER BY number")
        ]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with _told(self.file), _connection(self.file) as connection:
            rows: list[sqlite3.Row] = connection.execute(query, values).fetchall()
            return rows


def _connect(file: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    # No implicit transactions: each BEGIN stands in this file. Never made anew by opening it.
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=PATIENCE_S,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )


@contextmanager
def _connection(file: Path) -> Iterator[sqlite3.Connection]:
    connection = _connect(file)
    try:
        connection.row_factory = sqlite3.Row
        # FULL: a commit is on the disk before the certificate leaves (in WAL, NORMAL is not).
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    finally:
        connection.close()


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LocalError("IDENTITY.STORE_LOCKED", f"It is {file}.") from error
        # To read it SQLite makes files beside it, and only FULL says why it cannot.
        if code == sqlite3.SQLITE_FULL or (code in _NOT_MADE and is_full(file.parent)):
            raise LocalError("IDENTITY.STORE_FULL", f"{file}: {error}.") from error
        raise LocalError("IDENTITY.STORE_DAMAGED", f"{file}: {error}.") from error
