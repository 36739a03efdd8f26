"""The plain bytes of an encoder's connections, as FFmpeg reads them.

Does: hands over what is there, counts it, looks for the sync byte before FFmpeg guesses, knows
whether the stream broke off in the middle of a packet. When a connection ends and another one was
appended that continues it, the bytes of that one follow: whoever reads sees one stream.

Does not: parse more than sync bytes and announcements. FFmpeg reads through a Python object and not
from the descriptor itself: some ten reads per second and Mbit, which costs nothing that could be
measured.

Specs: ISO/IEC 13818-1 §2.4.3 (packets of 188 bytes, each beginning with 0x47).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from sealcast.errors import RemoteError
from sealcast.ingest.mpegts.events import Counters
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import NULL_PID, PACKET, SYNC, SYNC_PACKETS, pid_of

HEIRS: Final = 4
"""Connections that may wait for the present one to end."""
_PEEKED: Final = 64 * 1024


class Inlet:
    """One connection's plain bytes: a blocking stream socket."""

    def __init__(self, plaintext: socket.socket) -> None:
        plaintext.setblocking(True)
        self._socket = plaintext
        self._waiting = b""
        self._skipped = 0
        self.counters = Counters()
        self.began_ns = 0
        """When the first byte behind an announcement came (`time.monotonic_ns`)."""

    @property
    def broken_off(self) -> int:
        """Bytes of a last packet that did not come whole."""
        return (self.counters.bytes_in - self._skipped) % PACKET

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""
        if self._waiting:
            head, self._waiting = self._waiting[:size], self._waiting[size:]
            return head
        return self._receive(size)

    def announced(self) -> Announcement | None:
        """What the encoder says before its stream begins; None where it says nothing."""
        if not self._keep(PACKET):
            return None
        announcement = read_announcement(self._waiting[:PACKET])
        if announcement is not None:
            self._waiting = self._waiting[PACKET:]
            self.began_ns = 0
        return announcement

    def admit(self, announcement: Announcement) -> None:
        """Answer an announcement."""
        # Whoever is gone by now needs no answer.
        with contextlib.suppress(OSError):
            self._socket.sendall(Announcement(Word.ADMITTED, announcement.run).packet())

    def check_sync(self) -> None:
        """Look at the first packets and keep them for FFmpeg. Raises TS.GARBAGE."""
        self._keep((SYNC_PACKETS + 1) * PACKET)
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

    def has_media(self) -> bool:
        """Whether something waits in it that is not a null packet."""
        try:
            there = self._socket.recv(_PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        # It begins with a whole packet: nothing but the announcement was read.
        starts = range(0, len(there) - 2, PACKET)
        return any(pid_of(there[at : at + 3]) != NULL_PID for at in starts)

    def shut(self) -> None:
        """End it from any thread: a pending read returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def _keep(self, size: int) -> bool:
        """Read until `size` bytes wait; whether so many came."""
        while len(self._waiting) < size:
            more = self._receive(size - len(self._waiting))
            if not more:
                return False
            self._waiting += more
        return True

    def _receive(self, size: int) -> bytes:
        try:
            data = self._socket.recv(size)
        except OSError:
            # Reset or shut down from our side: for a live stream both are simply its end.
            return b""
        if data:
            now = time.monotonic_ns()
            self.began_ns = self.began_ns or now
            self.counters.bytes_in += len(data)
            self.counters.last_byte_ns = now
        return data


class Source:
    """One inlet after another, as FFmpeg reads them.

    `succeeded` is called from the reading thread when an inlet has ended and its heir begins.
    """

    def __init__(self, inlet: Inlet, succeeded: Callable[[Inlet], None]) -> None:
        self._succeeded = succeeded
        self._heirs: deque[Inlet] = deque()
        self._takes_heirs = True
        # The event loop's thread appends and ends, the worker's reads.
        self._lock = threading.Lock()
        self.present = inlet
        self.ended = False
        """Whether all was read that will ever come."""
        self.name = "encoder"

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end of the last inlet."""
        while True:
            if data := self.present.read(size):
                return data
            with self._lock:
                if not self._heirs:
                    self.ended, self._takes_heirs = True, False
                    return b""
                before, self.present = self.present, self._heirs.popleft()
            before.close()
            self._succeeded(self.present)

    def append(self, heir: Inlet) -> bool:
        """What comes of `heir` follows when the inlets before it have ended. False: too late."""
        with self._lock:
            if not self._takes_heirs or len(self._heirs) >= HEIRS:
                return False
            self._heirs.append(heir)
            return True

    def withdraw(self, heir: Inlet) -> bool:
        """Forget an heir whose turn has not come; whether it was one."""
        with self._lock:
            if heir not in self._heirs:
                return False
            self._heirs.remove(heir)
        heir.close()
        return True

    def ends_with(self, inlet: Inlet) -> bool:
        """Whether `inlet` is the last there is; then none is appended any more."""
        with self._lock:
            is_last = inlet is self.present and not self._heirs
            self._takes_heirs = self._takes_heirs and not is_last
        return is_last

    def close(self) -> None:
        """Close every inlet, and take no more."""
        with self._lock:
            self._takes_heirs = False
            inlets = [self.present, *self._heirs]
            self._heirs.clear()
        for inlet in inlets:
            inlet.close()
