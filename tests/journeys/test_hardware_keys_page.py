"""The page about keys in hardware does what it says: its commands are run, in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.soft_token import CONFIGURATION, softhsm

from sealcast.client.tls_identity import load_identity
from sealcast.testing.requirement import require, softhsm_module

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "hardware-keys.md"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def commands() -> str:
    """What stands in the page as a command."""
    lines = PAGE.read_text().splitlines()
    return "\n".join(line.strip() for line in lines if line.startswith("    "))


def test_every_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("softhsm", "openssl")
    module = softhsm_module()
    assert module is not None
    with softhsm(tmp_path / "softhsm", monkeypatch):
        work = tmp_path / "work"
        work.mkdir()
        folder = tmp_path / "bin"
        folder.mkdir()
        sealcast = folder / "sealcast"
        sealcast.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sealcast "$@"\n')
        sealcast.chmod(0o755)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands().replace(MODULE, str(module))],
            cwd=work,
            env={
                "PATH": f"{folder}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "PYTHONPATH": str(ROOT / "src"),
                CONFIGURATION: os.environ[CONFIGURATION],
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "27182818" not in done.stdout + done.stderr
        # The folder of the encoder is one that publishes.
        identity = load_identity(work / "venue-2" / "venue-2.pem", work / "venue-2/venue-2-key.pem")
        leaf = x509.load_pem_x509_certificates(identity.chain_pem)[0]
        assert callable(identity.key)
        listed = subprocess.run(
            [str(sealcast), "identity", "list", "--data", "authority", "--json"],
            cwd=work,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        rows = json.loads(listed.stdout)
        # Renewed with the same key, under another serial number.
        assert [row["name"] for row in rows] == ["encoder/venue-2"] * 2 + ["encoder/venue-1"]
        assert rows[0]["serial"] == f"{leaf.serial_number:x}"
        keys = [path.name for path in (work / "authority").rglob("*-key.pem")]
        assert keys == ["root-key.pem"]
