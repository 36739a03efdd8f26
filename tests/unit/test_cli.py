"""The command: what it prints, what it refuses, and the demo's eyes and ears."""

from __future__ import annotations

import errno
import io
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest
import structlog
from rich.console import Console

from sealcast.cli import demo_check, demo_picture, legs, main, running_node
from sealcast.cli.demo_encoder import arguments, find_ffmpeg
from sealcast.cli.durations import seconds
from sealcast.cli.leg_table import leg_table
from sealcast.cli.log_lines import to_standard_error
from sealcast.cli.settings import door_url
from sealcast.client.whep import Frame, endpoint_of
from sealcast.errors import LocalError
from sealcast.identity import TokenKey, TokenVerifier, Verb
from sealcast.keying.agreement import UNPROVED, Identity, Proof, TlsClaim
from sealcast.legs import Ledger
from sealcast.node import config
from sealcast.policy import Channel, Role, admit, load
from sealcast.wire import ConnectionTiming, TlsFacts


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "sealcast"


def run(*words: str) -> int:
    """The exit code of `sealcast WORDS`."""
    with pytest.raises(SystemExit) as exited:
        main(words)
    code = exited.value.code
    return code if isinstance(code, int) else 0 if code is None else 1


# ---- verbs -------------------------------------------------------------------------------------


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    monkeypatch.delitem(sys.modules, "sealcast.cli.commands", raising=False)
    assert run("--help") == 1
    told = capsys.readouterr().err
    assert "CLI.NOT_INSTALLED" in told
    assert "cyclopts" in told
    assert "sealcast[server]" in told


def test_config_prints_what_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config") == 0
    assert config.loads(capsys.readouterr().out) == config.Config()


def test_config_prints_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "--schema") == 0
    assert "$defs" in json.loads(capsys.readouterr().out)


def test_a_wrong_file_is_one_sentence_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text("[node]\nnames = 7\n")
    assert run("config", "--config", str(file)) == 1
    told = capsys.readouterr().err
    assert told.startswith("sealcast: CONFIG.WRONG_TYPE")
    assert "line 2" in told
    assert "Traceback" not in told


def test_a_token_is_bound_to_stream_verb_and_time(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("token", "publish", "venue/stage-1", "--for", "15m", "--subject", "camera 1") == 0
    token = capsys.readouterr().out.strip()
    verifier = TokenVerifier(TokenKey.load_or_create(state / "token-key.json"))
    claims = verifier.verify(token, "venue/stage-1", Verb.PUBLISH, time.time())
    assert claims.identity == Identity("camera 1", Proof.TOKEN)
    assert 890 <= claims.expires_unix - time.time() <= 900


def test_a_token_alone_is_printed_where_scripts_read(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("publish", "a"), ("watch", "a", "--subject", "vera"), ("admin",)):
        assert run("token", *words) == 0
        printed = capsys.readouterr()
        assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n", printed.out)
        assert printed.out.strip() not in printed.err
        assert str(state) in printed.err, "whose key signed it"
    assert "to administer" in printed.err


def test_the_state_folder_is_private(state: Path) -> None:
    assert run("token", "admin") == 0
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in state.glob("*key*")} == {0}


def test_an_identity_is_written_with_what_is_needed_to_use_it(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "encoder"
    assert run("identity", "issue", "encoder/venue-1", "--out", str(out)) == 0
    assert {path.name for path in out.iterdir()} == {
        "venue-1.pem",
        "venue-1-key.pem",
        "authority.pem",
    }
    assert (out / "venue-1-key.pem").stat().st_mode & 0o077 == 0
    assert "spiffe://sealcast.internal/encoder/venue-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("token", "publish", "../x"), "STREAM.BAD_NAME"),
        (("identity", "issue", "UPPER", "--out", "."), "IDENTITY.BAD_NAME"),
        (("watch", "http://localhost/watch/a"), "CLIENT.BAD_ADDRESS"),
        (("serve", "--config", "/nowhere.toml"), "CONFIG.UNREADABLE"),
    ],
)
def test_each_refusal_is_one_sentence(
    state: Path, words: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"sealcast: {code}")
    assert "Traceback" not in told


def test_wrong_usage_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bogus") == 2
    assert "There is no command 'bogus'" in capsys.readouterr().err


def test_a_trust_domain_that_is_not_the_authoritys_is_refused(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("token", "admin") == 0
    file = tmp_path / "sealcast.toml"
    file.write_text('[node]\ntrust_domain = "other.example"\n')
    assert run("token", "admin", "--config", str(file)) == 1
    assert "other.example" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("1h", 3600), ("7", 7)])
def test_durations_are_read(text: str, value: int) -> None:
    assert seconds(text, "--for") == value


@pytest.mark.parametrize("text", ["", "0", "-1s", "1y", "1.5h", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(LocalError):
        seconds(text, "--for")


def test_the_address_of_the_public_door() -> None:
    assert door_url(config.Config()) == "https://localhost:8443"
    assert door_url(config.Config(), 443) == "https://localhost"
    assert door_url(config.loads('[node]\nnames = ["::1"]'), 1234) == "https://[::1]:1234"


def test_a_watch_pages_address_leads_to_its_endpoint() -> None:
    page = "https://node.example:8443/watch/venue/stage-1#token=x"
    assert endpoint_of(page) == "https://node.example:8443/whep/venue/stage-1"
    assert endpoint_of("https://h/whep/a") == "https://h/whep/a"


# ---- legs --------------------------------------------------------------------------------------


def test_the_table_shows_who_and_what_protects_it() -> None:
    ledger = Ledger()
    peer = Identity("spiffe://sealcast.internal/encoder/venue-1", Proof.CERTIFICATE)
    facts = TlsFacts(version="1.3", cipher="TLS_AES_128_GCM_SHA256", group="X25519MLKEM768")
    grant = admit(TlsClaim(facts), Channel("1.3", peer), Role.INGEST, load("standard"))
    leg = ledger.new_id()
    ledger.open_connection(
        leg,
        7,
        facts,
        grant=grant,
        way="mpegts",
        stream="venue/stage-1",
        local=UNPROVED,
        peer_address="192.0.2.9:4000",
        timing=ConnectionTiming(
            accepted_unix_ms=int(time.time() * 1000), queued_ms=0.1, handshake_ms=2.0
        ),
    )
    ledger.media_flows(leg, 120.0)
    ledger.refused(
        role=Role.DELIVERY,
        way="whep",
        stream="venue/stage-1",
        code="SDP.NO_FINGERPRINT",
        detail="",
        now=time.time(),
    )
    console = Console(width=160, record=True)
    console.print(leg_table(known.to_json() for known in ledger))
    text = console.export_text()
    for shown in (
        "encoder/venue-1",
        "certificate",
        "TLS 1.3",
        "TLS_AES_128_GCM_SHA256",
        "X25519MLKEM768",
        "live",
        "media after 120 ms",
        "failed",
        "SDP.NO_FINGERPRINT",
        "192.0.2.9:4000",
    ):
        assert shown in text


LEG: dict[str, Any] = {
    "id": 1,
    "role": "delivery",
    "way": "whep",
    "stream": "a",
    "state": "live",
    "stage": "media",
    "seal": None,
    "stages": [],
    "notes": [],
    "end": None,
    "peer": {"name": "vera", "proof": "token", "proved": True},
    "path": {"local": None, "remote": None},
    "counters": {"packets_in": 0, "bytes_in": 0, "packets_out": 7, "bytes_out": 900, "lost": 0},
    "started_unix": 0.0,
}


PULL: dict[str, Any] = {
    "stream": "a",
    "from": "https://origin.example:8444",
    "state": "waiting",
    "tries": 3,
    "why": {"code": "PULL.LOOP", "sentence": "It would.", "detail": "", "remedy": "Take one out."},
}


@pytest.mark.parametrize(
    ("terminal", "options", "asked"),
    [
        (True, (), 3),
        (True, ("--once",), 1),
        (False, (), 1),
        (False, ("--json",), 1),
    ],
    ids=["live on a terminal", "once on demand", "once into a pipe", "once as JSON"],
)
def test_legs_are_shown(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    options: tuple[str, ...],
    asked: int,
) -> None:
    times = 0

    async def ask(*_: object) -> dict[str, Any]:
        nonlocal times
        times += 1
        if times == 3:
            raise KeyboardInterrupt
        return {"legs": [LEG], "pulls": [PULL, {**PULL, "stream": "b", "state": "live"}]}

    monkeypatch.setattr(running_node.Asking, "get", ask)
    monkeypatch.setattr(legs, "_PERIOD_S", 0.0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert run("legs", *options) == 0
    assert times == asked
    shown = capsys.readouterr().out
    assert "vera" in shown
    if "--json" not in options:
        told = " ".join(shown.split())
        assert "a from https://origin.example:8444 is waiting, try 3: PULL.LOOP." in told
        assert "b from" not in told, "what has media is a leg"


# ---- the log -----------------------------------------------------------------------------------


def test_a_peers_words_cannot_begin_a_line_of_the_log() -> None:
    out = io.StringIO()
    to_standard_error(stream=out)
    try:
        structlog.get_logger().info("refused", detail="\x1b[31mred\nforged line", code="A.B")
    finally:
        structlog.reset_defaults()
    [line] = out.getvalue().splitlines()
    assert "\x1b" not in line
    assert "code=A.B" in line


class Full(io.StringIO):
    """A log on a disk that is full for a while."""

    full = False

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_harms_nobody_and_says_later_what_it_lost() -> None:
    out = Full()
    to_standard_error(stream=out)
    try:
        log = structlog.get_logger()
        out.full = True
        log.warning("one")
        log.warning("two")
        out.full = False
        log.warning("three")
        log.warning("four")
    finally:
        structlog.reset_defaults()
    told = out.getvalue()
    assert told.count("2 lines were lost here") == 1
    assert "three" in told
    assert "four" in told


# ---- the demo's picture and tone ---------------------------------------------------------------


def test_the_tone_detector_hears_its_own_frequency_and_no_other() -> None:
    samples = [math.sin(2 * math.pi * 440 * n / 48_000) for n in range(48_000)]
    assert demo_picture.tone_share(samples, 440) > 0.99
    assert demo_picture.tone_share(samples, 1000) < 0.01
    assert demo_picture.tone_share([0.0] * 100, 440) == 0


def strip(count: int) -> memoryview:
    """A luma plane with the strip for a count."""
    bits = [count >> index & 1 for index in range(demo_picture.BITS)]
    cells = [*demo_picture.SYNC, *bits, sum(bits) % 2]
    row = b"".join(bytes([235 if lit else 16]) * demo_picture.CELL for lit in cells)
    line = row.ljust(demo_picture.WIDTH, b"\x10")
    return memoryview(line * demo_picture.HEIGHT)


@pytest.mark.parametrize("count", [0, 1, 2, 1234, 65535])
def test_a_count_is_read_back(count: int) -> None:
    assert demo_picture.read_count(strip(count), demo_picture.WIDTH) == count


def test_a_picture_without_the_strip_has_no_count() -> None:
    grey = memoryview(bytes([128]) * demo_picture.WIDTH * demo_picture.HEIGHT)
    black = memoryview(bytes(demo_picture.WIDTH * demo_picture.HEIGHT))
    assert demo_picture.read_count(grey, demo_picture.WIDTH) is None
    assert demo_picture.read_count(black, demo_picture.WIDTH) is None


def test_a_misread_cell_is_noticed() -> None:
    plane = bytearray(strip(1234))
    cell = len(demo_picture.SYNC) * demo_picture.CELL
    for row in range(demo_picture.HEIGHT):
        start = row * demo_picture.WIDTH + cell
        plane[start : start + demo_picture.CELL] = b"\xeb" * demo_picture.CELL
    assert demo_picture.read_count(memoryview(plane), demo_picture.WIDTH) is None


@pytest.fixture(scope="module")
def demo_frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    """Three seconds of what the demo's FFmpeg sends, as frames of H264 and Opus."""
    file = tmp_path_factory.mktemp("demo") / "demo.ts"
    told = arguments("", certificate=file, key=file, authority=file)
    # Into a file, as fast as it can, with Opus instead of a demuxer's transcoding.
    told = [word for word in told[: told.index("-cert_file")] if word != "-re"]
    told[told.index("aac")] = "libopus"
    done = subprocess.run([find_ffmpeg(None), *told, "-t", "3", str(file)], check=False)
    if done.returncode != 0:
        pytest.fail("FFmpeg could not make the demo's picture")
    frames = []
    with av.open(str(file)) as container:
        packets: Any = container.demux(video=0, audio=0)
        for packet in packets:
            if packet.size and packet.pts is not None:
                kind = packet.stream.type
                codec: Any = "H264" if kind == "video" else "opus"
                data = bytes(packet)
                frames.append(Frame(kind, codec, data, packet.pts, packet.is_keyframe, 0))
    return frames


def test_the_demos_clock_advances_and_its_tones_are_heard(demo_frames: list[Frame]) -> None:
    found = demo_check.decode(demo_frames)
    assert demo_check.judge(found, 3.0) == []
    assert [count for _, count in found.counts] == list(range(90))


def test_a_picture_that_stands_still_is_noticed(demo_frames: list[Frame]) -> None:
    found = demo_check.decode(demo_frames)
    found.counts = [(stamp, 17) for stamp, _ in found.counts]
    assert any("advanced by 0" in reason for reason in demo_check.judge(found, 3.0))


def test_a_wrong_tone_and_silence_are_noticed(demo_frames: list[Frame]) -> None:
    found = demo_check.decode(demo_frames)
    found.sounds = [found.sounds[1], []]
    left, right = demo_check.judge(found, 3.0)
    assert "at 440 Hz" in left
    assert "0.0 s of sound" in right


def test_nothing_at_all_is_noticed() -> None:
    assert len(demo_check.judge(demo_check.decode([]))) == 4


def test_the_command_starts_without_the_servers_parts() -> None:
    """`sealcast config` must not pay for a web server, FFmpeg or the native module."""
    script = (
        "import sys; from sealcast.cli.commands import app; import sealcast.cli.config; "
        "print([m for m in ('uvicorn', 'starlette', 'av', 'aiohttp', 'sealcast._core') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
