"""A seal compared as a whole: each of its fields is what the peer saw, or it is written down why
that cannot be.

Does: goes through the fields that the node told, so that one which is added later, and which nobody
compares, fails the test.

Does not: know any peer. Each test brings what its peer saw, in the seal's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Uncompared:
    """Why a field is not compared, and the only values that the node may tell then."""

    reason: str
    admissible: frozenset[object]


def uncompared(reason: str, *admissible: object) -> Uncompared:
    """Most have one admissible value."""
    return Uncompared(reason, frozenset(admissible))


def assert_whole_seal(
    seal: Mapping[str, object], seen: Mapping[str, object], rest: Mapping[str, Uncompared]
) -> None:
    """Every field of `seal` stands in `seen` with the same value or in `rest` with a reason."""
    told, covered = set(seal), set(seen) | set(rest)
    assert not told - covered, f"neither compared nor explained: {sorted(told - covered)}"
    assert not covered - told, f"the seal does not tell: {sorted(covered - told)}"
    assert not set(seen) & set(rest), f"seen after all: {sorted(set(seen) & set(rest))}"
    differences = {
        name: f"the node told {seal[name]!r}, its peer saw {value!r}"
        for name, value in seen.items()
        if seal[name] != value
    }
    differences |= {
        name: f"the node told {seal[name]!r}, which cannot be: {field.reason}"
        for name, field in rest.items()
        if seal[name] not in field.admissible
    }
    assert not differences, differences
