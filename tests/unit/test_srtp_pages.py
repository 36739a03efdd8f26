"""The example and the page about pylibsrtp do what they say."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "protect_a_stream.py"
PAGE = ROOT / "docs" / "migrating-from-pylibsrtp.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_example_runs_on_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}
    done = subprocess.run(  # the example of this repository
        [sys.executable, EXAMPLE], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 5


def test_the_example_protects_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    assert "26 bytes, protected 42" in capsys.readouterr().out


def test_the_example_is_about_fifteen_lines() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] not in '#"']
    assert len(lines) <= 15


def test_the_blocks_of_the_page_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - a page of this repository
    assert capsys.readouterr().out.startswith("SRTP.REPLAYED: A packet came twice")


def test_every_error_and_option_that_the_page_names_exists() -> None:
    import sealcast.errors
    from sealcast import SrtpReceiver, SrtpSender

    page = PAGE.read_text()
    rows = page.split("## Errors")[1].split("All are")[0]
    for name in re.findall(r"\| `(\w+)` \|$", rows, re.MULTILINE):
        assert issubclass(getattr(sealcast.errors, name), sealcast.errors.SrtpError)
    for call in re.findall(r"`(sender|receiver)\.(\w+)\(", page):
        assert hasattr({"sender": SrtpSender, "receiver": SrtpReceiver}[call[0]], call[1])
