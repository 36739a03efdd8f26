"""Who publishes what, who watches what, and what follows when that changes.

A publisher's turn: a name without a publisher is free. The same proved identity takes over from
itself: the new leg waits (`pending`) until the relay reports its first key frame (`went_live`),
then the old leg ends with STREAM.TAKEN_OVER and viewers stay. Any other identity gets STREAM.TAKEN.

A publisher whose new connection carries on its own stream where the old one ended does not wait: it
is the same picture, and the new leg stands in the old one's place from there on (`succeed`).

That holds for a publisher whose handshake is over (`proved`). One that has only asked holds nothing
against others: it ends with STREAM.YIELDED when another identity comes. Else whoever has a token
could keep the real encoder out by asking again and again, and never be seen. A stranger gains
nothing by it: who may come and make others yield may as well connect and hold the stream.

Where the newcomer brings another codec, a new track replaces the old one when it goes live, and
only the viewers of the old one end, with STREAM.CODEC_CHANGED.

Nothing here waits or reads a clock; `now` is in seconds and only compared with itself.
"""

import itertools
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from sealcast.errors import LocalError, RemoteError
from sealcast.keying.agreement import Identity
from sealcast.streams.names import check_stream_name
from sealcast.streams.stream import Publisher, Stream, Track, TrackShape, Viewer


@dataclass(frozen=True, slots=True)
class HubLimits:
    """How much the hub keeps, and how long viewers wait for a publisher who left."""

    streams: int = 1000
    tracks: int | None = None
    """What the relay carries of all streams; None where nobody says."""
    viewers_per_stream: int = 10_000
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Ending:
    """A leg that must be closed, and with which code."""

    leg: int
    code: str


@dataclass(frozen=True, slots=True)
class Change:
    """What follows from an event: close `endings`, then remove `removed_tracks` from the relay."""

    endings: tuple[Ending, ...] = ()
    removed_tracks: tuple[int, ...] = ()

    def __add__(self, then: "Change") -> "Change":
        return Change(self.endings + then.endings, self.removed_tracks + then.removed_tracks)


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` decided.

    `tracks` are the publisher's, in the order of its shapes. The caller carries out `change`, makes
    `new_tracks` in the relay, then starts the leg or the sinks. With `takes_over` the leg is
    pending: another one still feeds the stream.
    """

    publisher: Publisher
    tracks: tuple[Track, ...]
    new_tracks: tuple[Track, ...]
    takes_over: bool
    change: Change


_NOTHING: Final = Change()


class Hub:
    """All streams of a node, by name."""

    def __init__(self, limits: HubLimits | None = None) -> None:
        self._limits = limits or HubLimits()
        self._streams: dict[str, Stream] = {}
        self._track_ids = itertools.count(1)
        self._stream_of_track: dict[int, str] = {}
        self._stream_of_leg: dict[int, str] = {}

    # --- publishing -----------------------------------------------------------------------------

    def may_publish(self, stream: str, identity: Identity) -> None:
        """STREAM.TAKEN, STREAM.TOO_MANY or STREAM.BAD_NAME where `publish` would refuse."""
        check_stream_name(stream)
        known = self._streams.get(stream)
        if known is None:
            if len(self._streams) >= self._limits.streams:
                raise RemoteError("STREAM.TOO_MANY", f"The limit is {self._limits.streams}.")
            return
        if any(holder.proved for holder in _others(known, identity)):
            # The holder's name stays with the operator: a stranger learns only that it is taken.
            raise RemoteError("STREAM.TAKEN", f"The publisher of {stream!r} is connected.")

    def publish(
        self,
        stream: str,
        *,
        leg: int,
        identity: Identity,
        way: str,
        shapes: Sequence[TrackShape],
        proved: bool = False,
    ) -> Publication:
        """A publisher comes, with at most one shape of a kind. `proved`: its handshake is over."""
        self.may_publish(stream, identity)
        if not shapes or len({shape.kind for shape in shapes}) != len(shapes):
            raise LocalError(
                "SDP.NO_MEDIA", "A publisher brings one track of a kind, at least one."
            )
        known = self._streams.get(stream) or Stream(stream, (), None)
        tracks = tuple(self._track_for(known, shape) for shape in shapes)
        new = tuple(track for track in tracks if track.id not in self._stream_of_track)
        most = self._limits.tracks
        if most is not None and len(self._stream_of_track) + len(new) > most:
            raise RemoteError("STREAM.TOO_MANY", f"The limit is {most} tracks.")
        self._stream_of_track.update((track.id, stream) for track in new)
        self._stream_of_leg[leg] = stream
        made = {track.id for track in new}
        for yielding in _others(known, identity):
            made.update(yielding.made)
        publisher = Publisher(
            leg,
            identity,
            way,
            tracks=tuple(track.id for track in tracks),
            proved=proved,
            made=tuple(track.id for track in tracks if track.id in made),
        )
        known, yielded = self._make_way(known, publisher)
        if known.publisher is not None:
            pending, change = self._drop_pending(known, "STREAM.TAKEN_OVER")
            self._streams[stream] = replace(pending, pending=publisher, pending_tracks=new)
            return Publication(publisher, tracks, new, True, yielded + change)
        joined, change = self._adopt(replace(known, publisher=publisher, left_at=None), new)
        self._streams[stream] = joined
        return Publication(publisher, tracks, new, False, yielded + change)

    def secured(self, leg: int) -> None:
        """The handshake of `leg` is over: as a publisher it yields to nobody from now on."""
        stream = self._streams.get(self._stream_of_leg.get(leg, ""))
        if stream is None:
            return
        if stream.publisher is not None and stream.publisher.leg == leg:
            publisher = replace(stream.publisher, proved=True)
            self._streams[stream.name] = replace(stream, publisher=publisher)
        elif stream.pending is not None and stream.pending.leg == leg:
            pending = replace(stream.pending, proved=True)
            self._streams[stream.name] = replace(stream, pending=pending)

    def describe(
        self,
        track: int,
        *,
        profile_level_id: str | None = None,
        has_b_frames: bool | None = None,
    ) -> None:
        """What an ingest learnt of its H264 track from the first SPS and from the pictures."""
        stream = self._streams.get(self._stream_of_track.get(track, ""))
        if stream is None:
            return

        def told(known: Track) -> Track:
            if known.id != track:
                return known
            shape = known.shape
            if profile_level_id is not None:
                shape = replace(shape, profile_level_id=profile_level_id)
            flag = known.has_b_frames if has_b_frames is None else has_b_frames
            return replace(known, shape=shape, has_b_frames=flag)

        self._streams[stream.name] = replace(
            stream,
            tracks=tuple(told(known) for known in stream.tracks),
            pending_tracks=tuple(told(known) for known in stream.pending_tracks),
        )

    def went_live(self, track: int, source: int) -> Change:
        """The relay reports that `source` (a leg) feeds `track` from now on.

        A pending publisher takes its turn when its picture is live, or its sound if it has none.
        """
        self.secured(source)  # media opened with its keys: its handshake is over
        stream = self._streams.get(self._stream_of_track.get(track, ""))
        if stream is None:
            return _NOTHING

        def fed(known: Track) -> Track:
            return replace(known, source=source) if known.id == track else known

        stream = replace(
            stream,
            tracks=tuple(fed(known) for known in stream.tracks),
            pending_tracks=tuple(fed(known) for known in stream.pending_tracks),
        )
        change = _NOTHING
        if stream.pending is not None and stream.pending.leg == source:
            brought = {
                known.id: known.kind
                for known in (*stream.tracks, *stream.pending_tracks)
                if known.id in stream.pending.tracks
            }
            if brought.get(track) == "video" or "video" not in brought.values():
                stream, change = self._promote(stream)
        self._streams[stream.name] = stream
        return change

    def succeed(self, leg: int, heir: int) -> None:
        """`heir` is the leg of the same publisher from now on, and feeds what `leg` fed.

        Nothing happens where `leg` publishes nothing (yet).
        """
        stream = self._streams.get(self._stream_of_leg.get(leg, ""))
        if stream is None or leg in stream.viewers:
            return

        def publisher(known: Publisher | None) -> Publisher | None:
            is_it = known is not None and known.leg == leg
            return replace(known, leg=heir) if known is not None and is_it else known

        def track(known: Track) -> Track:
            return replace(known, source=heir) if known.source == leg else known

        self._stream_of_leg[heir] = self._stream_of_leg.pop(leg)
        self._streams[stream.name] = replace(
            stream,
            publisher=publisher(stream.publisher),
            pending=publisher(stream.pending),
            tracks=tuple(track(known) for known in stream.tracks),
            pending_tracks=tuple(track(known) for known in stream.pending_tracks),
        )

    # --- watching -------------------------------------------------------------------------------

    def watchable(self, stream: str) -> tuple[Track, ...]:
        """The tracks that a viewer can be offered now.

        STREAM.ABSENT without a publisher; STREAM.NOT_READY while the first SPS has not come: the
        caller waits for it, but not for long; STREAM.B_FRAMES where WebRTC could not play it.
        """
        check_stream_name(stream)
        known = self._streams.get(stream)
        if known is None or known.publisher is None:
            raise RemoteError("STREAM.ABSENT", f"The stream is {stream!r}.")
        if any(track.has_b_frames for track in known.tracks):
            raise RemoteError("STREAM.B_FRAMES", f"The stream is {stream!r}.")
        if not all(track.described for track in known.tracks):
            raise RemoteError("STREAM.NOT_READY", f"The stream is {stream!r}.")
        return known.tracks

    def join(
        self, stream: str, *, leg: int, identity: Identity, way: str, tracks: Sequence[int]
    ) -> Viewer:
        """A viewer whose offer was answered."""
        known = self._streams.get(stream)
        if known is None:
            raise RemoteError("STREAM.ABSENT", f"The stream is {stream!r}.")
        if len(known.viewers) >= self._limits.viewers_per_stream:
            limit = self._limits.viewers_per_stream
            raise RemoteError("STREAM.TOO_MANY_VIEWERS", f"The limit is {limit}.")
        viewer = Viewer(leg, identity, way, tuple(tracks))
        self._stream_of_leg[leg] = stream
        self._streams[stream] = replace(known, viewers={**known.viewers, leg: viewer})
        return viewer

    # --- leaving --------------------------------------------------------------------------------

    def leave(self, leg: int, now: float) -> Change:
        """A leg is over, whatever it was. Unknown legs change nothing."""
        stream = self._streams.get(self._stream_of_leg.pop(leg, ""))
        if stream is None:
            return _NOTHING
        if leg in stream.viewers:
            viewers = {known: viewer for known, viewer in stream.viewers.items() if known != leg}
            return self._keep(replace(stream, viewers=viewers))
        if stream.pending is not None and stream.pending.leg == leg:
            without, change = self._drop_pending(stream, None)
            self._streams[stream.name] = without
            return change
        if stream.publisher is None or stream.publisher.leg != leg:
            return _NOTHING
        quiet = replace(
            stream,
            publisher=None,
            left_at=now,
            tracks=tuple(
                replace(track, source=None) if track.source == leg else track
                for track in stream.tracks
            ),
        )
        if quiet.pending is None:
            return self._keep(quiet)
        promoted, change = self._promote(quiet)
        self._streams[stream.name] = promoted
        return change

    def sweep(self, now: float) -> Change:
        """Ends the viewers of streams whose publisher left and did not come back in time."""
        endings: list[Ending] = []
        removed: list[int] = []
        for stream in list(self._streams.values()):
            if stream.left_at is None or now - stream.left_at < self._limits.grace_s:
                continue
            endings += [Ending(leg, "STREAM.ENDED") for leg in stream.viewers]
            for leg in stream.viewers:
                self._stream_of_leg.pop(leg, None)
            removed += self._keep(replace(stream, viewers={})).removed_tracks
        return Change(tuple(endings), tuple(removed))

    # --- reading --------------------------------------------------------------------------------

    def get(self, stream: str) -> Stream | None:
        return self._streams.get(stream)

    def streams(self) -> list[Stream]:
        return list(self._streams.values())

    def stream_of(self, leg: int) -> str | None:
        """The stream that a leg publishes or watches."""
        return self._stream_of_leg.get(leg)

    # --- inside ---------------------------------------------------------------------------------

    def _track_for(self, stream: Stream, shape: TrackShape) -> Track:
        present = stream.track(shape.kind)
        if present is not None and _same_format(present.shape, shape):
            return present
        return Track(next(self._track_ids), shape)

    def _adopt(self, stream: Stream, new: tuple[Track, ...]) -> tuple[Stream, Change]:
        """`new` tracks take the place of those of the same kind, whose viewers end."""
        kinds = {track.kind for track in new}
        replaced = {track.id for track in stream.tracks if track.kind in kinds}
        stream, change = self._without(stream, replaced)
        tracks = sorted((*stream.tracks, *new), key=lambda track: track.kind, reverse=True)
        return replace(stream, tracks=tuple(tracks)), change

    def _make_way(self, stream: Stream, newcomer: Publisher) -> tuple[Stream, Change]:
        """Publishers of other identities that had proved nothing yield to `newcomer`, and with them
        the tracks that they made and it does not bring: nobody would ever feed these.
        """
        yielding = _others(stream, newcomer.identity)
        if not yielding:
            return stream, _NOTHING
        stream, change = self._drop_pending(stream, "STREAM.YIELDED")
        holder = stream.publisher
        if holder is None:
            return stream, change
        self._stream_of_leg.pop(holder.leg, None)
        abandoned = set(holder.made) - set(newcomer.tracks)
        stream, more = self._without(replace(stream, publisher=None), abandoned)
        return stream, Change((Ending(holder.leg, "STREAM.YIELDED"),)) + change + more

    def _without(self, stream: Stream, tracks: Set[int]) -> tuple[Stream, Change]:
        """Without these tracks; their viewers end."""
        gone = tuple(track.id for track in stream.tracks if track.id in tracks)
        left = [leg for leg, viewer in stream.viewers.items() if set(viewer.tracks) & tracks]
        for leg in left:
            self._stream_of_leg.pop(leg, None)
        self._forget(gone)
        stream = replace(
            stream,
            tracks=tuple(track for track in stream.tracks if track.id not in tracks),
            viewers={leg: viewer for leg, viewer in stream.viewers.items() if leg not in left},
        )
        return stream, Change(tuple(Ending(leg, "STREAM.CODEC_CHANGED") for leg in left), gone)

    def _promote(self, stream: Stream) -> tuple[Stream, Change]:
        """The pending publisher's turn: it replaces the one before it."""
        before = stream.publisher
        joined, change = self._adopt(
            replace(
                stream,
                publisher=stream.pending,
                pending=None,
                pending_tracks=(),
                left_at=None,
            ),
            stream.pending_tracks,
        )
        if before is None:
            return joined, change
        self._stream_of_leg.pop(before.leg, None)
        ending = Ending(before.leg, "STREAM.TAKEN_OVER")
        return joined, Change((ending, *change.endings), change.removed_tracks)

    def _drop_pending(self, stream: Stream, code: str | None) -> tuple[Stream, Change]:
        """Without its pending publisher; with a `code` that leg must still be closed."""
        if stream.pending is None:
            return stream, _NOTHING
        leg = stream.pending.leg
        self._stream_of_leg.pop(leg, None)
        removed = tuple(track.id for track in stream.pending_tracks)
        self._forget(removed)
        endings = () if code is None else (Ending(leg, code),)
        return replace(stream, pending=None, pending_tracks=()), Change(endings, removed)

    def _keep(self, stream: Stream) -> Change:
        """Stores the stream, or forgets it when nobody is left."""
        if stream.publisher is not None or stream.viewers:
            self._streams[stream.name] = stream
            return _NOTHING
        self._streams.pop(stream.name, None)
        removed = tuple(track.id for track in stream.tracks)
        self._forget(removed)
        return Change((), removed)

    def _forget(self, tracks: Sequence[int]) -> None:
        for track in tracks:
            self._stream_of_track.pop(track, None)


def _others(stream: Stream, identity: Identity) -> list[Publisher]:
    """Its publishers, present and pending, of other identities."""
    both = (stream.publisher, stream.pending)
    return [known for known in both if known is not None and not known.identity.same_as(identity)]


def _same_format(present: TrackShape, shape: TrackShape) -> bool:
    # Another H264 profile is no other codec: viewers were matched against a profile, but a browser
    # that decodes H264 takes a change of the SPS.
    return (present.codec, present.clock_rate) == (shape.codec, shape.clock_rate)
