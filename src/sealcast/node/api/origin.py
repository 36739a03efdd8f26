"""What a CDN or reverse proxy may ask for at the `origin` door: what viewers read, no more.

Does: lets GET and HEAD of delivery's addresses through, refuses every other request before any
handler sees it, and takes the connection's certificate off: it proves that the caller is the CDN,
which is nobody's right to watch or administer. A viewer's token that the CDN hands on counts.

Does not: prove the CDN; the door's handshake did, against the door's own trust bundle, which may
hold authorities that are anybody's: so no name in such a certificate is believed here.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from sealcast.errors import RemoteError
from sealcast.node.api.front_only import ConnectionFacts
from sealcast.node.api.refusals import Refusals, concerns
from sealcast.node.doors import ORIGIN
from sealcast.policy import Role

_METHODS: Final = frozenset({"GET", "HEAD"})
_ADDRESSES: Final = frozenset({"/", "/health", "/api/streams"})
_BELOW: Final = ("/watch/", "/static/")


class OriginOnlyReads:
    """ASGI middleware behind the gate (`front_only`), which attached the connection's facts."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts: ConnectionFacts | None = scope.get("state", {}).get("connection")
        if facts is None or facts.door != ORIGIN:
            await self._app(scope, receive, send)
            return
        concerns(HTTPConnection(scope), Role.ORIGIN)
        if not is_read(scope):
            refusal = RemoteError("HTTP.NOT_AT_THIS_DOOR", "It takes GET of what viewers read.")
            answer = await self._refusals.answer(HTTPConnection(scope), refusal)
            await answer(scope, receive, send)
            return
        nobody = msgspec.structs.replace(facts.facts, peer=None)
        scope["state"]["connection"] = msgspec.structs.replace(facts, facts=nobody)
        await self._app(scope, receive, send)


def is_read(scope: Scope) -> bool:
    """Whether a request reads what viewers read."""
    path: str = scope["path"]
    return (
        scope["type"] == "http"
        and scope["method"] in _METHODS
        and (path in _ADDRESSES or path.startswith(_BELOW))
    )
