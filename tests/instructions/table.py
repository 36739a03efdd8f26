"""The table of expected counts: read, judged by, and written by `make instructions`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.instructions.callgrind import Count, count

FILE = Path(__file__).with_name("expected.toml")
TOLERANCE = 0.03

_HEAD = """\
# Instructions per packet under callgrind: in total, and of the cipher alone for the same bytes.
# Written by `make instructions`; docs/decisions/0011 says how it is used.
"""


def read() -> dict[str, Count]:
    """The table."""
    rows = tomllib.loads(FILE.read_text())
    return {name: Count(row["total"], row["primitive"]) for name, row in rows.items()}


def write(rows: Mapping[str, Count]) -> None:
    """Replace the table."""
    lines = (
        f'"{name}" = {{ total = {row.total:.1f}, primitive = {row.primitive:.1f} }}'
        for name, row in rows.items()
    )
    FILE.write_text(_HEAD + "\n".join(lines) + "\n")


def verdict(name: str, counted: Count, expected: Count) -> str | None:
    """The sentence for a count that left its tolerance, upwards or downwards.

    Compared is what sealcast adds to the cipher; the measure is the whole packet.
    """
    change = (counted.own - expected.own) / expected.total
    if abs(change) <= TOLERANCE:
        return None
    costs = f"{name}: sealcast adds {counted.own:.0f} instructions to its cipher's, "
    was = f"the table says {expected.own:.0f}: {abs(change):.1%} of a packet "
    if change > 0:
        return costs + was + "more. Find out what grew; if it is worth it, run `make instructions`."
    return costs + was + "less. Run `make instructions`, so that the gain is kept."


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        write(count(Path(folder)))
