"""`sealcast demo --check`, as `make demo CHECK=1` runs it: the whole path, without a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sealcast._core", reason="the native module is not built")

_LONGEST_S = 60


def check(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealcast", "demo", "--check", *options],
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )


def test_an_encoders_picture_and_sound_reach_a_viewer_and_are_decoded() -> None:
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in (
        "encoder/demo",
        "TLS 1.3",
        "DTLS 1.3",
        "X25519MLKEM768",
        "AEAD_AES_128_GCM",
        "first start",
        "second start",
        "pictures decoded, clock from",
        "440 Hz",
        "PASSED",
    ):
        assert shown in done.stdout


def test_an_encoder_that_does_not_start_fails_the_check_with_a_reason(tmp_path: Path) -> None:
    done = check("--ffmpeg", "/bin/false", "--state-dir", str(tmp_path))
    assert done.returncode == 1
    assert "FAILED: DEMO.NO_ENCODER" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
