"""Stores of older versions, brought forward to the one that this program writes.

Does: copies the store as it is beside itself (`store.sqlite.version-N`, mode 0600), then takes it
through one step for each version, all in one transaction: whoever dies in between leaves the old
store. Of several programs that open it at once one brings it forward, the others wait.

Does not: go back. A store that is newer than the program is refused (`sealcast.identity.store`),
and whoever wants the old one back has the copy, which does not know what came after.

The rule for a change of the tables: `store.sql` and its version change together with a new file
`migrations/N-to-M.sql`, which says all that it means by itself, and is never changed again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.identity.private_files import hand_out

OLDEST: Final = 1
"""The oldest version that can be brought forward."""


def steps(since: int, until: int) -> Iterator[str]:
    """What each step does, as SQL, in order."""
    folder = resources.files("sealcast.identity.migrations")
    for version in range(since, until):
        yield folder.joinpath(f"{version}-to-{version + 1}.sql").read_text("utf-8")


def copy_file(file: Path, version: int) -> Path:
    """Where the store is kept as it was."""
    return file.with_name(f"{file.name}.version-{version}")


def bring_forward(connection: sqlite3.Connection, file: Path, until: int) -> None:
    """Takes the store in `file`, to which `connection` is open outside a transaction, to version
    `until`; nothing if it is there already.

    sqlite3's errors, then nothing has changed; IDENTITY.NOT_WRITTEN for the copy.
    """
    for name, function in _FUNCTIONS.items():
        connection.create_function(name, 1, function, deterministic=True)
    # Not within a transaction (SQLite's words); tables are copied whole, so that nothing dangles.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < until:
            # Nobody writes from here on: the copy is what is brought forward.
            hand_out(copy_file(file, version), _copied(file))
            for step in steps(version, until):
                for statement in _statements(step):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {until}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _copied(file: Path) -> bytes:
    """Read beside the transaction, which has changed nothing yet."""
    reader = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    copy = sqlite3.connect(":memory:")
    try:
        reader.backup(copy)
        return copy.serialize()
    finally:
        copy.close()
        reader.close()


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit before the first one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _serial_of(pem: bytes) -> str:
    return f"{x509.load_pem_x509_certificate(pem).serial_number:x}"


def _not_after_of(pem: bytes) -> int:
    return int(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp())


def _networks_of(pem: bytes) -> str:
    """The addresses that an issuing authority of version 1 may give, from its constraints."""
    bounds = x509.load_pem_x509_certificate(pem).extensions
    within = bounds.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    return json.dumps([str(name.value) for name in within if isinstance(name, x509.IPAddress)])


_FUNCTIONS: Final[dict[str, Callable[[bytes], str | int]]] = {
    "serial_of": _serial_of,
    "not_after_of": _not_after_of,
    "networks_of": _networks_of,
}
