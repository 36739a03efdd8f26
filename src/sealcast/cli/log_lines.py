"""Where a command's log goes, and how a line of it looks."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

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
        logger_factory=structlog.WriteLoggerFactory(file=out),
    )


def printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """No value begins a line or moves a terminal's cursor, wherever its words came from."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = ascii(value)
    return event
