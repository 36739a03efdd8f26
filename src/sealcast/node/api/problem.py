"""Errors as problem documents (RFC 9457): what happened, why we think so, what to do next."""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse, Response

from sealcast.codes import PROBLEM_TYPE
from sealcast.errors import SealcastError
from sealcast.node import limits

_LATER: Final = frozenset(
    {
        "HTTP.TOO_MANY",
        "IDENTITY.STORE_LOCKED",
        "IDENTITY.TOO_MANY_TRIES",
        "NODE.STOPPING",
        "RELAY.BUSY",
        "RELAY.NO_ANSWER",
        "RELAY.TOO_MANY_LEGS",
        "RELAY.UFRAG_TAKEN",
        "STREAM.ABSENT",
        "STREAM.NOT_READY",
        "STREAM.TOO_MANY",
        "STREAM.TOO_MANY_VIEWERS",
    }
)
"""What another attempt a little later may not meet."""


def problem_response(
    error: SealcastError,
    *,
    status: int | None = None,
    headers: dict[str, str] | None = None,
    instance: str | None = None,
) -> Response:
    """The answer that says what went wrong."""
    document = error.problem(instance)
    code = status if status is not None else error.http_status
    document["status"] = code
    more = {"cache-control": "no-store", **(headers or {})}
    if code == 401:
        # RFC 9110 §11.6.1: a 401 names the scheme. RFC 6750 §3.1: no error code without a token.
        wrong = error.code.startswith("TOKEN.") and error.code != "TOKEN.MISSING"
        told = ', error="invalid_token"' if wrong else ""
        more["www-authenticate"] = f'Bearer realm="sealcast"{told}'
    wait_s = getattr(error, "retry_after_s", limits.RETRY_AFTER_S if error.code in _LATER else None)
    if wait_s is not None:
        more["retry-after"] = str(wait_s)
    return JSONResponse(document, status_code=code, headers=more, media_type=PROBLEM_TYPE)
