"""Counters of the relay: asked for seldom, and never going back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from tests.unit.native_stand_ins import FakeRelay

from sealcast.keying import Identity, Proof
from sealcast.keying.agreement import TlsClaim
from sealcast.legs import Ledger
from sealcast.node import limits
from sealcast.node.measure import Measure
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Channel, Role, admit, load
from sealcast.streams import Hub
from sealcast.wire import TlsFacts

PEER = Identity("encoder", Proof.CERTIFICATE)
GRANT = admit(TlsClaim(TlsFacts(version="1.3")), Channel("1.3", PEER), Role.INGEST, load("strict"))


class Telling(FakeRelay):
    """A relay whose snapshot is given."""

    told: dict[str, Any]
    asked = 0

    def snapshot(self) -> bytes:
        self.asked += 1
        return json.dumps(self.told).encode()


class Measured:
    """A measure over a relay that tells what it is told."""

    def __init__(self) -> None:
        self.relay = Telling()
        self.board = Switchboard(self.relay, Hub(), Ledger())
        self.measure = Measure(self.board)

    def leg(self) -> int:
        leg = self.board.ledger.new_id()
        local = Identity("node", Proof.CERTIFICATE)
        self.board.ledger.open(leg, grant=GRANT, way="whip", stream="a", local=local, now=1.0)
        return leg

    async def see(self, **told: Any) -> Counter[str]:
        self.relay.told = told
        self.measure._asked_at = float("-inf")
        await self.measure.refresh()
        return self.measure.drops()


def test_what_a_leg_dropped_stays_counted_when_it_is_over() -> None:
    async def check() -> None:
        seen = Measured()
        first, second = seen.leg(), seen.leg()
        one = {"id": first, "drops": {"SRTP.AUTH_FAILED": 3}, "bytes_in": 100}
        two = {"id": second, "drops": {"SRTP.AUTH_FAILED": 4, "SRTP.REPLAYED": 1}}
        assert await seen.see(legs=[one, two]) == {"SRTP.AUTH_FAILED": 7, "SRTP.REPLAYED": 1}
        seen.board.ledger.close(second, "LEG.DELETED", None, 2.0)
        assert await seen.see(legs=[one]) == {"SRTP.AUTH_FAILED": 7, "SRTP.REPLAYED": 1}
        grown = {**one, "drops": {"SRTP.AUTH_FAILED": 5}, "bytes_in": 250}
        assert await seen.see(legs=[grown]) == {"SRTP.AUTH_FAILED": 9, "SRTP.REPLAYED": 1}
        assert seen.board.ledger.totals.octets["ingest", "in"] == 250

    asyncio.run(check())


def test_numbers_that_come_after_a_legs_end_are_its_last_ones() -> None:
    async def check() -> None:
        seen = Measured()
        leg = seen.leg()
        seen.board.ledger.close(leg, "ICE.CONSENT_LOST", None, 2.0)
        assert await seen.see(legs=[{"id": leg, "bytes_in": 9, "drops": {"RTP.TOO_OLD": 2}}]) == {
            "RTP.TOO_OLD": 2
        }
        over = seen.board.ledger.get(leg)
        assert over is not None
        assert over.counters.bytes_in == 9

    asyncio.run(check())


def test_what_a_track_dropped_stays_counted_when_it_is_removed() -> None:
    async def check() -> None:
        seen = Measured()
        track = {"id": 1, "drops": {"RELAY.TAP_FULL": 2}}
        assert await seen.see(tracks=[track], drops={"ICE.MALFORMED": 1}) == {
            "RELAY.TAP_FULL": 2,
            "ICE.MALFORMED": 1,
        }
        other = {"id": 2, "drops": {"RELAY.TAP_FULL": 1}}
        assert await seen.see(tracks=[other], drops={"ICE.MALFORMED": 1}) == {
            "RELAY.TAP_FULL": 3,
            "ICE.MALFORMED": 1,
        }

    asyncio.run(check())


def test_however_many_ask_the_relay_is_asked_once() -> None:
    async def check() -> None:
        seen = Measured()
        seen.relay.told = {}
        await asyncio.gather(*(seen.measure.refresh() for _ in range(50)))
        assert seen.relay.asked == 1

    asyncio.run(check())


@pytest.mark.parametrize(
    ("took_s", "pause_s"),
    [
        (0.0, limits.MEASURE_S),
        (0.02, 0.02 / limits.MEASURE_SHARE),
        (10.0, limits.MEASURE_UNASKED_S),
    ],
)
def test_a_relay_for_which_answers_are_dear_is_asked_more_seldom(
    took_s: float, pause_s: float
) -> None:
    measure = Measured().measure
    measure._took_s = took_s
    assert measure._pause_s() == pause_s
