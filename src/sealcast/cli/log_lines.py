"""Where a command's log goes."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


def to_standard_error(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """One line per event on standard error; what the pages and tables print stays apart."""
    out = stream or sys.stderr
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=out.isatty()),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=out),
    )
