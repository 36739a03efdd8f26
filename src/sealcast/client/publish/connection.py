"""One connection to a node's ingest door.

Does: a TLS leg with the announcement that every connection begins with, and the node's answer to
it; takes bytes to send without waiting, says how many of them still wait, and ends with
close_notify after the last.

Does not: decide what is sent, or connect again.

Specs: RFC 8446 §6.1 (close_notify); `sealcast.ts.announcement`.

The caller must still: look at `backlog` before `send`: this keeps whatever it is given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sealcast.client.publish.identity import Presented
from sealcast.client.tls_leg import TlsLeg, connect
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.tls import TlsPolicy
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import PACKET
from sealcast.wire import TlsFacts

PORT: Final = 8445
FINISH_S: Final = 5.0
"""How long what waits may take to leave."""
POLICY: Final = TlsPolicy(min_version="1.3")
"""Before 1.3 a client's certificate crosses the network in the clear."""


@dataclass(frozen=True, slots=True)
class Address:
    """A node's ingest door."""

    host: str
    port: int

    @staticmethod
    def parse(url: str) -> Address:
        """Of `tls://HOST[:PORT]`; PUBLISH.BAD_ADDRESS."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or PORT
            (host or "").encode("idna")  # what no resolver could ask for
        except ValueError as error:
            raise LocalError("PUBLISH.BAD_ADDRESS", f"It was {url!r:.80}: {error}.") from error
        if parts.scheme != "tls" or not host or parts.path not in ("", "/") or parts.username:
            raise LocalError("PUBLISH.BAD_ADDRESS", f"It was {url!r:.80}.")
        return Address(host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connection:
    """An open connection; `open` makes one. `backlog` is how many bytes wait to be sent."""

    def __init__(self, leg: TlsLeg, presented: Presented, when_over: Callable[[], None]) -> None:
        self.presented = presented
        self.facts: TlsFacts = leg.facts
        self.backlog = 0
        self._leg = leg
        self._waiting: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._admitted = asyncio.Event()
        self._over = asyncio.Event()
        self._reason: SealcastError | None = None
        self._when_over = when_over
        self._tasks = (asyncio.create_task(self._pump()), asyncio.create_task(self._listen()))

    @classmethod
    async def open(
        cls,
        address: Address,
        presented: Presented,
        announcement: Announcement,
        when_over: Callable[[], None],
    ) -> Connection:
        """Connect, shake hands, announce. `when_over` is called when the other end closes it.

        What `sealcast.client.tls_leg.connect` raises.
        """
        leg = await connect(
            address.host,
            address.port,
            presented.roots_pem,
            identity=presented.identity,
            policy=POLICY,
        )
        connection = cls(leg, presented, when_over)
        connection.send(announcement.packet())
        return connection

    @property
    def is_open(self) -> bool:
        return not self._over.is_set()

    @property
    def why(self) -> SealcastError:
        """Why it is over."""
        return self._reason or RemoteError("PUBLISH.NODE_GONE", "It closed the connection.")

    async def admitted(self, wait_s: float) -> bool:
        """Whether the node said in time that we may send. Raises what ended the connection."""
        await _first(self._over, self._admitted, wait_s)
        if not self.is_open:
            raise self.why
        return self._admitted.is_set()

    def send(self, data: bytes) -> None:
        """Whole packets; nothing happens once the connection is over."""
        if data and self.is_open:
            self._waiting.append(data)
            self.backlog += len(data)
            self._empty.clear()
            self._more.set()

    async def finish(self) -> bool:
        """Send what waits, say goodbye, wait until the node has heard it; whether all was sent."""
        self._when_over = _nothing
        await _first(self._over, self._empty, FINISH_S)
        is_sent = self.is_open and self.backlog == 0
        self._end(None)
        self._cancel()
        try:
            async with asyncio.timeout(FINISH_S):
                await self._leg.close()
        except TimeoutError:
            is_sent = False
        finally:
            self._leg.abort()
        return is_sent

    def abort(self) -> None:
        """End it at once; what waits is not sent."""
        self._when_over = _nothing
        self._end(None)
        self._cancel()
        self._leg.abort()

    # ---- inside --------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Send what waits, one write at a time: the leg keeps back what the network does."""
        try:
            while True:
                while self._waiting:
                    data = self._waiting.popleft()
                    await self._leg.write(data)
                    self.backlog -= len(data)
                self._empty.set()
                self._more.clear()
                await self._more.wait()
        except SealcastError as error:
            self._end(error)

    async def _listen(self) -> None:
        heard = b""
        try:
            while plain := await self._leg.read():
                # Nothing but one answer is expected; whatever else comes is not kept.
                heard = (heard + plain)[:PACKET]
                told = read_announcement(heard)
                if told is not None and told.word is Word.ADMITTED:
                    self._admitted.set()
        except SealcastError as error:
            self._end(error)
        else:
            self._end(None)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _end(self, reason: SealcastError | None) -> None:
        if self.is_open:
            self._reason = reason
            self._over.set()
            self._when_over()


async def _first(one: asyncio.Event, other: asyncio.Event, wait_s: float) -> None:
    """Wait for either, but not longer."""
    waiting = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waiting, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _nothing() -> None: ...
