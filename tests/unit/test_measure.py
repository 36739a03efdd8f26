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

    def leg_snapshot(self, leg: int) -> bytes | None:
        known = {told["id"]: told for told in self.told["legs"]}
        return json.dumps(known[leg]).encode() if leg in known else None


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


def test_one_leg_is_brought_up_to_date_without_the_others() -> None:
    async def check() -> None:
        seen = Measured()
        first, second, gone = seen.leg(), seen.leg(), seen.leg()
        seen.relay.told = {"legs": [{"id": leg, "bytes_out": 70} for leg in (first, second)]}
        for leg in (first, gone):
            await seen.measure.refresh_leg(leg)
        assert seen.relay.asked == 0, "nobody asked for all"
        sent = [leg.counters.bytes_out for leg in seen.board.ledger]
        assert sent == [70, 0, 0]

    asyncio.run(check())


def test_an_ended_leg_keeps_the_numbers_of_its_end_against_a_snapshot_that_crossed_it() -> None:
    async def check() -> None:
        seen = Measured()
        leg = seen.leg()
        last = {
            "id": leg,
            "bytes_in": 500,
            "receive": [{"packets": 9, "lost": 3, "recovered": 1}],
            "drops": {"SRTP.AUTH_FAILED": 2},
        }
        closed = {"type": "leg_closed", "leg": leg, "code": "DTLS.CLOSED", "last": last}
        seen.board.take_in(json.dumps([closed]).encode())
        dropped = await seen.see(legs=[{"id": leg, "bytes_in": 400}])
        assert dropped == {"SRTP.AUTH_FAILED": 2}
        over = seen.board.ledger.get(leg)
        assert over is not None
        assert over.over
        numbers = over.counters
        assert (numbers.packets_in, numbers.bytes_in, numbers.lost) == (9, 500, 2)
        assert seen.board.ledger.totals.octets["ingest", "in"] == 500

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
