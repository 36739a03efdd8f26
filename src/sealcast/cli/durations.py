"""Durations as people write them: `90s`, `15m`, `1h`, `7d`."""

from __future__ import annotations

import re
from typing import Final

from sealcast.cli.wrong_usage import bad_argument, shown

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WRITTEN: Final = re.compile(r"([0-9]{1,6})([smhd]?)")


def seconds(text: str, option: str) -> int:
    """Whole seconds of the value of `option`; a bare number is seconds. CLI.BAD_ARGUMENT for
    anything else.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise bad_argument(f"{option} cannot be {shown(text)}; it takes 90s, 15m, 1h or 7d.")
    return int(match[1]) * _SECONDS[match[2] or "s"]
