"""Administrators who log in with a password and a one-time code.

Does: keeps accounts in one SQLite file (mode 0600); says who logged in, or refuses. A code is taken
once, by the statement that marks it, however many ask at once and from however many processes.

What holds against guessing stands in two places. Here, against whoever knows the password: after
five wrong codes in a row the account rests, each time longer, at most 15 minutes. Only somebody
with the right password can make it rest, so no stranger can lock an administrator out. Against
strangers: `sealcast.node.login_pace`, which holds them up before anything is computed.

Does not: hold sessions (`sealcast.node.admin_sessions`). Does not say what an administrator may do
(`sealcast.permission`).

The caller must still: give the time, run `log_in` in a thread and few of them at once, answer all
refusals alike.

Specs: RFC 6238 §5.2 (a code is accepted once), NIST SP 800-63B §3.2.2.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

from sealcast.errors import LocalError, RemoteError
from sealcast.identity import one_time_codes
from sealcast.identity.one_time_codes import SECRET_BYTES, new_secret, step_of
from sealcast.identity.passwords import Price, Sealed, check_password, seal, unseal
from sealcast.secret import Secret

ACCOUNTS_FILE: Final = "accounts.sqlite"
CODES_BEFORE_REST: Final = 5
FIRST_REST_S: Final = 30
LONGEST_REST_S: Final = 15 * 60
# How long a transaction of another process is waited for.
_PATIENCE_S: Final = 5.0
_MOMENT_S: Final = 0.1
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class Why(StrEnum):
    """Why a login was refused: for the log, never for whoever asked."""

    UNKNOWN = "no such account"
    PASSWORD = "wrong password"  # noqa: S105 - a reason, not a password
    CODE = "wrong code"
    USED = "used code"
    RESTS = "rests"

    @property
    def knew_the_password(self) -> bool:
        return self in (Why.CODE, Why.USED, Why.RESTS)


class LoginRefused(RemoteError):  # noqa: N818 - named for what happened
    """ADMIN.REFUSED, the same for every reason."""

    def __init__(self, why: Why) -> None:
        super().__init__("ADMIN.REFUSED")
        self.why = why


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Password and code were right. Only `Accounts.log_in` makes one."""

    name: str
    epoch: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as it is listed. Times in seconds since 1970."""

    name: str
    made_unix: int
    last_login_unix: int | None
    rests_until_unix: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new account, or a new password and secret: `address` is for an authenticator app and leaves
    once."""

    name: str
    secret: Secret

    def address(self, issuer: str) -> str:
        return one_time_codes.address(self.secret, self.name, issuer)


class Accounts:
    """The accounts in a file, which need not be there. Threads and processes may share it: a
    connection lives for one operation.
    """

    def __init__(self, file: Path, price: Price | None = None) -> None:
        self._file = file
        self._price = price or Price()
        self._decoy = Sealed.decoy(SECRET_BYTES, self._price)

    # ---- by an operator ----------------------------------------------------------------------

    def add(self, name: str, password: Secret, now: int) -> Made:
        """A new account. ADMIN.BAD_NAME, ADMIN.PASSWORD_LENGTH, ADMIN.EXISTS."""
        return self._keep(
            name,
            password,
            now,
            "INSERT INTO accounts (name, epoch, made_at, passes, lanes, memory_kib, salt, nonce, "
            "box) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
            "ADMIN.EXISTS",
        )

    def reset(self, name: str, password: Secret, now: int) -> Made:
        """Another password and secret; its sessions end, its rest too. ADMIN.UNKNOWN."""
        return self._keep(
            name,
            password,
            now,
            "UPDATE accounts SET epoch = ?2, made_at = ?3, passes = ?4, lanes = ?5, "
            "memory_kib = ?6, salt = ?7, nonce = ?8, box = ?9, last_step = 0, wrong_codes = 0, "
            "rests_until = 0 WHERE name = ?1",
            "ADMIN.UNKNOWN",
        )

    def remove(self, name: str) -> None:
        """Its sessions end. ADMIN.UNKNOWN."""
        with self._connected() as connection:
            if (
                connection is None
                or not connection.execute("DELETE FROM accounts WHERE name = ?", (name,)).rowcount
            ):
                raise LocalError("ADMIN.UNKNOWN", f"It was {name[:40]!r}.")

    def rows(self) -> list[AccountRow]:
        """All accounts by name."""
        with self._connected() as connection:
            if connection is None:
                return []
            found = connection.execute(
                "SELECT name, made_at, last_login, rests_until FROM accounts ORDER BY name"
            )
            return [AccountRow(*row) for row in found]

    # ---- by whoever asks ---------------------------------------------------------------------

    def log_in(self, name: str, password: Secret, code: str, now: float) -> LoggedIn:
        """Who logged in; `LoginRefused` otherwise.

        Whether the account is there, and which of the two was wrong, makes no difference that can
        be seen: the price of a password is paid in any case.
        """
        known = self._sealed(name)
        secret = unseal(password, known[1] if known else self._decoy, name)
        if known is None:
            raise LoginRefused(Why.UNKNOWN)
        if secret is None:
            raise LoginRefused(Why.PASSWORD)
        epoch = known[0]
        why = self._take(name, epoch, step_of(secret, code, now), int(now))
        if why is not None:
            raise LoginRefused(why)
        return LoggedIn(name, epoch)

    def epoch(self, name: str) -> str | None:
        """What changes when the account's password does; None if the account is not there.

        Asked with every request of a session: it waits for no other process.
        """
        with self._connected(patience_s=_MOMENT_S) as connection:
            row = (
                connection
                and connection.execute(
                    "SELECT epoch FROM accounts WHERE name = ?", (name,)
                ).fetchone()
            )
        return row[0] if row else None

    # ---- inside ------------------------------------------------------------------------------

    def _keep(self, name: str, password: Secret, now: int, statement: str, code: str) -> Made:
        if not _NAME.fullmatch(name):
            raise LocalError("ADMIN.BAD_NAME", f"It was {name[:40]!r}.")
        secret = new_secret()
        sealed = seal(check_password(password), secret, name, self._price)
        with self._connected(make=True) as connection:
            assert connection is not None, "it was made"  # noqa: S101
            price = sealed.price
            done = connection.execute(
                statement,
                (
                    *(name, secrets.token_hex(16), now),
                    *(price.passes, price.lanes, price.memory_kib),
                    *(sealed.salt, sealed.nonce, sealed.box),
                ),
            )
            if not done.rowcount:
                raise LocalError(code, f"It was {name!r}.")
        return Made(name, secret)

    def _sealed(self, name: str) -> tuple[str, Sealed] | None:
        with self._connected() as connection:
            row = (
                connection
                and connection.execute(
                    "SELECT epoch, passes, lanes, memory_kib, salt, nonce, box FROM accounts "
                    "WHERE name = ?",
                    (name,),
                ).fetchone()
            )
        if not row:
            return None
        epoch, passes, lanes, memory_kib, salt, nonce, box = row
        return epoch, Sealed(Price(passes, lanes, memory_kib), salt, nonce, box)

    def _take(self, name: str, epoch: str, step: int | None, now: int) -> Why | None:
        """Marks a code as used, or counts a wrong one; None if it was good."""
        with self._connected() as connection:
            if connection is None:
                return Why.UNKNOWN
            # Of many that try at once, one finds the step unused.
            good = (
                step is not None
                and connection.execute(
                    "UPDATE accounts SET last_step = ?3, wrong_codes = 0, rests_until = 0, "
                    "last_login = ?4 WHERE name = ?1 AND epoch = ?2 AND last_step < ?3 "
                    "AND rests_until <= ?4",
                    (name, epoch, step, now),
                ).rowcount
            )
            if good:
                return None
            row = connection.execute(
                "SELECT rests_until, wrong_codes FROM accounts WHERE name = ? AND epoch = ?",
                (name, epoch),
            ).fetchone()
            if row is None:
                return Why.UNKNOWN
            rests_until, wrong = row
            if rests_until > now:
                # Codes are not looked at, so nothing is learnt of them and the rest grows no more.
                return Why.RESTS
            rest = _rest_s(wrong + 1)
            connection.execute(
                "UPDATE accounts SET wrong_codes = wrong_codes + 1, rests_until = ?3 "
                "WHERE name = ?1 AND epoch = ?2",
                (name, epoch, now + rest if rest else 0),
            )
            return Why.CODE if step is None else Why.USED

    @contextmanager
    def _connected(
        self, *, make: bool = False, patience_s: float = _PATIENCE_S
    ) -> Iterator[sqlite3.Connection | None]:
        """One transaction; None where there is no file and none is to be made."""
        if not self._file.exists():
            if not make:
                yield None
                return
            self._make()
        try:
            connection = sqlite3.connect(
                f"{self._file.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=patience_s,
                isolation_level=None,
            )
        except sqlite3.Error as error:
            raise LocalError("ADMIN.STORE_DAMAGED", f"{self._file}: {error}") from error
        with contextlib.closing(connection):
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE" if make else "BEGIN")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise LocalError("ADMIN.STORE_DAMAGED", f"{self._file}: {error}") from error

    def _make(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under another name until it is whole; its mode is given at creation.
        fresh = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with contextlib.closing(sqlite3.connect(fresh)) as connection:
                text = resources.files("sealcast.identity").joinpath("accounts.sql")
                connection.executescript(text.read_text("utf-8"))
            with contextlib.suppress(FileExistsError):
                # Two at once: the second finds the first one's and uses that.
                os.link(fresh, self._file)
        finally:
            fresh.unlink(missing_ok=True)


def _rest_s(wrong: int) -> int:
    beyond = wrong - CODES_BEFORE_REST
    return 0 if beyond < 0 else min(FIRST_REST_S * 2 ** min(beyond, 16), LONGEST_REST_S)
