"""A transport stream becomes frames; what is not one becomes a code."""

from __future__ import annotations

import math
import socket
import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.transport_streams import transport_stream

from sealcast.errors import RemoteError
from sealcast.ingest.mpegts import (
    BFramesSeen,
    Continued,
    Ended,
    Event,
    Inlet,
    ParameterSetsSeen,
    ProgrammeFound,
    Remarked,
    Sinks,
    TsPublisher,
)
from sealcast.ingest.mpegts.h264 import ParameterSets, nal_type, nal_units
from sealcast.ingest.mpegts.opus import opus_samples
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import PACKET, Cutter, null_packet
from sealcast.ts.switch import Phase, Switch

SPS_TYPE, PPS_TYPE = 7, 8


@dataclass
class RecordingSink:
    """Keeps what is pushed; refuses with a code when told to."""

    frames: list[tuple[bytes, int, int, bool]] = field(default_factory=list)
    closed: bool = False

    def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        self.frames.append((data, timestamp, node_time_ns, key))

    def close(self) -> None:
        self.closed = True


class Run:
    """A publisher fed with given bytes to its end; `heirs` come over connections of their own."""

    def __init__(
        self, *pieces: bytes, refuse: RemoteError | None = None, heirs: Sequence[bytes] = ()
    ) -> None:
        self.events: list[Event] = []
        self.video = RecordingSink()
        self.audio = RecordingSink()
        self.refuse = refuse
        ours, theirs = socket.socketpair()
        self.publisher = TsPublisher(
            theirs.detach(), name="test", open_sinks=self.open_sinks, report=self.events.append
        )
        self.heirs: list[Inlet] = []
        ends = [ours]
        for _ in heirs:
            ours, theirs = socket.socketpair()
            ends.append(ours)
            self.heirs.append(Inlet(theirs))
            assert self.publisher.append(self.heirs[-1])
        self.publisher.start()

        def feed() -> None:
            for end, sent in zip(ends, [pieces, *((heir,) for heir in heirs)], strict=True):
                with end:
                    for piece in sent:
                        try:
                            end.sendall(piece)
                        except OSError:
                            break

        writer = threading.Thread(target=feed)
        writer.start()
        writer.join()
        assert self.publisher.join(20), "the worker ends when its connection ends"

    def open_sinks(self, found: ProgrammeFound) -> Sinks:
        if self.refuse is not None:
            raise self.refuse
        return Sinks(
            self.video if found.video is not None else None,
            self.audio if found.audio is not None else None,
        )

    def seen(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> Ended:
        [ended] = self.seen(Ended)
        assert self.events[-1] is ended
        return cast(Ended, ended)


def decoded_tone(frames: list[tuple[bytes, int, int, bool]]) -> float:
    """The share of the energy that is at 440 Hz, of Opus packets (Goertzel)."""
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "stereo"
    samples: list[float] = []
    for data, *_rest in frames:
        for frame in decoder.decode(av.Packet(data)):
            if frame.format.is_planar:
                samples += memoryview(frame.planes[0]).cast("B").cast("f")[: frame.samples]
            else:
                flat = memoryview(frame.planes[0]).cast("B")
                step = array("h" if frame.format.name == "s16" else "f")
                step.frombytes(flat[: frame.samples * 2 * step.itemsize])
                samples += step[::2]
    samples = samples[9600 : 9600 + 24_000]
    real = sum(s * math.cos(2 * math.pi * 440 * n / 48_000) for n, s in enumerate(samples))
    imaginary = sum(s * math.sin(2 * math.pi * 440 * n / 48_000) for n, s in enumerate(samples))
    energy = sum(s * s for s in samples)
    return 2 * (real**2 + imaginary**2) / (len(samples) * energy)


@pytest.mark.parametrize("audio", ["aac", "mp2", "libopus"])
def test_picture_and_sound_arrive_on_one_clock(audio: str) -> None:
    run = Run(transport_stream(seconds=2, audio=audio))
    assert run.ended.code == "STREAM.ENDED"
    assert not run.seen(Remarked)
    assert len(run.video.frames) == 60
    assert run.video.frames[0][3], "the first frame pushed is a key frame"
    assert [key for *_rest, key in run.video.frames].count(True) == 4
    steps = {after[1] - before[1] for before, after in pairwise(run.video.frames)}
    assert steps == {3000}
    sound = run.audio.frames
    assert {after[1] - before[1] for before, after in pairwise(sound)} == {960}
    assert 95 <= len(sound) <= 102
    # Both began at the same time; one encoder's priming is all that may lie between.
    assert abs(run.video.frames[0][2] - sound[0][2]) < 60_000_000
    assert decoded_tone(sound) > 0.95
    assert run.video.closed
    assert run.audio.closed


def test_every_key_frame_carries_its_parameter_sets() -> None:
    run = Run(transport_stream(seconds=2))
    for data, *_rest, key in run.video.frames:
        kinds = [nal_type(unit) for unit in nal_units(data)]
        assert ({SPS_TYPE, PPS_TYPE} <= set(kinds)) == key


def test_parameter_sets_are_put_before_a_key_frame_that_lacks_them() -> None:
    sps, pps, idr = b"\x67\x42\xe0\x1f\x8c\x01", b"\x68\xce\x3c\x80", b"\x65\x88\x84"
    start = b"\x00\x00\x00\x01"
    kept = ParameterSets()
    whole = start + sps + start + pps + start + idr
    assert kept.complete(whole) == (whole, True)
    assert kept.profile_level_id == "42e01f"
    bare = start + idr
    completed, key = kept.complete(bare)
    assert key
    assert [nal_type(unit) for unit in nal_units(completed)] == [7, 8, 5]
    assert kept.complete(start + b"\x41\x9a") == (start + b"\x41\x9a", False)


def test_the_profile_is_read_from_the_parameter_sets() -> None:
    [seen] = Run(transport_stream(seconds=0.5, audio=None)).seen(ParameterSetsSeen)
    assert len(seen.profile_level_id) == 6
    int(seen.profile_level_id, 16)


def test_b_frames_are_flagged_and_the_stream_goes_on() -> None:
    run = Run(transport_stream(seconds=2, b_frames=2))
    assert run.seen(BFramesSeen) == [BFramesSeen()]
    assert len(run.video.frames) == 60
    # Flagged before the parameter sets are told, so before any viewer could be answered.
    kinds = [type(event) for event in run.events]
    assert kinds.index(BFramesSeen) < kinds.index(ParameterSetsSeen)


def test_a_stream_without_b_frames_is_not_flagged() -> None:
    assert Run(transport_stream(seconds=2)).seen(BFramesSeen) == []


def test_timestamps_that_wrap_at_33_bits_make_no_seam() -> None:
    run = Run(transport_stream(seconds=2, start=(1 << 33) - 90_000))
    steps = {after[1] - before[1] for before, after in pairwise(run.video.frames)}
    assert steps == {3000}
    assert run.publisher.counters.re_anchored == 0


def test_a_jump_of_an_hour_is_re_anchored_and_reported_once() -> None:
    first = transport_stream(seconds=1)
    run = Run(first, transport_stream(seconds=1, start=3600 * 90_000))
    assert len(run.video.frames) >= 58
    stamps = [stamp for _data, stamp, *_rest in run.video.frames]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[0] < 3 * 90_000
    sound = [stamp for _data, stamp, *_rest in run.audio.frames]
    assert sound == sorted(set(sound))
    assert [remark.code for remark in run.seen(Remarked)] == ["TS.TIMESTAMP_JUMP"]


def test_an_encoder_that_starts_over_is_re_anchored() -> None:
    once = transport_stream(seconds=1, start=1000 * 90_000)
    run = Run(once, transport_stream(seconds=1))
    stamps = [stamp for _data, stamp, *_rest in run.video.frames]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[0] < 3 * 90_000


def test_garbage_is_refused_with_what_it_began_with() -> None:
    run = Run(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
    assert run.ended.code == "TS.GARBAGE"
    assert "47 45 54" in run.ended.detail
    assert not run.seen(ProgrammeFound)


def test_a_connection_without_a_byte_has_no_video() -> None:
    assert Run().ended.code == "TS.NO_VIDEO"


def test_packets_of_nothing_have_no_video() -> None:
    null_packet = b"\x47\x1f\xff\x10" + b"\xff" * 184
    assert Run(null_packet * 20_000).ended.code == "TS.NO_VIDEO"


def test_an_unknown_codec_is_named() -> None:
    run = Run(transport_stream(video="mpeg2video", audio=None))
    assert run.ended.code == "TS.NO_VIDEO"
    [remark] = run.seen(Remarked)
    assert remark.code == "TS.UNSUPPORTED_CODEC"
    assert "mpeg2video" in remark.detail


def test_sound_alone_is_carried() -> None:
    run = Run(transport_stream(video=None))
    assert run.seen(ProgrammeFound) == [ProgrammeFound(video=None, audio="aac")]
    assert len(run.audio.frames) > 40


def test_half_a_stream_ends_cleanly_and_says_so() -> None:
    whole = transport_stream(seconds=2)
    run = Run(whole[: len(whole) // 2 // 188 * 188 + 100])
    assert run.ended.code == "TS.TRUNCATED"
    assert "100 of 188" in run.ended.detail
    assert run.video.frames
    assert run.video.closed


def test_bytes_in_the_middle_of_a_stream_that_are_damaged_do_not_end_it() -> None:
    whole = bytearray(transport_stream(seconds=2))
    middle = len(whole) // 2
    whole[middle : middle + 1000] = bytes(1000)
    run = Run(bytes(whole))
    assert run.ended.code in ("STREAM.ENDED", "TS.TRUNCATED")
    assert len(run.video.frames) > 40


def test_a_stream_that_turns_into_something_else_is_garbage() -> None:
    run = Run(transport_stream(seconds=2), b"no sync byte of it at all" * 40_000)
    assert run.ended.code == "TS.GARBAGE"
    assert "middle" in run.ended.detail
    assert run.video.closed


def test_a_stream_that_is_joined_in_the_middle_of_a_packet_is_not_called_truncated() -> None:
    run = Run(transport_stream(seconds=1)[88:])
    assert run.ended.code == "STREAM.ENDED"


def test_a_refusal_by_the_hub_ends_the_stream_with_its_code() -> None:
    refusal = RemoteError("STREAM.TAKEN", "venue/stage-1")
    run = Run(transport_stream(), refuse=refusal)
    assert run.ended == Ended("STREAM.TAKEN", "venue/stage-1")


def test_stop_ends_a_stream_that_waits_for_bytes() -> None:
    ours, theirs = socket.socketpair()
    events: list[Event] = []
    publisher = TsPublisher(
        theirs.detach(),
        name="idle",
        open_sinks=lambda _found: Sinks(None, None),
        report=events.append,
    )
    publisher.start()
    ours.sendall(transport_stream(seconds=0.5)[: 188 * 20])
    publisher.stop("NODE.STOPPING")
    assert publisher.join(10)
    assert events[-1] == Ended("NODE.STOPPING", "")
    ours.close()


def test_a_full_sink_loses_frames_and_not_the_stream() -> None:
    class FullSink(RecordingSink):
        def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
            if len(self.frames) % 2:
                self.frames.append((b"", 0, 0, False))
                raise RemoteError("RELAY.SINK_FULL", "64 frames wait")
            super().push(data, timestamp, node_time_ns, key)

    ours, theirs = socket.socketpair()
    events: list[Event] = []
    sink = FullSink()
    publisher = TsPublisher(
        theirs.detach(),
        name="full",
        open_sinks=lambda _found: Sinks(sink, None),
        report=events.append,
    )
    publisher.start()
    ours.sendall(transport_stream(seconds=1, audio=None))
    ours.close()
    assert publisher.join(20)
    assert publisher.counters.drops == {"RELAY.SINK_FULL": 15}
    assert [event.code for event in events if isinstance(event, Remarked)] == ["RELAY.SINK_FULL"]


@settings(deadline=None, max_examples=20)
@given(st.binary(max_size=3000), st.booleans())
def test_random_bytes_end_with_one_code(data: bytes, aligned: bool) -> None:
    if aligned:
        data = b"".join(
            b"\x47" + data[at : at + 187].ljust(187, b"\xff") for at in range(0, len(data), 187)
        )
    ended = Run(data).ended
    assert ended.code in {"TS.GARBAGE", "TS.NO_VIDEO", "TS.TRUNCATED", "STREAM.ENDED"}


@given(st.binary(max_size=400))
def test_random_bytes_have_no_parameter_sets_to_fail_on(data: bytes) -> None:
    completed, _key = ParameterSets().complete(data)
    assert completed.endswith(data)


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (bytes([0b00000_0_00]), 480),
        (bytes([0b00011_0_00]), 2880),
        (bytes([0b01101_0_00]), 960),
        (bytes([0b10000_0_00]), 120),
        (bytes([0b11111_1_00]), 960),
        (bytes([0b11111_1_01]), 1920),
        (bytes([0b11111_0_11, 3]), 2880),
        (bytes([0b00011_0_11, 3]), None),
        (bytes([0b11111_0_11]), None),
        (bytes([0b11111_0_11, 0]), None),
        (b"", None),
    ],
)
def test_the_length_of_an_opus_packet_is_read_from_its_first_bytes(
    packet: bytes, samples: int | None
) -> None:
    assert opus_samples(packet) == samples


def parts_of(stream: bytes, changes: int) -> list[bytes]:
    """A stream as so many connections carry it, one after the other."""
    switch, packets = Switch(), Cutter().push(stream)
    parts, share = [b""], len(packets) // (changes + 1)
    for place, packet in enumerate(packets):
        if place and place % share == 0 and len(parts) <= changes:
            switch.change()
            parts.append(b"")
        spread = switch.push([packet])
        before = -2 if switch.phase is not Phase.STEADY or spread.is_over else -1
        parts[before] += spread.present
        parts[-1] += spread.coming
    assert len(parts) == changes + 1
    assert all(parts)
    return parts


@pytest.mark.parametrize("audio", ["aac", "libopus"])
@pytest.mark.parametrize("start", [0, (1 << 33) - 90_000])
def test_a_stream_over_four_connections_makes_the_same_frames_as_over_one(
    audio: str, start: int
) -> None:
    """No frame lost, doubled or out of order; every timestamp the same, across a wrap too."""
    stream = transport_stream(seconds=4, audio=audio, start=start)
    whole = Run(stream)
    first, *others = parts_of(stream, 3)
    run = Run(first, heirs=others)
    for mine, its in ((run.video, whole.video), (run.audio, whole.audio)):
        assert [frame[0] for frame in mine.frames] == [frame[0] for frame in its.frames]
        assert [frame[1] for frame in mine.frames] == [frame[1] for frame in its.frames]
    assert len(run.video.frames) == 120
    assert run.ended == Ended("STREAM.ENDED", "The encoder closed the connection.")
    assert [event.inlet for event in run.seen(Continued)] == run.heirs
    assert run.publisher.counters is run.heirs[-1].counters, "what came is counted where it came"
    assert not run.seen(Remarked)


def test_an_encoders_word_is_answered_and_not_demuxed() -> None:
    ours, theirs = socket.socketpair()
    heard: list[Announcement] = []
    run = bytes(range(16))

    def announced(told: Announcement) -> bool:
        heard.append(told)
        return True

    events: list[Event] = []
    publisher = TsPublisher(
        theirs.detach(),
        name="test",
        open_sinks=lambda _: Sinks(None, None),
        report=events.append,
        announced=announced,
    )
    with ours:
        publisher.start()
        ours.sendall(Announcement(Word.CONTINUES, run).packet())
        assert publisher.join(20), "another worker reads the connection on"
        answer = ours.recv(PACKET, socket.MSG_WAITALL)
    assert heard == [Announcement(Word.CONTINUES, run)]
    assert read_announcement(answer) == Announcement(Word.ADMITTED, run)
    assert not events
    publisher.inlet.close()


@given(st.binary(max_size=PACKET))
def test_no_other_packet_is_taken_for_an_announcement(data: bytes) -> None:
    assert read_announcement(data) is None
    assert read_announcement(null_packet(data[:184])) is None
