"""What a transport stream says of itself: its PAT, its PMT, the elementary streams.

Does: keeps the packets of the newest PAT and PMT, whole and with a good checksum; knows the PIDs of
the first programme, which of them is a picture and which carries the clock.

Does not: follow a second programme, or read descriptors.

Specs: ISO/IEC 13818-1 §2.4.4.3 (PAT), §2.4.4.8 (PMT), annex A (CRC), table 2-34 (stream types).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sealcast.ts.packet import NULL_PID, begins_unit, payload_of, pid_of

PAT_PID: Final = 0
_PAT_TABLE: Final = 0x00
_PMT_TABLE: Final = 0x02
_LONGEST_SECTION: Final = 1021 + 3
"""§2.4.4.4: section_length is at most 1021."""
PICTURE_TYPES: Final = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x33})
"""MPEG-1 and 2, MPEG-4, H264, H265, H266."""
H264_TYPE: Final = 0x1B


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it came: its section, and the packets that brought it."""

    section: bytes
    packets: tuple[bytes, ...]


@dataclass(slots=True)
class TableReader:
    """Puts the sections of one PID together; those with a wrong checksum are none."""

    table_id: int
    newest: Table | None = None
    _packets: list[bytes] = field(default_factory=list)
    _section: bytes = b""

    @property
    def in_the_middle(self) -> bool:
        """Whether a section has begun that is not whole."""
        return bool(self._packets)

    def push(self, packet: bytes) -> bool:
        """Whether a table has become whole with this packet."""
        payload = payload_of(packet)
        if begins_unit(packet):
            # pointer_field (§2.4.4.2): what stands before it ends a section that began earlier.
            self._packets = [packet]
            self._section = payload[1 + payload[0] :] if payload else b""
        elif self._packets and payload:
            self._packets.append(packet)
            self._section += payload
        else:
            return False
        if len(self._section) < 3:
            return False
        length = 3 + ((self._section[1] & 0x0F) << 8 | self._section[2])
        if length <= _LONGEST_SECTION and len(self._section) < length:
            return False
        section, packets = self._section[:length], tuple(self._packets)
        self._packets, self._section = [], b""
        if section[:1] != bytes([self.table_id]) or length > _LONGEST_SECTION or checksum(section):
            return False
        self.newest = Table(section, packets)
        return True


@dataclass(slots=True)
class Tables:
    """The tables of a stream, and what its newest ones say."""

    streams: dict[int, int] = field(default_factory=dict)
    """Elementary PIDs of the first programme, with their stream types."""
    clock_pid: int = NULL_PID
    """Which PID carries the PCR; `NULL_PID` if none does."""
    pmt_pid: int | None = None
    _pat: TableReader = field(default_factory=lambda: TableReader(_PAT_TABLE))
    _pmt: TableReader = field(default_factory=lambda: TableReader(_PMT_TABLE))

    @property
    def picture_pid(self) -> int | None:
        return next((pid for pid, kind in self.streams.items() if kind in PICTURE_TYPES), None)

    @property
    def packets(self) -> tuple[bytes, ...]:
        """The newest PAT and PMT as packets; empty unless both are there and neither is in the
        middle.
        """
        pat, pmt = self._pat, self._pmt
        if pat.newest is None or pmt.newest is None or pat.in_the_middle or pmt.in_the_middle:
            return ()
        return pat.newest.packets + pmt.newest.packets

    def push(self, packet: bytes) -> bool:
        """Look at a packet; whether it is of one of the two tables."""
        pid = pid_of(packet)
        if pid == PAT_PID:
            if self._pat.push(packet):
                self._read_pat()
            return True
        if pid == self.pmt_pid:
            if self._pmt.push(packet):
                self._read_pmt()
            return True
        return False

    def _read_pat(self) -> None:
        assert self._pat.newest is not None  # noqa: S101 - `push` said that it has become whole
        section = self._pat.newest.section
        for at in range(8, len(section) - 7, 4):
            number = section[at] << 8 | section[at + 1]
            pid = (section[at + 2] & 0x1F) << 8 | section[at + 3]
            if number == 0:  # the network's information, no programme
                continue
            if pid != self.pmt_pid:
                self.pmt_pid, self.streams = pid, {}
                self._pmt = TableReader(_PMT_TABLE)
            return

    def _read_pmt(self) -> None:
        assert self._pmt.newest is not None  # noqa: S101 - `push` said that it has become whole
        section = self._pmt.newest.section
        if len(section) < 16:
            return
        self.clock_pid = (section[8] & 0x1F) << 8 | section[9]
        at = 12 + ((section[10] & 0x0F) << 8 | section[11])
        streams = {}
        while at + 5 <= len(section) - 4:
            streams[(section[at + 1] & 0x1F) << 8 | section[at + 2]] = section[at]
            at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
        self.streams = streams


def checksum(section: bytes) -> int:
    """The CRC of annex A; 0 over a section with its own checksum at its end."""
    value = 0xFFFFFFFF
    for byte in section:
        value = (value << 8) & 0xFFFFFFFF ^ _CRC[value >> 24 ^ byte]
    return value


def _crc_row(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) & 0xFFFFFFFF ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value


_CRC: Final = tuple(_crc_row(byte) for byte in range(256))
