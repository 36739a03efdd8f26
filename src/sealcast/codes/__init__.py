"""The one table of everything that can go wrong, or be worth a remark.

Does: gives every code its stage, one sentence (what happened), one remedy (what to do next) and,
where an HTTP answer can carry it, a status. A code is the same string in an exception, a metric,
the ledger, a problem document and the docs, in Python and in Rust; `tests/unit/test_codes.py`
compares the two. The rows stand in a file per area: all codes with the same word before the dot
stand in the same file.

Does not: say why *this time*. That is the `detail` of the error that carries the code: the field,
the line, the value.

Specs: RFC 9457 (problem details), RFC 9110 §15 (status codes).

The caller must still: put no secret into a detail.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sealcast.codes import (
    access,
    acme,
    admission,
    doors,
    dtls,
    ends,
    hsm,
    ice,
    identity,
    media,
    node,
    pull,
    relay,
    sdp,
    spiffe,
    srtp,
    streams,
    tls,
)
from sealcast.codes.row import Code

__all__ = ["CODES", "PROBLEM_TYPE", "Code", "lookup", "page", "problem", "table"]

PROBLEM_TYPE: Final = "application/problem+json"

_AREAS: Final = (
    sdp,
    doors,
    access,
    admission,
    ice,
    dtls,
    tls,
    identity,
    acme,
    spiffe,
    srtp,
    hsm,
    relay,
    streams,
    media,
    pull,
    ends,
    node,
)

# The stages in the order of the page.
_STAGES: Final = ("signalling", "path", "handshake", "identity", "keys", "node", "media")


def table(areas: Iterable[tuple[Code, ...]]) -> Mapping[str, Code]:
    """The rows of all `areas` by their codes; `ValueError` names a code that stands twice."""
    rows: dict[str, Code] = {}
    for row in (row for area in areas for row in area):
        if rows.setdefault(row.code, row) is not row:
            raise ValueError(f"the code {row.code} stands twice in the table")
    return MappingProxyType(rows)


CODES: Final = table(area.ROWS for area in _AREAS)  # a code that stands twice ends the first import


def lookup(code: str) -> Code:
    """The row of `code`; one that is not in the table gets an honest row of its own, so that no
    report is lost.
    """
    row = CODES.get(code)
    if row is not None:
        return row
    return Code(code, "node", f"The node met {code}.", "Report this code; it has no page.", 500)


def problem(code: str, detail: str = "", instance: str | None = None) -> dict[str, str | int]:
    """The problem document (RFC 9457 §3.1) of `code`: what happened, why we think so, what to do
    next.

    `instance` names the one occurrence, such as a request or a leg.
    """
    row = lookup(code)
    document: dict[str, str | int] = {
        "type": f"urn:sealcast:code:{row.code}",
        "title": row.sentence,
        "status": row.http_status,
        "code": row.code,
        "stage": row.stage,
        "remedy": row.remedy,
    }
    if detail:
        document["detail"] = detail
    if instance is not None:
        document["instance"] = instance
    return document


def page() -> str:
    """The page `docs/codes.md`: the whole table, a section a code, so that each has an anchor."""
    lines = [
        "# Codes",
        "",
        "Everything that can go wrong, or be worth a remark, by stage. The same string stands in",
        "the exception, the metric, the ledger and the problem document. Made from",
        "`sealcast.codes` by `make docs`; a test compares the two.",
    ]
    for stage in _STAGES:
        lines += ["", f"## {stage}"]
        for row in sorted(CODES.values(), key=lambda row: row.code):
            if row.stage == stage:
                answered = f" (HTTP {row.http_status})" if row.http_status != 500 else ""
                lines += ["", f"### {row.code}", "", f"{row.sentence}{answered} {row.remedy}"]
    return "\n".join(lines) + "\n"
