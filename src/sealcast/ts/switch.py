"""One transport stream, spread over a connection that ends and the one that takes its place.

Does: from `change` on, sends PAT, PMT and everything of the picture to the coming connection as
soon as a decoder can begin at the picture, and each other PID from its next payload unit on. So the
coming connection carries a transport stream that is whole from its first packet, the one before
ends with whole units, and what both carried, one after the other, is the input: every packet once,
in order in each PID, without a step in any continuity counter. Only PAT and PMT stand in it once
more, and they are counted on from there.

Does not: own connections, measure time or drop anything. What nobody wants is the caller's to leave
out: a stream that had no connection for a while is a `change` whose first half goes nowhere.

Specs: ISO/IEC 13818-1 §2.4.3.3 (continuity_counter, payload_unit_start_indicator), §2.4.3.5
(random_access_indicator), ITU-T H.264 table 7-1 (NAL unit types).

The caller must still: end a change that takes too long with `finish`: a PID that nothing comes of
keeps it open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sealcast.ts.packet import (
    NULL_PID,
    begins_unit,
    counter_of,
    has_payload,
    is_random_access,
    payload_of,
    pid_of,
    with_counter,
)
from sealcast.ts.tables import H264_TYPE, PAT_PID, Tables

_FIRST_NAL: Final = re.compile(rb"\x00\x00\x01([\x01-\xff])", re.DOTALL)
_IDR, _SPS, _SLICE = 5, 7, 1


class Phase(Enum):
    """Where a change stands."""

    STEADY = "steady"
    """Everything goes to the present connection."""
    AWAITING = "awaiting"
    """A change was asked for, and the picture has not come to where a decoder can begin."""
    CHANGING = "changing"
    """The picture goes to the coming connection, and some PID still to the present one."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What becomes of some packets. `present` comes before `coming`.

    `is_over`: the change is complete; the coming connection is the present one from now on.
    """

    present: bytes
    coming: bytes
    is_over: bool


@dataclass(slots=True)
class Switch:
    """Where each packet goes."""

    phase: Phase = Phase.STEADY
    _tables: Tables = field(default_factory=Tables)
    _hurried: bool = False
    _moved: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)
    _counted_on: dict[int, int] = field(default_factory=dict)
    """How many packets of a table's PID were put in so far."""
    _counters: dict[int, int] = field(default_factory=dict)
    """The counter of the last packet of each table's PID, as it went out."""

    def change(self) -> None:
        """Go over to the coming connection where the picture next allows it."""
        self.phase, self._hurried = Phase.AWAITING, False
        self._moved = set()

    def hurry(self) -> None:
        """Do not wait for a place where a decoder can begin: the next picture will do."""
        self._hurried = True

    def cancel(self) -> None:
        """The coming connection is gone: stay with the present one. Units that it had begun to
        carry are broken off.
        """
        self.phase = Phase.STEADY

    def finish(self) -> bool:
        """Wait for no further PID. Whether a change was under way, which is over now."""
        was_changing = self.phase is Phase.CHANGING
        if was_changing:
            self.phase = Phase.STEADY
        return was_changing

    def push(self, packets: Iterable[bytes]) -> Spread:
        """Where these packets go."""
        present: list[bytes] = []
        coming: list[bytes] = []
        began = self.phase
        for packet in packets:
            pid = pid_of(packet)
            is_table = self._tables.push(packet)
            if is_table:
                packet = self._counted(pid, packet)
            else:
                # Whatever it is: what comes before the PMT may be of a stream that it names.
                self._seen.add(pid)
            if self.phase is Phase.AWAITING and self._may_begin(pid, packet):
                self._begin(pid)
                coming += self._tables_again()
            elif self.phase is Phase.CHANGING and self._may_move(pid, packet):
                self._moved.add(pid)
            if began is not Phase.STEADY and (
                self.phase is Phase.STEADY or (self.phase is Phase.CHANGING and pid in self._moved)
            ):
                coming.append(packet)
            else:
                present.append(packet)
            if self.phase is Phase.CHANGING and not self._waits():
                self.phase = Phase.STEADY
        is_over = began is not Phase.STEADY and self.phase is Phase.STEADY
        return Spread(b"".join(present), b"".join(coming), is_over)

    # ---- inside --------------------------------------------------------------------------------

    def _may_begin(self, pid: int, packet: bytes) -> bool:
        """Whether the coming connection can begin with this packet."""
        if not begins_unit(packet) or not self._tables.packets:
            return False
        picture = self._tables.picture_pid
        if picture is None:
            return pid in self._tables.streams
        return pid == picture and (self._hurried or self._is_key(pid, packet))

    def _is_key(self, pid: int, packet: bytes) -> bool:
        if is_random_access(packet):
            return True
        # Not every multiplexer sets the flag. H264's first NAL units stand in the first packet.
        if self._tables.streams[pid] != H264_TYPE:
            return False
        for found in _FIRST_NAL.finditer(payload_of(packet)):
            kind = found[1][0] & 0x1F
            # A PES packet begins with the same three bytes and a stream_id of 0xE0 or above.
            if found[1][0] < 0x80 and kind in (_IDR, _SPS, _SLICE):
                return kind != _SLICE
        return False

    def _begin(self, pid: int) -> None:
        self.phase = Phase.CHANGING
        tables = {PAT_PID, self._tables.pmt_pid or PAT_PID}
        self._moved = {pid, NULL_PID, *tables}
        if self._tables.clock_pid not in self._tables.streams:
            # A PID of its own for the clock has no units; the coming stream needs it at once.
            self._moved.add(self._tables.clock_pid)

    def _waits(self) -> bool:
        """Whether a stream of the programme is still carried by the present connection."""
        return not (self._tables.streams.keys() & self._seen) <= self._moved

    def _may_move(self, pid: int, packet: bytes) -> bool:
        return pid not in self._moved and has_payload(packet) and begins_unit(packet)

    def _counted(self, pid: int, packet: bytes) -> bytes:
        added = self._counted_on.get(pid, 0)
        if added:
            packet = with_counter(packet, counter_of(packet) + added)
        self._counters[pid] = counter_of(packet)
        return packet

    def _tables_again(self) -> list[bytes]:
        """PAT and PMT once more, counted on from the last of their packets."""
        again = []
        for packet in self._tables.packets:
            pid = pid_of(packet)
            counter = self._counters[pid] + 1
            again.append(with_counter(packet, counter))
            self._counters[pid] = counter & 0x0F
            self._counted_on[pid] = self._counted_on.get(pid, 0) + 1
        return again
