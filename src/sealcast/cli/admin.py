"""`sealcast admin`: administrators who log in with a password and a one-time code.

They take effect in a running node at once: it looks into the same file. The secret of the codes is
shown once, as a QR code and as text; nothing shows it again.
"""

from __future__ import annotations

import datetime
import getpass
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sealcast.cli.settings import ConfigFile, load_config
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import LocalError
from sealcast.identity.accounts import ACCOUNTS_FILE, Accounts, Made
from sealcast.identity.one_time_codes import step_of
from sealcast.identity.passwords import check_password
from sealcast.identity.private_files import read_private
from sealcast.secret import Secret

if TYPE_CHECKING:
    from sealcast.node.config import Config

Name = Annotated[str, Parameter(help="Lower-case letters, digits, '.', '_', '-'; as in ada.")]
PasswordFile = Annotated[
    Path | None,
    Parameter(help="A file of mode 0600 with the password; without it you are asked."),
]
_TRIES: Final = 3


def add(name: Name, *, password_file: PasswordFile = None, config: ConfigFile = None) -> None:
    """Add an administrator: a password, and a secret for an authenticator app."""
    settings = load_config(config)
    accounts = _accounts(settings)
    if any(row.name == name for row in accounts.rows()):
        raise LocalError("ADMIN.EXISTS", f"It was {name!r}.")
    made = accounts.add(name, _password(password_file), int(time.time()))
    try:
        _hand_out(made, settings)
    except BaseException:
        # Nobody could ever log in with it.
        accounts.remove(name)
        raise


def reset(name: Name, *, password_file: PasswordFile = None, config: ConfigFile = None) -> None:
    """Give an administrator a new password and secret; running sessions end."""
    settings = load_config(config)
    accounts = _accounts(settings)
    if all(row.name != name for row in accounts.rows()):
        raise LocalError("ADMIN.UNKNOWN", f"It was {name[:40]!r}.")
    _hand_out(accounts.reset(name, _password(password_file), int(time.time())), settings)


def remove(name: Name, *, config: ConfigFile = None) -> None:
    """Remove an administrator; running sessions end."""
    _accounts(load_config(config)).remove(name)
    print(f"removed {name}; running sessions ended", file=sys.stderr)


def list_(
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="For programs.")] = False,
    config: ConfigFile = None,
) -> None:
    """List the administrators."""
    rows = _accounts(load_config(config)).rows()
    now = int(time.time())
    if json_:
        told = [
            {
                "name": row.name,
                "made_unix": row.made_unix,
                "last_login_unix": row.last_login_unix,
                "rests_s": max(0, row.rests_until_unix - now),
            }
            for row in rows
        ]
        print(json.dumps(told, indent=2))
        return
    if not rows:
        print("no administrator has a password; add one: sealcast admin add NAME")
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        login = "never came in" if row.last_login_unix is None else _time(row.last_login_unix)
        rest = f"   rests for {row.rests_until_unix - now} s" if row.rests_until_unix > now else ""
        print(f"{row.name:<{width}}   made {_time(row.made_unix)}   last in {login}{rest}")


def _accounts(settings: Config) -> Accounts:
    return Accounts(settings.state_dir() / ACCOUNTS_FILE)


def _password(file: Path | None) -> Secret:
    if file is not None:
        try:
            return check_password(Secret(read_private(file).rstrip(b"\r\n")))
        except OSError as error:
            raise LocalError("IDENTITY.KEY_UNREADABLE", f"{file}: {error.strerror}.") from error
    if not sys.stdin.isatty():
        raise bad_argument("--password-file is missing, and nobody is at a terminal to be asked.")
    for _ in range(_TRIES):
        try:
            first = check_password(Secret(getpass.getpass("password (12 characters or more): ")))
        except LocalError as error:
            print(f"sealcast: {error}", file=sys.stderr)
            continue
        if first == Secret(getpass.getpass("again: ")):
            return first
        print("the two differ", file=sys.stderr)
    raise LocalError("ADMIN.PASSWORD_LENGTH", "No password was given.")


def _hand_out(made: Made, settings: Config) -> None:
    import segno

    address = made.address(settings.node.names[0])
    print(f"Scan this with an authenticator app; {made.name} logs in with its codes.\n")
    segno.make(address, error="m").terminal(border=2, compact=True)
    print(f"\nor type it in:\n{address}\n\nIt is not shown again.")
    if not sys.stdin.isatty():
        return
    # A wrong clock is found now, and not at night.
    for _ in range(_TRIES):
        if step_of(made.secret, input("the code it shows now: ").strip(), time.time()) is not None:
            print(f"{made.name} can log in")
            return
        print("that is not the code", file=sys.stderr)
    raise LocalError("ADMIN.CODE_WRONG", "It was wrong three times.")


def _time(unix: int) -> str:
    return f"{datetime.datetime.fromtimestamp(unix, datetime.UTC):%Y-%m-%d %H:%M:%SZ}"
