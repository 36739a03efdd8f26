"""MPEG-TS put by HTTPS by the programs that people have: ffmpeg 5.1 and 9, curl by HTTP/1.1 and 2.
What viewers get of it, what the ledger says, and what each mistake is told.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
from tests.interop.own_authority import node_with_own_authority, revoke

from sealcast.client import watch
from sealcast.identity import ThrowAwayAuthority
from sealcast.testing.ffmpeg_peer import Picture, mpegts_over_https, mpegts_put
from sealcast.testing.node_process import Client, Node, running_node
from sealcast.testing.requirement import imageio_ffmpeg_exe, require
from sealcast.testing.waiting import wait_for

PICTURE = Picture(size="320x240", bitrate="300k")
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core", "ffmpeg", "curl")
    with node_with_own_authority(tmp_path_factory.mktemp("uploads")) as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a transport stream."""
    require("ffmpeg")
    file = tmp_path_factory.mktemp("recorded") / "recording.ts"
    subprocess.run(
        [
            *("ffmpeg", "-hide_banner", "-loglevel", "error"),
            *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-t", "3"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
            *("-bf", "0", "-g", "30", "-f", "mpegts", str(file)),
        ],
        check=True,
        timeout=TIMEOUT_S,
    )
    return file


def decoded_pictures(node: Node, stream: str, wanted: int) -> int:
    """Watches until `wanted` pictures were decoded; how wide the last one is."""

    async def look() -> int:
        decoder = av.CodecContext.create("h264", "r")
        seen = 0
        url, token = node.url("whep", stream), node.token("watch", stream)
        async with (
            asyncio.timeout(TIMEOUT_S),
            await watch(url, token=token, ca_file=node.authority) as viewer,
        ):
            async for frame in viewer.frames():
                if frame.kind != "video":
                    continue
                for packet in decoder.parse(frame.data):
                    for picture in decoder.decode(packet):
                        seen += 1
                        if seen >= wanted:
                            return int(picture.width)
        raise AssertionError(f"{seen} pictures")

    return asyncio.run(look())


@pytest.mark.parametrize("version", ["5.1", "9"])
def test_what_ffmpeg_puts_is_watched_while_it_is_put(
    version: str, node: Node, tmp_path: Path
) -> None:
    if version == "9":
        require("ffmpeg-whip")
    program = imageio_ffmpeg_exe() if version == "9" else "ffmpeg"
    stream = f"by-ffmpeg-{version.replace('.', '-')}"
    with mpegts_over_https(tmp_path, node, stream, program=program, picture=PICTURE) as encoder:
        assert decoded_pictures(node, stream, 45) == 320
        leg = node.leg(stream=stream, role="ingest")
        assert encoder.is_running, encoder.output()
    assert leg["way"] == "mpegts-https"
    assert leg["peer"]["name"] == f"spiffe://test.sealcast/encoder/{stream}"
    assert (leg["peer"]["proof"], leg["peer"]["proved"]) == ("certificate", True)
    assert leg["local"]["proved"]
    assert (leg["seal"]["protocol"], leg["seal"]["version"]) == ("TLS", "1.3")
    assert leg["seal"]["expires_unix"]
    over = node.leg(stream=stream, role="ingest", state="ended")
    assert over["end"]["code"] == "STREAM.ENDED"
    assert over["counters"]["bytes_in"] > 10_000


def test_pictures_that_webrtc_cannot_show_are_flagged(node: Node, tmp_path: Path) -> None:
    stream = "with-b-frames"
    picture = Picture(size="320x240", bitrate="300k", b_frames=2)
    with mpegts_over_https(tmp_path, node, stream, picture=picture):
        leg = node.leg(stream=stream, role="ingest", state="live")
        noted = wait_for(
            lambda: node.leg(id=leg["id"])["notes"], what="a note", explain=node.output
        )
    assert [note["code"] for note in noted] == ["STREAM.B_FRAMES"]


def curl(node: Node, url: str, *words: str) -> list[str]:
    return ["curl", "-sS", "-w", "\\n%{http_code}", "--cacert", str(node.authority), *words, url]


def showing(client: Client) -> list[str]:
    return ["--cert", str(client.chain), "--key", str(client.key)]


@dataclass(frozen=True, slots=True)
class Told:
    """What curl was answered."""

    exit_code: int
    status: int
    document: dict[str, Any]
    errors: str


def told(done: subprocess.CompletedProcess[str]) -> Told:
    body, _, status = done.stdout.rpartition("\n")
    return Told(done.returncode, int(status or 0), json.loads(body or "{}"), done.stderr)


def run(words: Sequence[str]) -> Told:
    return told(
        subprocess.run(words, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    )


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_is_answered_what_came_of_its_file(version: str, node: Node, recording: Path) -> None:
    stream = f"file{version}"
    name = f"encoder/{stream}"
    url = node.url("upload", stream, door="secure")
    answer = run(curl(node, url, version, "-T", str(recording), *showing(node.client(name))))
    assert (answer.exit_code, answer.status) == (0, 200), answer
    assert answer.document["code"] == "STREAM.ENDED"
    assert answer.document["stream"] == stream
    assert answer.document["bytes"] == recording.stat().st_size
    assert answer.document["video_frames"] == 90
    leg = node.leg(stream=stream, role="ingest", state="ended")
    assert leg["id"] == answer.document["leg"]
    assert leg["seal"]["alpn"] == ("h2" if version == "--http2" else "http/1.1")
    assert leg["counters"]["bytes_in"] == recording.stat().st_size


@contextmanager
def piped(node: Node, stream: str, client: Client, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``ffmpeg … -f mpegts - | curl -T - URL``: an upload without an end."""
    url = node.url("upload", stream, door="secure")
    encoding = subprocess.Popen(
        [
            *("ffmpeg", "-hide_banner", "-loglevel", "error", "-re"),
            *("-f", "lavfi", "-i", f"testsrc2=size={PICTURE.size}:rate=30", "-t", "120"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
            *("-pix_fmt", "yuv420p", "-g", "30", "-f", "mpegts", "-flush_packets", "1", "-"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    uploading = subprocess.Popen(
        curl(node, url, "-T", "-", *words, *showing(client)),
        stdin=encoding.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert encoding.stdout is not None
    encoding.stdout.close()
    try:
        yield uploading
    finally:
        for process in (encoding, uploading):
            process.terminate()
            process.wait(timeout=10)
        for pipe in (uploading.stdout, uploading.stderr):
            assert pipe is not None
            pipe.close()


def said(process: subprocess.Popen[str]) -> Told:
    """What an upload was answered that the node ended."""
    output, errors = process.communicate(timeout=TIMEOUT_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    return told(done)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_revoked_uploader_is_told_so_and_its_viewers_too(version: str, node: Node) -> None:
    stream = f"lost{version}"
    name = f"encoder/{stream}"
    with piped(node, stream, node.client(name), version) as uploading:
        node.leg(stream=stream, role="ingest", state="live")
        assert decoded_pictures(node, stream, 5)
        revoke(node, name)
        answer = said(uploading)
    assert (answer.status, answer.document.get("code")) == (403, "IDENTITY.REVOKED"), answer
    assert "revoked" in answer.document["title"]
    leg = node.leg(stream=stream, role="ingest", state="failed")
    assert leg["end"]["code"] == "IDENTITY.REVOKED"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_the_same_identity_takes_over_and_the_one_before_is_told(version: str, node: Node) -> None:
    stream = f"twice{version}"
    client = node.client(f"encoder/{stream}")
    with piped(node, stream, client, version) as first:
        before = node.leg(stream=stream, role="ingest", state="live")
        with piped(node, stream, client, version):
            answer = said(first)
            assert (answer.status, answer.document.get("code")) == (409, "STREAM.TAKEN_OVER"), (
                answer
            )
            after = node.leg(stream=stream, role="ingest", state="live")
            assert after["id"] != before["id"]
            assert decoded_pictures(node, stream, 5)


def test_another_identity_is_refused_a_stream_that_is_on_the_air(
    node: Node, recording: Path
) -> None:
    stream = "on-the-air"
    with piped(node, stream, node.client(f"encoder/{stream}")):
        node.leg(stream=stream, role="ingest", state="live")
        token = node.token("publish", stream)
        bearer = ["-H", f"Authorization: Bearer {token}"]
        answer = run(curl(node, node.url("upload", stream), "-T", str(recording), *bearer))
        assert (answer.status, answer.document.get("code")) == (409, "STREAM.TAKEN"), answer
        assert node.leg(stream=stream, role="ingest", state="live")


def test_a_token_uploads_at_the_public_door(node: Node, recording: Path) -> None:
    stream = "by-token"
    bearer = ["-H", f"Authorization: Bearer {node.token('publish', stream)}"]
    answer = run(curl(node, node.url("upload", stream), "-T", str(recording), *bearer))
    assert (answer.status, answer.document.get("code")) == (200, "STREAM.ENDED"), answer
    leg = node.leg(stream=stream, role="ingest", state="ended")
    assert (leg["peer"]["proof"], leg["peer"]["proved"]) == ("token", True)


def test_ffmpeg_says_by_token_and_hears_a_refusal(node: Node) -> None:
    picture = Picture(size="320x240", bitrate="300k", lasts_s=2)
    good = node.token("publish", "told")
    for stream, code, words in (("told", 0, ""), ("not-mine", 1, "403 Forbidden")):
        command = mpegts_put(node, stream, identity=None, token=good, picture=picture)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        assert (done.returncode != 0) == bool(code), done.stderr
        assert words in done.stderr


def test_a_node_that_stops_tells_its_uploaders(tmp_path: Path) -> None:
    require("core", "ffmpeg", "curl")
    stream = "until-the-end"
    with running_node(tmp_path / "stopping") as node:
        client = node.client(f"encoder/{stream}")
        for version in ("--http1.1", "--http2"):
            with piped(node, stream, client, version) as uploading:
                node.leg(stream=stream, role="ingest", state="live")
                assert node.stop() == 0
                answer = said(uploading)
                node.start()
            assert (answer.status, answer.document.get("code")) == (503, "NODE.STOPPING"), answer


# ---- bad input -----------------------------------------------------------------------------------


def counters(node: Node) -> dict[str, float]:
    text = node.request("GET", "/metrics", client=node.client("admin/ada"))[1].decode()
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def one_more(before: dict[str, float], after: dict[str, float], row: str) -> bool:
    return after.get(row, 0.0) == before.get(row, 0.0) + 1


REFUSALS: dict[str, tuple[Callable[[Node], list[str]], str, int, str]] = {
    "a stream that is not its own": (
        lambda node: showing(node.client("encoder/somebody")),
        "not-mine",
        403,
        "IDENTITY.NOT_ALLOWED",
    ),
    "a viewer's certificate": (
        lambda node: showing(node.client("viewer/vera")),
        "refused",
        403,
        "IDENTITY.NOT_ALLOWED",
    ),
    "another type": (
        lambda node: ["-H", "Content-Type: video/mp4", *showing(node.client("encoder/refused"))],
        "refused",
        415,
        "HTTP.WRONG_TYPE",
    ),
    "a token for another stream": (
        lambda node: [
            *("-H", f"Authorization: Bearer {node.token('publish', 'elsewhere')}"),
            *showing(node.client("encoder/refused")),
        ],
        "refused",
        403,
        "TOKEN.WRONG_STREAM",
    ),
}


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("what", REFUSALS)
def test_a_refused_upload_gets_its_code_its_sentence_and_its_counter(
    what: str, version: str, node: Node, recording: Path
) -> None:
    shown, stream, status, code = REFUSALS[what]
    words = shown(node)
    before = counters(node)
    url = node.url("upload", stream, door="secure")
    answer = run(curl(node, url, version, "-T", str(recording), *words))
    assert (answer.exit_code, answer.status) == (0, status), answer
    assert answer.document["code"] == code
    assert answer.document["title"]
    assert answer.document["remedy"]
    assert one_more(
        before, counters(node), f'sealcast_refusals_total{{code="{code}",role="ingest"}}'
    )


BAD_STREAMS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "garbage": (lambda _: b"RTSP/1.0 200 OK\r\n" * 10_000, "TS.GARBAGE"),
    "half a packet at the end": (lambda good: good[:-100], "TS.TRUNCATED"),
    "nothing but padding": (
        lambda _: (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000,
        "TS.NO_VIDEO",
    ),
}


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("what", BAD_STREAMS)
def test_a_body_that_is_no_stream_gets_its_code_its_sentence_and_its_counter(
    what: str, version: str, node: Node, recording: Path, tmp_path: Path
) -> None:
    make, code = BAD_STREAMS[what]
    file = tmp_path / "bad.ts"
    file.write_bytes(make(recording.read_bytes()))
    client = node.client("encoder/bad")
    before = counters(node)
    url = node.url("upload", "bad", door="secure")
    answer = run(curl(node, url, version, "-T", str(file), *showing(client)))
    assert (answer.status, answer.document.get("code")) == (400, code), answer
    assert answer.document["title"]
    assert answer.document["remedy"]
    assert one_more(
        before, counters(node), f'sealcast_legs_ended_total{{code="{code}",role="ingest"}}'
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def foreign(folder: Path) -> Client:
    authority = ThrowAwayAuthority.create("elsewhere", _now())
    chain, key = authority.issue_client("encoder/venue-1", _now()).save(folder, "foreign")
    return Client("spiffe://elsewhere/encoder/venue-1", chain, key)


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("nobody", "TLS.NO_CLIENT_CERTIFICATE"),
        ("foreign", "TLS.UNKNOWN_CA"),
        ("revoked", "TLS.CERTIFICATE_REVOKED"),
    ],
)
def test_whoever_does_not_get_past_the_handshake_uploads_nothing(
    who: str, code: str, node: Node, recording: Path, tmp_path: Path
) -> None:
    words: list[str] = []
    if who == "foreign":
        words = showing(foreign(tmp_path))
    elif who == "revoked":
        name = "encoder/was-here"
        words = showing(node.client(name))
        revoke(node, name)
    row = f'sealcast_tls_handshake_failures_total{{code="{code}",door="secure"}}'
    before = counters(node)
    url = node.url("upload", "was-here", door="secure")

    def refused() -> bool:
        # A revocation is known to the doors within the second.
        answer = run(curl(node, url, "-T", str(recording), *words))
        return answer.exit_code != 0 and answer.status == 0

    wait_for(refused, what="the door refuses it")
    assert counters(node).get(row, 0.0) > before.get(row, 0.0), counters(node)


def test_under_strict_only_a_certificate_uploads(tmp_path: Path, recording: Path) -> None:
    require("core", "ffmpeg", "curl")
    settings = '[policy]\ningest = "strict"\n'
    stream = "venue-1"
    with running_node(tmp_path / "strict", settings=settings) as node:
        token = node.token("publish", stream)
        bearer = ["-H", f"Authorization: Bearer {token}"]
        answer = run(curl(node, node.url("upload", stream), "-T", str(recording), *bearer))
        assert (answer.status, answer.document.get("code")) == (403, "POLICY.IDENTITY_REFUSED")
        assert "certificate" in answer.document["detail"]
        leg = node.leg(role="ingest", state="failed")
        assert leg["end"]["code"] == "POLICY.IDENTITY_REFUSED"
        url = node.url("upload", stream, door="secure")
        shown = showing(node.client(f"encoder/{stream}"))
        answer = run(curl(node, url, "-T", str(recording), *shown))
        assert (answer.status, answer.document.get("code")) == (200, "STREAM.ENDED"), answer
