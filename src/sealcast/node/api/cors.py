"""Which other origins' pages may call WHIP and WHEP (Fetch, CORS protocol).

Does: refuses a request of a page whose origin was not named, answers preflights, and says in each
answer which headers such a page may read. Closed until an origin is named; a page of the node's own
origin needs no naming.

Does not: know cookies. Credentials at these endpoints are bearer tokens, which no browser adds by
itself; the one cookie there is (`sealcast.node.api.admin`) is good for the node's own pages only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sealcast.errors import RemoteError

_READABLE: Final = "location, etag, link, accept-patch, retry-after"
_SENDABLE: Final = "authorization, content-type, if-match"
_PREFLIGHT_AGE_S: Final = 600


class Cors:
    """The rule for one application."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def check(self, request: Request) -> None:
        """HTTP.FORBIDDEN_ORIGIN for a page that was not named."""
        origin = request.headers.get("origin")
        if origin is not None and not is_own_origin(request, origin) and not self._named(origin):
            raise RemoteError("HTTP.FORBIDDEN_ORIGIN", f"It is {origin[:100]!r}.")

    def headers(self, request: Request) -> dict[str, str]:
        """What any answer says to a page, errors included."""
        origin = request.headers.get("origin")
        if origin is None or not self._named(origin):
            return {"vary": "origin"}
        return {
            "vary": "origin",
            "access-control-allow-origin": origin,
            "access-control-expose-headers": _READABLE,
        }

    def preflight(self, request: Request, methods: str, accepts: dict[str, str]) -> Response:
        """The answer to OPTIONS: what the address takes, and to a page what it may send."""
        headers = {"allow": methods, **accepts, **self.headers(request)}
        if "access-control-allow-origin" in headers:
            headers["access-control-allow-methods"] = methods
            headers["access-control-allow-headers"] = _SENDABLE
            headers["access-control-max-age"] = str(_PREFLIGHT_AGE_S)
        return Response(status_code=204, headers=headers)

    def _named(self, origin: str) -> bool:
        return origin.lower() in self._origins


def is_own_origin(request: Request, origin: str) -> bool:
    """Whether a page of the address that was asked sends the request (Fetch, `Origin`)."""
    return origin.lower() == f"https://{request.headers.get('host', '')}".lower()
