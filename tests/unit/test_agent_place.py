"""The agent killed before every change of the disk, on a full one, and beside others: whatever has
its name is whole, and a key is never with a chain that is not its own for good.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.unit.agent_world import NODE, World
from tests.unit.test_identity_killed import check, told_on_a_full_disk

from sealcast.agent import renewal
from sealcast.agent.place import Draft, Pair, Place
from sealcast.errors import LocalError
from sealcast.identity.private_files import write_private

CHANGES = {"os.rename", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}
"""Audit events of what changes a folder; opening a file to write it is one, too."""


def killed_before(change: int, work: Callable[[], object]) -> bool:
    """Does `work` in a process of its own that dies (SIGKILL) before it changes the disk for the
    time with this number; False if the work was over before.
    """
    child = os.fork()
    if child == 0:
        seen = 0

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            opens = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
            if opens or event in CHANGES:
                seen += 1
                if seen == change:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(audit)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed"
    return False


def every_change(work: Callable[[], object]) -> Iterator[int]:
    """Kills `work` before its first change, its second, …; yields after each, until it is done."""
    change = 1
    while killed_before(change, work):
        yield change
        change += 1
    assert change > 10, "hardly anything was seen"
    yield change


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # In memory: what is killed here is a process and no machine, and it is killed often.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        made = World(Path(folder), monkeypatch)
        # The passphrase is asked for once, here; the children inherit the opened key.
        made.issue_again()
        yield made


def renewed(world: World) -> Pair:
    return renewal.renew(world.place, world.place.read(), NODE, world.true_now, world.place)


@pytest.mark.parametrize("begins_with", ["plain files", "links"])
def test_a_renewal_killed_before_any_change_leaves_a_pair_that_fits_and_goes_on(
    world: World, begins_with: str
) -> None:
    """From plain files, as `identity issue` leaves them, and again over links."""
    first = world.place.read()
    seen = set()
    for _ in every_change(lambda: renewed(world)):
        pair = world.place.read()
        seen.add(pair.serial)
        assert world.place.key.stat().st_mode & 0o777 == 0o600
        for key in world.place.folder.rglob("*key.pem"):
            assert key.stat().st_mode & 0o077 == 0
        sweep_drafts(world.place.folder)
        if begins_with == "plain files":
            for path in (world.place.chain, world.place.key):
                path.unlink()
            write_private(world.place.key, first.key_pem)
            write_private(world.place.chain, first.chain_pem, mode=0o644)
    assert len(seen) >= 2
    serials = check(world.authority)
    assert seen <= set(serials)
    assert len(set(serials)) == len(serials)
    renewed(world)
    assert world.in_place == world.serials[0]
    assert len(pairs_kept(world)) == 2


def test_the_first_certificate_killed_before_any_change_is_there_whole_or_not_at_all(
    world: World,
) -> None:
    held, folder = world.place.read(), world.place.folder.parent / "new"
    for _ in every_change(lambda: put_new(folder, held)):
        place = Place(folder, "venue-1")
        if place.chain.exists():
            assert place.read().serial == held.serial
        sweep_drafts(folder)
        put_new(folder, held)
        assert place.read().serial == held.serial
        for path in (place.chain, place.key, place.kept / "current"):
            path.unlink()


def sweep_drafts(folder: Path) -> None:
    """What each of the dead left: looking at all of them would take every next one longer."""
    for draft in folder.glob(".draft-*"):
        shutil.rmtree(draft)


def put_new(folder: Path, pair: Pair) -> None:
    Place(folder, "venue-1").put(Draft(folder, pair.key_pem), pair.chain_pem)


def test_on_a_full_disk_nothing_is_asked_for_and_it_goes_on_when_there_is_room(
    world: World,
) -> None:
    before, held = world.serials, world.in_place
    assert told_on_a_full_disk(lambda: renewed(world), 100) == "IDENTITY.NOT_WRITTEN"
    assert told_on_a_full_disk(lambda: renewed(world), 4000) == "IDENTITY.NOT_WRITTEN", (
        "a key would fit, its chain would not"
    )
    assert world.serials == before
    assert world.in_place == held
    assert not list(world.place.folder.glob(".draft-*"))
    renewed(world)
    assert world.in_place != held


def is_torn(place: Place) -> bool:
    """Whether a swap came between the readings of the two paths."""
    try:
        Pair.of(place.chain.read_bytes(), place.key.read_bytes())
    except LocalError as error:
        if error.code != "TLS.KEY_MISMATCH":
            raise
        return True
    return False


def read_in_its_folder(place: Place) -> None:
    """The two files of one folder belong together; it stays until the swap after the next."""
    current = place.kept / "current"
    folder = current.resolve()
    if not folder.exists():
        return
    try:
        Pair.of((folder / "chain.pem").read_bytes(), (folder / "key.pem").read_bytes())
    except FileNotFoundError:
        assert current.resolve() != folder


def test_a_reader_that_tries_again_never_keeps_a_key_with_another_chain(
    world: World,
) -> None:
    """One thread swaps, the other reads the two paths as any program would."""
    over, tries, torn = threading.Event(), 0, 0

    def swap() -> None:
        try:
            for _ in range(60):
                renewed(world)
        finally:
            over.set()

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        while not over.is_set():
            tries += 1
            torn += is_torn(world.place)
            world.place.read()
            read_in_its_folder(world.place)
    finally:
        swapping.join()
    assert torn < tries, "how often a swap comes between its two reads, the machine decides"
    assert world.in_place == world.serials[0]


def test_two_agents_and_an_operator_on_one_place_leave_a_pair(world: World) -> None:
    def many() -> None:
        for _ in range(15):
            renewed(world)

    threads = [threading.Thread(target=many) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.in_place in world.serials
    plain_pair(world)
    assert world.in_place == world.serials[0]
    renewed(world)
    assert world.place.chain.is_symlink()


def test_only_one_process_at_a_time_swaps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that sweep after one another's swap could leave a link to what is gone."""
    swap, tried = Place._point_to, 0

    def looked_at(place: Place, made: Path) -> None:
        nonlocal tried
        with (place.kept / ".lock").open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried += 1
        swap(place, made)

    monkeypatch.setattr(Place, "_point_to", looked_at)
    renewed(world)
    assert tried > 0
    with (world.place.kept / ".lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_pair_that_was_swept_since_it_was_found_is_looked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(world.place.kept / "swept/chain.pem", world.place.kept / "swept/key.pem")]
    look = world.place.files_of_now
    monkeypatch.setattr(world.place, "files_of_now", lambda: found.pop() if found else look())
    renewed(world)
    assert not found
    assert world.in_place == world.serials[0]


def plain_pair(world: World) -> None:
    world.issue_again()
    assert not world.place.chain.is_symlink()


def test_a_draft_that_a_dead_process_left_is_swept_when_it_is_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Draft(world.place.folder, world.place.read().key_pem)
    renewed(world)
    (draft,) = world.place.folder.glob(".draft-*")
    os.utime(draft, (1, 1))
    renewed(world)
    assert not list(world.place.folder.glob(".draft-*"))
    left.drop()


def test_a_living_draft_stays_whatever_the_machines_clock_says_of_the_disks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be another machine's, whose clock is an hour behind."""
    monkeypatch.setattr(time, "time", lambda: 2.0**32)
    living = Draft(world.place.folder, world.place.read().key_pem)
    renewed(world)
    assert list(world.place.folder.glob(".draft-*"))
    living.drop()


def test_another_key_than_the_one_that_was_sent_is_not_put_into_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = world.place.read()
    answer = world.answer

    def with_the_old_chain(*arguments: Any, **named: Any) -> Any:
        if arguments[2] == "POST":
            return type(answer(*arguments, **named))(201, {}, held.chain_pem)
        return answer(*arguments, **named)

    monkeypatch.setattr(renewal, "ask", with_the_old_chain)
    with pytest.raises(LocalError) as refused:
        renewed(world)
    assert refused.value.code == "TLS.KEY_MISMATCH"
    assert world.in_place == held.serial


@pytest.mark.parametrize("typed", ["venue-1", "venue-1.pem", "venue-1-key.pem"])
def test_a_place_is_found_by_any_of_its_files_as_a_shell_completes_them(typed: str) -> None:
    assert Place.at(Path("/etc/identity") / typed).chain == Path("/etc/identity/venue-1.pem")


def test_the_last_two_pairs_are_kept_and_no_more(world: World) -> None:
    for _ in range(4):
        renewed(world)
    assert len(pairs_kept(world)) == 2
    leaf = x509.load_pem_x509_certificate(world.place.chain.read_bytes())
    assert f"{leaf.serial_number:x}" == world.in_place


def pairs_kept(world: World) -> list[Path]:
    return [one for one in world.place.kept.iterdir() if one.is_dir() and not one.is_symlink()]
