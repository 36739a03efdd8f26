"""Real ffmpeg as an encoder: MPEG-TS over mutual TLS (Debian's 5.1), MPEG-TS put by HTTPS (both),
WHIP (the wheel imageio-ffmpeg's 9).

Does: builds the command lines that a user would type, starts them, keeps what they print.

Does not: outlive its test: every encoder has an end time of its own as well.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealcast.testing.node_process import Client, Node
from sealcast.testing.requirement import imageio_ffmpeg_exe

# Few tests last longer.
LONGEST_S = 120
TONE_HZ = 440


@dataclass(frozen=True, slots=True)
class Picture:
    """What is encoded. Small on purpose: the test machine encodes and decodes it at once."""

    size: str = "640x360"
    rate: int = 30
    bitrate: str = "1M"
    b_frames: int = 0
    lasts_s: int = LONGEST_S
    """It ends by itself, also when its test was killed."""


class Encoder:
    """A running ffmpeg. Its log is in `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, timeout_s: float) -> int:
        """Its exit code, when it has ended by itself."""
        return self.process.wait(timeout=timeout_s)


def _source(picture: Picture) -> list[str]:
    return [
        *("-re", "-f", "lavfi", "-i", f"testsrc2=size={picture.size}:rate={picture.rate}"),
        *("-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000"),
        *("-t", str(picture.lasts_s), "-map", "0:v", "-map", "1:a"),
    ]


def _video(picture: Picture) -> list[str]:
    tuning = [] if picture.b_frames else ["-tune", "zerolatency"]
    return [
        *("-c:v", "libx264", "-preset", "veryfast", *tuning, "-pix_fmt", "yuv420p"),
        *("-profile:v", "main" if picture.b_frames else "baseline"),
        *("-g", str(picture.rate), "-bf", str(picture.b_frames)),
        *("-b:v", picture.bitrate, "-maxrate", picture.bitrate, "-bufsize", picture.bitrate),
    ]


@contextmanager
def _encoder(
    command: Sequence[str], folder: Path, name: str, environment: dict[str, str] | None = None
) -> Iterator[Encoder]:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield Encoder(process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


@contextmanager
def mpegts_over_tls(
    folder: Path,
    node: Node,
    stream: str,
    *,
    picture: Picture | None = None,
    identity: Client | None = None,
    authority: Path | None = None,
) -> Iterator[Encoder]:
    """``ffmpeg -f mpegts tls://…`` with the certificate that publishes `stream`; it is live when
    this begins. `identity` and `authority` are the node's own if not given.
    """
    shown = picture or Picture()
    identity = identity or node.client(f"encoder/{stream}")
    command = [
        *("ffmpeg", "-hide_banner", "-loglevel", "warning"),
        *_source(shown),
        *_video(shown),
        *("-c:a", "aac", "-b:a", "96k", "-ac", "2"),
        *("-f", "mpegts", "-flush_packets", "1"),
        *("-ca_file", str(authority or node.authority), "-tls_verify", "1"),
        *("-cert_file", str(identity.chain), "-key_file", str(identity.key)),
        f"tls://{node.ts_address}",
    ]
    with _encoder(command, folder, "ffmpeg-mpegts") as encoder:
        node.leg(stream=stream, role="ingest", state="live")
        yield encoder


def mpegts_put(
    node: Node,
    stream: str,
    *,
    identity: Client | None,
    token: str = "",
    program: str = "ffmpeg",
    picture: Picture | None = None,
) -> list[str]:
    """The command line ``ffmpeg -f mpegts -method PUT https://…``: with a certificate at the door
    `secure`, else with a token at `public`.

    `-send_expect_100` makes ffmpeg hear a refusal before it sends; without it, it sees a broken
    pipe.
    """
    shown = picture or Picture()
    proof = ["-headers", f"Authorization: Bearer {token}\r\n"] if token else []
    if identity is not None:
        proof += ["-cert_file", str(identity.chain), "-key_file", str(identity.key)]
    return [
        *(program, "-hide_banner", "-loglevel", "warning"),
        *_source(shown),
        *_video(shown),
        *("-c:a", "aac", "-b:a", "96k", "-ac", "2"),
        *("-f", "mpegts", "-flush_packets", "1", "-method", "PUT", "-send_expect_100", "1"),
        *("-ca_file", str(node.authority), "-tls_verify", "1", *proof),
        node.url("upload", stream, door="public" if identity is None else "secure"),
    ]


@contextmanager
def mpegts_over_https(
    folder: Path,
    node: Node,
    stream: str,
    *,
    identity: Client | None = None,
    program: str = "ffmpeg",
    picture: Picture | None = None,
) -> Iterator[Encoder]:
    """`mpegts_put` with the certificate that publishes `stream`; it is live when this begins."""
    identity = identity or node.client(f"encoder/{stream}")
    command = mpegts_put(node, stream, identity=identity, program=program, picture=picture)
    with _encoder(command, folder, "ffmpeg-upload") as encoder:
        node.leg(stream=stream, role="ingest", state="live")
        yield encoder


@contextmanager
def whip(
    folder: Path,
    url: str,
    *,
    authority: Path,
    token: str,
    picture: Picture | None = None,
    dtls_active: bool = False,
    prefix: Sequence[str] = (),
) -> Iterator[Encoder]:
    """``ffmpeg -f whip URL``: DTLS 1.2 and AES128_CM_SHA1_80, offered as `setup:passive` unless
    `dtls_active`.
    """
    shown = picture or Picture()
    command = [
        *prefix,
        *(imageio_ffmpeg_exe(), "-hide_banner", "-loglevel", "verbose"),
        *_source(shown),
        *_video(shown),
        *("-c:a", "libopus", "-b:a", "64k", "-ar", "48000", "-ac", "2"),
        *(("-whip_flags", "dtls_active") if dtls_active else ()),
        *("-f", "whip", "-authorization", token, url),
    ]
    environment = {"SSL_CERT_FILE": str(authority)}
    with _encoder(command, folder, "ffmpeg-whip", environment) as encoder:
        yield encoder
