"""Names of streams: paths such as `venue/stage-1`."""

import re
from typing import Final

from sealcast.errors import RemoteError

# No empty part, no part that begins with a dot (so never `.` or `..`), nothing to be escaped in an
# address, a file name or a log.
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_LONGEST: Final = 128


def check_stream_name(name: str) -> str:
    """`name` itself if a stream can have it, else STREAM.BAD_NAME."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise RemoteError("STREAM.BAD_NAME", f"It was {name[:40]!r}.")
    return name
