"""Patterns of names with parts between slashes: `encoder/venue-*`, `venue/**`.

Does: one `*` in a part stands for any characters of that part, none included; `**` as the last part
stands for one or more whole parts. All else is itself, letter by letter.

Does not: know regular expressions. A match compares each part's beginning and end once, so its time
is bounded by the length of the name whatever the pattern is.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 256
_LETTERS: Final = frozenset(string.ascii_letters + string.digits + "._-")
REST: Final = "**"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern. Only `parse` makes one."""

    text: str
    parts: tuple[tuple[str, str] | str, ...]
    """A part in full, or what stands before and after its `*`."""
    rest: bool
    """Whether more parts may follow, one at least."""

    @staticmethod
    def parse(text: str) -> Pattern:
        """The pattern; ValueError with a sentence for anything else."""
        if len(text) > LONGEST:
            raise ValueError(f"a pattern has at most {LONGEST} characters")
        parts = text.split("/")
        rest = parts[-1] == REST
        return Pattern(text, tuple(map(_part, parts[:-1] if rest else parts)), rest)

    @property
    def is_exact(self) -> bool:
        """Whether it matches one name only, itself."""
        return not self.rest and all(isinstance(part, str) for part in self.parts)

    def matches(self, name: str) -> bool:
        """Whether `name` is one that it stands for."""
        parts = name.split("/")
        if self.rest:
            if len(parts) <= len(self.parts):
                return False
        elif len(parts) != len(self.parts):
            return False
        # A name without a letter between two slashes is none.
        return all(parts) and all(map(_fits, self.parts, parts))


def finder(text: str) -> Callable[[str], bool]:
    """What people type to find names of ends, in letters of either case: a pattern if it has a `*`,
    else any part of the name; nothing finds all. ValueError with a sentence for anything else.
    """
    text = text.lower()
    if "*" in text:
        return Pattern.parse(text).matches
    if len(text) > LONGEST:
        raise ValueError(f"a part of a name has at most {LONGEST} characters")
    if not _LETTERS.union("/").issuperset(text):
        raise ValueError("names are of letters, digits, '.', '_', '-' and slashes")
    return lambda name: text in name


def _part(text: str) -> tuple[str, str] | str:
    if text == REST:
        raise ValueError("** stands alone as the last part")
    before, star, after = text.partition("*")
    if "*" in after:
        raise ValueError("a part has at most one *")
    if not text or not _LETTERS.issuperset(before + after):
        raise ValueError("its parts are letters, digits, '.', '_', '-' and at most one *")
    return (before, after) if star else text


def _fits(part: tuple[str, str] | str, text: str) -> bool:
    if isinstance(part, str):
        return part == text
    before, after = part
    # Both at once must find room: "ab*ba" is not "aba".
    return (
        len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)
    )
