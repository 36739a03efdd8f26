"""No change makes a packet dearer unnoticed."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest
from tests.instructions import table
from tests.instructions.callgrind import Count, count, programs

EXPECTED = Count(total=1500, primitive=1350)


def test_a_packet_costs_the_instructions_of_the_table(tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the table is for x86-64")
    if not shutil.which("valgrind"):
        pytest.skip("needs Debian's package valgrind")
    if not programs().exists():
        pytest.skip(f"{programs()} is missing: make test builds it")
    expected = table.read()
    counted = count(tmp_path)
    assert counted.keys() == expected.keys(), "the table has other rows: make instructions"
    complaints = [table.verdict(name, counted[name], expected[name]) for name in expected]
    assert not any(complaints), "\n".join(filter(None, complaints))


def test_a_packet_that_grew_by_more_than_the_tolerance_is_refused() -> None:
    assert table.verdict("x", Count(1545, 1350), EXPECTED) is None
    grown = table.verdict("x", Count(1546, 1350), EXPECTED)
    assert grown is not None
    assert "Find out what grew" in grown


def test_a_packet_that_shrank_asks_for_a_new_table() -> None:
    shrunk = table.verdict("x", Count(1450, 1350), EXPECTED)
    assert shrunk is not None
    assert "the gain is kept" in shrunk


def test_another_path_through_the_cipher_changes_no_verdict() -> None:
    assert table.verdict("x", Count(total=31_500, primitive=31_350), EXPECTED) is None
