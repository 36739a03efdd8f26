"""One connection to a node's ingest door.

Does: TCP, TLS, the announcement that every connection begins with and the node's answer to it;
takes bytes to send, says how many of them still wait, ends with close_notify after the last.

Does not: decide what is sent, or connect again.

Specs: RFC 8446 §6.1 (close_notify); `sealcast.ts.announcement`.

The caller must still: look at `backlog` before `send`: this keeps whatever it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sealcast.client.publish.identity import Presented
from sealcast.client.publish.tls import Negotiated, TlsClient
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import PACKET

PORT: Final = 8445
CONNECT_S: Final = 10.0
"""TCP and TLS together."""
FINISH_S: Final = 5.0
"""How long what waits may take to leave."""


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
        except ValueError as error:
            raise LocalError("PUBLISH.BAD_ADDRESS", f"It was {url!r:.80}: {error}.") from error
        if parts.scheme != "tls" or not host or parts.path not in ("", "/") or parts.username:
            raise LocalError("PUBLISH.BAD_ADDRESS", f"It was {url!r:.80}.")
        return Address(host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connection(asyncio.Protocol):
    """An open connection. `open` makes one."""

    def __init__(self, tls: TlsClient, presented: Presented, when_over: Callable[[], None]) -> None:
        self.presented = presented
        self.reason: SealcastError | None = None
        """Why the other end closed it; None while it is open, or if nobody said why."""
        self._tls = tls
        self._when_over = when_over
        self._transport: asyncio.Transport | None = None
        self._secured = asyncio.Event()
        self._admitted = asyncio.Event()
        self._lost = asyncio.Event()
        self._heard = b""
        self._is_over = False

    @classmethod
    async def open(
        cls,
        address: Address,
        tls: TlsClient,
        presented: Presented,
        announcement: Announcement,
        when_over: Callable[[], None],
    ) -> Connection:
        """Connect, shake hands, announce. `when_over` is called when the other end closes it.

        CLIENT.UNREACHABLE, CLIENT.NODE_UNPROVED, PUBLISH.REFUSED, PUBLISH.NODE_GONE.
        """
        loop = asyncio.get_running_loop()
        connection = cls(tls, presented, when_over)
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: connection, address.host, address.port)
                await connection._secured.wait()
        except TimeoutError as error:
            connection.abort()
            raise RemoteError("CLIENT.UNREACHABLE", f"{address}: no answer in time.") from error
        except OSError as error:
            words = error.strerror or str(error)
            raise RemoteError("CLIENT.UNREACHABLE", f"{address}: {words}.") from error
        except asyncio.CancelledError:
            connection.abort()
            raise
        if not connection.is_open:
            raise connection.why
        connection.send(announcement.packet())
        return connection

    @property
    def is_open(self) -> bool:
        return not self._is_over

    @property
    def why(self) -> SealcastError:
        """Why it is over."""
        return self.reason or RemoteError("PUBLISH.NODE_GONE", "It closed the connection.")

    @property
    def negotiated(self) -> Negotiated | None:
        return self._tls.negotiated

    @property
    def backlog(self) -> int:
        """Bytes that were given to `send` and that the kernel has not taken, about."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def admitted(self, wait_s: float) -> bool:
        """Whether the node said in time that we may send. Raises what ended the connection."""
        over = asyncio.create_task(self._lost.wait())
        admitted = asyncio.create_task(self._admitted.wait())
        try:
            await asyncio.wait(
                {over, admitted}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            over.cancel()
            admitted.cancel()
        if self._is_over:
            raise self.why
        return self._admitted.is_set()

    def send(self, data: bytes) -> None:
        """Whole packets; nothing happens once the connection is over."""
        if data and not self._is_over:
            self._tls.send(data)
            self._flush()

    async def finish(self) -> bool:
        """Say goodbye after the last byte and wait until the node has taken all; whether it did."""
        if self._transport is None or self._is_over:
            return False
        self._when_over = _nothing
        self._tls.close()
        self._flush()
        try:
            async with asyncio.timeout(FINISH_S):
                # The node closes when it has read our close_notify. Were we to close first, bytes
                # of its own that come meanwhile would reset what it has not read.
                await self._lost.wait()
        except TimeoutError:
            return False
        finally:
            self.abort()
        return True

    def abort(self) -> None:
        """End it without a word."""
        self._when_over = _nothing
        self._end(None)
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP's are
        self._transport = transport
        self._tls.begin()
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            plain = self._tls.receive(data)
        except SealcastError as error:
            self._flush()  # our alert
            self._end(error)
            return
        self._flush()
        if self._tls.negotiated is not None:
            self._secured.set()
        if plain is None:
            self._end(None)
        elif plain:
            self._hear(plain)

    def connection_lost(self, exc: Exception | None) -> None:
        words = None if exc is None else RemoteError("PUBLISH.NODE_GONE", f"{exc}.")
        self._end(words)

    # ---- inside --------------------------------------------------------------------------------

    def _hear(self, plain: bytes) -> None:
        # Nothing but one answer is expected; whatever else comes is not kept.
        self._heard = (self._heard + plain)[:PACKET]
        told = read_announcement(self._heard)
        if told is not None and told.word is Word.ADMITTED:
            self._admitted.set()

    def _flush(self) -> None:
        if self._transport is not None and (data := self._tls.outgoing()):
            self._transport.write(data)

    def _end(self, reason: SealcastError | None) -> None:
        if self._is_over:
            return
        self._is_over, self.reason = True, reason
        self._secured.set()
        self._lost.set()
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.close()
        self._when_over()


def _nothing() -> None: ...
