"""Doors that stay open while their certificates change: what is swapped, what is refused."""

from __future__ import annotations

import datetime
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.native_stand_ins import FakeFront

from sealcast.errors import LocalError
from sealcast.identity import Issued, ThrowAwayAuthority
from sealcast.node import config
from sealcast.node.certificate_files import FileBundle, FilePair
from sealcast.node.certificate_sources import Source, ThrowAwayPair
from sealcast.node.door_keeping import AGAIN, DoorKeeper
from sealcast.node.doors import OpenDoor, plans
from sealcast.node.state_folder import KeyPair, open_state_folder

NOW = datetime.datetime.now(datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
AUTHORITY = ThrowAwayAuthority.create("venue.example", NOW)


def issued() -> Issued:
    return AUTHORITY.issue_server(["node.example"], NOW)


class StrictFront(FakeFront):
    """Refuses pairs and bundles that a test says it should, as the real one would."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: Callable[[bytes, bytes, bytes | None], str | None] = lambda *_: None

    def swap(
        self, door: str, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> None:
        code = self.refuses(chain_pem, key_pem, client_roots_pem)
        if code is not None:
            raise LocalError(code)
        super().swap(door, chain_pem, key_pem, client_roots_pem)


class Files:
    """A door's files, and the keeper of that door."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain, self.key, self.ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.now = NOW
        self.front = StrictFront()

    def write(self, pair: Issued) -> None:
        self.write_chain(pair)
        self.write_key(pair)

    def write_chain(self, pair: Issued) -> None:
        self.replace(self.chain, pair.chain_pem)

    def write_key(self, pair: Issued, mode: int = 0o600) -> None:
        self.replace(self.key, pair.key_pem, mode)

    def replace(self, file: Path, content: bytes, mode: int = 0o600) -> None:
        fresh = file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(file)

    def keeper(self) -> DoorKeeper:
        plan = next(plan for plan in plans(config.Config()) if plan.name == "secure")
        bundle = FileBundle(self.ca)
        door = OpenDoor(plan, [], FilePair(self.chain, self.key), bundle)
        keeper = DoorKeeper(self.front)
        keeper.keep([door])
        return keeper

    def rounds(self, keeper: DoorKeeper, number: int = 2) -> None:
        for _ in range(number):
            self.now += SECOND
            keeper.round(self.now)

    def shown(self) -> list[bytes]:
        return [chain for _door, chain, _key, _roots in self.front.swapped]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.write(issued())
    made.replace(made.ca, AUTHORITY.root_pem)
    return made


def test_files_that_stay_are_never_swapped(files: Files) -> None:
    keeper = files.keeper()
    files.rounds(keeper, 5)
    assert files.front.swapped == []


def test_a_pair_that_was_renamed_into_place_is_swapped_once(files: Files) -> None:
    keeper, renewed = files.keeper(), issued()
    files.write(renewed)
    files.rounds(keeper, 5)
    assert files.shown() == [renewed.chain_pem]
    assert keeper.swaps == {"secure": 1}
    assert keeper.pairs()["secure"].key_pem == renewed.key_pem


def test_files_that_are_written_in_place_are_swapped(files: Files) -> None:
    keeper, renewed = files.keeper(), issued()
    files.chain.write_bytes(renewed.chain_pem)
    files.key.write_bytes(renewed.key_pem)
    files.rounds(keeper)
    assert files.shown() == [renewed.chain_pem]


def test_a_change_counts_once_it_has_come_to_rest(files: Files) -> None:
    """The chain is there and the key is not yet: nobody meets the two halves."""
    keeper, renewed = files.keeper(), issued()
    files.write_chain(renewed)
    files.rounds(keeper, 1)
    files.write_key(renewed)
    files.rounds(keeper, 1)
    assert files.front.swapped == []
    files.rounds(keeper, 1)
    assert files.shown() == [renewed.chain_pem]


def test_a_turned_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes does it: tls.crt → ..data/tls.crt, and ..data is turned by a rename."""
    files = Files(tmp_path)
    first, second = issued(), issued()
    for name, pair in (("..1", first), ("..2", second)):
        inner = Files(tmp_path / name)
        inner.folder.mkdir()
        inner.write(pair)
        inner.replace(inner.ca, AUTHORITY.root_pem)
    (tmp_path / "..data").symlink_to("..1")
    for file in (files.chain, files.key, files.ca):
        file.symlink_to(Path("..data") / file.name)
    keeper = files.keeper()
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    files.rounds(keeper)
    assert files.shown() == [second.chain_pem]


def test_a_pair_that_does_not_fit_is_refused_and_said_once(files: Files) -> None:
    keeper, renewed = files.keeper(), issued()
    before = keeper.pairs()["secure"]
    files.front.refuses = lambda chain, key, _: (
        "TLS.KEY_MISMATCH" if (chain, key) != (renewed.chain_pem, renewed.key_pem) else None
    )
    files.write_chain(renewed)
    with capture_logs() as lines:
        files.rounds(keeper, 40)
    told = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["door"], line["code"]) for line in told] == [("secure", "TLS.KEY_MISMATCH")]
    assert keeper.refusals == {("secure", "TLS.KEY_MISMATCH"): 1}
    assert keeper.pairs()["secure"] == before
    files.write_key(renewed)
    files.rounds(keeper)
    assert files.shown() == [renewed.chain_pem]


def test_what_was_refused_is_tried_again_without_another_change(files: Files) -> None:
    """A certificate of in a minute: the clock comes to it."""
    keeper, renewed = files.keeper(), issued()
    files.front.refuses = lambda *_: "TLS.CERTIFICATE_NOT_YET_VALID"
    files.write(renewed)
    files.rounds(keeper)
    files.front.refuses = lambda *_: None
    files.rounds(keeper, 3)
    assert files.front.swapped == []
    files.now += AGAIN
    files.rounds(keeper, 1)
    assert files.shown() == [renewed.chain_pem]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda files: files.key.chmod(0o644), "IDENTITY.KEY_EXPOSED"),
        (lambda files: files.key.chmod(0o640), "IDENTITY.KEY_EXPOSED"),
        (lambda files: files.key.unlink(), "IDENTITY.KEY_UNREADABLE"),
        (lambda files: files.chain.unlink(), "IDENTITY.CERTIFICATE_MALFORMED"),
        (lambda files: files.ca.unlink(), "IDENTITY.CERTIFICATE_MALFORMED"),
    ],
)
def test_files_that_cannot_be_used_leave_the_door_as_it_was(
    files: Files, spoil: Callable[[Files], None], code: str
) -> None:
    keeper = files.keeper()
    before = keeper.pairs(), keeper.bundles()
    spoil(files)
    with capture_logs() as lines:
        files.rounds(keeper, 10)
    assert [line["code"] for line in lines] == [code]
    assert keeper.refusals == {("secure", code): 1}
    assert (keeper.pairs(), keeper.bundles()) == before
    assert files.front.swapped == []
    mended = issued()
    files.write(mended)
    files.replace(files.ca, AUTHORITY.root_pem)
    files.rounds(keeper)
    assert files.shown() == [mended.chain_pem]


def test_a_bundle_is_swapped_with_the_pair_that_the_door_has(files: Files) -> None:
    keeper, other = files.keeper(), ThrowAwayAuthority.create("other.example", NOW)
    files.replace(files.ca, AUTHORITY.root_pem + other.root_pem)
    files.rounds(keeper)
    (swapped,) = files.front.swapped
    assert swapped[1] == keeper.pairs()["secure"].chain_pem
    assert swapped[3] == AUTHORITY.root_pem + other.root_pem


def test_a_bad_pair_does_not_keep_a_new_bundle_out(files: Files) -> None:
    keeper, other = files.keeper(), ThrowAwayAuthority.create("other.example", NOW)
    before = keeper.pairs()["secure"]
    files.front.refuses = lambda chain, *_: (
        "TLS.CERTIFICATE_EXPIRED" if chain != before.chain_pem else None
    )
    files.write(issued())
    files.replace(files.ca, other.root_pem)
    files.rounds(keeper)
    assert keeper.pairs()["secure"] == before
    assert keeper.bundles()["secure"] == other.root_pem


def test_a_source_of_several_doors_is_asked_once_a_round() -> None:
    class Asked:
        name = "a source"
        looks = 0

        def current(self) -> KeyPair:
            return KeyPair(b"", b"")

        def look(self, now: datetime.datetime) -> bool:
            self.looks += 1
            return False

    asked = Asked()
    source: Source[KeyPair] = asked
    doors = [OpenDoor(plan, [], source, None) for plan in plans(config.Config())]
    keeper = DoorKeeper(FakeFront())
    keeper.keep(doors)
    keeper.round(NOW)
    assert len(doors) > 1
    assert asked.looks == 1


def test_a_change_that_another_source_was_told_of_is_swapped_all_the_same(files: Files) -> None:
    """As behind ACME, which shows another source's pair until it has one."""
    behind = FilePair(files.chain, files.key)
    known = {plan.name: plan for plan in plans(config.Config())}

    class Before:
        name = "before it"

        def current(self) -> KeyPair:
            return behind.current()

        def look(self, now: datetime.datetime) -> bool:
            return behind.look(now)

    keeper = DoorKeeper(files.front)
    before: Source[KeyPair] = Before()
    keeper.keep(
        [
            OpenDoor(known["public"], [], before, None),
            OpenDoor(known["secure"], [], behind, FileBundle(files.ca)),
        ]
    )
    renewed = issued()
    files.write(renewed)
    files.rounds(keeper, 4)
    assert {door: pair.chain_pem for door, pair in keeper.pairs().items()} == {
        "public": renewed.chain_pem,
        "secure": renewed.chain_pem,
    }
    assert keeper.swaps == {"public": 1, "secure": 1}


def test_the_throw_away_authoritys_pair_is_renewed_at_two_thirds_and_kept_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.loads(f'[node]\nstate_dir = "{tmp_path / "state"}"\n')
    pair = ThrowAwayPair(open_state_folder(settings, NOW), ["localhost"], NOW)
    first, day = pair.current(), 24 * 3600 * SECOND
    assert not pair.look(NOW + 50 * day)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Issued, "save", full)
        with pytest.raises(LocalError) as refused:
            pair.look(NOW + 70 * day)
    assert refused.value.code == "IDENTITY.NOT_WRITTEN"
    assert pair.current() == first
    assert pair.look(NOW + 70 * day)
    assert pair.current() != first


def test_a_pair_for_clients_only_is_refused_and_the_old_one_stays(files: Files) -> None:
    keeper = files.keeper()
    before = keeper.pairs()["secure"]
    files.write(AUTHORITY.issue_client("encoder/venue-1", NOW))
    with capture_logs() as lines:
        files.rounds(keeper, 5)
    assert files.front.swapped == []
    assert keeper.pairs()["secure"] == before
    assert [line["code"] for line in lines if "code" in line] == ["IDENTITY.NOT_FOR_SERVERS"]


def test_a_door_does_not_open_with_a_pair_for_clients_only(files: Files) -> None:
    files.write(AUTHORITY.issue_client("encoder/venue-1", NOW))
    with pytest.raises(LocalError, match=r"IDENTITY\.NOT_FOR_SERVERS"):
        files.keeper()
