"""Polling for a condition, with an end and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverCameError(AssertionError):
    """A condition did not become true in time."""


def wait_for(
    condition: Callable[[], T | None],
    *,
    what: str,
    timeout_s: float = 20.0,
    every_s: float = 0.1,
    explain: Callable[[], object] | None = None,
) -> T:
    """The first truthy value of `condition`. `what` and `explain()` make the failure readable."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            reason = f"; {explain()}" if explain is not None else ""
            raise NeverCameError(f"not within {timeout_s:g} s: {what}{reason}")
        time.sleep(every_s)
