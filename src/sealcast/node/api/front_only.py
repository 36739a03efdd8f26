"""The gate: only the front may speak to the application.

Does: compares the per-start secret that the front adds to each request, in constant time, and
attaches what the native side knows of the connection. The front strips every `x-sealcast-*` header
that comes from outside, so both are its own word.

Does not: believe anything else that a header says of a peer.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from sealcast.errors import RemoteError
from sealcast.node.api.refusals import Refusals
from sealcast.node.ports import FrontPort
from sealcast.wire import ConnectionTiming, TlsFacts

_CONNECTION: Final = b"x-sealcast-connection"
_SECRET: Final = b"x-sealcast-secret"


class ConnectionFacts(msgspec.Struct, frozen=True):
    """One connection, as the front knows it."""

    connection: int
    door: str
    peer: str
    facts: TlsFacts
    timing: ConnectionTiming


_DECODER: Final = msgspec.json.Decoder(ConnectionFacts)


class FrontOnly:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, front: FrontPort, secret: str, refusals: Refusals) -> None:
        self._app = app
        self._front = front
        self._secret = secret.encode()
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        facts = self._facts(scope)
        if facts is None:
            request, refusal = HTTPConnection(scope), RemoteError("HTTP.NOT_THE_FRONT")
            answer = await self._refusals.answer(request, refusal)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["connection"] = facts
        await self._app(scope, receive, send)

    def _facts(self, scope: Scope) -> ConnectionFacts | None:
        secret = connection = b""
        for name, value in scope["headers"]:
            if name == _SECRET:
                secret = value
            elif name == _CONNECTION:
                connection = value
        if not hmac.compare_digest(secret, self._secret) or not connection.isdigit():
            return None
        known = self._front.facts(int(connection))
        # A connection may end while its request is still on the way here.
        return None if known is None else _DECODER.decode(known)


def facts_of(request: HTTPConnection) -> ConnectionFacts:
    """The connection that a request came over."""
    facts: ConnectionFacts = request.state.connection
    return facts
