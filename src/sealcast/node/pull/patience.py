"""When a pull asks again: later each time, and not all edges of an origin at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sealcast.node import limits


@dataclass(slots=True)
class Patience:
    """The waits of one pull. `chance` gives numbers from 0 to 1."""

    wait_s: float = field(default_factory=lambda: limits.PULL_AGAIN_S)
    chance: Callable[[], float] = random.random

    def next(self, most_s: float) -> float:
        """Seconds to wait now, give or take a half; twice as many at the next time, and at most
        `most_s` before chance.
        """
        wait = min(self.wait_s, most_s)
        self.wait_s = min(2 * self.wait_s, limits.PULL_AGAIN_MOST_S)
        return wait * (0.5 + self.chance())

    def begin_anew(self) -> None:
        """It went well."""
        self.wait_s = limits.PULL_AGAIN_S
