"""Real FFmpeg as the demo's encoder: MPEG-TS over TLS with a client certificate."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from sealcast.cli.demo_picture import RATE, picture_source, tone_source
from sealcast.errors import LocalError

_STOP_S = 3.0


def find_ffmpeg(given: Path | None) -> str:
    """The FFmpeg to run: the one named, the one of the PyPI wheel, or the system's."""
    if given is not None:
        return str(given)
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise LocalError(
            "DEMO.NO_ENCODER", "Neither the package imageio-ffmpeg nor the command ffmpeg is here."
        )
    return found


def arguments(url: str, *, certificate: Path, key: Path, authority: Path) -> list[str]:
    """What FFmpeg is told."""
    return [
        *("-hide_banner", "-loglevel", "warning", "-nostdin"),
        *("-re", "-f", "lavfi", "-i", picture_source()),
        *("-re", "-f", "lavfi", "-i", tone_source()),
        # Baseline without B-frames, a key frame every 2 s: what WebRTC can play.
        *("-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency"),
        *("-profile:v", "baseline", "-pix_fmt", "yuv420p", "-bf", "0"),
        *("-g", str(2 * RATE), "-keyint_min", str(2 * RATE), "-sc_threshold", "0"),
        *("-b:v", "2M", "-maxrate", "2M", "-bufsize", "1M"),
        *("-c:a", "aac", "-b:a", "128k"),
        # One audio frame per PES packet, nothing held back: the sound keeps up with the picture.
        *("-f", "mpegts", "-pes_payload_size", "0", "-muxdelay", "0", "-flush_packets", "1"),
        *("-cert_file", str(certificate), "-key_file", str(key)),
        *("-ca_file", str(authority), "-tls_verify", "1"),
        url,
    ]


class Encoder:
    """A running FFmpeg; its messages go into a file."""

    def __init__(self, process: asyncio.subprocess.Process, messages: Path) -> None:
        self._process = process
        self._messages = messages

    @classmethod
    async def start(cls, command: list[str], messages: Path) -> Encoder:
        """Run it. DEMO.NO_ENCODER when it cannot be run."""
        with messages.open("wb") as file:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=file,
                    # Ctrl-C is for the demo, which stops its encoder itself.
                    start_new_session=True,
                )
            except OSError as error:
                raise LocalError("DEMO.NO_ENCODER", f"{command[0]}: {error}") from error
        return cls(process, messages)

    async def ended(self) -> str:
        """Wait for it to end by itself; its last words."""
        code = await self._process.wait()
        words = self._messages.read_text(errors="replace").strip().splitlines()
        return f"FFmpeg ended with {code}: {' / '.join(words[-3:]) or 'without a word'}"

    async def stop(self) -> None:
        """End it: politely, then not."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
