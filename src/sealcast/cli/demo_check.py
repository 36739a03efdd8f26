"""The demo's headless viewer: takes picture and sound, decodes both, and judges.

Does: decodes with FFmpeg what a viewer's leg brought; says whether the picture's clock advances as
fast as the stream's own and whether each tone is at its frequency.

Does not: count packets and call that a picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from sealcast.cli.demo_picture import (
    BITS,
    HEIGHT,
    RATE,
    TONES_HZ,
    WIDTH,
    read_count,
    samples_of,
    tone_share,
)
from sealcast.client import Frame, ViewerSession

SECONDS: Final = 5.0
ENOUGH: Final = 0.8
"""The share of the frames that were due which must be decoded."""
TONE_ENOUGH: Final = 0.9
SETTLED_SAMPLES: Final = 9_600
"""The decoder begins in the middle of a stream: its first 200 ms are left out."""
_LISTENED_SAMPLES: Final = 48_000


@dataclass(slots=True)
class Decoded:
    """What came out of the decoders."""

    counts: list[tuple[int, int]] = field(default_factory=list)
    """Timestamp and frame count of each picture that could be read."""
    pictures: int = 0
    unreadable: int = 0
    sounds: list[list[float]] = field(default_factory=lambda: [[], []])
    errors: int = 0


async def take(viewer: ViewerSession, seconds: float = SECONDS) -> tuple[list[Frame], float]:
    """Frames of `seconds` from the first one on; and when that came (`time.monotonic`)."""
    frames: list[Frame] = []
    first = 0.0

    async def taking() -> None:
        nonlocal first
        async for frame in viewer.frames():
            first = first or time.monotonic()
            frames.append(frame)
            if time.monotonic() - first >= seconds:
                return

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(taking(), seconds + 10)
    return frames, first


def decode(frames: Sequence[Frame]) -> Decoded:
    """Decode everything; runs for a while, so call it from a thread."""
    import av

    found = Decoded()
    video: Any = av.CodecContext.create("h264", "r")
    audio: Any = av.CodecContext.create("libopus", "r")
    audio.sample_rate, audio.layout = 48_000, "stereo"
    for frame in frames:
        packet = av.Packet(frame.data)
        packet.pts = frame.timestamp
        try:
            if frame.kind == "video":
                for picture in video.decode(packet):
                    _see(found, picture)
            else:
                for sound in audio.decode(packet):
                    for heard, channel in zip(found.sounds, samples_of(sound), strict=True):
                        heard += channel
        except av.error.FFmpegError:
            found.errors += 1
    for picture in video.decode(None):
        _see(found, picture)
    return found


def _see(found: Decoded, picture: Any) -> None:
    found.pictures += 1
    luma = picture.planes[0]
    count = None
    if (picture.width, picture.height) == (WIDTH, HEIGHT):
        count = read_count(memoryview(luma).cast("B"), luma.line_size)
    if count is None or picture.pts is None:
        found.unreadable += 1
    else:
        found.counts.append((picture.pts, count))


def judge(found: Decoded, seconds: float = SECONDS) -> list[str]:
    """What is wrong; nothing if all is well."""
    wrong = []
    due = seconds * RATE
    if len(found.counts) < ENOUGH * due:
        wrong.append(
            f"{found.pictures} pictures were decoded and {len(found.counts)} had a clock that "
            f"could be read; {due:.0f} were due"
        )
    if found.errors:
        wrong.append(f"{found.errors} frames could not be decoded")
    wrong += _judge_clock(found.counts)
    for ear, hz, samples in zip(("left", "right"), TONES_HZ, found.sounds, strict=True):
        heard = samples[SETTLED_SAMPLES : SETTLED_SAMPLES + _LISTENED_SAMPLES]
        if len(heard) < _LISTENED_SAMPLES:
            wrong.append(f"{len(samples) / 48_000:.1f} s of sound came in the {ear} ear")
        elif (share := tone_share(heard, hz)) < TONE_ENOUGH:
            wrong.append(f"the {ear} ear hears {share:.0%} of its energy at {hz} Hz")
    return wrong


def _judge_clock(counts: Sequence[tuple[int, int]]) -> list[str]:
    """The picture's clock against the stream's: one count per 1/RATE of timestamps."""
    if len(counts) < 2:
        return ["the picture's clock was not seen to advance"]
    (first_stamp, first), (last_stamp, last) = counts[0], counts[-1]
    advanced = (last - first) % (1 << BITS)
    by_stamps = (last_stamp - first_stamp) * RATE / 90_000
    if abs(advanced - by_stamps) > 2:
        return [f"the picture's clock advanced by {advanced} frames in {by_stamps:.0f}"]
    steps = [(b - a) % (1 << BITS) for (_, a), (_, b) in pairwise(counts)]
    back = sum(not 0 < step < RATE for step in steps)
    return [f"the picture's clock stood still or jumped {back} times"] if back else []


def told(found: Decoded) -> str:
    """The evidence in one line."""
    clock = ""
    if found.counts:
        first, last = found.counts[0][1], found.counts[-1][1]
        clock = f", clock from {first / RATE:.2f} s to {last / RATE:.2f} s"
    ears = ", ".join(
        f"{hz} Hz {tone_share(s[SETTLED_SAMPLES : SETTLED_SAMPLES + _LISTENED_SAMPLES], hz):.1%}"
        for hz, s in zip(TONES_HZ, found.sounds, strict=True)
    )
    return f"{found.pictures} pictures decoded{clock}; sound: {ears} of the energy"
