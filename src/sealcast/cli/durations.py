"""Durations as people write them: `90s`, `15m`, `1h`, `7d`."""

from __future__ import annotations

import re
from typing import Final

from sealcast.errors import LocalError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WRITTEN: Final = re.compile(r"([0-9]{1,6})([smhd]?)")


def seconds(text: str) -> int:
    """Whole seconds; a bare number is seconds. CONFIG.BAD_VALUE for anything else."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise LocalError("CONFIG.BAD_VALUE", f"{text!r} is no duration; write 90s, 15m, 1h or 7d.")
    return int(match[1]) * _SECONDS[match[2] or "s"]
