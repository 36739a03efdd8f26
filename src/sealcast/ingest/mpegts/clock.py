"""The clocks of a transport stream, and the one clock that they are put on.

Does: unwraps 33-bit timestamps; puts all tracks of a programme on one timeline of 90 kHz ticks that
never runs backwards; re-anchors that timeline, for all tracks together, when the
encoder's timestamps jump; counts audio timestamps in samples.

Does not: read a clock. The caller says what time it is on the node.

Specs: ISO/IEC 13818-1 §2.4.3.7 (PTS and DTS: 33 bits of 90 kHz), RFC 7587 §4.1 (Opus: 48 kHz).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TICKS_PER_SECOND: Final = 90_000
TIMESTAMP_BITS: Final = 33
JUMP_TICKS: Final = 3 * TICKS_PER_SECOND
"""A step forward of more than this is a jump; so is a step backwards beyond `OVERLAP_TICKS`."""
OVERLAP_TICKS: Final = TICKS_PER_SECOND // 10
"""A step backwards that is smoothed over instead: rounding, and a track that a re-anchoring of
another track found slightly ahead."""
LEAD_TICKS: Final = TICKS_PER_SECOND
"""Where the first frame stands: another track's may belong before it, and none below 0."""
FIRST_STEP_TICKS: Final = TICKS_PER_SECOND // 30
"""How far apart two frames are taken to be while only one has been seen."""

OPUS_RATE: Final = 48_000
DRIFT_SAMPLES: Final = OPUS_RATE // 10
"""How far counted samples and timestamps may differ before the count is set anew."""


@dataclass(slots=True)
class Unwrapper:
    """Turns timestamps that wrap at 33 bits into integers that do not.

    Of the values that a wrapped one can stand for, the nearest to the one before is meant.
    """

    last: int | None = None

    def unwrap(self, wrapped: int) -> int:
        """The unwrapped value; it may be less than 0 when the first ones go backwards."""
        if self.last is None:
            self.last = wrapped % (1 << TIMESTAMP_BITS)
            return self.last
        half = 1 << (TIMESTAMP_BITS - 1)
        step = (wrapped - self.last + half) % (1 << TIMESTAMP_BITS) - half
        self.last += step
        return self.last


@dataclass(slots=True)
class _TrackClock:
    last_ticks: int | None = None
    step_ticks: int = FIRST_STEP_TICKS


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a frame stands: ticks on the node's timeline, and whether they had to be re-anchored
    for it.
    """

    ticks: int
    re_anchored: bool


@dataclass(slots=True)
class Timeline:
    """One timeline for all tracks of a programme.

    An *anchor* is the difference between the encoder's timestamps and the timeline. Around a jump
    frames of the tracks are interleaved from both sides of it, so the anchor from before is kept
    and tried too: without it the two tracks would re-anchor each other with every frame.

    `began_ns` is the node's time of the first frame. The caller sets it to when the first byte
    came, not to when the first frame was understood: probing takes a while, and frames from the
    future would spoil lip sync.
    """

    began_ns: int
    _unwrapper: Unwrapper = field(default_factory=Unwrapper)
    _anchor: int | None = None
    _previous_anchor: int | None = None
    _tracks: dict[int, _TrackClock] = field(default_factory=dict)

    def place(self, track: int, wrapped: int, now_ns: int) -> Placed:
        """Where a frame of `track` with a decoding timestamp of `wrapped` stands.

        Ticks of one track strictly rise.
        """
        stamp = self._unwrapper.unwrap(wrapped)
        clock = self._tracks.setdefault(track, _TrackClock())
        if self._anchor is None:
            self._anchor = LEAD_TICKS - stamp
        ticks = self._fitting(clock, stamp)
        re_anchored = ticks is None
        if ticks is None:
            ticks = self._after_everything(now_ns)
            self._previous_anchor, self._anchor = self._anchor, ticks - stamp
        if clock.last_ticks is not None:
            # An overlap of a few frames is squeezed, not repeated.
            ticks = max(ticks, clock.last_ticks + 1)
            if not re_anchored:
                clock.step_ticks = ticks - clock.last_ticks
        clock.last_ticks = ticks
        return Placed(ticks, re_anchored)

    def node_time_ns(self, ticks: int) -> int:
        """When tick `ticks` is, on the node's clock."""
        return self.began_ns + (ticks - LEAD_TICKS) * 100_000 // 9

    def place_next(self, track: int) -> int:
        """Where a frame of `track` stands that came without a timestamp: one step on."""
        clock = self._tracks.setdefault(track, _TrackClock())
        latest = clock.last_ticks
        clock.last_ticks = LEAD_TICKS if latest is None else latest + clock.step_ticks
        return clock.last_ticks

    def _fitting(self, clock: _TrackClock, stamp: int) -> int | None:
        """`stamp` by the anchor that puts it nearest to where it is expected; None: by neither."""
        if clock.last_ticks is None:
            # A track's first frame belongs near where the other tracks are.
            expected = max(
                (other.last_ticks for other in self._tracks.values() if other.last_ticks),
                default=LEAD_TICKS,
            )
            earliest, latest = max(0, expected - JUMP_TICKS), expected + JUMP_TICKS
        else:
            expected = clock.last_ticks + clock.step_ticks
            earliest, latest = clock.last_ticks - OVERLAP_TICKS, clock.last_ticks + JUMP_TICKS
        anchors = (anchor for anchor in (self._anchor, self._previous_anchor) if anchor is not None)
        fitting = [stamp + anchor for anchor in anchors if earliest <= stamp + anchor <= latest]
        return min(fitting, key=lambda ticks: abs(ticks - expected), default=None)

    def _after_everything(self, now_ns: int) -> int:
        """A tick behind every frame that was placed, and not before the node's present."""
        behind_all = max(
            (
                clock.last_ticks + clock.step_ticks
                for clock in self._tracks.values()
                if clock.last_ticks is not None
            ),
            default=LEAD_TICKS,
        )
        return max(behind_all, LEAD_TICKS + (now_ns - self.began_ns) * 9 // 100_000)


@dataclass(slots=True)
class SampleClock:
    """Audio timestamps that count samples: a packet follows the one before without a seam.

    Timestamps of the transport stream only set the start, and set it anew after a gap.
    """

    next_sample: int | None = None

    def align(self, expected: int) -> bool:
        """Compare the count with where the encoder's timestamps put the next sample.

        False: what comes now overlaps what was already sent, and must be dropped.
        """
        if self.next_sample is None or expected > self.next_sample + DRIFT_SAMPLES:
            self.next_sample = expected
            return True
        return expected >= self.next_sample - DRIFT_SAMPLES

    def advance(self, samples: int) -> int:
        """The timestamp of a packet of `samples` samples."""
        if self.next_sample is None:
            raise ValueError("align comes before advance")
        timestamp = self.next_sample
        self.next_sample += samples
        return timestamp


def ticks_at(samples: int) -> int:
    """Samples of 48 kHz in ticks of 90 kHz."""
    return samples * TICKS_PER_SECOND // OPUS_RATE


def samples_at(ticks: int) -> int:
    """Ticks of 90 kHz in samples of 48 kHz."""
    return ticks * OPUS_RATE // TICKS_PER_SECOND
