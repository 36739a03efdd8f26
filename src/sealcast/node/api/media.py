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
from sealcast.node.api.refusals import Refusals, concerns
from sealcast.node.measure import Measure
from sealcast.node.pull import NODE_HEADER, PATH_HEADER, Paths
from sealcast.node.sessions import Held, MediaSession, Sessions
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
        refusals: Refusals,
        cors: Cors,
        paths: Paths,
        ice_servers: Sequence[str],
    ) -> None:
        self._sessions = sessions
        self._board = switchboard
        self._measure = measure
        self._access = access
        self._refusals = refusals
        self._cors = cors
        self._paths = paths
        # RFC 9725 §4.6.
        self._link = ", ".join(f'<{server}>; rel="ice-server"' for server in ice_servers)

    def routes(self) -> list[BaseRoute]:
        """`/whip/<stream>`, `/whep/<stream>`, `/sessions/<id>` and what is below it."""
        post = {"accept-post": SDP_TYPE}
        patch = {"accept-patch": FRAGMENT_TYPE}
        return [
            self._route("/whip/{stream:path}", _ENDPOINT_METHODS, post, POST=self._whip),
            self._route("/whep/{stream:path}", _ENDPOINT_METHODS, post, POST=self._whep),
            self._route(
                "/sessions/{id}", _SESSION_METHODS, patch, PATCH=self._patch, DELETE=self._delete
            ),
            self._route("/sessions/{id}/renewal", _ENDPOINT_METHODS, {}, POST=self._renewal),
            self._route("/sessions/{id}/leg", _LEG_METHODS, {}, GET=self._leg, HEAD=self._leg),
        ]

    def _route(
        self,
        path: str,
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
                    response = await self._refusals.answer(request, refusal)
                    response.headers["allow"] = methods
                else:
                    self._cors.check(request)
                    response = await handlers[request.method](request)
            except Exception as error:
                # Answered here and not further out, so that a page of a named origin can read why.
                response = await self._refusals.answer(request, error)
            for name, value in self._cors.headers(request).items():
                response.headers[name] = value
            return response

        return Route(path, answer, methods=_EVERY_METHOD, name=path)

    # ---- endpoints ---------------------------------------------------------------------------

    async def _whip(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        caller = self._access.publisher(request, stream)
        body = await read_body(request, SDP_TYPE, limits.SDP_BYTES)
        return self._created(self._sessions.publish(stream, body, caller))

    async def _whep(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        caller = self._access.viewer(request, stream)
        concerns(request, caller.role)
        if caller.role is Role.NODE:
            self._paths.check_asker(stream, request.headers.get(NODE_HEADER))
        body = await read_body(request, SDP_TYPE, limits.SDP_BYTES)
        session = await self._sessions.watch(stream, body, caller)
        response = self._created(session)
        if caller.role is Role.NODE:
            response.headers[PATH_HEADER] = self._paths.tell(stream, session.held.leg)
        return response

    def _created(self, session: MediaSession) -> Response:
        headers = {
            "location": f"/sessions/{session.held.id}",
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
        session = self._living(request)
        body = await read_body(request, FRAGMENT_TYPE, limits.FRAGMENT_BYTES)
        # It may have ended while the body came.
        session = self._sessions.get(session.held.id)
        restarted = await self._sessions.patch(session, body, request.headers.get("if-match"))
        if restarted is None:
            return Response(status_code=204, headers={"etag": session.etag})
        return Response(
            restarted.fragment,
            status_code=200,
            headers={"etag": restarted.session.etag, "cache-control": "no-store"},
            media_type=FRAGMENT_TYPE,
        )

    async def _delete(self, request: Request) -> Response:
        self._sessions.delete(self._living(request))
        return Response(status_code=200)

    async def _renewal(self, request: Request) -> Response:
        """The holder of a session by certificate shows a newer one, over the connection of this
        request; whoever may not have the stream any more is told so.
        """
        session = self._living(request)
        held = session.held
        publishes = held.verb is Verb.PUBLISH
        asked = self._access.publisher if publishes else self._access.viewer
        self._sessions.renewed(session, asked(request, held.stream))
        return Response(status_code=204)

    async def _leg(self, request: Request) -> Response:
        """The leg as the ledger has it, also when it is over: a page can show why it failed."""
        held = self._known(request)
        self._access.holder(request, held)
        await self._measure.refresh_leg(held.leg)
        leg = self._board.ledger.get(held.leg)
        if leg is None:
            raise RemoteError("HTTP.NOT_FOUND", "The ledger has forgotten this leg.")
        return JSONResponse(leg.to_json(), headers={"cache-control": "no-store"})

    def _living(self, request: Request) -> MediaSession:
        """The session that a request of its holder changes or ends."""
        held = self._known(request)
        session = self._sessions.get(held.id)
        self._access.holder(request, held)
        return session

    def _known(self, request: Request) -> Held:
        """Whose session the address names or named."""
        held = self._sessions.holder(request.path_params["id"])
        if held is None:
            raise RemoteError("HTTP.NOT_FOUND", "The session is over, or never was.")
        concerns(request, _ROLES[held.verb])
        return held
