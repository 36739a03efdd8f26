"""Bodies of requests, bounded and of the type that the address takes."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from sealcast.errors import RemoteError


async def read_body(request: Request, media_type: str, limit: int) -> bytes:
    """The body. HTTP.WRONG_TYPE, HTTP.TOO_LARGE, HTTP.MALFORMED when it ends before its end."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != media_type:
        raise RemoteError("HTTP.WRONG_TYPE", f"It takes {media_type}; this is {given[:60]!r}.")
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise RemoteError("HTTP.TOO_LARGE", f"It states {stated} bytes; {limit} are read.")
    parts = bytearray()
    try:
        async for part in request.stream():
            parts += part
            if len(parts) > limit:
                raise RemoteError("HTTP.TOO_LARGE", f"{limit} bytes are read.")
    except ClientDisconnect as error:
        raise RemoteError("HTTP.MALFORMED", "The body ended before its end.") from error
    return bytes(parts)
