"""What a demuxer tells and what it is given: its events, its sinks, its counters.

Does: names the values that cross between the worker's thread and whoever started it.

Does not: say which thread calls; `report` and `open_sinks` are called from the worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sealcast.ingest.mpegts.source import Inlet


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
    """Something was survived. A code is reported once per connection; `drops` counts on."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Continued:
    """A connection has ended, and the one that continues it feeds the programme from here on."""

    inlet: Inlet
    """Which one: that of the worker that it was opened for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The worker is done; no event follows."""

    code: str
    detail: str


Event = ProgrammeFound | ParameterSetsSeen | BFramesSeen | Remarked | Continued | Ended


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


@dataclass(slots=True)
class Outlet:
    """Where a demuxer's work goes. `open_sinks` may raise `SealcastError` to refuse a programme.

    `counters` are those of the connection that feeds it now.
    """

    open_sinks: Callable[[ProgrammeFound], Sinks]
    report: Callable[[Event], None]
    counters: Counters = field(default_factory=Counters)

    def drop(self, code: str, detail: str) -> None:
        """Count something that was left out; report the first of its kind."""
        drops = self.counters.drops
        drops[code] = drops.get(code, 0) + 1
        if drops[code] == 1:
            self.report(Remarked(code, detail))
