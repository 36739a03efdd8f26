"""Frames into a file, as they came: Matroska or MP4 by the file's name.

Does: writes what the codecs need to be played (sizes, headers) and puts both tracks on one time.
Does not: decode or encode a frame, except the first picture for its size.

Two tracks' clocks share no origin at a viewer's tap, so they are laid side by side by when their
frames came: the frame that was least late of each, out of those of the first `HELD_S`. Not by their
first frames: a viewer is given the picture since the last key frame in one burst, so that its first
frames are old and its last ones are new. What is left is the network's jitter.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from sealcast.client.offer import AgreedTrack
from sealcast.client.whep import Frame
from sealcast.wire import Kind

if TYPE_CHECKING:
    from av.container import OutputContainer

HELD_S: Final = 2.0
"""How long frames are held before the file begins."""
_DECODERS: Final = {"H264": "h264", "VP8": "vp8", "VP9": "vp9", "AV1": "av1"}


@dataclass(slots=True)
class _Writing:
    """One track in the file."""

    stream: Any
    first_timestamp: int
    zero: Fraction
    """The timestamp, in seconds, that is 0 in the file."""
    clock_rate: int
    last_pts: int = -1


@dataclass(slots=True)
class Saving:
    """A file that is being written. Frames before the first key frame are left out."""

    path: Path
    tracks: Sequence[AgreedTrack]
    frames: dict[Kind, int] = field(default_factory=dict)
    _container: OutputContainer | None = None
    _writing: dict[Kind, _Writing] = field(default_factory=dict)
    _waiting: list[Frame] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, frame: Frame) -> None:
        """One frame."""
        if self._container is not None:
            self._mux(frame)
            return
        # A file's header names all tracks, so nothing is written before each has begun.
        self._waiting.append(frame)
        if frame.arrived_ns - self._waiting[0].arrived_ns >= HELD_S * 1e9:
            self._begin()

    def close(self) -> None:
        """Finish the file."""
        if self._container is None:
            self._begin()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _begin(self) -> None:
        """Open the file with what is held, once each track has a frame to begin with."""
        import av

        first: dict[Kind, Frame] = {}
        for frame in self._waiting:
            if frame.key or frame.kind == "audio":
                first.setdefault(frame.kind, frame)
        if not first or set(first) != {track.kind for track in self.tracks}:
            return
        rates = {track.kind: track.clock_rate for track in self.tracks}
        # What a frame's arrival says of where its clock's 0 is; the earliest word is the truest.
        origins = {
            kind: min(
                Fraction(frame.arrived_ns, 10**9) - Fraction(frame.timestamp, rates[kind])
                for frame in self._waiting
                if frame.kind == kind
            )
            for kind in first
        }
        begins = min(
            origins[kind] + Fraction(frame.timestamp, rates[kind]) for kind, frame in first.items()
        )
        self._container = container = av.open(str(self.path), "w")
        for track in self.tracks:
            frame = first[track.kind]
            stream = (
                _audio_stream(container, track)
                if track.kind == "audio"
                else _video_stream(container, frame)
            )
            zero = begins - origins[track.kind]
            self._writing[track.kind] = _Writing(stream, frame.timestamp, zero, track.clock_rate)
        held, self._waiting = self._waiting, []
        for frame in held:
            self._mux(frame)

    def _mux(self, frame: Frame) -> None:
        from av.packet import Packet

        writing = self._writing[frame.kind]
        if frame.timestamp < writing.first_timestamp or self._container is None:
            return
        pts = frame.timestamp - round(writing.zero * writing.clock_rate)
        packet: Any = Packet(frame.data)
        packet.stream = writing.stream
        packet.time_base = Fraction(1, writing.clock_rate)
        packet.pts = packet.dts = writing.last_pts = max(pts, writing.last_pts + 1)
        packet.is_keyframe = frame.key
        self._container.mux(packet)
        self.frames[frame.kind] = self.frames.get(frame.kind, 0) + 1


def _audio_stream(container: OutputContainer, track: AgreedTrack) -> Any:
    # An encoder that encodes nothing: it writes the header that a player needs (RFC 7845 §5.1).
    stream: Any = container.add_stream("libopus", rate=track.clock_rate)
    stream.layout = "stereo" if track.channels == 2 else "mono"
    return stream


def _video_stream(container: OutputContainer, frame: Frame) -> Any:
    import av

    if frame.codec == "H264":
        # FFmpeg finds size and parameter sets in the key frame itself.
        with av.open(io.BytesIO(frame.data), format="h264") as parsed:
            return container.add_stream_from_template(parsed.streams.video[0])
    name = _DECODERS[frame.codec]
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.decode(av.Packet(frame.data))
    decoder.decode(None)
    return container.add_mux_stream(name, width=decoder.width, height=decoder.height)
