"""`GET /api/pulls`: what this node takes from others, and why it has it not.

For an administrator.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.node.api.access import Access
from sealcast.node.pull import Pulls


class PullsApi:
    """The handler, with what it needs."""

    def __init__(self, pulls: Pulls, access: Access) -> None:
        self._pulls = pulls
        self._access = access

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/pulls", self._all, methods=["GET"])]

    async def _all(self, request: Request) -> Response:
        self._access.administrator(request)
        told = {"pulls": self._pulls.to_json()}
        return JSONResponse(told, headers={"cache-control": "no-store"})
