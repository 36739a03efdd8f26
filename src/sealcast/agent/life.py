"""How much of a certificate's life is over, and when the next one is asked for.

Does: arithmetic of times. Does not: know a clock; every time is an argument (seconds since 1970,
or of a steady clock where it says so).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509

from sealcast.identity.profiles import backdated
from sealcast.identity.renewal_time import WINDOW_BEGINS, WINDOW_ENDS

LATE: Final = 1 / 3
"""Whoever has less of a life left than this has not been renewed in time."""


@dataclass(frozen=True, slots=True)
class Life:
    """From when it was issued to its end."""

    begins_unix: float
    ends_unix: float

    @staticmethod
    def of(leaf: x509.Certificate) -> Life:
        """The authority begins each certificate a little before its issue, for slow clocks; a life
        of a minute would else be over by two thirds from the first.
        """
        begins = leaf.not_valid_before_utc.timestamp()
        ends = leaf.not_valid_after_utc.timestamp()
        issued = begins + backdated().total_seconds()
        return Life(issued if issued < ends else begins, ends)

    @property
    def length_s(self) -> float:
        return self.ends_unix - self.begins_unix

    def left_s(self, now: float) -> float:
        return self.ends_unix - now

    def is_late(self, now: float) -> bool:
        """Less than a third is left."""
        return self.left_s(now) < self.length_s * LATE

    def is_over(self, now: float) -> bool:
        return now >= self.ends_unix

    def moment(self, chance: float) -> float:
        """When to ask for the next one; `chance` (0 to 1) spreads many of the same age."""
        return self.begins_unix + self.length_s * (
            WINDOW_BEGINS + chance * (WINDOW_ENDS - WINDOW_BEGINS)
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait after failures, for a life of `length_s`: twice as long after each, half of
    it by chance, never longer than a small part of the life.
    """

    length_s: float

    @property
    def shortest_s(self) -> float:
        return _between(self.length_s / 600, 0.5, 60.0)

    @property
    def longest_s(self) -> float:
        return _between(self.length_s / 24, 2.0, 3600.0)

    def after(self, failures: int, chance: float) -> float:
        """Seconds after the last of so many failures in a row."""
        # Beyond 2 ** 32 the product would only be cut again.
        full = min(self.longest_s, self.shortest_s * 2.0 ** min(failures - 1, 32))
        return full * (0.5 + chance / 2)

    def look_s(self) -> float:
        """How long to sleep at most: a clock may be set, and files changed, at any time."""
        return _between(self.length_s / 20, 0.5, 30.0)

    def ask_s(self, told_s: float | None) -> float:
        """How long until renewal information is asked for again; `told_s` is the Retry-After.

        RFC 9773 §4.3.2: at least a minute, at most a day; for short lives less.
        """
        return min(_between(told_s or 3600.0, 60.0, 86400.0), max(1.0, self.length_s / 6))


def _between(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))
