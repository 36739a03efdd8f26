"""What the documents name exists: files, and the tests that THREATS.md and SECURITY.md rest on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/decisions/*.md")])
RESTING: Final = ("THREATS.md", "SECURITY.md")
NO_TEST: Final = "no test yet"

# `some/path` from the root of the checkout.
_PATH: Final = re.compile(
    r"`((?:crates|src|tests|docs|tools|benches|vectors|requirements)/[^\s`*…]*)`"
)
# `one_test`, `another_test` (`the/file`)
_EVIDENCE: Final = re.compile(r"((?:`\w+`,\s+)*`\w+`)\s+\(`([\w./-]+)`\)")
# A test, not any function of that name: of Python, of Rust with its attributes, of proptest!.
_TEST: Final = (
    r"^(?:async )?def {name}\(",
    r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn {name}\(",
)


def evidence() -> Iterator[tuple[str, str, str]]:
    """Document, file and name of each test that is named as evidence."""
    for document in RESTING:
        for names, place in _EVIDENCE.findall((ROOT / document).read_text()):
            for name in re.findall(r"\w+", names):
                yield document, place, name


def rows(document: str) -> Iterator[str]:
    """The rows of the document's tables, without headings."""
    for line in (ROOT / document).read_text().splitlines():
        if line.startswith("| ") and not line.rstrip().endswith("shown by |"):
            yield line.strip().strip("|")


@pytest.mark.parametrize(("document", "place", "name"), list(evidence()))
def test_a_test_that_is_named_as_evidence_exists(document: str, place: str, name: str) -> None:
    where = ROOT / place
    files = [where] if where.is_file() else [*where.rglob("*.py"), *where.rglob("*.rs")]
    assert files, f"{document} names {place}, which is not there"
    assert any(
        re.search(pattern.format(name=name), file.read_text(), re.MULTILINE)
        for file in files
        for pattern in _TEST
    ), f"{document} names {name}, which is no test of {place}"


@pytest.mark.parametrize("document", RESTING)
def test_every_row_names_its_tests_or_says_that_there_is_none(document: str) -> None:
    told = list(rows(document))
    assert told
    for row in told:
        shown_by = row.rpartition("|")[2].strip()
        assert shown_by == NO_TEST or _EVIDENCE.search(shown_by), row


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    missing = [
        path
        for path in _PATH.findall(document.read_text())
        if not list(ROOT.glob(path.rstrip("/")))
    ]
    assert missing == []
