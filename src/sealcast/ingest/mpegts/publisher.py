"""One encoder's transport stream, from bytes to frames in the relay: one thread per encoder.

Does: reads a blocking socket, demuxes H264 with AAC, MPEG audio or Opus, puts both on the node's
clock, turns audio into Opus, pushes frames straight into the tracks' native sinks, and reports
what it found in past-tense events.

Does not: know asyncio, the hub or who the encoder is; choose a stream's name. An event may say
that the programme has B-frames; whether that matters is decided elsewhere.

Specs: ISO/IEC 13818-1 (transport stream), ITU-T H.264, RFC 6716.

The caller must still: hand over a socket whose peer was authenticated; be ready for calls of
`open_sinks` and `report` from the worker's thread; call `stop` and then `join`.

FFmpeg reads through a Python object and not from the descriptor itself: a read returns what is
there, some ten times per second and Mbit, which costs nothing that could be measured, and it lets
us count bytes, look for the sync byte before FFmpeg guesses, and end a read by a shutdown.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from sealcast.errors import RemoteError, SealcastError
from sealcast.ingest.mpegts.clock import (
    TICKS_PER_SECOND,
    SampleClock,
    Timeline,
    samples_at,
    ticks_at,
)
from sealcast.ingest.mpegts.h264 import ParameterSets
from sealcast.ingest.mpegts.opus import TRANSCODED, OpusPassThrough, OpusTranscoder

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

PACKET: Final = 188
"""ISO/IEC 13818-1 §2.4.3.1."""
SYNC: Final = 0x47
SYNC_PACKETS: Final = 5
"""As many sync bytes in a row are taken for a transport stream: one by chance is 1 in 2^40."""
PROBE_BYTES: Final = 2_000_000
PROBE_US: Final = 1_500_000
FRAME_LIMIT: Final = 4 * 1024 * 1024
"""A longer access unit is no live picture; it is left out."""


class Sink(Protocol):
    """Where a track's frames go (`sealcast._core.FrameSink`)."""

    def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        """Hand over one frame."""

    def close(self) -> None:
        """No more frames."""


# ---- events, in the past tense ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProgrammeFound:
    """What the transport stream holds: codecs by FFmpeg's names; None: no such track."""

    video: str | None
    audio: str | None


@dataclass(frozen=True, slots=True)
class ParameterSetsSeen:
    """The first parameter sets came, or others than before."""

    profile_level_id: str


@dataclass(frozen=True, slots=True)
class BFramesSeen:
    """Pictures are not sent in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Remarked:
    """Something was survived. The same code is reported once per stream; `drops` counts on."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The worker is done; no event follows."""

    code: str
    detail: str


Event = ProgrammeFound | ParameterSetsSeen | BFramesSeen | Remarked | Ended


@dataclass(frozen=True, slots=True)
class Sinks:
    """The two tracks' sinks; None where the programme has no such track."""

    video: Sink | None
    audio: Sink | None


@dataclass(slots=True)
class Counters:
    """What went through; read from other threads, so each is a plain number."""

    bytes_in: int = 0
    last_byte_ns: int = 0
    video_frames: int = 0
    audio_packets: int = 0
    re_anchored: int = 0
    drops: dict[str, int] = field(default_factory=dict)


class _Source:
    """The blocking socket as FFmpeg reads it."""

    def __init__(self, plaintext: socket.socket, counters: Counters) -> None:
        self._socket = plaintext
        self._counters = counters
        self._waiting = b""
        self.began_ns = 0
        self.name = "encoder"

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""
        if self._waiting:
            head, self._waiting = self._waiting[:size], self._waiting[size:]
            return head
        return self._receive(size)

    def check_sync(self) -> None:
        """Look at the first packets and keep them for FFmpeg. Raises TS.GARBAGE."""
        wanted = (SYNC_PACKETS + 1) * PACKET
        while len(self._waiting) < wanted:
            more = self._receive(wanted - len(self._waiting))
            if not more:
                break
            self._waiting += more
        for offset in range(min(PACKET, len(self._waiting))):
            column = self._waiting[offset::PACKET]
            enough = len(column) >= min(SYNC_PACKETS, len(self._waiting) // PACKET)
            if enough and all(byte == SYNC for byte in column[:SYNC_PACKETS]):
                self._waiting = self._waiting[offset:]
                return
        if not self._waiting:
            raise RemoteError("TS.NO_VIDEO", "The connection was closed before any byte came.")
        start = self._waiting[:8].hex(" ")
        raise RemoteError("TS.GARBAGE", f"No sync byte 0x47 every 188 bytes; it begins {start}.")

    def _receive(self, size: int) -> bytes:
        try:
            data = self._socket.recv(size)
        except OSError:
            # Reset or shut down from our side: for a live stream both are simply its end.
            return b""
        now = time.monotonic_ns()
        self.began_ns = self.began_ns or now
        self._counters.bytes_in += len(data)
        self._counters.last_byte_ns = now
        return data


class TsPublisher:
    """The worker. `start` once; `stop` from any thread; then `join`."""

    def __init__(
        self,
        descriptor: int,
        *,
        name: str,
        open_sinks: Callable[[ProgrammeFound], Sinks],
        report: Callable[[Event], None],
    ) -> None:
        """Own `descriptor`, a blocking stream socket.

        `open_sinks` may raise `SealcastError` to refuse the programme: its code ends the stream.
        """
        self.counters = Counters()
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        self._open_sinks = open_sinks
        self._report = report
        self._stop_code: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"ts {name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, code: str) -> None:
        """End it: the pending read returns, `Ended(code)` is reported."""
        if self._stop_code is None:
            self._stop_code = code
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def join(self, timeout: float) -> bool:
        """Whether the thread is over within `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        code, detail = "STREAM.ENDED", "The encoder closed the connection."
        try:
            with self._socket:
                self._demux()
            if self.counters.bytes_in % PACKET:
                code = "TS.TRUNCATED"
                detail = f"The last packet has {self.counters.bytes_in % PACKET} of 188 bytes."
        except SealcastError as error:
            code, detail = error.code, error.detail
        except Exception as error:
            code, detail = _from_native(error)
        if self._stop_code is not None:
            code, detail = self._stop_code, ""
        self._report(Ended(code, detail))

    def _demux(self) -> None:
        source = _Source(self._socket, self.counters)
        source.check_sync()
        # Only a node with an encoder needs FFmpeg in its memory.
        import av

        options = {
            "probesize": str(PROBE_BYTES),
            "analyzeduration": str(PROBE_US),
            # The frame rate is nobody's business here; guessing it takes a second.
            "fpsprobesize": "0",
            # Timestamps come as they were sent: Unwrapper unwraps them.
            "correct_ts_overflow": "0",
            "scan_all_pmts": "0",
        }
        try:
            container = av.open(source, mode="r", format="mpegts", options=options)
        except (av.error.FFmpegError, ValueError) as error:
            # Sync bytes were there, so it is a transport stream, with no programme in it.
            raise RemoteError("TS.NO_VIDEO", f"No programme: FFmpeg says {error}.") from error
        with container:
            _Programme(self, container, source.began_ns).run()

    # ---- for _Programme ----------------------------------------------------------------------

    def open_sinks(self, found: ProgrammeFound) -> Sinks:
        """Tell what was found and get where it goes."""
        return self._open_sinks(found)

    def report(self, event: Event) -> None:
        """Pass an event on."""
        self._report(event)

    def drop(self, code: str, detail: str) -> None:
        """Count something that was left out; report the first of its kind."""
        drops = self.counters.drops
        drops[code] = drops.get(code, 0) + 1
        if drops[code] == 1:
            self._report(Remarked(code, detail))


class _Programme:
    """An opened transport stream: its two tracks, its timeline, its sinks."""

    def __init__(self, owner: TsPublisher, container: InputContainer, began_ns: int) -> None:
        self._owner = owner
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
        self._owner.report(found)
        sinks = self._owner.open_sinks(found)
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
            self._owner.drop("TS.UNSUPPORTED_CODEC", f"Video in {stream.codec_context.name}.")
        return None

    def _choose_audio(self) -> tuple[AudioStream | None, OpusPassThrough | OpusTranscoder | None]:
        for stream in self._container.streams.audio:
            context = stream.codec_context
            if context.name == "opus" and context.channels <= 2:
                return stream, OpusPassThrough()
            if context.name in TRANSCODED or context.name == "opus":
                return stream, OpusTranscoder(context)
            self._owner.drop("TS.UNSUPPORTED_CODEC", f"Audio in {context.name}.")
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
            except (av.error.EOFError, av.error.InvalidDataError):
                # FFmpeg resynchronises by itself; what it reports here is that it could not.
                return
            if packet.size == 0:
                continue
            if packet.size > FRAME_LIMIT:
                self._owner.drop("RELAY.FRAME_TOO_BIG", f"{packet.size} bytes.")
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
            self._owner.report(ParameterSetsSeen(profile))
        ticks = self._place(packet)
        self._started = self._started or key
        if not self._started or sink is None:
            return
        # RTP carries presentation times (RFC 6184 §5.1); without B-frames they are the same.
        shown = ticks
        if packet.pts is not None and packet.dts is not None:
            shown += max(0, _ticks(packet.pts, packet) - _ticks(packet.dts, packet))
        self._push(sink, data, shown, self._timeline.node_time_ns(shown), key)
        self._owner.counters.video_frames += 1

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
                self._owner.drop("TS.TIMESTAMP_JUMP", "Sound from before a jump was left out.")
                return
        try:
            for data, samples in converter.convert(packet):
                timestamp = self._samples.advance(samples)
                node_time = self._timeline.node_time_ns(ticks_at(timestamp))
                self._push(sink, data, timestamp, node_time, key=True)
                self._owner.counters.audio_packets += 1
        except av.error.FFmpegError as error:
            self._owner.drop("TS.TRANSCODE_FAILED", f"FFmpeg says: {error}.")

    def _place(self, packet: Packet[Any]) -> int:
        if packet.dts is None:
            return self._timeline.place_next(packet.stream_index)
        placed = self._timeline.place(
            packet.stream_index, _ticks(packet.dts, packet), time.monotonic_ns()
        )
        if placed.re_anchored:
            self._owner.counters.re_anchored += 1
            self._owner.drop("TS.TIMESTAMP_JUMP", "Both tracks go on without a gap.")
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
            self._owner.report(BFramesSeen())
        self._newest_pts = packet.pts

    def _push(self, sink: Sink, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        try:
            sink.push(data, timestamp, node_time_ns, key)
        except Exception as error:
            code, detail = _from_native(error)
            if code not in _SURVIVED:
                raise
            self._owner.drop(code, detail)


_SURVIVED: Final = frozenset({"RELAY.SINK_FULL", "RELAY.FRAME_REFUSED", "RELAY.FRAME_TOO_BIG"})
"""What one frame may meet without the stream being over."""


def _ticks(stamp: int, packet: Packet[Any]) -> int:
    """A timestamp in 90 kHz ticks, which is FFmpeg's time base for transport streams anyway."""
    if packet.time_base is None:
        return stamp
    return int(stamp * packet.time_base * TICKS_PER_SECOND)


def _from_native(error: Exception) -> tuple[str, str]:
    """The code and detail that an error of the native side carries; ours is the fault otherwise."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and "." in code:
        return code, str(getattr(error, "detail", "") or "")
    return "TS.FAILED", f"{type(error).__name__}: {error}"
