"""The clock of a transport stream: wrapping, jumping, counting."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from sealcast.ingest.mpegts.clock import (
    DRIFT_SAMPLES,
    JUMP_TICKS,
    LEAD_TICKS,
    TICKS_PER_SECOND,
    SampleClock,
    Timeline,
    Unwrapper,
    samples_at,
    ticks_at,
)

WRAP = 1 << 33
FRAME = TICKS_PER_SECOND // 30
VIDEO, AUDIO = 0, 1


@given(st.integers(0, WRAP - 1), st.lists(st.integers(-WRAP // 2 + 1, WRAP // 2 - 1), max_size=50))
def test_unwrapping_restores_every_walk_of_less_than_half_a_turn(
    start: int, steps: list[int]
) -> None:
    unwrapper = Unwrapper()
    true = start
    assert unwrapper.unwrap(true % WRAP) == true
    for step in steps:
        true += step
        assert unwrapper.unwrap(true % WRAP) == true


def test_a_wrap_is_not_a_jump() -> None:
    timeline = Timeline(began_ns=0)
    for index in range(100):
        wrapped = (WRAP - 50 * FRAME + index * FRAME) % WRAP
        placed = timeline.place(VIDEO, wrapped, index * 33_333_333)
        assert not placed.re_anchored
        assert placed.ticks == LEAD_TICKS + index * FRAME


@given(st.lists(st.integers(0, WRAP - 1), min_size=2, max_size=60), st.integers(0, 10**12))
def test_ticks_of_a_track_strictly_rise_whatever_the_encoder_says(
    stamps: list[int], now: int
) -> None:
    timeline = Timeline(began_ns=now)
    last: dict[int, int] = {}
    for index, stamp in enumerate(stamps):
        now += 33_333_333
        track = index % 2
        ticks = timeline.place(track, stamp, now).ticks
        assert ticks > last.get(track, -1)
        last[track] = ticks


@given(st.integers(-WRAP // 2 + JUMP_TICKS, WRAP // 2 - JUMP_TICKS - 1))
def test_a_jump_re_anchors_once_and_both_tracks_go_on_together(jump: int) -> None:
    assume(not -TICKS_PER_SECOND // 5 < jump <= JUMP_TICKS + 3 * FRAME)
    timeline = Timeline(began_ns=0)
    re_anchored = 0
    now = 0
    shift = 0
    placed_video = placed_audio = 0
    for index in range(90):
        now = index * 33_333_333
        if index == 45:
            shift = jump
        # The audio of one frame comes behind the video of the next one, as encoders interleave:
        # around the jump frames from both sides of it alternate.
        video = timeline.place(VIDEO, (10**6 + shift + index * FRAME) % WRAP, now)
        late_shift = 0 if index < 47 else shift
        audio = timeline.place(AUDIO, (10**6 + late_shift + (index - 2) * FRAME) % WRAP, now)
        re_anchored += video.re_anchored + audio.re_anchored
        placed_video, placed_audio = video.ticks, audio.ticks
    assert re_anchored == 1
    # Lip sync holds behind the jump: still two frames apart.
    assert placed_video - placed_audio == 2 * FRAME


def test_a_jump_does_not_leave_a_gap_longer_than_the_pause() -> None:
    timeline = Timeline(began_ns=0)
    before = timeline.place(VIDEO, 1000, 0).ticks
    five_seconds = 5 * 10**9
    after = timeline.place(VIDEO, 1000 + 3600 * TICKS_PER_SECOND, five_seconds)
    assert after.re_anchored
    assert after.ticks - before == 5 * TICKS_PER_SECOND


def test_the_node_time_of_the_first_frame_is_when_it_began() -> None:
    timeline = Timeline(began_ns=77)
    placed = timeline.place(VIDEO, 123_456, 10**9)
    assert timeline.node_time_ns(placed.ticks) == 77
    later = timeline.place(VIDEO, 123_456 + TICKS_PER_SECOND, 2 * 10**9)
    assert timeline.node_time_ns(later.ticks) == 77 + 10**9


def test_a_track_may_begin_before_the_first_frame_of_another() -> None:
    timeline = Timeline(began_ns=0)
    video = timeline.place(VIDEO, 5 * TICKS_PER_SECOND, 0).ticks
    audio = timeline.place(AUDIO, 5 * TICKS_PER_SECOND - 1920, 0)
    assert not audio.re_anchored
    assert video - audio.ticks == 1920


def test_a_frame_without_timestamp_stands_one_step_on() -> None:
    timeline = Timeline(began_ns=0)
    timeline.place(VIDEO, 0, 0)
    second = timeline.place(VIDEO, 3600, 0).ticks
    assert timeline.place_next(VIDEO) == second + 3600


@given(st.lists(st.integers(-DRIFT_SAMPLES + 1, DRIFT_SAMPLES - 1), min_size=1, max_size=40))
def test_audio_counts_samples_through_any_jitter(jitter: list[int]) -> None:
    clock = SampleClock()
    clock.align(50_000)
    expected = [clock.advance(960)]
    for index, wobble in enumerate(jitter, start=1):
        assert clock.align(50_000 + index * 960 + wobble)
        expected.append(clock.advance(960))
    assert expected == [50_000 + index * 960 for index in range(len(expected))]


def test_a_gap_in_the_sound_moves_the_count_and_an_overlap_is_dropped() -> None:
    clock = SampleClock()
    assert clock.align(0)
    clock.advance(960)
    assert clock.align(960 + DRIFT_SAMPLES + 1)
    assert clock.advance(960) == 960 + DRIFT_SAMPLES + 1
    assert not clock.align(0)


@given(st.integers(0, 10**12))
def test_samples_and_ticks_agree(samples: int) -> None:
    assert samples - samples_at(ticks_at(samples)) in (0, 1)
