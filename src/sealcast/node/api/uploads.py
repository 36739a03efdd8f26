"""Uploads: MPEG-TS as the body of a PUT or POST that lasts as long as the programme.

Does: reads the head of the request and answers it: refused with a problem document before a byte of
the body was read, or taken, by the ticket that the front gave the body. The body never comes here:
the front pours it to the demuxer, and the client's answer comes when that is done
(`sealcast.node.ts_lines`).

Does not: decide who may publish (`access`), or demux.

Specs: RFC 9110 §8.3 (media type), §8.4 (content coding), §9.3.4 and §14.5 (PUT and ranges).
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import RemoteError
from sealcast.node.api.access import Access
from sealcast.node.api.cors import Cors
from sealcast.node.api.front_only import facts_of
from sealcast.node.api.refusals import Refusals
from sealcast.node.ts_ingest import Arrival, TsIngest

BODY: Final = "x-sealcast-body"
"""The body's ticket, and back: it was taken. Only front and application see it."""
_METHODS: Final = "PUT, POST, OPTIONS"
_EVERY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_TYPES: Final = frozenset({"video/mp2t", "application/octet-stream", ""})
"""RFC 3555 §4.2.9; and what says nothing, as ffmpeg and curl do. The body then speaks for itself.
"""


class UploadsApi:
    """The handler, with what it needs."""

    def __init__(self, ingest: TsIngest, access: Access, refusals: Refusals, cors: Cors) -> None:
        self._ingest = ingest
        self._access = access
        self._refusals = refusals
        self._cors = cors

    def routes(self) -> list[BaseRoute]:
        """`/upload/<stream>`."""
        return [Route("/upload/{stream:path}", self._answer, methods=_EVERY_METHOD)]

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._cors.preflight(request, _METHODS, {"accept": "video/mp2t"})
        if request.method not in ("PUT", "POST"):
            refusal = RemoteError("HTTP.METHOD_NOT_ALLOWED", f"It takes {_METHODS}.")
            response = await self._refusals.answer(request, refusal)
            response.headers["allow"] = _METHODS
            return response
        # A page of a foreign origin must not publish with the certificate of whoever looks at it.
        self._cors.check(request)
        return self._upload(request)

    def _upload(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        caller = self._access.publisher(request, stream)
        _check_head(request)
        ticket = request.headers.get(BODY, "")
        if not ticket.isdigit():
            raise RemoteError("HTTP.MALFORMED", "The request has no body.")
        facts = facts_of(request)
        came = Arrival(facts.facts, facts.peer, facts.timing, caller.certificate, caller.door)
        self._ingest.upload(int(ticket), stream, caller, came)
        return Response(status_code=202, headers={BODY: ticket})


def _check_head(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in _TYPES:
        raise RemoteError("HTTP.WRONG_TYPE", f"It takes video/mp2t; this is {given[:60]!r}.")
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise RemoteError(
            "HTTP.WRONG_TYPE", f"It takes no content coding; this is {coding[:60]!r}."
        )
    if "content-range" in request.headers:
        raise RemoteError("HTTP.MALFORMED", "A part of a stream cannot be put (RFC 9110 §14.5).")
