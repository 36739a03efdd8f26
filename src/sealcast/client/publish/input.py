"""Where the transport stream comes from: an ffmpeg of our own, or a pipe.

Does: starts ffmpeg with its output on a pipe, gives the bytes, says how ffmpeg ended.

Does not: look at the bytes, or start ffmpeg again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Sequence
from typing import IO, Final, Protocol

from sealcast.errors import LocalError

CHUNK: Final = 64 * 1024
STOP_S: Final = 5.0
"""How long ffmpeg has to write the end of its stream."""
OUTPUT: Final = (
    *("-f", "mpegts"),
    # One frame of sound per PES packet and nothing held back: the sound keeps up with the picture,
    # and there are many places where it can change connections.
    *("-pes_payload_size", "0", "-muxdelay", "0", "-flush_packets", "1"),
    "pipe:1",
)
"""What is put behind the given arguments. FFmpeg takes an option's last value."""


class StreamInput(Protocol):
    """A live stream's bytes."""

    async def start(self) -> None:
        """Begin; LocalError if that is not possible."""

    async def read(self) -> bytes:
        """Some bytes as soon as there are any; none at the end."""

    def stop(self) -> None:
        """Ask it to end; what it still has follows."""

    async def end(self) -> None:
        """Clean up. Raises PUBLISH.ENCODER_FAILED if it did not end as it should."""


class FfmpegInput:
    """An ffmpeg that we start; its messages go where ours go."""

    def __init__(self, arguments: Sequence[str], program: str | None = None) -> None:
        self._command = (find_ffmpeg(program), *arguments, *OUTPUT)
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = False

    async def start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                # Of a terminal it would take keys as commands; a pipe may be its input.
                stdin=asyncio.subprocess.DEVNULL if sys.stdin.isatty() else None,
                stdout=asyncio.subprocess.PIPE,
                limit=CHUNK,
                # Ctrl-C is for us: we stop it and send what it still writes.
                start_new_session=True,
            )
        except OSError as error:
            detail = f"{self._command[0]}: {error.strerror}."
            raise LocalError("PUBLISH.NO_ENCODER", detail) from error

    async def read(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            return b""
        return await self._process.stdout.read(CHUNK)

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def end(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(STOP_S):
                code = await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        if code != 0 and not self._stopped:
            raise LocalError("PUBLISH.ENCODER_FAILED", _how_it_ended(code))


class PipeInput:
    """A transport stream that another program writes, to our standard input."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.ReadTransport | None = None

    async def start(self) -> None:
        if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            return  # a file is always ready to be read, and no event loop can wait for it
        self._reader = asyncio.StreamReader(limit=CHUNK)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.connect_read_pipe(lambda: protocol, self._file)
        except ValueError as error:
            detail = "Standard input is no pipe and no file."
            raise LocalError("PUBLISH.NO_ENCODER", detail) from error

    async def read(self) -> bytes:
        if self._reader is not None:
            return await self._reader.read(CHUNK)
        return await asyncio.to_thread(self._file.read, CHUNK)

    def stop(self) -> None:
        if self._reader is not None:
            self._reader.feed_eof()

    async def end(self) -> None:
        if self._transport is not None:
            self._transport.close()


def find_ffmpeg(given: str | None) -> str:
    """The ffmpeg to run: the one named, the system's, or the one of the package imageio-ffmpeg.

    PUBLISH.NO_ENCODER where there is none.
    """
    found = shutil.which(given or "ffmpeg")
    if found is None and given is None:
        with contextlib.suppress(ImportError, RuntimeError):
            import imageio_ffmpeg

            found = str(imageio_ffmpeg.get_ffmpeg_exe())
    if found is None:
        raise LocalError("PUBLISH.NO_ENCODER", f"There is no command {given or 'ffmpeg'!r}.")
    return found


def _how_it_ended(code: int) -> str:
    if code > 0:
        return f"It ended with {code}; its own messages say why."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"It was ended by {name}."
