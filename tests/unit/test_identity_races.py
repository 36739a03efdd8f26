"""Many at once: serials, tokens and the founding of an authority, by threads and by processes."""

from __future__ import annotations

import collections
import datetime
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied, request

from sealcast.errors import SealcastError
from sealcast.identity import store as store_module
from sealcast.identity.authority import TOKEN_LIFETIME, Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.identity.store import Store
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
MANY = 50
SPAWN = multiprocessing.get_context("spawn")


def opened(folder: Path) -> Authority:
    return Authority.open(folder, lambda: Secret(PASSPHRASE))


def enrolled(authority: Authority, token: str, wanted: Wanted = WANTED) -> str:
    """The code of the refusal, or `done`."""
    try:
        authority.enrol(request(), token, wanted, NOW, who="stranger")
    except SealcastError as error:
        return error.code
    return "done"


def enrolled_in_a_process(folder: Path, token: str, times: int) -> list[str]:
    authority = opened(folder)
    return [enrolled(authority, token) for _ in range(times)]


def issued_in_a_process(folder: Path, times: int) -> list[str]:
    authority = opened(folder)
    return [authority.issue(WANTED, NOW, who="process").serial for _ in range(times)]


def founded_in_a_process(folder: Path) -> str:
    try:
        found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="process")
    except SealcastError as error:
        return error.code
    return "done"


def token_of(authority: Authority, wanted: Wanted = WANTED) -> str:
    return authority.make_token(wanted, NOW, who="ada").reveal().decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def test_a_token_of_fifty_threads_makes_one_certificate(authority: Authority) -> None:
    token, together = token_of(authority), threading.Barrier(MANY)
    # So that the race is for the token and not for the passphrase.
    authority.issue(Wanted("encoder/other", "encoder"), NOW, who="ada")

    def race(_: int) -> str:
        together.wait(timeout=30)
        return enrolled(authority, token)

    with ThreadPoolExecutor(MANY) as pool:
        outcomes = collections.Counter(pool.map(race, range(MANY)))
    assert outcomes == {"done": 1, "IDENTITY.TOKEN_USED": MANY - 1}
    (row,) = authority.store.issued(ENCODER)
    assert row.token is not None
    noted = [entry.outcome for entry in authority.store.journal() if entry.action == "enrol"]
    assert collections.Counter(noted) == outcomes


def test_a_token_of_several_processes_makes_one_certificate(authority: Authority) -> None:
    token = token_of(authority)
    with ProcessPoolExecutor(4, mp_context=SPAWN) as pool:
        jobs = [pool.submit(enrolled_in_a_process, authority.folder, token, 5) for _ in range(4)]
        outcomes = collections.Counter(code for job in jobs for code in job.result(timeout=120))
    assert outcomes == {"done": 1, "IDENTITY.TOKEN_USED": 19}
    assert len(authority.store.issued(ENCODER)) == 1


def test_two_processes_that_issue_at_once_lose_nothing(authority: Authority) -> None:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        jobs = [pool.submit(issued_in_a_process, authority.folder, 40) for _ in range(2)]
        serials = [serial for job in jobs for serial in job.result(timeout=120)]
    assert len(set(serials)) == 80
    assert {row.serial for row in authority.store.issued()} == set(serials)


def rolled_in_a_process(folder: Path) -> str:
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    try:
        roll(opened(folder), Roll(datetime.timedelta(days=7)), keys, NOW, who="process")
    except SealcastError as error:
        return error.code
    return "done"


def test_of_several_who_roll_at_once_each_does_it_whole_or_is_told(authority: Authority) -> None:
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        outcomes = list(pool.map(rolled_in_a_process, [authority.folder] * 3, timeout=120))
    done = outcomes.count("done")
    assert done >= 1
    assert set(outcomes) <= {"done", "IDENTITY.STORE_LOCKED"}
    assert len(authority.store.issuers()) == 2 + 2 * done
    assert opened(authority.folder).issue(WANTED, NOW, who="ada").serial


def test_of_two_who_found_at_once_one_succeeds(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        outcomes = sorted(pool.map(founded_in_a_process, [folder, folder], timeout=120))
    assert outcomes == ["IDENTITY.ALREADY_INITIALISED", "done"]
    assert opened(folder).issue(WANTED, NOW, who="ada").serial
    assert [path.name for path in tmp_path.iterdir()] == ["authority"]


def test_a_token_is_for_its_name_profile_side_and_hosts(authority: Authority) -> None:
    token = token_of(authority)
    for other in (Wanted("encoder/venue-2", "encoder"), Wanted("viewer/vera", "viewer")):
        assert enrolled(authority, token, other) == "IDENTITY.TOKEN_OTHER"
    node = Wanted("node/one", "node", hosts=("one.venue.example",))
    of_node = token_of(authority, node)
    more = Wanted("node/one", "node", hosts=("one.venue.example", "two.venue.example"))
    assert enrolled(authority, of_node, more) == "IDENTITY.TOKEN_OTHER"
    assert enrolled(authority, of_node, node) == "done"
    assert enrolled(authority, token) == "done", "a refusal leaves a token as it was"


def test_a_token_ends_after_fifteen_minutes(authority: Authority) -> None:
    token, late = token_of(authority), NOW + TOKEN_LIFETIME
    for now in (late, late + datetime.timedelta(days=1)):
        with pytest.raises(SealcastError) as refused:
            authority.enrol(request(), token, WANTED, now, who="stranger")
        assert refused.value.code == "IDENTITY.TOKEN_EXPIRED"
    just = late - datetime.timedelta(seconds=1)
    assert authority.enrol(request(), token, WANTED, just, who="stranger").serial


def test_a_token_that_was_never_made_is_told(authority: Authority) -> None:
    assert enrolled(authority, "x" * 43) == "IDENTITY.TOKEN_UNKNOWN"


def test_a_bad_request_does_not_use_the_token_up(authority: Authority) -> None:
    token = token_of(authority)
    with pytest.raises(SealcastError):
        authority.enrol(request(subject="venue-2"), token, WANTED, NOW, who="stranger")
    assert enrolled(authority, token) == "done"


def test_a_store_that_another_process_holds_is_told(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PATIENCE_S", 0.05)
    holder = sqlite3.connect(authority.store.file, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SealcastError) as refused:
            authority.issue(WANTED, NOW, who="ada")
        assert refused.value.code == "IDENTITY.STORE_LOCKED"
        assert authority.store.issued() == [], "reading goes on"
    finally:
        holder.close()
    assert authority.issue(WANTED, NOW, who="ada").serial


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM issued",
        "UPDATE issued SET serial = 'x'",
        "UPDATE issued SET token = NULL",
        "INSERT INTO issued SELECT * FROM issued",
        "DELETE FROM tokens",
        "UPDATE tokens SET used_at = NULL",
        "UPDATE tokens SET expires_at = expires_at + 900",
        "DELETE FROM journal",
        "UPDATE journal SET outcome = 'done'",
    ],
)
def test_the_store_itself_refuses_to_forget(authority: Authority, statement: str) -> None:
    """Held by the tables: not by this program's good will."""
    assert enrolled(authority, token_of(authority)) == "done"
    connection = sqlite3.connect(authority.store.file)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    finally:
        connection.close()


def test_one_token_has_one_certificate_even_if_the_program_forgets_to_ask(
    authority: Authority,
) -> None:
    assert enrolled(authority, token_of(authority)) == "done"
    (row,) = authority.store.issued()
    connection = sqlite3.connect(authority.store.file)
    try:
        with pytest.raises(sqlite3.IntegrityError, match=r"issued\.token"):
            connection.execute(
                "INSERT INTO issued SELECT 'abc', issuer, name, uri, profile, side, hosts, "
                "not_before, not_after, issued_at, issued_by, token, NULL, NULL, pem FROM issued"
            )
    finally:
        connection.close()
    assert Store.open(authority.folder).issued() == [row]
