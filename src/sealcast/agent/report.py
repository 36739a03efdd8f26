"""How an identity stands, for people who watch machines: a small JSON file beside its files.

    DIR/NAME.d/agent.json

Does: writes it whole or not at all, when something in it has changed; reads what the agent before
wrote. A disk without room for it is no reason to stop: it is tried again with the next change.

Does not: hold secrets.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from sealcast.errors import LocalError
from sealcast.identity.private_files import hand_out

REPORT_FILE: Final = "agent.json"


class Standing(StrEnum):
    """What monitoring asks first, from good to bad."""

    GOOD = "good"
    LATE = "late"
    """Less than a third of the life is left: renewing has failed since two thirds of it."""
    EXPIRED = "expired"
    UNREADABLE = "unreadable"
    """There are no files, or they do not fit."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds since 1970. `hooked` is the serial of the certificate for which the hook
    has last succeeded; `error` and `hook_failed` are the code and the sentence of the last failure
    since the last success.
    """

    standing: Standing = Standing.UNREADABLE
    name: str = ""
    serial: str = ""
    not_after_unix: int = 0
    renew_at_unix: int = 0
    renewed_unix: int | None = None
    failures: int = 0
    error: str | None = None
    hooked: str | None = None
    hook_failed: str | None = None


class ReportFile:
    """The file of one identity."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / REPORT_FILE
        self._written: Report | None = None

    def read(self) -> Report | None:
        """What the agent before wrote; None if there is nothing that can be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Report)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, report: Report) -> None:
        """Writes it if it differs from what was written last."""
        if report == self._written:
            return
        text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        try:
            # Monitoring runs as somebody else; the folder says who may look into it.
            hand_out(self._path, text, mode=0o644)
        except LocalError:
            return
        self._written = report
