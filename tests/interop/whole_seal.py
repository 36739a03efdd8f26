"""A seal compared as a whole: each of its fields is what the peer saw.

Does: goes through the fields that the node told, so that one which is added later, and which nobody
compares, fails the test.

Does not: know any peer. Each test brings what its peer saw, in the seal's own words.
"""

from __future__ import annotations

from collections.abc import Mapping


def assert_whole_seal(seal: Mapping[str, object], seen: Mapping[str, object]) -> None:
    """`seal` and `seen` have the same fields, with the same values."""
    told, compared = set(seal), set(seen)
    assert not told - compared, f"nobody compares {sorted(told - compared)}"
    assert not compared - told, f"the seal does not tell {sorted(compared - told)}"
    differences = {
        name: f"the node told {seal[name]!r}, its peer saw {value!r}"
        for name, value in seen.items()
        if seal[name] != value
    }
    assert not differences, differences
