"""What a node tells of itself: streams, legs, health, metrics."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import SealcastError
from sealcast.node.api.access import Access
from sealcast.node.api.metrics import Metrics
from sealcast.node.measure import Measure
from sealcast.node.permission import Permissions
from sealcast.node.pull import Pulls
from sealcast.node.switchboard import Switchboard
from sealcast.node.ts_ingest import TsIngest
from sealcast.streams import Stream

_FRESH = {"cache-control": "no-store"}


class StateApi:
    """The handlers, with what they need."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        measure: Measure,
        ts_ingest: TsIngest | None,
        pulls: Pulls | None,
        access: Access,
        permissions: Permissions,
        metrics: Metrics,
    ) -> None:
        self._board = switchboard
        self._measure = measure
        self._ts_ingest = ts_ingest
        self._pulls = pulls
        self._access = access
        self._permissions = permissions
        self._metrics = metrics

    def routes(self) -> list[BaseRoute]:
        """`/api/admin/session`, `/api/legs`, `/api/streams`, `/health`, `/metrics`."""
        return [
            Route("/api/admin/session", self._session, methods=["GET"]),
            Route("/api/legs", self._legs, methods=["GET"]),
            Route("/api/streams", self._streams, methods=["GET"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/metrics", self._metrics_text, methods=["GET"]),
        ]

    async def _session(self, request: Request) -> Response:
        """Who administers, and how that was proved."""
        who = self._access.administrator(request)
        return JSONResponse({"name": who.name, "proof": who.proof.value}, headers=_FRESH)

    async def _legs(self, request: Request) -> Response:
        """The ledger, for an administrator, and what is to come from other nodes: there is not
        always a leg of it.
        """
        self._access.administrator(request)
        await self._refresh()
        pulls = [] if self._pulls is None else self._pulls.to_json()
        return JSONResponse({**self._board.ledger.to_json(), "pulls": pulls}, headers=_FRESH)

    async def _streams(self, request: Request) -> Response:
        """The streams: all of them for an administrator, those marked public for everybody."""
        try:
            self._access.administrator(request)
            everything = True
        except SealcastError:
            everything = False
        listed = [
            _listed(stream)
            for stream in sorted(self._board.hub.streams(), key=lambda known: known.name)
            if everything or self._permissions.is_public(stream.name)
        ]
        return JSONResponse({"streams": listed}, headers=_FRESH)

    async def _health(self, _request: Request) -> Response:
        """Whether the node takes work."""
        if self._board.stopping:
            return JSONResponse({"status": "stopping"}, status_code=503, headers=_FRESH)
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def _metrics_text(self, request: Request) -> Response:
        """Counters by cause, for Prometheus; a monitor or an administrator asks."""
        self._access.monitor(request)
        await self._refresh()
        await self._metrics.refresh()
        text, media_type = self._metrics.render()
        return Response(text, media_type=media_type, headers=_FRESH)

    async def _refresh(self) -> None:
        await self._measure.refresh()
        if self._ts_ingest is not None:
            self._ts_ingest.count()


def _listed(stream: Stream) -> dict[str, object]:
    """A stream as its list shows it: nothing of who publishes."""
    return {
        "stream": stream.name,
        "live": stream.live,
        "viewers": len(stream.viewers),
        "tracks": [
            {
                "kind": track.kind,
                "codec": track.codec,
                "profile_level_id": track.shape.profile_level_id,
                "has_b_frames": track.has_b_frames,
            }
            for track in stream.tracks
        ],
    }
