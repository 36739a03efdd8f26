"""Counters of the relay, brought into the ledger and onto the metrics page.

Does: asks the relay for a snapshot at most every `limits.MEASURE_S`, however many ask here, or for
one leg, and turns each leg's numbers into the ledger's. The relay forgets a leg or a track when it
ends: the ledger's sums, and the one kept here, do not.

Does not: keep history; what draws curves asks again. The last numbers of a leg come with the event
of its end.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import msgspec

from sealcast.legs.leg import Counters
from sealcast.node import limits
from sealcast.node.switchboard import Switchboard
from sealcast.wire import (
    LegNumbers,
    RelayNumbers,
    TrackNumbers,
    decode_leg_numbers,
    decode_relay_numbers,
)


class DoorNumbers(msgspec.Struct, frozen=True):
    """One door of the front."""

    accepted: int = 0
    handshakes: int = 0
    requests: int = 0
    open: int = 0
    handshaking: int = 0
    codes: dict[str, int] = {}


class Measure:
    """The one who asks the relay."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._board = switchboard
        self._asked_at = float("-inf")
        self._taken_at = time.monotonic()
        self._took_s = 0.0
        self._asking = asyncio.Lock()
        self.relay = RelayNumbers()
        """The newest numbers."""
        self._track_drops: Counter[str] = Counter()

    async def refresh(self) -> RelayNumbers:
        """Bring the ledger's counters up to date."""
        async with self._asking:
            began = time.monotonic()
            if began - self._asked_at >= self._pause_s():
                # The relay answers between two turns of its loop; ours must not wait for that.
                data = await asyncio.to_thread(self._board.relay.snapshot)
                self._asked_at = time.monotonic()
                self._taken_at = began
                self._took_s = self._asked_at - began
                before, self.relay = self.relay, decode_relay_numbers(data)
                self._count(self.relay.legs)
                self._sum_up(before.tracks, self.relay.tracks)
        return self.relay

    async def refresh_leg(self, leg: int) -> None:
        """Bring one leg's counters up to date, without the others: a viewer asks for its own."""
        data = await asyncio.to_thread(self._board.relay.leg_snapshot, leg)
        if data is not None:
            self._count((decode_leg_numbers(data),))

    def _pause_s(self) -> float:
        """Until the relay is asked again: longer where an answer costs it much."""
        fair = self._took_s / limits.MEASURE_SHARE
        return min(limits.MEASURE_UNASKED_S, max(limits.MEASURE_S, fair))

    def age_s(self) -> float:
        """How old the numbers are at most, in seconds: nothing that happened before is missing."""
        return time.monotonic() - self._taken_at

    def drops(self) -> Counter[str]:
        """All that was dropped by now, by code: before it reached a leg, by legs, by tracks."""
        return Counter(self.relay.drops) + self._board.ledger.totals.drops + self._track_drops

    def _count(self, legs: Iterable[LegNumbers]) -> None:
        for leg in legs:
            self._board.ledger.count(leg.id, Counters.of_media(leg))

    def _sum_up(self, before: Iterable[TrackNumbers], after: Iterable[TrackNumbers]) -> None:
        known = {track.id: track.drops for track in before}
        for track in after:
            last = known.get(track.id, {})
            for code, number in track.drops.items():
                self._track_drops[code] += max(0, number - last.get(code, 0))
