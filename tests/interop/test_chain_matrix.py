"""BoringSSL, OpenSSL, GnuTLS and NSS judge the matrix of `chain_cases.py`; where one does not do
what is due, or nothing is, `docs/path-validation.md` has the row.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sealcast.testing.requirement import require

require("core", "openssl", "certtool", "gcc", "nss-dev")
from tests.interop import chain_table  # noqa: E402 - needs them
from tests.interop.chain_cases import CASES  # noqa: E402


@pytest.mark.parametrize("name", CASES)
def test_each_verifier_answers_a_chain_as_the_page_says(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    given = chain_table.answers(case, tmp_path)
    if not chain_table.is_listed(case, given):
        assert name not in chain_table.listed(), "all do what is due: the row can go"
        return
    assert chain_table.row(name, case, given) == chain_table.listed().get(name)


def test_the_page_lists_no_chain_that_is_not_in_the_matrix() -> None:
    assert chain_table.listed().keys() <= CASES.keys()


def test_the_matrix_is_as_large_as_it_claims() -> None:
    assert len(CASES) >= 60
