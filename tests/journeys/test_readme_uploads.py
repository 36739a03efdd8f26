"""The README's row about uploads, typed as it stands there: ffmpeg and curl, with a certificate and
with a token.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealcast.testing.node_process import Node, running_node
from sealcast.testing.requirement import require

README = Path(__file__).parents[2] / "README.md"
STREAM = "venue/stage-1"
SETTINGS = f"""
[streams."{STREAM}"]
publishers = ["spiffe://test.sealcast/encoder/venue-1", "token"]
"""


def row() -> list[str]:
    """What stands between backticks in it, in order."""
    found = re.search(r"^\| publish where only HTTPS gets out \|(.*)\|$", README.read_text(), re.M)
    assert found is not None
    return [text.replace("\\|", "|") for text in re.findall(r"`([^`]*)`", found[1])]


FFMPEG, _EXPECT, CURL, FFMPEG_TOKEN, CURL_TOKEN = row()


def by_token(command: str, option: str) -> str:
    """The same command with a token in place of the certificate, at the other port."""
    bare = re.sub(r" -?-(cert|key|cert_file|key_file) \S+", "", command)
    return bare.replace(":8444", ":8443").replace(" https://", f" {option} https://")


COMMANDS = {
    "ffmpeg, certificate": FFMPEG,
    "curl, certificate": CURL,
    "ffmpeg, token": by_token(FFMPEG, FFMPEG_TOKEN),
    "curl, token": by_token(CURL, CURL_TOKEN),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core", "ffmpeg", "curl")
    with running_node(tmp_path_factory.mktemp("readme"), settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def folder(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader types: in.mp4, in.ts and venue-1/."""
    made = tmp_path_factory.mktemp("typed")
    (made / "venue-1").mkdir()
    client = node.client("encoder/venue-1")
    shutil.copy(client.chain, made / "venue-1/venue-1.pem")
    shutil.copy(client.key, made / "venue-1/venue-1-key.pem")
    shutil.copy(node.authority, made / "venue-1/authority.pem")
    for name in ("in.mp4", "in.ts"):
        subprocess.run(
            [
                *("ffmpeg", "-hide_banner", "-loglevel", "error"),
                *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30"),
                *("-f", "lavfi", "-i", "sine", "-t", "2", "-c:v", "libx264", "-bf", "0"),
                *("-pix_fmt", "yuv420p", "-c:a", "aac", name),
            ],
            check=True,
            cwd=made,
            timeout=60,
        )
    return made


@pytest.mark.parametrize("what", COMMANDS)
def test_what_the_readme_says_of_uploads_can_be_typed(what: str, node: Node, folder: Path) -> None:
    typed = COMMANDS[what].replace("stream.example:8444", f"localhost:{node.secure_port}")
    typed = typed.replace("stream.example:8443", f"localhost:{node.public_port}")
    before = {leg["id"] for leg in node.legs(stream=STREAM)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "TOKEN": node.token("publish", STREAM)},
    )
    assert done.returncode == 0, done.stderr
    if what.startswith("curl"):
        assert json.loads(done.stdout)["code"] == "STREAM.ENDED"
    [leg] = [leg for leg in node.legs(stream=STREAM) if leg["id"] not in before]
    assert leg["way"] == "mpegts-https"
    assert leg["peer"]["proof"] == what.partition(", ")[2]
    over = node.leg(id=leg["id"], state="ended")
    assert over["end"]["code"] == "STREAM.ENDED"
    assert over["counters"]["bytes_in"] > 10_000
