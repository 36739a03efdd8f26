"""Revoking: what ends, what stays, what is remembered, and how a node learns of it."""

from __future__ import annotations

import datetime
import itertools
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.founded import ENCODER, NOW, PASSPHRASE, copied, request

from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, RevokedNow, Wanted
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import LISTED_AFTER_ITS_END_S, Reason, Revocations
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.identity.store import STORE_FILE, Attempt, Store
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
AT = int(NOW.timestamp())
LATER = NOW + datetime.timedelta(hours=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def revoked(
    authority: Authority,
    name: str = ENCODER,
    reason: Reason = Reason.KEY_COMPROMISE,
    serial: str | None = None,
) -> RevokedNow:
    return authority.revoke(name, reason, NOW, who="ada", serial=serial)


def refused(authority: Authority, name: str = ENCODER, serial: str | None = None) -> str:
    with pytest.raises(SealcastError) as told:
        revoked(authority, name, serial=serial)
    return told.value.code


def test_a_name_loses_all_its_living_certificates_and_nobody_else_loses_any(
    authority: Authority,
) -> None:
    mine = [authority.issue(WANTED, NOW, who="ada").serial for _ in range(3)]
    other = authority.issue(Wanted("encoder/venue-2", "encoder"), NOW, who="ada").serial
    done = revoked(authority)
    assert sorted(done.serials) == sorted(mine)
    held = {row.serial: (row.revoked_unix, row.revoked_why) for row in authority.store.issued()}
    assert held == {**dict.fromkeys(mine, (AT, "keyCompromise")), other: (None, None)}


def test_one_certificate_can_be_revoked_by_its_serial_and_the_tokens_stay(
    authority: Authority,
) -> None:
    old = authority.issue(WANTED, NOW, who="ada").serial
    new = authority.issue(WANTED, NOW, who="ada").serial
    authority.make_token(WANTED, NOW, who="ada")
    assert revoked(authority, serial=old) == RevokedNow(ENCODER, (old,), 0)
    assert {row.serial: row.revoked_unix for row in authority.store.issued()} == {
        old: AT,
        new: None,
    }


def test_revoking_twice_changes_nothing_and_both_wishes_are_in_the_journal(
    authority: Authority,
) -> None:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    assert revoked(authority).serials == (serial,)
    again = authority.revoke(ENCODER, Reason.SUPERSEDED, LATER, who="grace")
    assert again == RevokedNow(ENCODER, (), 0)
    (row,) = authority.store.issued(ENCODER)
    assert (row.revoked_unix, row.revoked_why) == (AT, "keyCompromise"), "the first word stays"
    assert authority.store.journal()[-2:] == [
        Attempt(AT, "ada", "revoke", ENCODER, "encoder", "done", serial),
        Attempt(int(LATER.timestamp()), "grace", "revoke", ENCODER, "encoder", "done"),
    ]


DAY = datetime.timedelta(days=1)


def test_a_clock_that_is_a_day_ahead_spares_nothing_that_lives(authority: Authority) -> None:
    """By that clock both have expired, and by the right one they are good for hours."""
    issued = authority.issue(Wanted("viewer/vera", "viewer"), NOW, who="ada")
    token = authority.make_token(Wanted("viewer/vera", "viewer"), NOW, who="ada")
    done = authority.revoke("viewer/vera", Reason.KEY_COMPROMISE, NOW + DAY, who="ada")
    assert done == RevokedNow("viewer/vera", (issued.serial,), 1)
    told = Revocations(authority.store, NOW.timestamp).poll()
    assert told is not None, "although it was revoked in the future"
    assert [one.serial for one in told] == [issued.serial]
    (entry,) = x509.load_der_x509_crl(authority.crl("client", NOW))
    assert f"{entry.serial_number:x}" == issued.serial
    text = token.reveal().decode()
    with pytest.raises(SealcastError) as refused:
        authority.enrol(request(), text, Wanted("viewer/vera", "viewer"), NOW, who="thief")
    assert refused.value.code == "IDENTITY.TOKEN_REVOKED"


def test_what_was_revoked_stays_so_whichever_way_the_clock_jumps(authority: Authority) -> None:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    times = iter([NOW, NOW - DAY, NOW + DAY, NOW])
    revocations = Revocations(authority.store, lambda: next(times).timestamp())
    revoked(authority)
    told = revocations.poll()
    assert told is not None
    assert [one.serial for one in told] == [serial]
    assert [revocations.poll() for _ in range(3)] == [None, None, None]
    for at in (NOW - DAY, NOW + DAY, NOW):
        (entry,) = x509.load_der_x509_crl(authority.crl("client", at))
        assert f"{entry.serial_number:x}" == serial


def test_a_roll_while_the_revoked_are_read_is_no_riddle(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store changes between two of its reads."""
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    reads = iter(range(100))

    def rolled(read: Callable[..., object]) -> Callable[..., object]:
        def once(*arguments: object) -> object:
            found = read(*arguments)
            if next(reads) == 0:
                roll(authority, Roll(DAY), keys, NOW, who="ada")
                authority.issue(WANTED, LATER, who="ada")
                authority.revoke(ENCODER, Reason.KEY_COMPROMISE, LATER, who="ada")
            return found

        return once

    seen = Store(authority.folder)
    monkeypatch.setattr(seen, "issuers", rolled(seen.issuers))
    monkeypatch.setattr(seen, "revoked", rolled(seen.revoked))
    revocations = Revocations(seen, LATER.timestamp)
    revocations.poll()
    told = revocations.poll()
    assert told is not None
    assert [one.name for one in told] == [ENCODER]


def test_whoever_is_revoked_while_a_roll_runs_is_revoked(authority: Authority) -> None:
    """And whoever is renewed meanwhile, by whichever authority, is revoked with the rest."""
    keys, rolled = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE)), threading.Event()
    issued = [authority.issue(WANTED, NOW, who="ada").serial]

    def rolling() -> None:
        try:
            roll(authority, Roll(DAY), keys, NOW, who="ada")
        finally:
            rolled.set()

    def renewing() -> None:
        while not rolled.is_set():
            issued.append(authority.issue(WANTED, NOW, who="ada").serial)

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(rolling), pool.submit(renewing)]
        ended: list[str] = []
        while not rolled.is_set():
            ended += revoked(authority).serials
        for job in jobs:
            job.result(timeout=120)
    ended += revoked(authority).serials
    assert sorted(ended) == sorted(issued), "each once"
    told = Revocations(authority.store, NOW.timestamp).poll()
    assert told is not None
    assert {one.serial for one in told} == set(issued)
    listed = {
        f"{entry.serial_number:x}"
        for row in authority.store.issuers(Side.CLIENT)
        for entry in x509.load_der_x509_crl(authority.crl(row.serial, NOW))
    }
    assert listed == set(issued)


def test_a_store_that_another_process_holds_for_seconds_is_waited_for(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(authority.store.file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with ThreadPoolExecutor(1) as pool:
            revoking = pool.submit(revoked, authority)
            assert revocations.poll() is None, "whoever only reads does not wait"
            assert not revoking.done()
            holder.stdin.close()
            assert len(revoking.result(timeout=60).serials) == 1
    told = revocations.poll()
    assert told is not None
    assert len(told) == 1


HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO journal (at, who, action, name, profile, outcome)"
                   " VALUES (1, 'x', 'x', 'x', 'x', 'x')")
print("held", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""


def test_what_has_expired_long_ago_is_not_revoked(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    after = NOW + datetime.timedelta(days=90) + datetime.timedelta(seconds=LISTED_AFTER_ITS_END_S)
    assert authority.revoke(ENCODER, Reason.UNSPECIFIED, after, who="ada").serials == ()


def test_an_unused_token_of_a_revoked_name_is_dead(authority: Authority) -> None:
    token = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
    assert revoked(authority) == RevokedNow(ENCODER, (), 1)
    with pytest.raises(SealcastError) as told:
        authority.enrol(request(), token, WANTED, NOW, who="finder")
    assert told.value.code == "IDENTITY.TOKEN_REVOKED"
    assert authority.store.issued() == []


def test_the_replacement_gets_a_new_certificate_under_the_same_name(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    revoked(authority)
    token = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
    new = authority.enrol(request(), token, WANTED, NOW, who="replacement").serial
    assert revoked(authority).serials == (new,)


@pytest.mark.parametrize(
    ("name", "serial", "code"),
    [
        ("encoder/nobody", None, "IDENTITY.UNKNOWN"),
        ("Not A Name", None, "IDENTITY.BAD_NAME"),
        (ENCODER, "abc", "IDENTITY.UNKNOWN"),
    ],
)
def test_what_nobody_has_cannot_be_revoked_and_the_attempt_is_noted(
    authority: Authority, name: str, serial: str | None, code: str
) -> None:
    authority.issue(WANTED, NOW, who="ada")
    assert refused(authority, name, serial) == code
    assert authority.store.issued()[0].revoked_unix is None
    last = authority.store.journal()[-1]
    assert (last.action, last.outcome) == ("revoke", code)


def test_a_serial_of_somebody_else_is_refused(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    other = authority.issue(Wanted("encoder/venue-2", "encoder"), NOW, who="ada").serial
    assert refused(authority, serial=other) == "IDENTITY.UNKNOWN"
    assert authority.store.issued("encoder/venue-2")[0].revoked_unix is None


def test_the_reason_of_an_authority_is_not_an_ends(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    with pytest.raises(SealcastError) as told:
        revoked(authority, reason=Reason.CA_COMPROMISE)
    assert told.value.code == "IDENTITY.NOT_A_REASON"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE issued SET revoked_at = NULL, revoked_why = NULL",
        "UPDATE issued SET revoked_why = 'superseded'",
        "UPDATE tokens SET revoked_at = NULL",
    ],
)
def test_the_store_itself_takes_no_revocation_back(authority: Authority, statement: str) -> None:
    authority.issue(WANTED, NOW, who="ada")
    authority.make_token(WANTED, NOW, who="ada")
    revoked(authority)
    connection = sqlite3.connect(authority.store.file)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    finally:
        connection.close()


def test_revoked_and_enrolled_at_once_no_living_certificate_is_left(authority: Authority) -> None:
    """Whichever comes first, the token or its end."""
    authority.issue(Wanted("encoder/other", "encoder"), NOW, who="ada")
    for _ in range(10):
        token = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
        together = threading.Barrier(2)

        def enrol(token: str = token, together: threading.Barrier = together) -> None:
            together.wait(timeout=30)
            try:
                authority.enrol(request(), token, WANTED, NOW, who="thief")
            except SealcastError as error:
                assert error.code == "IDENTITY.TOKEN_REVOKED"  # noqa: PT017 - in a thread

        def revoke(together: threading.Barrier = together) -> None:
            together.wait(timeout=30)
            revoked(authority)

        with ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(enrol), pool.submit(revoke)]:
                job.result(timeout=60)
        assert [row for row in authority.store.issued(ENCODER) if row.revoked_unix is None] == []


# ---- how a node learns of it ------------------------------------------------------------------


def test_the_first_poll_tells_everything_and_the_next_nothing(authority: Authority) -> None:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    revoked(authority)
    revocations = Revocations(authority.store, NOW.timestamp)
    told = revocations.poll()
    assert told is not None
    (one,) = told
    assert (one.serial, one.name, one.reason, one.at_unix) == (serial, ENCODER, "keyCompromise", AT)
    assert revocations.poll() is None
    revocations.close()
    assert revocations.poll() == told, "after a close everything is told again"


def test_nothing_revoked_is_told_once_too(authority: Authority) -> None:
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    assert revocations.poll() is None


def test_the_entry_has_the_key_identifier_and_the_serial_that_the_leaf_carries(
    authority: Authority,
) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    revoked(authority)
    leaf = x509.load_pem_x509_certificates(issued.chain_pem)[0]
    names = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    told = Revocations(authority.store, NOW.timestamp).poll()
    assert names.key_identifier is not None
    assert told is not None
    assert (told[0].authority_key, told[0].serial) == (
        names.key_identifier.hex(),
        f"{leaf.serial_number:x}",
    )


def test_the_next_poll_after_a_revocation_elsewhere_tells_it(authority: Authority) -> None:
    serials = [authority.issue(WANTED, NOW, who="ada").serial for _ in range(2)]
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    elsewhere = Authority.open(authority.folder, lambda: pytest.fail("no key is needed"))
    for count, serial in enumerate(serials, 1):
        revoked(elsewhere, serial=serial)
        told = revocations.poll()
        assert told is not None
        assert [one.serial for one in told] == serials[:count]


def test_what_else_is_written_is_no_news(authority: Authority) -> None:
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    authority.issue(WANTED, NOW, who="ada")
    assert revocations.poll() is None


def test_a_revoked_certificate_is_forgotten_some_days_after_it_has_expired(
    authority: Authority,
) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    revoked(authority)
    end = issued.not_after_unix + LISTED_AFTER_ITS_END_S

    def told(at: float) -> int:
        found = Revocations(authority.store, lambda: at).poll()
        assert found is not None
        return len(found)

    assert (told(end - 1), told(end)) == (1, 0)


def test_an_issuing_authority_is_told_from_its_end_on_although_nothing_is_written(
    authority: Authority,
) -> None:
    issuer = authority.issuer(Side.CLIENT, NOW)
    connection = sqlite3.connect(authority.store.file)
    connection.execute(
        "UPDATE issuers SET until = ?, why = 'superseded' WHERE serial = ?",
        (AT + 60, issuer.serial),
    )
    connection.commit()
    connection.close()
    times = itertools.chain([AT, AT + 59, AT + 60, AT + 61])
    revocations = Revocations(authority.store, lambda: next(times))
    assert revocations.poll() == ()
    assert revocations.poll() is None
    told = revocations.poll()
    assert told is not None
    root = x509.load_pem_x509_certificate(authority.root_pem(NOW))
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert [(one.authority_key, one.serial, one.reason) for one in told] == [
        (identifier.hex(), issuer.serial, "superseded")
    ]
    assert revocations.poll() is None


def test_a_store_that_cannot_be_read_is_told_and_read_again_when_it_is_back(
    authority: Authority,
) -> None:
    authority.issue(WANTED, NOW, who="ada")
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    away = authority.folder.with_name("away")
    authority.folder.rename(away)
    with pytest.raises(SealcastError) as told:
        revocations.poll()
    assert told.value.code == "IDENTITY.STORE_DAMAGED"
    away.rename(authority.folder)
    assert revocations.poll() == ()


def test_a_restored_store_under_the_same_name_is_read(authority: Authority, tmp_path: Path) -> None:
    authority.issue(WANTED, NOW, who="ada")
    before = tmp_path / "before.sqlite"
    shutil.copyfile(authority.store.file, before)
    revoked(authority)
    revocations = Revocations(authority.store, NOW.timestamp)
    told = revocations.poll()
    assert told is not None
    assert len(told) == 1
    for file in authority.folder.glob(f"{STORE_FILE}*"):
        file.unlink()
    shutil.copyfile(before, authority.store.file)
    assert revocations.poll() == ()


def test_each_change_is_told_to_one_of_many_threads_that_poll(authority: Authority) -> None:
    serials = [authority.issue(WANTED, NOW, who="ada").serial for _ in range(5)]
    revocations = Revocations(authority.store, NOW.timestamp)
    assert revocations.poll() == ()
    heard: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            told = revocations.poll()
            if told is not None:
                heard.append(len(told))

    with ThreadPoolExecutor(4) as pool:
        watchers = [pool.submit(watch) for _ in range(4)]
        for serial in serials:
            revoked(authority, serial=serial)
        stop.set()
        for watcher in watchers:
            watcher.result(timeout=30)
    heard += [len(told)] if (told := revocations.poll()) is not None else []
    assert len(heard) == len(set(heard)), "none twice"
    assert max(heard) == len(serials)


def test_a_poll_without_news_reads_no_row(authority: Authority) -> None:
    """So that it is cheap at any size of the store."""
    for _ in range(3):
        authority.issue(WANTED, NOW, who="ada")
    revoked(authority)
    revocations = Revocations(authority.store, NOW.timestamp)
    revocations.poll()
    asked: list[str] = []
    watched = revocations._watched
    assert watched.connection is not None
    watched.connection.set_trace_callback(asked.append)
    assert [revocations.poll() for _ in range(10)] == [None] * 10
    assert asked == ["PRAGMA data_version"] * 10
