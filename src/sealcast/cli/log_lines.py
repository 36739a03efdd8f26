"""Where a command's log goes, and how a line of it looks.

A log that cannot be written (its disk is full, its reader has gone) loses lines and harms nobody
else: whoever says something in the middle of his work goes on. How many were lost is said once it
can be written again.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger


def to_standard_error(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """One line per event on standard error; what the pages and tables print stays apart."""
    out = stream or sys.stderr
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            printable,
            # In the order in which they were said: who, what, why.
            structlog.dev.ConsoleRenderer(colors=out.isatty(), sort_keys=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Unfailing(out))),
    )


class Unfailing:
    """A stream that loses what it cannot write, line by line. Threads may share one."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lost = 0

    def write(self, text: str) -> int:
        told = f"[{self._lost} lines were lost here: the log could not be written]\n"
        try:
            self._out.write(told + text if self._lost else text)
            self._out.flush()
        except (OSError, ValueError):
            self._lost += 1
        else:
            self._lost = 0
        return len(text)

    def flush(self) -> None:
        """Done with each line."""


def printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """No value begins a line or moves a terminal's cursor, wherever its words came from."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = ascii(value)
    return event
