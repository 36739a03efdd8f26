"""Which path shows which page, and the headers that every page carries.

Does not: know the streams. ``/watch/<stream>`` answers the same file for every stream; the page
asks the node.

Specs: Content Security Policy Level 3; Permissions Policy. ETag and 304 are Starlette's (RFC 9110
§8.8, §13).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

STATIC: Final = Path(__file__).parent / "static"
_ROOMS: Final = Path(__file__).parent / "rooms"

# Nothing is allowed but what these pages use: no inline script or style, no frame around us, no
# form that leaves. ``blob:`` is for recorded pictures, ``data:`` for small drawn images.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        # Camera and microphone are for this origin's own page, not for anything framed in it.
        "permissions-policy": "camera=(self), microphone=(self), geolocation=()",
        # The path names the stream: that is nobody else's business.
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        # Asked for again each time, answered 304 while unchanged: an updated node never meets an
        # old script.
        "cache-control": "no-cache",
    }
)


class _StaticWithHeaders(StaticFiles):
    """The files under ``/static``, each answer with :data:`HEADERS`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


def _page(path: str, file_name: str) -> Route:
    async def answer(_request: Request) -> Response:
        return FileResponse(STATIC / file_name, headers=HEADERS)

    return Route(path, answer, methods=["GET"], name=f"page {path}")


def _room(path: str, name: str, script: str, facts: str) -> Route:
    """A room of administration: what its file says, in the frame that they share."""
    frame = Template((_ROOMS / "frame.html").read_text())
    page = frame.substitute(name=name, script=script, facts=(_ROOMS / facts).read_text())

    async def answer(_request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    return Route(path, answer, methods=["GET"], name=f"page {path}")


def routes() -> list[BaseRoute]:
    """The pages: ``/``, ``/watch/<stream>``, ``/publish/<stream>`` (streams may have slashes),
    ``/enrol``, ``/admin`` with its rooms, and ``/static/…``. A page of administration is a frame
    like any other: what it shows it asks for, and the node asks who it is.
    """
    return [
        _page("/", "index.html"),
        _page("/watch/{stream:path}", "watch.html"),
        _page("/publish/{stream:path}", "publish.html"),
        _page("/enrol", "enrol.html"),
        _room("/admin", "Legs", "admin.js", "legs.html"),
        _room("/admin/identities", "Identities", "admin-identities.js", "identities.html"),
        _page("/admin/login", "login.html"),
        Mount("/static", _StaticWithHeaders(directory=STATIC), name="static files"),
    ]
