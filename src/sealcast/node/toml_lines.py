"""Where in a TOML text a key stands.

Does: answers the line on which the statement that brings a key begins, with nothing but the
standard library's parser.

Does not: run when the configuration is right. It parses the text once per line, which is nothing
for a file that a person wrote and read, and is asked only for the keys that are refused.

How: a TOML text cut after a complete statement is a TOML text. The first cut that has the key is
the end of its statement; the last cut before it that could be parsed is where the statement begins.
So tables, dotted keys, arrays of tables, inline tables and values over many lines need no rules
here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

Path = Sequence[str | int]


def line_of(text: str, path: Path) -> int | None:
    """The 1-based line of the statement that brings `path`; None when the text has no such key."""
    lines = text.splitlines(keepends=True)
    begins = 1
    for count in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            # Inside a value over many lines: the statement goes on.
            continue
        if _has(document, path):
            return begins
        begins = count + 1
    return None


def _has(document: Any, path: Path) -> bool:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
