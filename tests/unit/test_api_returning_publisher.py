"""A publisher who is replaced, or vanishes and comes back: what its viewers notice of it."""

from __future__ import annotations

import json
from functools import partial

import pytest
from tests.unit.application import STREAM, Node, behind_the_gate, offer, problem

from sealcast.identity import Verb
from sealcast.legs import LegState
from sealcast.node import switchboard

GRACE_S = 15.0
with_grace = partial(behind_the_gate, grace_s=GRACE_S)


class Clock:
    """`time.monotonic` of the switchboard, moved by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    @staticmethod
    def time() -> float:
        return 1_700_000_000.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard, "time", Clock())
    monkeypatch.setattr(Clock, "now", 1000.0)


def newest_leg(node: Node) -> int:
    leg: int = node.relay.named("add_leg")[-1][1]["id"]
    return leg


async def publish(node: Node, *, live: bool = True) -> int:
    """A publisher, always the same one; its leg."""
    await node.publish(token=node.token(Verb.PUBLISH, subject="camera 1"))
    leg = newest_leg(node)
    if live:
        go_live(node, leg)
    return leg


def go_live(node: Node, leg: int) -> None:
    tracks = [call[1] for call in node.relay.named("add_track")][:2]
    events = [{"type": "track_live", "track": track, "source": leg} for track in tracks]
    node.board.take_in(json.dumps(events).encode())


def vanish(node: Node, leg: int) -> None:
    closed = {"type": "leg_closed", "leg": leg, "code": "ICE.CONSENT_LOST"}
    node.board.take_in(json.dumps([closed]).encode())


async def viewer(node: Node) -> int:
    assert (await node.watch()).status_code == 201
    return newest_leg(node)


@with_grace
async def test_viewers_stay_for_a_publisher_who_comes_back_in_time(node: Node) -> None:
    vanished = await publish(node)
    watching = await viewer(node)
    vanish(node, vanished)
    Clock.now += GRACE_S - 1
    node.board.sweep()
    assert not node.relay.named("close_leg")
    back = await publish(node, live=False)
    assert len(node.relay.named("add_track")) == 2, "the tracks are those that the viewer has"
    go_live(node, back)
    Clock.now += 10 * GRACE_S
    node.board.sweep()
    assert not node.relay.named("close_leg")
    assert not node.relay.named("remove_track")
    leg = node.board.ledger.get(watching)
    assert leg is not None
    assert not leg.over


@with_grace
async def test_viewers_of_a_publisher_who_does_not_come_back_are_told_so(node: Node) -> None:
    vanished = await publish(node)
    watching = await viewer(node)
    vanish(node, vanished)
    Clock.now += GRACE_S
    node.board.sweep()
    assert node.relay.named("close_leg") == [("close_leg", watching, "STREAM.ENDED")]
    leg = node.board.ledger.get(watching)
    assert leg is not None
    assert (leg.state, leg.code) == (LegState.ENDED, "STREAM.ENDED")
    assert len(node.relay.named("remove_track")) == 2
    assert node.board.hub.get(STREAM) is None


@with_grace
async def test_a_newcomer_is_told_to_wait_while_the_publisher_is_away(node: Node) -> None:
    vanished = await publish(node)
    await viewer(node)
    vanish(node, vanished)
    answer = await node.watch()
    problem(answer, 409, "STREAM.ABSENT")
    assert answer.headers["retry-after"]


@with_grace
async def test_a_viewer_who_comes_while_the_publisher_is_replaced_gets_the_stream(
    node: Node,
) -> None:
    old = await publish(node)
    new = await publish(node, live=False)
    watching = await viewer(node)
    sent = [section["track"] for section in node.relay.named("add_leg")[-1][1]["send"]]
    assert sent == [call[1] for call in node.relay.named("add_track")]
    go_live(node, new)
    assert node.relay.named("close_leg") == [("close_leg", old, "STREAM.TAKEN_OVER")]
    leg = node.board.ledger.get(watching)
    assert leg is not None
    assert not leg.over


@with_grace
async def test_with_another_codec_viewers_stay_until_it_is_live(node: Node) -> None:
    await publish(node)
    token = node.token(Verb.PUBLISH, subject="camera 1")
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly", video="VP8"), token)
    assert answer.status_code == 201, answer.text
    new = newest_leg(node)
    watching = await viewer(node)
    vp8 = node.relay.named("add_track")[-1][1]
    live = {"type": "track_live", "track": vp8, "source": new}
    node.board.take_in(json.dumps([live]).encode())
    leg = node.board.ledger.get(watching)
    assert leg is not None
    assert leg.code == "STREAM.CODEC_CHANGED"
