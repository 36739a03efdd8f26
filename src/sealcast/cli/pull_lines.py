"""What a node takes from others and does not have now: a line each, beside the table of legs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def pull_lines(pulls: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Of `pulls` in `GET /api/legs` those without media; what is live is a leg in the table."""
    for pull in pulls:
        if pull["state"] == "live":
            continue
        told = f"{pull['stream']} from {pull['from']} is {pull['state']}, try {pull['tries']}"
        why = pull["why"]
        if why is None:
            yield f"{told}."
            continue
        parts = (f"{told}: {why['code']}.", why["sentence"], why["detail"], why["remedy"])
        yield " ".join(part for part in parts if part)
