"""The listener that answers challenges of ACME over plain HTTP, and nothing else (RFC 8555 §8.3).

Does: answers ``GET /.well-known/acme-challenge/TOKEN`` while that challenge is open; everything
else is 404 with one fixed line. One request per connection, bounded in bytes, time and number.

Does not: stand anywhere unless `acme.challenge` is "http-01". Plain HTTP is spoken nowhere else,
and nothing of the node can be reached from here.

Specs: RFC 8555 §8.3, RFC 9112 (as much of it as a request line needs).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

_PREFIX: Final = b"/.well-known/acme-challenge/"
_HEAD_BYTES: Final = 4096
_PATIENCE_S: Final = 5.0
_AT_ONCE: Final = 32
_NOTHING: Final = b"Nothing here. This port answers challenges of ACME only.\n"


class ChallengeListener:
    """Listens until it is closed."""

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        """`answer` gives the answer to an open challenge by its token."""
        self._answer = answer
        self._servers: list[asyncio.Server] = []
        self._places = _AT_ONCE
        self.answered = self.refused = 0

    async def open(self, addresses: Sequence[str]) -> list[str]:
        """Listens at each ``ADDRESS:PORT``; returns where. OSError if one cannot be had."""
        bound = []
        for address in addresses:
            host, _, port = address.rpartition(":")
            server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), limit=_HEAD_BYTES
            )
            self._servers.append(server)
            bound += [f"{name[0]}:{name[1]}" for name in (s.getsockname() for s in server.sockets)]
        return bound

    async def close(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for server in servers:
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._places == 0:
            writer.transport.abort()
            return
        self._places -= 1
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(self._answered(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            # Too slow, too long, or gone: there is nobody to tell.
            self.refused += 1
        finally:
            self._places += 1
            with contextlib.suppress(Exception):
                writer.transport.abort()

    def _answered(self, head: bytes) -> bytes:
        match head.partition(b"\r\n")[0].split(b" "):
            case [b"GET", path, b"HTTP/1.1" | b"HTTP/1.0"] if path.startswith(_PREFIX):
                answer = self._answer(path.removeprefix(_PREFIX).decode("ascii", "replace"))
            case _:
                answer = None
        if answer is None:
            self.refused += 1
            return _response(b"404 Not Found", b"text/plain", _NOTHING)
        self.answered += 1
        # RFC 8555 §8.3 names this type.
        return _response(b"200 OK", b"application/octet-stream", answer.encode())


def _response(status: bytes, kind: bytes, body: bytes) -> bytes:
    head = (
        b"HTTP/1.1 " + status,
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        b"X-Content-Type-Options: nosniff",
        b"Connection: close",
    )
    return b"\r\n".join((*head, b"", body))
