"""Packets of a transport stream: their fields, and how bytes are cut into them.

Does: reads the four bytes of a header and the adaptation field's flags; finds the packets in bytes
that come in pieces of any size, and finds them again after garbage, which it counts.

Does not: take packets of 192 or 204 bytes.

Specs: ISO/IEC 13818-1 §2.4.3.2 and §2.4.3.3 (header), §2.4.3.4 (adaptation field).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PACKET: Final = 188
"""§2.4.3.1."""
SYNC: Final = 0x47
SYNC_PACKETS: Final = 5
"""As many sync bytes in a row are taken for a transport stream: one by chance is 1 in 2^40."""
NULL_PID: Final = 0x1FFF
HEADER: Final = 4
_SYNC: Final = bytes([SYNC])
_NULL_HEADER: Final = bytes([SYNC, NULL_PID >> 8, NULL_PID & 0xFF, 0x10])


def pid_of(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def begins_unit(packet: bytes) -> bool:
    """Whether a PES packet or a section begins in it (`payload_unit_start_indicator`)."""
    return bool(packet[1] & 0x40)


def has_payload(packet: bytes) -> bool:
    return bool(packet[3] & 0x10)


def counter_of(packet: bytes) -> int:
    """Its continuity counter, 0 to 15; it rises with every packet of a PID that has payload."""
    return packet[3] & 0x0F


def with_counter(packet: bytes, counter: int) -> bytes:
    """The same packet, counted otherwise."""
    return packet[:3] + bytes([packet[3] & 0xF0 | counter & 0x0F]) + packet[4:]


def is_random_access(packet: bytes) -> bool:
    """Whether it says of itself that a decoder can begin here (`random_access_indicator`)."""
    return bool(packet[3] & 0x20 and packet[4] and packet[5] & 0x40)


def payload_of(packet: bytes) -> bytes:
    """Its payload; nothing where it has none, or an adaptation field of an impossible length."""
    if not has_payload(packet):
        return b""
    return packet[HEADER + 1 + packet[4] :] if packet[3] & 0x20 else packet[HEADER:]


def null_packet(payload: bytes = b"") -> bytes:
    """A packet that carries nothing. Its bytes may have any value and nobody reads them
    (§2.4.3.3). ValueError if `payload` does not fit.
    """
    if len(payload) > PACKET - HEADER:
        raise ValueError(f"{len(payload)} bytes do not fit into a packet")
    return _NULL_HEADER + payload.ljust(PACKET - HEADER, b"\xff")


@dataclass(slots=True)
class Cutter:
    """Cuts bytes into packets, however they come.

    `skipped` counts the bytes that belonged to none. The first byte is believed to begin a packet;
    after garbage it takes `SYNC_PACKETS` sync bytes in a row.
    """

    skipped: int = 0
    _waiting: bytes = b""
    _in_step: bool = True

    def push(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes, in order."""
        data = self._waiting + data
        packets: list[bytes] = []
        begin = 0
        while True:
            if not self._in_step:
                found = self._step(data, begin)
                self.skipped += found - begin
                begin = found
            if not self._in_step or len(data) - begin < PACKET:
                break
            whole = (len(data) - begin) // PACKET
            column = data[begin : begin + whole * PACKET : PACKET]
            good = len(column) - len(column.lstrip(_SYNC))
            end = begin + good * PACKET
            packets += [data[at : at + PACKET] for at in range(begin, end, PACKET)]
            begin = end
            self._in_step = good == whole
        self._waiting = data[begin:]
        return packets

    def _step(self, data: bytes, begin: int) -> int:
        """Where packets begin again, or how far it is certain that none do."""
        reach = (SYNC_PACKETS - 1) * PACKET
        at = data.find(SYNC, begin)
        while 0 <= at < len(data) - reach:
            if data[at : at + reach + 1 : PACKET] == _SYNC * SYNC_PACKETS:
                self._in_step = True
                return at
            at = data.find(SYNC, at + 1)
        return len(data) if at < 0 else at
