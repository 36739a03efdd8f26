"""`sealcast watch --save` as a person uses it: against a live node that ffmpeg publishes to by
mutual TLS.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from sealcast.testing import ffmpeg_peer
from sealcast.testing.node_process import COMMAND, Node, running_node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

STREAM = "saved"
PICTURE = ffmpeg_peer.Picture()
# About 3 s at the encoder's 1 Mbit/s.
ENOUGH_BYTES = 400_000
STOP_S = 10.0


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node on both families of loopback, with an encoder that publishes STREAM."""
    require("core", "ffmpeg")
    folder = tmp_path_factory.mktemp("live")
    with (
        running_node(folder / "node", loopback=("127.0.0.1", "::1")) as node,
        ffmpeg_peer.mpegts_over_tls(folder, node, STREAM, picture=PICTURE),
    ):
        yield node


def test_what_two_viewers_save_until_ctrl_c_can_be_played(live: Node, tmp_path: Path) -> None:
    """Both at once: Matroska from the page's address, MP4 over IPv6 under the strict policy."""
    token = live.token("watch", STREAM)
    page = live.url("watch", STREAM)
    endpoint = live.url("whep", STREAM, address="::1")
    assert "[::1]" in endpoint
    viewers = {
        tmp_path / "page.mkv": _watch(live, page, token, tmp_path / "page.mkv"),
        tmp_path / "ipv6.mp4": _watch(
            live, endpoint, token, tmp_path / "ipv6.mp4", "--policy", "strict"
        ),
    }
    for file, viewer in viewers.items():
        _wait_for_enough(file, viewer)
    for viewer in viewers.values():
        viewer.send_signal(signal.SIGINT)
    for file, viewer in viewers.items():
        output, errors = viewer.communicate(timeout=STOP_S)
        assert viewer.returncode == 0, errors
        assert errors == ""
        assert "sealed       DTLS 1.3" in output
        assert "AEAD_AES_128_GCM" in output
        _assert_playable(file)
        told = _frames_told(output)
        saved = _decoded(file)
        # What came before the first key frame is not in the file; what is, is whole.
        assert 0 < saved.pictures <= told["video"]
        assert saved.pictures >= PICTURE.rate * 2
        assert abs(saved.video_s - saved.pictures / PICTURE.rate) < 0.2
        assert abs(saved.audio_s - saved.video_s) < 0.5
        assert saved.loudest > 0.01
    assert "path         [::1]:" in output


def test_a_stream_that_does_not_exist_is_told_in_a_sentence(live: Node, tmp_path: Path) -> None:
    file = tmp_path / "nothing.mkv"
    url, token = live.url("whep", "absent"), live.token("watch", "absent")
    viewer = _watch(live, url, token, file)
    output, errors = viewer.communicate(timeout=30)
    assert viewer.returncode == 1
    assert "STREAM.ABSENT" in errors
    assert "Traceback" not in output + errors
    assert not file.exists()


def _wait_for_enough(file: Path, viewer: subprocess.Popen[str]) -> None:
    wait_for(
        lambda: file.exists() and file.stat().st_size > ENOUGH_BYTES,
        what=f"{ENOUGH_BYTES} bytes in {file.name}",
        explain=lambda: f"exit code {viewer.poll()}",
    )


def _watch(
    node: Node, url: str, token: str, file: Path | None, *options: str
) -> subprocess.Popen[str]:
    save = () if file is None else ("--save", str(file))
    return subprocess.Popen(
        [*COMMAND, "watch", url, "--token", token, "--ca", str(node.authority), *save, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )


def _frames_told(output: str) -> dict[str, int]:
    """The last line, such as "frames       150 audio, 90 video"."""
    parts = output.strip().splitlines()[-1].removeprefix("frames").strip().split(", ")
    return {kind: int(number) for number, kind in (part.split() for part in parts)}


def _assert_playable(file: Path) -> None:
    """ffprobe reads it without a complaint, and finds the duration in the file's own header."""
    done = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_format", "-show_streams", "-of", "json", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert float(told["format"]["duration"]) > 2
    assert {stream["codec_name"] for stream in told["streams"]} == {"h264", "opus"}


@dataclass(frozen=True, slots=True)
class _Decoded:
    pictures: int
    video_s: float
    audio_s: float
    loudest: float


def _decoded(file: Path) -> _Decoded:
    """Every frame of the file through FFmpeg's decoders."""
    pictures, ends, loudest = 0, {"video": 0.0, "audio": 0.0}, 0.0
    with av.open(str(file)) as container:
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                assert (frame.width, frame.height) == (640, 360)
                pictures += 1
                ends["video"] = (frame.time or 0.0) + 1 / PICTURE.rate
            elif isinstance(frame, av.AudioFrame):
                ends["audio"] = (frame.time or 0.0) + frame.samples / frame.sample_rate
                loudest = max(loudest, float(np.abs(frame.to_ndarray()).max()))
    return _Decoded(pictures, ends["video"], ends["audio"], loudest)
