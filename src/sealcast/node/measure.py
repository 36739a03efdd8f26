"""Counters of the relay, brought into the ledger and onto the metrics page.

Does: asks the relay for a snapshot at most every `limits.MEASURE_S`, however many ask here, and
turns each leg's numbers into the ledger's. The relay forgets a leg or a track when it ends: the
ledger's sums, and the one kept here, do not.

Does not: keep history; what draws curves asks again. The last numbers of a leg are those of the
last time that anybody asked.
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


class Received(msgspec.Struct, frozen=True):
    """A section that we receive."""

    packets: int = 0
    lost: int = 0
    recovered: int = 0


class Sent(msgspec.Struct, frozen=True):
    """A section that we send; `lost` as the viewer tells."""

    packets: int = 0
    retransmitted: int = 0
    lost: int = 0


class LegNumbers(msgspec.Struct, frozen=True):
    """One leg of the relay."""

    id: int
    rtt_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    drops: dict[str, int] = {}
    receive: tuple[Received, ...] = ()
    send: tuple[Sent, ...] = ()

    def counters(self) -> Counters:
        """In the ledger's words."""
        return Counters(
            packets_in=sum(section.packets for section in self.receive),
            packets_out=sum(section.packets for section in self.send),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            # A lost packet that a retransmission brought was not lost to anybody.
            lost=sum(max(0, section.lost - section.recovered) for section in self.receive)
            + sum(max(0, section.lost) for section in self.send),
            retransmitted=sum(section.retransmitted for section in self.send)
            + sum(section.recovered for section in self.receive),
            rtt_ms=self.rtt_ms,
            drops=self.drops,
        )


class TrackNumbers(msgspec.Struct, frozen=True):
    """One track."""

    id: int
    kind: str = ""
    codec: str = ""
    packets: int = 0
    bytes: int = 0
    key_frames: int = 0
    bits_per_second: float = 0.0
    drops: dict[str, int] = {}


class SocketNumbers(msgspec.Struct, frozen=True):
    """One UDP socket: datagrams, and the system calls that they took."""

    address: str = ""
    receive_buffer: int = 0
    send_buffer: int = 0
    datagrams_in: int = 0
    receive_calls: int = 0
    datagrams_out: int = 0
    send_calls: int = 0
    would_block: int = 0


class RelayNumbers(msgspec.Struct, frozen=True):
    """All of the relay."""

    legs: tuple[LegNumbers, ...] = ()
    tracks: tuple[TrackNumbers, ...] = ()
    sockets: tuple[SocketNumbers, ...] = ()
    drops: dict[str, int] = {}
    events_lost: int = 0
    cpu_us: int = 0


class DoorNumbers(msgspec.Struct, frozen=True):
    """One door of the front."""

    accepted: int = 0
    handshakes: int = 0
    requests: int = 0
    open: int = 0
    handshaking: int = 0
    codes: dict[str, int] = {}


_RELAY = msgspec.json.Decoder(RelayNumbers)


class Measure:
    """The one who asks the relay."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._board = switchboard
        self._asked_at = float("-inf")
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
                self._took_s = self._asked_at - began
                before, self.relay = self.relay, _RELAY.decode(data)
                self._count(self.relay.legs)
                self._sum_up(before.tracks, self.relay.tracks)
        return self.relay

    def _pause_s(self) -> float:
        """Until the relay is asked again: longer where an answer costs it much."""
        fair = self._took_s / limits.MEASURE_SHARE
        return min(limits.MEASURE_UNASKED_S, max(limits.MEASURE_S, fair))

    def drops(self) -> Counter[str]:
        """All that was dropped by now, by code: before it reached a leg, by legs, by tracks."""
        return Counter(self.relay.drops) + self._board.ledger.totals.drops + self._track_drops

    def _count(self, legs: Iterable[LegNumbers]) -> None:
        for leg in legs:
            self._board.ledger.count(leg.id, leg.counters())

    def _sum_up(self, before: Iterable[TrackNumbers], after: Iterable[TrackNumbers]) -> None:
        known = {track.id: track.drops for track in before}
        for track in after:
            last = known.get(track.id, {})
            for code, number in track.drops.items():
                self._track_drops[code] += max(0, number - last.get(code, 0))
