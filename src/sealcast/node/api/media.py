"""WHIP and WHEP over HTTP: the two endpoints, and the sessions that they make.

Does: POST, PATCH, DELETE, OPTIONS and everything they may be answered. The two protocols differ
only in who sends the media, so there is one endpoint, made twice.

Specs: RFC 9725 §4.2 to §4.6; draft-ietf-wish-whep-03 §4 (the viewer offers).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import RemoteError
from sealcast.identity import Verb
from sealcast.node import limits
from sealcast.node.api.access import Access
from sealcast.node.api.body import read_body
from sealcast.node.api.cors import Cors
from sealcast.node.api.problem import on_bug
from sealcast.node.api.refusals import counted
from sealcast.node.measure import Measure
from sealcast.node.sessions import MediaSession, Sessions
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Role
from sealcast.sdp.fragment import FRAGMENT_TYPE

SDP_TYPE: Final = "application/sdp"
_ENDPOINT_METHODS: Final = "POST, OPTIONS"
_SESSION_METHODS: Final = "PATCH, DELETE, OPTIONS"
_LEG_METHODS: Final = "GET, HEAD, OPTIONS"
_EVERY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_ROLES: Final = {Verb.PUBLISH: Role.INGEST, Verb.WATCH: Role.DELIVERY}


class MediaApi:
    """The handlers, with what they need."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        switchboard: Switchboard,
        measure: Measure,
        access: Access,
        cors: Cors,
        ice_servers: Sequence[str],
    ) -> None:
        self._sessions = sessions
        self._board = switchboard
        self._measure = measure
        self._access = access
        self._cors = cors
        # RFC 9725 §4.6.
        self._link = ", ".join(f'<{server}>; rel="ice-server"' for server in ice_servers)

    def routes(self) -> list[BaseRoute]:
        """`/whip/<stream>`, `/whep/<stream>`, `/sessions/<id>` and `/sessions/<id>/leg`."""
        post = {"accept-post": SDP_TYPE}
        patch = {"accept-patch": FRAGMENT_TYPE}
        return [
            self._route(
                "/whip/{stream:path}", Role.INGEST, _ENDPOINT_METHODS, post, POST=self._whip
            ),
            self._route(
                "/whep/{stream:path}", Role.DELIVERY, _ENDPOINT_METHODS, post, POST=self._whep
            ),
            self._route(
                "/sessions/{id}",
                Role.SIGNALLING,
                _SESSION_METHODS,
                patch,
                PATCH=self._patch,
                DELETE=self._delete,
            ),
            self._route(
                "/sessions/{id}/leg",
                Role.SIGNALLING,
                _LEG_METHODS,
                {},
                GET=self._leg,
                HEAD=self._leg,
            ),
        ]

    def _route(
        self,
        path: str,
        role: Role,
        methods: str,
        accepts: dict[str, str],
        **handlers: Callable[[Request], Awaitable[Response]],
    ) -> Route:
        async def answer(request: Request) -> Response:
            try:
                if request.method == "OPTIONS":
                    response = self._cors.preflight(request, methods, accepts)
                elif request.method not in handlers:
                    # RFC 9725 §4.2 reserves GET, HEAD and PUT on an endpoint.
                    refusal = RemoteError("HTTP.METHOD_NOT_ALLOWED", f"It takes {methods}.")
                    self._board.refused[role.value, refusal.code] += 1
                    response = await on_bug(request, refusal)
                    response.headers["allow"] = methods
                else:
                    with counted(self._board, role):
                        self._cors.check(request)
                    response = await handlers[request.method](request)
            except Exception as error:
                # Answered here and not further out, so that a page of a named origin can read why.
                response = await on_bug(request, error)
            for name, value in self._cors.headers(request).items():
                response.headers[name] = value
            return response

        return Route(path, answer, methods=_EVERY_METHOD, name=path)

    # ---- endpoints ---------------------------------------------------------------------------

    async def _whip(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        with counted(self._board, Role.INGEST):
            caller = self._access.publisher(request, stream)
            body = await read_body(request, SDP_TYPE, limits.SDP_BYTES)
        return self._created(self._sessions.publish(stream, body, caller))

    async def _whep(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        with counted(self._board, Role.DELIVERY):
            caller = self._access.viewer(request, stream)
            body = await read_body(request, SDP_TYPE, limits.SDP_BYTES)
        return self._created(await self._sessions.watch(stream, body, caller))

    def _created(self, session: MediaSession) -> Response:
        headers = {
            "location": f"/sessions/{session.id}",
            "etag": session.etag,
            "accept-patch": FRAGMENT_TYPE,
            "cache-control": "no-store",
        }
        if self._link:
            headers["link"] = self._link
        return Response(
            session.answer.to_text(), status_code=201, headers=headers, media_type=SDP_TYPE
        )

    # ---- sessions ----------------------------------------------------------------------------

    async def _patch(self, request: Request) -> Response:
        session = self._held(request)
        with counted(self._board, _ROLES[session.verb]):
            body = await read_body(request, FRAGMENT_TYPE, limits.FRAGMENT_BYTES)
            # The session may have ended while the body came.
            session = self._sessions.get(session.id)
            restarted = self._sessions.patch(session, body, request.headers.get("if-match"))
        if restarted is None:
            return Response(status_code=204, headers={"etag": session.etag})
        return Response(
            restarted.fragment,
            status_code=200,
            headers={"etag": restarted.session.etag, "cache-control": "no-store"},
            media_type=FRAGMENT_TYPE,
        )

    async def _delete(self, request: Request) -> Response:
        self._sessions.delete(self._held(request))
        return Response(status_code=200)

    async def _leg(self, request: Request) -> Response:
        session = self._held(request)
        await self._measure.refresh()
        leg = self._board.ledger.get(session.leg)
        if leg is None:
            raise RemoteError("HTTP.NOT_FOUND", "The leg is over.")
        return JSONResponse(leg.to_json(), headers={"cache-control": "no-store"})

    def _held(self, request: Request) -> MediaSession:
        with counted(self._board, Role.SIGNALLING):
            session = self._sessions.get(request.path_params["id"])
        with counted(self._board, _ROLES[session.verb]):
            self._access.holder(request, session)
        return session
