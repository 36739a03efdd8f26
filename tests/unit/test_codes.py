"""The table of codes: complete, readable, and the same in both languages."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from sealcast import codes
from sealcast.codes import CODES, lookup, page, problem, table
from sealcast.codes.row import failures
from sealcast.errors import Bug, LocalError, RemoteError, SealcastError
from sealcast.legs import Stage

SOURCES = Path(__file__).parents[2] / "src" / "sealcast"
CODE = re.compile(r'"((?:[A-Z][A-Z0-9]*)\.(?:[A-Z][A-Z0-9_]*))"')


def test_every_row_says_what_happened_and_what_to_do() -> None:
    for row in CODES.values():
        assert re.fullmatch(r"[A-Z]+\.[A-Z0-9_]+", row.code)
        assert row.sentence.endswith("."), row.code
        assert row.sentence[0].isupper(), row.code
        assert row.remedy, row.code
        assert row.stage in {*Stage, "node"}, row.code
        assert 200 <= row.http_status < 600, row.code


def test_a_code_that_stands_twice_is_refused() -> None:
    rows = failures("node", ("TEST.TWICE", "It happened.", "Do this."))
    with pytest.raises(ValueError, match=r"TEST\.TWICE stands twice"):
        table([rows, failures("path", ("TEST.TWICE", "It happened so.", "Do that."))])


def test_all_codes_of_a_family_stand_in_one_file_and_all_files_are_in_the_table() -> None:
    family_files: dict[str, str] = {}
    rows = 0
    for module in pkgutil.iter_modules(codes.__path__):
        area = importlib.import_module(f"{codes.__name__}.{module.name}")
        for row in getattr(area, "ROWS", ()):
            assert CODES[row.code] is row
            family = row.code.partition(".")[0]
            assert family_files.setdefault(family, module.name) == module.name, row.code
            rows += 1
    assert rows == len(CODES)


def test_every_code_that_python_names_is_in_the_table() -> None:
    named = {
        code
        for path in SOURCES.rglob("*.py")
        for code in CODE.findall(path.read_text("utf-8"))
        if path.parent != SOURCES / "codes"
    }
    assert named - set(CODES) == set()


def test_every_code_of_the_native_side_is_in_the_table() -> None:
    core = pytest.importorskip("sealcast._core", reason="the native module is not built")
    assert set(core.codes()) - set(CODES) == set()


def test_every_refusal_of_an_offer_has_a_client_error_as_status() -> None:
    for row in CODES.values():
        if row.code.startswith(("SDP.", "TOKEN.", "POLICY.")) and row.stage == "signalling":
            assert 400 <= row.http_status < 500, row.code


def test_a_code_that_is_not_in_the_table_is_reported_all_the_same() -> None:
    assert lookup("NEW.CODE").sentence
    assert problem("NEW.CODE")["code"] == "NEW.CODE"


def test_a_problem_document_has_the_members_of_rfc_9457() -> None:
    document = problem("STREAM.ABSENT", "It is 'a'.", "/sessions/1")
    assert document["type"] == "urn:sealcast:code:STREAM.ABSENT"
    assert document["title"] == CODES["STREAM.ABSENT"].sentence
    assert document["status"] == 409
    assert document["detail"] == "It is 'a'."
    assert document["instance"] == "/sessions/1"
    assert document["remedy"] == CODES["STREAM.ABSENT"].remedy


def test_a_problem_document_without_detail_has_no_empty_members() -> None:
    assert {"detail", "instance"} & set(problem("STREAM.ABSENT")) == set()


@pytest.mark.parametrize("kind", [LocalError, RemoteError, Bug])
def test_an_error_reads_as_what_why_and_what_next(kind: type[SealcastError]) -> None:
    error = kind("SDP.NO_ICE", "a=ice-pwd is missing.")
    row = CODES["SDP.NO_ICE"]
    assert str(error) == f"SDP.NO_ICE: {row.sentence} a=ice-pwd is missing. {row.remedy}"
    assert error.http_status == 400
    assert error.problem()["detail"] == "a=ice-pwd is missing."


def test_a_detail_without_a_stop_does_not_run_into_the_remedy() -> None:
    row = CODES["SDP.NO_ICE"]
    for detail in ("no a=ice-pwd", "no a=ice-pwd."):
        error = LocalError("SDP.NO_ICE", detail)
        assert str(error) == f"SDP.NO_ICE: {row.sentence} no a=ice-pwd. {row.remedy}"


def test_the_page_of_codes_is_the_table_of_today() -> None:
    made = Path(__file__).parents[2] / "docs" / "codes.md"
    assert made.read_text() == page(), "run: make docs"


def test_the_page_has_a_section_for_every_code() -> None:
    assert sorted(re.findall(r"^### (.*)$", page(), re.MULTILINE)) == sorted(CODES)
