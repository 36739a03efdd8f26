"""When a certificate is ordered by ACME, and what a door shows meanwhile."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealcast.errors import RemoteError, SealcastError
from sealcast.identity.throw_away import ThrowAwayAuthority
from sealcast.node.acme import LONGEST_WAIT, PAUSE, AcmePair, RateLimited
from sealcast.node.acme_store import AcmeStore
from sealcast.node.state_folder import KeyPair
from sealcast.testing.waiting import wait_for

NOW = datetime.datetime.now(datetime.UTC)
MINUTE, HOUR, DAY = (datetime.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
HOST = "one.venue.example"
AUTHORITY = ThrowAwayAuthority.create("venue.example", NOW)


def issued(*names: str) -> KeyPair:
    made = AUTHORITY.issue_server(names, NOW)
    return KeyPair(made.chain_pem, made.key_pem)


STAND_IN = issued("localhost")


@dataclass
class StandIn:
    name: str = "a stand-in"
    changes: bool = False

    def current(self) -> KeyPair:
        return STAND_IN

    def look(self, now: datetime.datetime) -> bool:
        return self.changes


@dataclass
class FakeOrders:
    """Does as `next` says; None issues."""

    next: SealcastError | None = None
    renew_at: datetime.datetime | None = None
    ordered: list[tuple[str, ...]] = field(default_factory=list)
    replaced: list[bytes | None] = field(default_factory=list)
    asked: int = 0

    def order(self, names: Sequence[str], replaces: bytes | None = None) -> KeyPair:
        self.ordered.append(tuple(names))
        self.replaced.append(replaces)
        if self.next is not None:
            raise self.next
        return issued(*names)

    def renewal(self, chain_pem: bytes) -> tuple[datetime.datetime | None, datetime.datetime]:
        self.asked += 1
        if self.next is not None:
            raise self.next
        return self.renew_at, NOW + 6 * HOUR


def made(orders: FakeOrders, folder: Path, *names: str, now: datetime.datetime = NOW) -> AcmePair:
    store = AcmeStore(folder, "https://acme.example/directory")
    return AcmePair(orders, store, names or (HOST,), StandIn(), now)


def settled(pair: AcmePair, now: datetime.datetime) -> bool:
    """A look, and another one when the thread that it began is over."""
    if pair.look(now):
        return True
    wait_for(lambda: not (pair._thread and pair._thread.is_alive()), what="the order", every_s=0.01)
    return pair.look(now) if pair._thread is not None else False


def test_the_stand_in_is_shown_until_there_is_a_certificate(tmp_path: Path) -> None:
    orders = FakeOrders()
    pair = made(orders, tmp_path)
    assert pair.current() == STAND_IN
    assert settled(pair, NOW)
    assert pair.current() != STAND_IN
    assert orders.ordered == [(HOST,)]


def test_a_certificate_is_kept_over_a_restart_and_ordered_again_for_another_name(
    tmp_path: Path,
) -> None:
    first = made(FakeOrders(), tmp_path)
    assert settled(first, NOW)
    orders = FakeOrders()
    again = made(orders, tmp_path)
    assert again.current() == first.current()
    settled(again, NOW)
    assert orders.ordered == []
    other = made(orders, tmp_path, HOST, "two.venue.example")
    assert settled(other, NOW)
    assert orders.ordered == [(HOST, "two.venue.example")]


def test_a_failure_waits_longer_each_time_and_the_old_certificate_stays(tmp_path: Path) -> None:
    orders = FakeOrders()
    pair = made(orders, tmp_path)
    settled(pair, NOW)
    old = pair.current()
    assert orders.replaced == [None]
    orders.next = RemoteError("ACME.UNREACHABLE", "It is down.")
    now, waits = NOW + 365 * DAY, []
    for _ in range(12):
        failed_at = now
        with pytest.raises(RemoteError, match=r"ACME\.UNREACHABLE"):
            settled(pair, now)
        tried = len(orders.ordered)
        while len(orders.ordered) == tried and not pair._thread:
            now += MINUTE / 4
            pair.look(now)
        waits.append(now - failed_at)
        wait_for(
            lambda: not (pair._thread and pair._thread.is_alive()), what="the order", every_s=0.01
        )
        assert pair.current() == old
    assert set(orders.replaced[1:]) == {old.chain_pem}, "what the next one is to replace"
    assert MINUTE <= waits[0] < 2 * MINUTE
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:7]))
    assert all(wait <= LONGEST_WAIT * 1.3 for wait in waits)
    assert waits[-1] >= LONGEST_WAIT


def test_the_bound_of_the_authority_is_kept(tmp_path: Path) -> None:
    orders = FakeOrders(next=RateLimited("Too many.", 2 * DAY))
    pair = made(orders, tmp_path)
    with pytest.raises(RateLimited):
        settled(pair, NOW)
    settled(pair, NOW + 2 * DAY - MINUTE)
    assert len(orders.ordered) == 1
    with pytest.raises(RateLimited):
        settled(pair, NOW + 2 * DAY)
    assert len(orders.ordered) == 2


def test_the_authority_may_ask_for_an_early_renewal(tmp_path: Path) -> None:
    orders = FakeOrders(renew_at=NOW - HOUR)
    pair = made(orders, tmp_path)
    assert settled(pair, NOW)
    settled(pair, NOW + PAUSE)
    assert orders.asked == 1
    assert settled(pair, NOW + PAUSE)
    assert len(orders.ordered) == 2


def test_an_authority_that_always_says_now_gets_no_order_after_order(tmp_path: Path) -> None:
    orders = FakeOrders(renew_at=NOW - HOUR)
    pair = made(orders, tmp_path)
    now = NOW
    while now < NOW + DAY:
        settled(pair, now)
        now += MINUTE
    assert len(orders.ordered) <= DAY / PAUSE + 1


def test_without_a_suggestion_two_thirds_of_the_life_pass(tmp_path: Path) -> None:
    orders = FakeOrders()
    pair = made(orders, tmp_path)
    settled(pair, NOW)
    life = AUTHORITY.issue_server([HOST], NOW).not_after_unix - NOW.timestamp()
    for share, expected in ((0.6, 1), (0.72, 2)):
        at = NOW + datetime.timedelta(seconds=life * share)
        settled(pair, at)
        settled(pair, at)
        assert len(orders.ordered) == expected


def test_what_a_node_keeps_is_private_and_refused_when_it_is_not(tmp_path: Path) -> None:
    settled(made(FakeOrders(), tmp_path), NOW)
    (file,) = (tmp_path / "acme").rglob("certificate.pem")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(SealcastError, match=r"IDENTITY\.KEY_EXPOSED"):
        made(FakeOrders(), tmp_path)
