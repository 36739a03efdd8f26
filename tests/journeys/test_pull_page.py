"""The page about streams from another node, as an operator types it: in its order, in one shell."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from sealcast.testing.requirement import require

PAGE = Path(__file__).parents[2] / "docs/pull.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the page says, which is not done here
_TIMEOUT_S = 300
# It ends at the first command that fails, and leaves nothing behind that it started.
_PRELUDE = "set -euo pipefail\nset -m\ntrap 'kill -- $(jobs -p | sed s/^/-/) 2>/dev/null' EXIT\n"


def on_this_machine(text: str) -> str:
    """The page's machines and their ports as this machine has them."""
    with ExitStack() as stack:
        for port in ("8443", "8444", "8445", "9443", "9444"):
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            text = re.sub(rf":{port}\b", f":{held.getsockname()[1]}", text)
    for host in ("origin.venue.example", "edge-1.venue.example"):
        text = text.replace(host, "localhost")
    return text.replace(_EVERYWHERE, "127.0.0.1")


def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    for program in ("core", "ffmpeg", "openssl", "curl"):
        require(program)
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 5
    programs, folder = tmp_path / "bin", tmp_path / "srv"
    programs.mkdir()
    folder.mkdir()
    command = programs / "sealcast"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sealcast "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", on_this_machine(_PRELUDE + "\n".join(blocks))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "LANG": "C.UTF-8",
        },
    )
    said = "".join(log.read_text(errors="replace")[-2000:] for log in folder.glob("*/*.log"))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{said}"
    assert "sealed       DTLS 1.3" in done.stdout
    edge, origin = done.stdout[done.stdout.index("┏") :].split("┏")[1:]
    assert re.search(r"node\b.*node/localhost", edge), edge
    assert re.search(r"node\b.*node/edge-1", origin), origin
    assert "pull" in edge
    assert "whep" in origin
