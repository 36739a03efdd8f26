"""The plain bytes of an encoder's connection, as FFmpeg reads them.

Does: hands over what is there, counts it, looks for the sync byte before FFmpeg guesses, knows
whether the stream broke off in the middle of a packet.

Does not: parse more than sync bytes. FFmpeg reads through a Python object and not from the
descriptor itself: some ten reads per second and Mbit, which costs nothing that could be measured.

Specs: ISO/IEC 13818-1 §2.4.3 (packets of 188 bytes, each beginning with 0x47).
"""

from __future__ import annotations

import socket
import time
from typing import Final

from sealcast.errors import RemoteError
from sealcast.ingest.mpegts.events import Counters

PACKET: Final = 188
"""ISO/IEC 13818-1 §2.4.3.1."""
SYNC: Final = 0x47
SYNC_PACKETS: Final = 5
"""As many sync bytes in a row are taken for a transport stream: one by chance is 1 in 2^40."""


class Source:
    """The blocking socket as FFmpeg reads it."""

    def __init__(self, plaintext: socket.socket, counters: Counters) -> None:
        self._socket = plaintext
        self._counters = counters
        self._waiting = b""
        self._skipped = 0
        self.began_ns = 0
        """When the first byte came (`time.monotonic_ns`)."""
        self.ended = False
        """Whether all was read that will ever come."""
        self.name = "encoder"

    @property
    def broken_off(self) -> int:
        """Bytes of a last packet that did not come whole."""
        return (self._counters.bytes_in - self._skipped) % PACKET

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""
        if self._waiting:
            head, self._waiting = self._waiting[:size], self._waiting[size:]
            return head
        return self._receive(size)

    def check_sync(self) -> None:
        """Look at the first packets and keep them for FFmpeg. Raises TS.GARBAGE."""
        wanted = (SYNC_PACKETS + 1) * PACKET
        while len(self._waiting) < wanted:
            more = self._receive(wanted - len(self._waiting))
            if not more:
                break
            self._waiting += more
        for offset in range(min(PACKET, len(self._waiting))):
            column = self._waiting[offset::PACKET]
            enough = len(column) >= min(SYNC_PACKETS, len(self._waiting) // PACKET)
            if enough and all(byte == SYNC for byte in column[:SYNC_PACKETS]):
                self._waiting = self._waiting[offset:]
                self._skipped = offset
                return
        if not self._waiting:
            raise RemoteError("TS.NO_VIDEO", "The connection was closed before any byte came.")
        start = self._waiting[:8].hex(" ")
        raise RemoteError("TS.GARBAGE", f"No sync byte 0x47 every 188 bytes; it begins {start}.")

    def _receive(self, size: int) -> bytes:
        try:
            data = self._socket.recv(size)
        except OSError:
            # Reset or shut down from our side: for a live stream both are simply its end.
            data = b""
        if not data:
            self.ended = True
            return b""
        now = time.monotonic_ns()
        self.began_ns = self.began_ns or now
        self._counters.bytes_in += len(data)
        self._counters.last_byte_ns = now
        return data
