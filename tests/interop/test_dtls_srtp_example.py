"""The example of two processes that stream sound over DTLS-SRTP does what it says."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

from sealcast.testing.requirement import require

require("core")

EXAMPLE = Path(__file__).parents[2] / "examples" / "dtls_srtp_audio.py"
END_S = 60.0


def start(role: str, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, EXAMPLE, role, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def test_two_processes_hear_one_another() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start("server", port) as server, start("client", port) as client:
        try:
            ours, theirs = said(server), said(client)
            assert ours.startswith("sha-256 ")
            tell(server, theirs)
            tell(client, ours)
            for process in (server, client):
                output, errors = process.communicate(timeout=END_S)
                assert process.returncode == 0, errors
                assert re.search(r"heard 4[5-9]|heard 50", output), output
                assert "160 bytes, AEAD_AES_128_GCM" in output
        finally:
            for process in (server, client):
                process.kill()
