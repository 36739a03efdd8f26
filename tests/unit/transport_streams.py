"""Transport streams made in memory, with the encoders that come with PyAV."""

from __future__ import annotations

import io
import math
from array import array
from typing import Any

import av

RATE = 30


def transport_stream(
    *,
    seconds: float = 1.0,
    video: str | None = "libx264",
    audio: str | None = "aac",
    b_frames: int = 0,
    start: int = 0,
) -> bytes:
    """A transport stream with a moving grey and a 440 Hz tone; `start` in 90 kHz ticks."""
    out = io.BytesIO()
    container = av.open(out, "w", format="mpegts", options={"mpegts_copyts": "1"})
    streams: list[tuple[Any, list[Any]]] = []
    if video is not None:
        stream: Any = container.add_stream(video, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 15
        stream.codec_context.max_b_frames = b_frames
        if video == "libx264":
            stream.options = {
                "preset": "ultrafast",
                "x264-params": f"bframes={b_frames}:scenecut=0",
            }
        frames: list[Any] = []
        for index in range(round(seconds * RATE)):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([(index * 3) % 256]) * plane.buffer_size)
            frame.pts = index
            frames.append(frame)
        streams.append((stream, frames))
    if audio is not None:
        tone: Any = container.add_stream(audio, rate=48_000)
        tone.layout = "stereo"
        resampler = av.AudioResampler(format=tone.codec_context.format or "fltp", rate=48_000)
        frames = []
        size = 960 if audio == "libopus" else 1152 if audio == "mp2" else 1024
        for index in range(int(seconds * 48_000) // size):
            samples = array(
                "h",
                [
                    round(8000 * math.sin(2 * math.pi * 440 * (index * size + n // 2) / 48_000))
                    for n in range(2 * size)
                ],
            )
            sound = av.AudioFrame("s16", "stereo", size)
            sound.sample_rate = 48_000
            sound.planes[0].update(samples.tobytes().ljust(sound.planes[0].buffer_size, b"\0"))
            sound.pts = index * size
            frames += resampler.resample(sound)
        streams.append((tone, frames))
    packets = []
    for stream, frames in streams:
        for picture_or_sound in [*frames, None]:
            packets += stream.encode(picture_or_sound)
    for packet in packets:
        offset = round(start / 90_000 / packet.time_base)
        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
    packets.sort(key=lambda packet: packet.dts * packet.time_base)
    container.mux(packets)
    container.close()
    return out.getvalue()
