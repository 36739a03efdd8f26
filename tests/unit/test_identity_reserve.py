"""A disk that is full, really: what is revoked all the same, and what has to wait."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied, living, today
from tests.unit.test_identity_killed import check

from sealcast.cli.identity_crl import crl
from sealcast.cli.identity_revoke import revoke
from sealcast.errors import LocalError
from sealcast.identity import keys_at_rest
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.private_files import write_private
from sealcast.identity.reserve import RESERVE_BYTES, SHARE_OF_A_START, Reserve, with_reserve
from sealcast.identity.revocation import Reason, Revocations
from sealcast.node.kept_pair import KeptPair
from sealcast.node.own_authority import OwnPair
from sealcast.node.reserve_watch import ReserveWatch
from sealcast.secret import Secret
from sealcast.testing.requirement import require
from sealcast.testing.small_disk import SmallDisk, small_disk

WANTED = Wanted(ENCODER, "encoder")
NAMES = ("node.venue.example", "127.0.0.1")
SIZE = 8 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    require("tmpfs")
    with small_disk(tmp_path / "disk", SIZE) as made:
        yield made


def founded(disk: SmallDisk, *, certificates: int = 1) -> Authority:
    """With its reserve, and `certificates` of the encoder among those of others."""
    authority = living(disk.path / "authority")
    for number in range(certificates):
        authority.issue(WANTED, today(), who="ada")
        authority.issue(Wanted(f"encoder/other-{number}", "encoder"), today(), who="ada")
    assert Reserve(authority.folder).fill() == RESERVE_BYTES
    return authority


def still_good(authority: Authority) -> int:
    return sum(row.revoked_unix is None for row in authority.store.issued(ENCODER))


def test_a_new_authority_has_its_reserve_and_nobody_else_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    monkeypatch.setattr(keys_at_rest, "SCRYPT_P", 1)
    found(tmp_path / "authority", Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="ada")
    reserve = Reserve(tmp_path / "authority")
    known = reserve.file.stat()
    assert (known.st_size, known.st_mode & 0o777) == (RESERVE_BYTES, 0o600)
    assert known.st_blocks * 512 >= RESERVE_BYTES, "it has its place, and not only its length"


def test_on_a_full_disk_everything_is_refused_by_its_name(disk: SmallDisk) -> None:
    authority = founded(disk)
    before = check(authority)
    disk.fill()
    for work in (
        lambda: Authority.open(authority.folder, lambda: Secret(PASSPHRASE)),
        lambda: authority.issue(WANTED, today(), who="ada"),
        authority.store.issued,
    ):
        with pytest.raises(LocalError) as refused:
            work()
        assert refused.value.code == "IDENTITY.STORE_FULL"
    disk.make_room()
    assert check(authority) == before


@pytest.mark.parametrize("node_runs", [True, False])
@pytest.mark.parametrize("certificates", [1, 200])
def test_a_name_is_revoked_on_a_full_disk_whether_a_node_runs_or_not(
    disk: SmallDisk, capsys: pytest.CaptureFixture[str], certificates: int, node_runs: bool
) -> None:
    authority = founded(disk, certificates=certificates)
    with contextlib.ExitStack() as running:
        watched = Revocations(authority.store)
        if node_runs:
            running.enter_context(contextlib.closing(authority.store.hold()))
            running.enter_context(contextlib.closing(watched))
            assert watched.poll() == ()
        disk.fill()
        revoke(ENCODER, data=authority.folder, reason="keyCompromise")
        assert capsys.readouterr().out.count("revoked  ") == certificates
        if node_runs:
            told = watched.poll()
            assert told is not None
            assert len(told) == certificates
    disk.make_room()
    assert still_good(authority) == 0
    check_whole(authority)


def check_whole(authority: Authority) -> None:
    connection = authority.store.connect()
    with contextlib.closing(connection):
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_one_revocation_after_the_other_goes_well_on_a_disk_that_stays_full(
    disk: SmallDisk,
) -> None:
    authority = founded(disk, certificates=20)
    for number in range(20):
        disk.fill()
        with contextlib.redirect_stdout(io.StringIO()):
            revoke(f"encoder/other-{number}", data=authority.folder)
    disk.fill()
    with contextlib.redirect_stdout(io.StringIO()):
        revoke(ENCODER, data=authority.folder)
    disk.make_room()
    assert {row.revoked_unix is None for row in authority.store.issued()} == {False}
    assert Reserve(authority.folder).size() > RESERVE_BYTES // 2


def test_the_lists_of_a_revocation_on_a_full_disk_are_made_as_well(
    disk: SmallDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = founded(disk)
    passphrase, out = tmp_path / "passphrase", tmp_path / "lists.pem"
    write_private(passphrase, PASSPHRASE.encode())
    disk.fill()
    revoke(ENCODER, data=authority.folder, reason="keyCompromise")
    disk.fill()
    crl(data=authority.folder, out=out, passphrase_file=passphrase)
    assert "3 revocation lists" in capsys.readouterr().out
    assert out.read_bytes().count(b"BEGIN X509 CRL") == 3


def test_without_a_reserve_a_full_disk_is_said_and_nothing_is_half_revoked(disk: SmallDisk) -> None:
    authority = founded(disk, certificates=3)
    Reserve(authority.folder).file.unlink()
    disk.fill()
    with pytest.raises(LocalError) as refused:
        revoke(ENCODER, data=authority.folder)
    assert refused.value.code == "IDENTITY.STORE_FULL"
    disk.make_room()
    assert still_good(authority) == 3


def test_only_a_full_disk_costs_the_reserve(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.fill()

    def locked() -> None:
        raise LocalError("IDENTITY.STORE_LOCKED", "as a test asked")

    with pytest.raises(LocalError):
        with_reserve(tmp_path, locked)
    assert reserve.size() == RESERVE_BYTES


def test_a_reserve_is_taken_back_as_far_as_there_is_room(disk: SmallDisk) -> None:
    reserve = Reserve(disk.path)
    assert reserve.give() is False, "there is none yet"
    assert reserve.fill() == RESERVE_BYTES
    assert reserve.give(SHARE_OF_A_START)
    assert reserve.size() == RESERVE_BYTES - SHARE_OF_A_START
    (disk.path / "another").write_bytes(b"x" * (disk.free() - SHARE_OF_A_START // 2))
    have = reserve.fill()
    assert RESERVE_BYTES - SHARE_OF_A_START < have < RESERVE_BYTES
    disk.fill()
    assert reserve.fill() == have
    disk.make_room()
    (disk.path / "another").unlink()
    assert reserve.fill() == RESERVE_BYTES


def test_a_short_reserve_is_said_once_and_its_return_too(disk: SmallDisk) -> None:
    reserve = Reserve(disk.path)
    watch = ReserveWatch(reserve)
    with capture_logs() as lines:
        watch.round()
        assert lines == []
        reserve.give()
        disk.fill()
        watch.round()
        watch.round()
        assert [line["code"] for line in lines] == ["IDENTITY.RESERVE_SHORT"]
        disk.make_room()
        watch.round()
        watch.round()
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert reserve.size() == RESERVE_BYTES


# ---- a node that starts there -------------------------------------------------------------------


def test_a_node_begins_with_the_pair_that_it_had_where_none_can_be_issued(disk: SmallDisk) -> None:
    authority, kept = founded(disk), KeptPair(disk.path / "state")
    first = OwnPair(authority, NAMES, today(), kept).current()
    key = disk.path / "state" / "own-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(authority.store.hold()):
        disk.fill()
        with capture_logs() as lines:
            again = OwnPair(authority, NAMES, today(), kept)
        assert again.current() == first
        (warned,) = [line for line in lines if line["log_level"] == "warning"]
        assert warned["code"] == "IDENTITY.STORE_FULL"
        assert not again.look(today()), "it holds"
        with pytest.raises(LocalError):
            OwnPair(authority, NAMES, today(), None)
        with pytest.raises(LocalError):
            OwnPair(authority, (*NAMES, "other.venue.example"), today(), kept)


def kept_pair(authority: Authority, folder: Path) -> KeptPair:
    kept = KeptPair(folder)
    OwnPair(authority, NAMES, NOW, kept)
    assert kept.still_good(authority, NAMES, NOW) is not None
    return kept


def test_a_kept_pair_that_was_revoked_is_not_begun_with(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    kept = kept_pair(authority, tmp_path)
    authority.revoke("node/node.venue.example", Reason.UNSPECIFIED, NOW, who="ada")
    assert kept.still_good(authority, NAMES, NOW) is None


def test_a_kept_pair_is_no_more_than_its_time_its_key_and_its_store(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    kept = kept_pair(authority, tmp_path)
    row = authority.store.issued("node/node.venue.example")[0]
    after = today().fromtimestamp(row.not_after_unix, NOW.tzinfo)
    assert kept.still_good(authority, NAMES, after) is None
    assert kept.still_good(authority, NAMES[:1], NOW) is None
    assert kept.still_good(copied(tmp_path / "another"), NAMES, NOW) is None
    key = tmp_path / "own-key.pem"
    before = key.read_bytes()
    key.write_bytes(authority.issue(WANTED, NOW, who="ada").key_pem)
    assert kept.still_good(authority, NAMES, NOW) is None
    key.write_bytes(before[:-40])
    assert kept.still_good(authority, NAMES, NOW) is None
    key.write_bytes(before)
    assert kept.still_good(authority, NAMES, NOW) is not None
    key.chmod(0o640)
    with pytest.raises(LocalError) as exposed:
        kept.still_good(authority, NAMES, NOW)
    assert exposed.value.code == "IDENTITY.KEY_EXPOSED"
