"""A store of an older version is brought forward, whole or not at all; a newer one is refused."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.founded import NOW, copied
from tests.unit.killed import every_line
from tests.unit.test_identity_killed import told_on_a_full_disk

from sealcast.errors import LocalError
from sealcast.identity.authority import Authority
from sealcast.identity.backup import pack, restore
from sealcast.identity.migration import OLDEST, copy_file, steps
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import Reason
from sealcast.identity.store import STORE_FILE, VERSION, Store
from sealcast.secret import Secret

DUMP = (Path(__file__).parent / "stores" / "version-1.sql").read_text()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a store of version 1."""
    folder = tmp_path / "authority"
    folder.mkdir()
    connection = sqlite3.connect(folder / STORE_FILE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(DUMP)
    connection.close()
    return folder


def version(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def schema(file: Path) -> list[str]:
    """What the store is made of, in any order."""
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
        return sorted(sql for (sql,) in rows)
    finally:
        connection.close()


def opened(folder: Path) -> Authority:
    return Authority.open(folder, lambda: Secret("none"))


def test_a_store_of_version_1_becomes_what_a_new_one_is(old: Path, tmp_path: Path) -> None:
    opened(old)
    assert version(old / STORE_FILE) == VERSION
    new = copied(tmp_path / "new")
    assert schema(old / STORE_FILE) == schema(new.store.file)


def test_nothing_that_version_1_knew_is_lost(old: Path) -> None:
    authority = opened(old)
    assert authority.trust_domain == "venue.example"
    (root,) = x509.load_pem_x509_certificates(authority.bundle_pem(NOW))
    for side in Side:
        issuer = authority.issuer(side, NOW)
        x509.load_pem_x509_certificate(issuer.pem).verify_directly_issued_by(root)
    assert authority.issuer(Side.SERVER, NOW).networks == ("127.0.0.0/8",)
    assert authority.issuer(Side.CLIENT, NOW).networks == ()
    rows = authority.store.issued()
    assert [row.name for row in rows] == [
        "encoder/venue-2",
        "node/node.venue.example",
        "encoder/venue-1",
    ]
    used, unused = authority.store.tokens()
    assert (used.digest, unused.used_unix) == (rows[0].token, None)
    assert [entry.outcome for entry in authority.store.journal()].count("done") == 6


def test_what_was_brought_forward_is_worked_with(old: Path) -> None:
    authority = opened(old)
    done = authority.revoke("encoder/venue-3", Reason.KEY_COMPROMISE, NOW, who="ada")
    assert done.tokens == 1
    done = authority.revoke("encoder/venue-1", Reason.KEY_COMPROMISE, NOW, who="ada")
    assert len(done.serials) == 1
    connection = sqlite3.connect(authority.store.file)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM issued")
    connection.close()


def test_the_store_as_it_was_stays_beside_it_for_its_owner_alone(old: Path) -> None:
    opened(old)
    kept = copy_file(old / STORE_FILE, 1)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert version(kept) == 1
    shutil.copyfile(kept, old / STORE_FILE)
    assert len(opened(old).store.issued()) == 3, "and can be brought forward again"


def test_a_store_that_is_new_enough_is_left_alone(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    before = sorted(path.name for path in authority.folder.iterdir())
    opened(authority.folder)
    assert sorted(path.name for path in authority.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (f"PRAGMA user_version = {VERSION + 1}", "IDENTITY.STORE_NEWER"),
        ("PRAGMA user_version = 0", "IDENTITY.STORE_DAMAGED"),
        ("PRAGMA application_id = 1", "IDENTITY.STORE_DAMAGED"),
    ],
)
def test_a_store_that_is_newer_or_none_is_refused_and_left_alone(
    tmp_path: Path, statement: str, code: str
) -> None:
    authority = copied(tmp_path / "authority")
    connection = sqlite3.connect(authority.store.file)
    connection.execute(statement)
    connection.close()
    before = authority.store.file.read_bytes()
    with pytest.raises(LocalError) as refused:
        Store.open(authority.folder)
    assert refused.value.code == code
    assert authority.store.file.read_bytes() == before
    if code == "IDENTITY.STORE_NEWER":
        assert f"version {VERSION + 1}" in refused.value.detail


def test_there_is_a_step_from_each_version_to_the_next() -> None:
    assert len(list(steps(OLDEST, VERSION))) == VERSION - OLDEST


def test_killed_at_any_line_it_is_the_old_store_or_the_new_one(old: Path) -> None:
    seen = set()
    for _ in every_line(lambda: Store.open(old), old):
        seen.add(version(old / STORE_FILE))
        schema(old / STORE_FILE)
    assert seen == {1, VERSION}


def test_without_room_for_the_copy_nothing_is_changed(old: Path) -> None:
    assert told_on_a_full_disk(lambda: Store.open(old), 1000) != "nothing"
    assert version(old / STORE_FILE) == 1
    assert len(opened(old).store.issued()) == 3


def test_of_many_who_open_it_at_once_one_brings_it_forward(old: Path) -> None:
    together = threading.Barrier(8)

    def work() -> int:
        together.wait(timeout=30)
        return len(opened(old).store.issued())

    with ThreadPoolExecutor(8) as pool:
        found = [job.result(timeout=60) for job in [pool.submit(work) for _ in range(8)]]
    assert found == [3] * 8
    assert version(copy_file(old / STORE_FILE, 1)) == 1


def test_a_backup_of_an_older_version_is_restored_to_this_one(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (old / STORE_FILE).read_bytes()
    authority = opened(old)
    monkeypatch.setattr(Store, "copied", lambda _: before)
    packed = pack(authority, NOW, who="ada")
    restored = restore(packed, tmp_path / "restored", NOW, who="ada")
    assert restored.tokens == 1
    assert len(opened(tmp_path / "restored").store.issued()) == 3
