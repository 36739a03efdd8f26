"""ICE: checks and answers from those who are not the peer, or who do not know its password."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from . import stun
from .conftest import Join
from .control import FPS, Control
from .counters import DROPPED_PACKETS, Counters
from .peer import Peer
from .stranger import Stranger

A_MOMENT_S = 0.3
"""An answer on loopback takes less than a hundredth of it."""
SOURCES = 16
"""As many addresses may a leg have (crates/leg)."""


@pytest.fixture
def victim(control: Control) -> Peer:
    """The control viewer: whatever is tried on its leg must not cost it a frame."""
    return control.viewer.peer


@pytest.fixture
def stranger(victim: Peer) -> Iterator[Stranger]:
    with Stranger(victim.known.address) as somebody:
        yield somebody


CHECKS = {
    "the right username and a wrong password": (
        {"password": "x" * 32},
        "ICE.BAD_INTEGRITY",
    ),
    "the right username and the peer's own password": (
        {"password": "{own}"},
        "ICE.BAD_INTEGRITY",
    ),
    "a peer's name that is not the peer's": (
        {"username": "{node}:stranger"},
        "ICE.UNKNOWN_UFRAG",
    ),
    "a leg's name that no leg has": (
        {"username": "stranger:{peer}"},
        "ICE.UNKNOWN_UFRAG",
    ),
    "a name without a colon": ({"username": "{node}"}, "ICE.MALFORMED"),
}


@pytest.mark.parametrize("what", CHECKS)
def test_a_check_is_dropped_unanswered_that_has(
    victim: Peer, stranger: Stranger, counters: Counters, what: str
) -> None:
    changes, code = CHECKS[what]
    words = {
        name: text.format(node=victim.known.ufrag, peer=victim.offer.ufrag, own=victim.offer.pwd)
        for name, text in changes.items()
    }
    tries = 5
    with counters.rise(DROPPED_PACKETS, by=tries, code=code):
        stranger.send(victim.check(**words) for _ in range(tries))
    assert stranger.listen(A_MOMENT_S) == []


def test_a_check_without_integrity_is_dropped_unanswered(
    victim: Peer, stranger: Stranger, counters: Counters
) -> None:
    good = victim.check()
    # The attributes before MESSAGE-INTEGRITY, which takes 24 bytes, as FINGERPRINT takes 8.
    bare = bytearray(good[: len(good) - 32])
    bare[2:4] = (len(bare) - 20).to_bytes(2, "big")
    with counters.rise(DROPPED_PACKETS, code="ICE.MALFORMED"):
        stranger.send([bytes(bare)])
    assert stranger.listen(A_MOMENT_S) == []


def test_damaged_checks_are_dropped_unanswered(
    victim: Peer, stranger: Stranger, counters: Counters
) -> None:
    good = victim.check()
    cuts = [good[:length] for length in range(20, len(good), 7)]
    with counters.rise(DROPPED_PACKETS, by=len(cuts), code="ICE.MALFORMED"):
        stranger.send(cuts)
    assert stranger.listen(A_MOMENT_S) == []


def test_a_genuine_check_replayed_from_elsewhere_moves_no_media(
    attacked: Node, control: Control, victim: Peer, stranger: Stranger
) -> None:
    """The strongest spoofed source: its check is authentic, and it nominates."""
    path = attacked.leg(stream="control", role="delivery", state="live")["path"]
    before = control.newest()
    stranger.send([victim.check()])
    wait_for(lambda: control.newest() > before + FPS // 2, what="half a second of media")
    heard = stranger.listen(A_MOMENT_S)
    assert heard, "an authentic check is answered, and its source is asked in turn"
    assert all(stun.is_stun(datagram) for datagram in heard), "no media goes to it"
    assert attacked.leg(stream="control", role="delivery", state="live")["path"] == path


def test_a_spoofed_source_cannot_answer_for_the_peer(
    attacked: Node, victim: Peer, stranger: Stranger, counters: Counters
) -> None:
    """It replays a check, is asked in turn, and would have to know the peer's password."""
    stranger.send([victim.check()])
    asked = [
        stun.read(datagram)
        for datagram in stranger.listen(A_MOMENT_S)
        if stun.read(datagram).kind == stun.REQUEST
    ]
    assert asked
    with counters.rise(DROPPED_PACKETS, by=len(asked), code="ICE.BAD_INTEGRITY"):
        stranger.send(stun.answer(request, ("127.0.0.1", 9), "x" * 32) for request in asked)
    path = attacked.leg(stream="control", role="delivery", state="live")["path"]
    assert path["remote"] == victim.remote


def test_an_answer_to_nothing_is_dropped(
    join: Join, stranger: Stranger, counters: Counters
) -> None:
    known = join("whep", "control")
    known.signal()
    known.find_path()
    request = stun.Message(stun.REQUEST, secrets.token_bytes(12), {})
    answer = stun.answer(request, known.address, known.offer.pwd)
    with counters.rise(DROPPED_PACKETS, code="ICE.UNEXPECTED_RESPONSE"):
        known.send([answer])
    with counters.rise(DROPPED_PACKETS, code="RELAY.UNKNOWN_SOURCE"):
        stranger.send([answer])


def test_a_leg_has_no_more_sources_than_its_limit(join: Join, counters: Counters) -> None:
    """Whoever can replay a peer's check from many addresses fills one leg's table and no other."""
    known = join("whep", "control")
    known.signal()
    known.find_path()
    beyond = 4
    with counters.rise(DROPPED_PACKETS, by=beyond, code="ICE.TOO_MANY_SOURCES"):
        for _ in range(SOURCES - 1 + beyond):
            with Stranger(known.known.address) as somebody:
                somebody.send([known.check()])
    known.shake_hands()
    assert known.dtls.is_done, "the peer goes on as if nothing had been"
