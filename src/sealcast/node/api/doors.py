"""`GET /api/doors`: what each open door demands and shows now, for an administrator.

Does: answers what `sealcast doors` prints. Does not: change anything.
"""

from __future__ import annotations

import asyncio
import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.node.api.access import Access
from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.door_report import report_of_running


class DoorsApi:
    """The handler, with what it needs."""

    def __init__(self, keeper: DoorKeeper, access: Access) -> None:
        self._keeper = keeper
        self._access = access

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/doors", self._doors, methods=["GET"])]

    async def _doors(self, request: Request) -> Response:
        self._access.administrator(request)
        now = datetime.datetime.now(datetime.UTC)
        told = await asyncio.to_thread(report_of_running, self._keeper, now)
        doors = {"doors": [door.to_json() for door in told]}
        return JSONResponse(doors, headers={"cache-control": "no-store"})
