"""Errors as problem documents (RFC 9457): what happened, why we think so, what to do next."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sealcast.codes import PROBLEM_TYPE
from sealcast.errors import LocalError, SealcastError
from sealcast.node import limits
from sealcast.node.ports import native_refusal

_log = structlog.get_logger()

_LATER: Final = frozenset(
    {"STREAM.ABSENT", "STREAM.NOT_READY", "HTTP.TOO_MANY", "NODE.STOPPING", "RELAY.FULL"}
)
"""What another attempt a little later may not meet."""
_OWN_HTTP: Final = {404: "HTTP.NOT_FOUND", 405: "HTTP.METHOD_NOT_ALLOWED"}


def problem_response(
    error: SealcastError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """The answer that says what went wrong."""
    document = error.problem()
    code = status if status is not None else error.http_status
    document["status"] = code
    more = {"cache-control": "no-store", **(headers or {})}
    if code == 401:
        # RFC 9110 §11.6.1: a 401 names the scheme. RFC 6750 §3.1: no error code without a token.
        told = "" if error.code == "TOKEN.MISSING" else ', error="invalid_token"'
        more["www-authenticate"] = f'Bearer realm="sealcast"{told}'
    if error.code in _LATER:
        more["retry-after"] = str(limits.RETRY_AFTER_S)
    return JSONResponse(document, status_code=code, headers=more, media_type=PROBLEM_TYPE)


async def on_sealcast_error(_request: Request, error: Exception) -> Response:
    """A refusal of ours or of the native side."""
    refusal = native_refusal(error)
    if refusal is None:
        return await on_bug(_request, error)
    return problem_response(refusal)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: no such address, no such method."""
    if not isinstance(error, HTTPException):
        return await on_bug(_request, error)
    refusal = LocalError(_OWN_HTTP.get(error.status_code, "HTTP.MALFORMED"))
    return problem_response(refusal, status=error.status_code, headers=dict(error.headers or {}))


async def on_bug(request: Request, error: Exception) -> Response:
    """What should not happen: said so, without a word of the inside."""
    refusal = native_refusal(error)
    if refusal is not None:
        return problem_response(refusal)
    _log.error("bug in a request", path=request.url.path, error=repr(error))
    return problem_response(LocalError("HTTP.INTERNAL"))
