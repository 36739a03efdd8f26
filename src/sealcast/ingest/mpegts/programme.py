"""One programme of a transport stream: from FFmpeg's packets to frames in the tracks' sinks.

Does: chooses a picture and a sound, puts both on one timeline, completes parameter sets, turns
sound into Opus, notices B-frames, pushes; reports what it found.

Does not: read the connection or own a thread (`publisher`); end the stream: it returns when FFmpeg
has no more packets.

Specs: ISO/IEC 13818-1 (transport stream), ITU-T H.264, RFC 6184 §5.1, RFC 6716.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from sealcast.errors import RemoteError
from sealcast.ingest.mpegts.clock import (
    TICKS_PER_SECOND,
    SampleClock,
    Timeline,
    samples_at,
    ticks_at,
)
from sealcast.ingest.mpegts.events import (
    BFramesSeen,
    Outlet,
    ParameterSetsSeen,
    ProgrammeFound,
    Sink,
    Sinks,
)
from sealcast.ingest.mpegts.h264 import ParameterSets
from sealcast.ingest.mpegts.opus import TRANSCODED, OpusPassThrough, OpusTranscoder

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

FRAME_LIMIT: Final = 4 * 1024 * 1024
"""A longer access unit is no live picture; it is left out."""


class Programme:
    """An opened transport stream: its two tracks, its timeline, its sinks."""

    def __init__(self, outlet: Outlet, container: InputContainer, began_ns: int) -> None:
        self._outlet = outlet
        self._container = container
        self._timeline = Timeline(began_ns=began_ns)
        self._video = self._choose_video()
        self._audio, self._converter = self._choose_audio()
        if self._video is None and self._audio is None:
            found = ", ".join(stream.type for stream in container.streams) or "no streams at all"
            raise RemoteError("TS.NO_VIDEO", f"It holds {found}.")
        self._parameter_sets = ParameterSets()
        self._reported_profile: str | None = None
        self._samples = SampleClock()
        self._started = False
        self._newest_pts: int | None = None
        self._b_frames = False

    def run(self) -> None:
        """Push frames until the end."""
        found = ProgrammeFound(
            video=None if self._video is None else self._video.codec_context.name,
            audio=None if self._audio is None else self._audio.codec_context.name,
        )
        self._outlet.report(found)
        sinks = self._outlet.open_sinks(found)
        try:
            self._push_all(sinks)
        finally:
            for sink in (sinks.video, sinks.audio):
                if sink is not None:
                    with contextlib.suppress(Exception):
                        sink.close()

    def _choose_video(self) -> VideoStream | None:
        for stream in self._container.streams.video:
            if stream.codec_context.name == "h264":
                return stream
            self._outlet.drop("TS.UNSUPPORTED_CODEC", f"Video in {stream.codec_context.name}.")
        return None

    def _choose_audio(self) -> tuple[AudioStream | None, OpusPassThrough | OpusTranscoder | None]:
        for stream in self._container.streams.audio:
            context = stream.codec_context
            if context.name == "opus" and context.channels <= 2:
                return stream, OpusPassThrough()
            if context.name in TRANSCODED or context.name == "opus":
                return stream, OpusTranscoder(context)
            self._outlet.drop("TS.UNSUPPORTED_CODEC", f"Audio in {context.name}.")
        return None, None

    def _push_all(self, sinks: Sinks) -> None:
        import av

        chosen = [stream for stream in (self._video, self._audio) if stream is not None]
        packets = self._container.demux(*chosen)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.EOFError, av.error.InvalidDataError, av.error.BlockingIOError):
                # Whether the stream is over, or only unreadable from here on (EAGAIN is what FFmpeg
                # says when it finds no sync byte for 64 kB), its reader knows.
                return
            if packet.size == 0:
                continue
            if packet.size > FRAME_LIMIT:
                self._outlet.drop("RELAY.FRAME_TOO_BIG", f"{packet.size} bytes.")
            elif self._video is not None and packet.stream_index == self._video.index:
                self._push_picture(packet, sinks.video)
            elif self._audio is not None and packet.stream_index == self._audio.index:
                self._push_sound(packet, sinks.audio)

    def _push_picture(self, packet: Packet[Any], sink: Sink | None) -> None:
        data, key = self._parameter_sets.complete(bytes(packet))
        # The order first: whoever waits for the parameter sets shall know of B-frames by then.
        self._watch_order(packet)
        profile = self._parameter_sets.profile_level_id
        if profile is not None and profile != self._reported_profile:
            self._reported_profile = profile
            self._outlet.report(ParameterSetsSeen(profile))
        ticks = self._place(packet)
        self._started = self._started or key
        if not self._started or sink is None:
            return
        # RTP carries presentation times (RFC 6184 §5.1); without B-frames they are the same.
        shown = ticks
        if packet.pts is not None and packet.dts is not None:
            shown += max(0, _ticks(packet.pts, packet) - _ticks(packet.dts, packet))
        self._push(sink, data, shown, self._timeline.node_time_ns(shown), key)
        self._outlet.counters.video_frames += 1

    def _push_sound(self, packet: Packet[Any], sink: Sink | None) -> None:
        import av

        if sink is None or self._converter is None:
            return
        converter = self._converter
        # Of several audio frames in one PES packet only the first has a timestamp; and FFmpeg gives
        # the others none while it probes. They are counted like all the rest.
        if packet.dts is not None or self._samples.next_sample is None:
            expected = samples_at(self._place(packet))
            start = expected - converter.pending_samples - converter.encoder_delay_samples
            if not self._samples.align(max(0, start)):
                self._outlet.drop("TS.TIMESTAMP_JUMP", "Sound from before a jump was left out.")
                return
        try:
            for data, samples in converter.convert(packet):
                timestamp = self._samples.advance(samples)
                node_time = self._timeline.node_time_ns(ticks_at(timestamp))
                self._push(sink, data, timestamp, node_time, key=True)
                self._outlet.counters.audio_packets += 1
        except av.error.FFmpegError as error:
            self._outlet.drop("TS.TRANSCODE_FAILED", f"FFmpeg says: {error}.")

    def _place(self, packet: Packet[Any]) -> int:
        if packet.dts is None:
            return self._timeline.place_next(packet.stream_index)
        placed = self._timeline.place(
            packet.stream_index, _ticks(packet.dts, packet), time.monotonic_ns()
        )
        if placed.re_anchored:
            self._outlet.counters.re_anchored += 1
            self._outlet.drop("TS.TIMESTAMP_JUMP", "Both tracks go on without a gap.")
            self._newest_pts = None
        return placed.ticks

    def _watch_order(self, packet: Packet[Any]) -> None:
        """A presentation time before that of an earlier packet: pictures are out of order."""
        if self._b_frames or packet.pts is None or packet.dts is None:
            return
        # A transport stream sends DTS only where it differs from PTS (§2.4.3.7), and a key frame
        # that waits for its turn to be shown announces the B-frames behind it.
        announced = (
            packet.is_keyframe
            and packet.pts > packet.dts
            and self._video is not None
            and bool(self._video.codec_context.has_b_frames)
        )
        step = 0 if self._newest_pts is None else packet.pts - self._newest_pts
        if announced or -TICKS_PER_SECOND < step < 0:
            self._b_frames = True
            self._outlet.report(BFramesSeen())
        self._newest_pts = packet.pts

    def _push(self, sink: Sink, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        try:
            sink.push(data, timestamp, node_time_ns, key)
        except Exception as error:
            code, detail = native_verdict(error)
            if code not in _SURVIVED:
                raise
            self._outlet.drop(code, detail)


_SURVIVED: Final = frozenset({"RELAY.SINK_FULL", "RELAY.FRAME_REFUSED", "RELAY.FRAME_TOO_BIG"})
"""What one frame may meet without the stream being over."""


def _ticks(stamp: int, packet: Packet[Any]) -> int:
    """A timestamp in 90 kHz ticks, which is FFmpeg's time base for transport streams anyway."""
    if packet.time_base is None:
        return stamp
    return int(stamp * packet.time_base * TICKS_PER_SECOND)


def native_verdict(error: Exception) -> tuple[str, str]:
    """The code and detail that an error of the native side carries; ours is the fault otherwise."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and "." in code:
        return code, str(getattr(error, "detail", "") or "")
    return "TS.FAILED", f"{type(error).__name__}: {error}"
