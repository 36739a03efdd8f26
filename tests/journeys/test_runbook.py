"""The runbook, as an operator types it: every command of the page, in its order, in one shell.

A change of the page that cannot be typed fails here; so does a change of a command that the page
tells people to use.
"""

from __future__ import annotations

import datetime
import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from sealcast.identity.rolling import OVERLAP_AFTER_A_THEFT
from sealcast.node import limits
from sealcast.testing.requirement import require

PAGE = Path(__file__).parents[2] / "docs/runbook.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MANY = ("seq 1 20", "seq 1 8")
"""The page enrols twenty encoders; here it is the eight to which it comes back."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the page says, which is not done here
_TIMEOUT_S = 600
# The shell says where it is before each block, ends at the first command that fails, and leaves no
# node behind.
_PRELUDE = "set -euo pipefail\nset -m\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


def blocks() -> list[str]:
    return _BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def on_this_machine(text: str) -> str:
    """The page's machine and its ports as this machine has them."""
    with ExitStack() as stack:
        ports = []
        for _ in range(3):
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            ports.append(str(held.getsockname()[1]))
    for port, free in zip(("8443", "8444", "8445"), ports, strict=True):
        text = re.sub(rf":{port}\b", f":{free}", text)
    assert MANY[0] in text
    text = text.replace(*MANY).replace("node.venue.example", "localhost")
    return text.replace(EVERYWHERE, "127.0.0.1")


def test_every_fenced_block_of_the_runbook_is_one_that_the_test_runs() -> None:
    fences = re.findall(r"^```.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert fences == ["```sh", "```"] * len(blocks())
    assert len(blocks()) > 20


def test_agents_ask_often_enough_to_hear_of_a_theft_in_its_overlap() -> None:
    """The page says: every quarter of an hour."""
    asks_s = datetime.timedelta(seconds=limits.RENEWAL_AGAIN_S)
    assert asks_s * 4 <= OVERLAP_AFTER_A_THEFT


def test_every_command_of_the_runbook_does_what_the_page_says(tmp_path: Path) -> None:
    for program in ("openssl", "curl"):
        require(program)
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "sealcast"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sealcast "$@"\n')
    command.chmod(0o755)
    folder = tmp_path / "srv"
    folder.mkdir()
    steps = [f"echo '=== block {n}' >&2\n{block}" for n, block in enumerate(blocks(), 1)]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        ["bash", "-c", on_this_machine(_PRELUDE + "\n".join(steps))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": source,
            "LANG": "C.UTF-8",
        },
    )
    log = folder / "node.log"
    said = log.read_text(errors="replace") if log.exists() else ""
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{said[-2000:]}"
    assert f"=== block {len(steps)}" in done.stderr
    for told in (
        "nothing is due",
        "rehearsal: nothing was changed",
        "certificate revoked",
        "revoked again, by lists",
    ):
        assert told in done.stdout + done.stderr, told
