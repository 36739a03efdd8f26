"""A stream and what belongs to it. Frozen; the hub replaces what changes."""

from dataclasses import dataclass, field

from sealcast.keying.agreement import Identity
from sealcast.wire import CodecName, Kind


@dataclass(frozen=True, slots=True)
class TrackShape:
    """What a publisher brings: one kind, one codec.

    `profile_level_id` is H264's (RFC 6184 §8.1), six hexadecimal digits, None until it is known.
    """

    kind: Kind
    codec: CodecName
    clock_rate: int
    channels: int = 0
    profile_level_id: str | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One kind of media of a stream. `id` is the relay's; `source` is the leg that feeds it now."""

    id: int
    shape: TrackShape
    has_b_frames: bool = False
    source: int | None = None

    @property
    def kind(self) -> Kind:
        return self.shape.kind

    @property
    def codec(self) -> CodecName:
        return self.shape.codec

    @property
    def described(self) -> bool:
        """Whether enough is known to offer the track to a viewer."""
        return self.codec != "H264" or self.shape.profile_level_id is not None


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who feeds a stream, by which leg, on which tracks.

    `proved` once its handshake is over; `made` are those of its tracks that nobody has
    fed before it.
    """

    leg: int
    identity: Identity
    way: str
    tracks: tuple[int, ...]
    proved: bool = False
    made: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who takes a stream, by which leg, which tracks of it."""

    leg: int
    identity: Identity
    way: str
    tracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """A published programme.

    `publisher` feeds it; `pending` has taken over and goes live at its first key frame;
    `pending_tracks` are those of its tracks whose codec differs from the present ones.
    `left_at` is when the last publisher left, None while there is one.
    """

    name: str
    tracks: tuple[Track, ...]
    publisher: Publisher | None
    pending: Publisher | None = None
    pending_tracks: tuple[Track, ...] = ()
    viewers: dict[int, Viewer] = field(default_factory=dict)
    left_at: float | None = None

    @property
    def live(self) -> bool:
        """Whether media of a publisher who is still there has come."""
        return self.publisher is not None and any(track.source for track in self.tracks)

    def track(self, kind: Kind) -> Track | None:
        return next((track for track in self.tracks if track.kind == kind), None)

    def to_json(self) -> dict[str, object]:
        """What a list of streams shows."""
        publisher = self.publisher
        return {
            "name": self.name,
            "live": self.live,
            "publisher": None
            if publisher is None
            else {
                "leg": publisher.leg,
                "name": publisher.identity.name,
                "proof": publisher.identity.proof.value,
                "way": publisher.way,
            },
            "tracks": [
                {
                    "id": track.id,
                    "kind": track.kind,
                    "codec": track.codec,
                    "profile_level_id": track.shape.profile_level_id,
                    "has_b_frames": track.has_b_frames,
                }
                for track in self.tracks
            ],
            "viewers": len(self.viewers),
        }
