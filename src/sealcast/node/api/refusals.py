"""The one place where a request is refused: counted by role and code, and answered.

Does: turns what a handler raised, or what Starlette refused by itself, into a problem document, and
adds one to the node's counter of refusals. Whatever the application answers with an error comes
through here, once.

Does not: log refusals; anybody can make as many as they like. A bug is logged, with its place.
"""

from __future__ import annotations

import traceback
import uuid
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from sealcast.errors import LocalError
from sealcast.node.api.problem import problem_response
from sealcast.node.ports import native_refusal
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Role

_log = structlog.get_logger()

_ROLES: Final = {
    "whip": Role.INGEST,
    "upload": Role.INGEST,
    "whep": Role.DELIVERY,
    "api": Role.ADMIN,
    "metrics": Role.ADMIN,
}
"""The role of a request by the first part of its path; all else is signalling."""
_OWN_HTTP: Final = {404: "HTTP.NOT_FOUND", 405: "HTTP.METHOD_NOT_ALLOWED"}
_ROLE: Final = "sealcast.role"


def concerns(request: HTTPConnection, role: Role) -> None:
    """The request turned out to be about a leg of this role, whatever its path says."""
    request.scope[_ROLE] = role


class Refusals:
    """Answers for one node."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._board = switchboard

    async def answer(self, request: HTTPConnection, error: Exception) -> Response:
        """The answer to a request that met `error`."""
        if isinstance(error, HTTPException):
            refusal = LocalError(_OWN_HTTP.get(error.status_code, "HTTP.MALFORMED"))
            self._count(request, refusal.code)
            headers = dict(error.headers or {})
            return problem_response(refusal, status=error.status_code, headers=headers)
        known = native_refusal(error)
        if known is not None:
            self._count(request, known.code)
            return problem_response(known)
        bug = LocalError("HTTP.INTERNAL")
        self._count(request, bug.code)
        # The same name in both, so that a report leads to the line.
        instance = uuid.uuid4().urn
        _log.error(
            "bug in a request",
            method=request.scope.get("method"),
            role=_role_of(request).value,
            error=repr(error),
            place=_place(error),
            instance=instance,
        )
        return problem_response(bug, instance=instance)

    def _count(self, request: HTTPConnection, code: str) -> None:
        self._board.count_refusal(_role_of(request), code)


def _role_of(request: HTTPConnection) -> Role:
    told = request.scope.get(_ROLE)
    if isinstance(told, Role):
        return told
    return _ROLES.get(request.url.path.lstrip("/").partition("/")[0], Role.SIGNALLING)


def _place(error: BaseException) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
