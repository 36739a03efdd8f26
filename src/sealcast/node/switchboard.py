"""Who is connected to whom: the hub's decisions carried out, the native side's events taken in.

Does: keeps hub, ledger and relay in step. An event of the relay changes the ledger and the hub;
what the hub then says (close these legs, remove those tracks) is done here, and nowhere else.

Does not: speak HTTP, demux, or decide who may publish.

The caller must still: call everything from the event loop's thread, and register each leg with the
way to close it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

import structlog

from sealcast import wire
from sealcast.codes import lookup
from sealcast.errors import RemoteError, SealcastError
from sealcast.keying.agreement import UNPROVED, Identity
from sealcast.legs import Ledger, Leg, LegState
from sealcast.node.certified import Certified, Verdict
from sealcast.node.ports import RelayPort, native_refusal
from sealcast.policy import Role
from sealcast.streams import Change, Hub, Publication, Track

_log = structlog.get_logger()


class Switchboard:
    """The hub, the ledger and the relay of a node."""

    def __init__(self, relay: RelayPort, hub: Hub, ledger: Ledger) -> None:
        self.relay = relay
        self.hub = hub
        self.ledger = ledger
        self.stopping = False
        self.ended: Counter[tuple[str, str]] = Counter()
        """Legs that are over, by role and code."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Connections and requests that were refused, by role and code."""
        self.unknown_events = 0
        self.certified = Certified()
        """What was opened with a certificate."""
        self._close: dict[int, Callable[[str], None]] = {}
        self._when_over: list[Callable[[int], None]] = []
        self._stirred: dict[str, asyncio.Event] = {}
        self._owed: deque[Callable[[], None]] = deque()
        self._left: dict[str, str] = {}
        """Streams whose publisher did not leave in peace: the code of its end."""
        self._out_of_order: dict[int, int] = {}
        """Publishers' legs whose pictures are not sent in the order in which they are shown, and
        the track of these pictures."""
        self._feeding: dict[int, int] = {}
        """Which leg feeds as the relay's source of another leg's number: one that succeeded it."""

    # ---- legs --------------------------------------------------------------------------------

    def register(self, leg: int, close: Callable[[str], None]) -> None:
        """`leg` is listed; `close(code)` ends it on the native side."""
        self._close[leg] = close

    def stands_on(
        self, leg: int, certificate: wire.PeerCertificate | None, door: str, grace_s: float
    ) -> None:
        """`leg`, which is listed and registered, was opened at `door` with this certificate and
        ends with it: when it is revoked, when the door trusts its root no more, and `grace_s` after
        it has expired.
        """
        known = self.ledger.get(leg)
        if known is None:
            return
        self.certified.add(
            ("leg", leg),
            certificate,
            door=door,
            grace_s=grace_s,
            end=functools.partial(self._end_certified, leg),
            about={"leg": leg, "stream": known.stream, "identity": known.peer.name},
        )

    def _end_certified(self, leg: int, verdict: Verdict) -> None:
        """The certificate of a leg holds no more. If it fed a stream and is not expected back, the
        stream's viewers do not wait for it, unless another publisher has taken its place.
        """
        stream = self.hub.stream_of(leg)
        fed = self._feeds(leg, stream)
        self.end(leg, verdict.code, verdict.detail)
        left = self.hub.get(stream or "")
        if not fed or verdict.expected_back or left is None or left.publisher is not None:
            return
        for viewer in left.viewers:
            self.end(viewer, "STREAM.PUBLISHER_REVOKED")

    def _feeds(self, leg: int, stream: str | None) -> bool:
        known = self.hub.get(stream or "")
        return known is not None and known.publisher is not None and known.publisher.leg == leg

    def when_over(self, call: Callable[[int], None]) -> None:
        """`call(leg)` after any leg is over."""
        self._when_over.append(call)

    def end(self, leg: int, code: str, detail: str | None = None) -> None:
        """Close a leg and what hangs on it. A leg that is over already stays as it is."""
        close = self._close.get(leg)
        if close is not None:
            self._undo(lambda: close(code))
        self.over(leg, code, detail)

    def over(self, leg: int, code: str, detail: str | None = None) -> None:
        """A leg is over on the native side."""
        self._out_of_order.pop(leg, None)
        self.certified.remove(("leg", leg))
        for source in [source for source, heir in self._feeding.items() if heir == leg]:
            del self._feeding[source]
        self.ledger.close(leg, code, detail, time.time())
        known = self.ledger.get(leg)
        if self._close.pop(leg, None) is not None and known is not None:
            self.ended[known.role.value, code] += 1
            _log_end(known)
        stream = self.hub.stream_of(leg)
        if known is not None and known.state is LegState.FAILED and self._feeds(leg, stream):
            self._left[known.stream] = code
        self.carry_out(self.hub.leave(leg, time.monotonic()))
        for call in self._when_over:
            call(leg)
        self.stir(stream)

    def end_all(self, code: str) -> None:
        """Close every leg: the node stops."""
        self.stopping = True
        for leg in list(self._close):
            self.end(leg, code)

    def count_refusal(self, role: Role, code: str) -> None:
        """A connection or a request was refused."""
        self.refused[role.value, code] += 1

    def list_refusal(
        self,
        role: Role,
        error: SealcastError,
        *,
        way: str,
        stream: str,
        peer: Identity = UNPROVED,
        peer_address: str | None = None,
        facts: wire.TlsFacts | None = None,
    ) -> None:
        """A leg was refused to somebody who was admitted so far: it stays in the ledger, with a
        seal where it was a connection (`facts`).

        Strangers are counted, no more: they can make as many of these as they like.
        """
        told = {"role": role.value, "way": way, "stream": stream}
        _log.info("leg refused", **told, code=error.code, detail=error.detail)
        self.ledger.refused(
            role=role,
            way=way,
            stream=stream,
            code=error.code,
            detail=error.detail,
            now=time.time(),
            peer=peer,
            peer_address=peer_address,
            facts=facts,
        )

    # ---- streams -----------------------------------------------------------------------------

    def make_tracks(self, publication: Publication) -> None:
        """Carry out a publication up to where the leg or the sinks start."""
        self.carry_out(publication.change)
        for track in publication.new_tracks:
            shape = track.shape
            self.relay.add_track(track.id, shape.kind, shape.codec, shape.clock_rate)

    def succeed(self, leg: int, heir: int, source: int) -> None:
        """`heir` goes on where the connection `leg` of the same publisher ended, into the same
        sinks; the relay knows these as `source`, the leg that they were made for.
        """
        self._feeding[source] = heir
        if (track := self._out_of_order.pop(leg, None)) is not None:
            self._out_of_order[heir] = track
        self.hub.succeed(leg, heir)
        stream = self.hub.get(self.hub.stream_of(heir) or "")
        if stream is not None and any(track.source == heir for track in stream.tracks):
            self._flows(heir)

    def pictures_out_of_order(self, leg: int, track: int) -> None:
        """A publisher's programme has B-frames.

        While it waits for its turn the stream is another's: then it counts from that turn on.
        """
        self._out_of_order[leg] = track
        stream = self.hub.get(self.hub.stream_of(leg) or "")
        if stream is not None and stream.publisher is not None and stream.publisher.leg == leg:
            self.hub.describe(track, has_b_frames=True)

    def carry_out(self, change: Change) -> None:
        """Close the legs and remove the tracks that a decision of the hub names."""
        for ending in change.endings:
            self.end(ending.leg, ending.code)
        for track in change.removed_tracks:
            self._undo(functools.partial(self.relay.remove_track, track))

    def sweep(self) -> None:
        """End the viewers of streams whose publisher did not come back; tell the relay what it had
        no room to hear.
        """
        for _ in range(len(self._owed)):
            self._undo(self._owed.popleft())
        change = self.hub.sweep(time.monotonic())
        for ending in change.endings:
            viewer = self.ledger.get(ending.leg)
            why = self._left.get("" if viewer is None else viewer.stream)
            left = "left" if why is None else f"left ({why})"
            detail = f"Its publisher {left} and did not come back in time."
            self.end(ending.leg, ending.code, detail)
        self.carry_out(replace(change, endings=()))
        self._left = {name: why for name, why in self._left.items() if self.hub.get(name)}

    def stir(self, stream: str | None) -> None:
        """Something about a stream changed: whoever waits for it looks again."""
        if stream is not None and (waiting := self._stirred.pop(stream, None)) is not None:
            waiting.set()

    async def watchable(self, stream: str, wait_s: float) -> tuple[Track, ...]:
        """The tracks of a stream; waits for the first parameter sets, at most `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return self.hub.watchable(stream)
            except RemoteError as error:
                left = deadline - time.monotonic()
                if error.code != "STREAM.NOT_READY" or left <= 0:
                    raise
            stirred = self._stirred.setdefault(stream, asyncio.Event())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stirred.wait(), left)

    # ---- the native side ---------------------------------------------------------------------

    @property
    def owed(self) -> int:
        """Legs and tracks that are over here and that the relay still has."""
        return len(self._owed)

    def _undo(self, tell: Callable[[], None]) -> None:
        """Take something back on the native side; it must not stay there, but nobody waits here."""
        try:
            tell()
        except Exception as error:
            refusal = native_refusal(error)
            if refusal is None:
                _log.error("bug while closing", error=repr(error))
            elif refusal.code == "RELAY.BUSY":
                self._owed.append(tell)
            elif refusal.code != "RELAY.STOPPED":  # with the relay all of it is gone
                _log.error("not closed", code=refusal.code, detail=refusal.detail)

    # ---- events of the relay -----------------------------------------------------------------

    def take_in(self, data: bytes) -> None:
        """The events of one drain of the relay."""
        events, unknown = wire.decode_relay_events(data)
        self.unknown_events += unknown
        for event in events:
            try:
                self._take_in(event)
            except Exception as error:
                # The events behind it are other legs'; a lost end would keep a leg for ever.
                _log.error("bug in an event", event_type=type(event).__name__, error=repr(error))

    def _take_in(self, event: wire.RelayEvent) -> None:
        bug = self.ledger.apply(event, time.time())
        match event:
            case wire.LegSealed() if bug is not None:
                _log.error("sealed outside its grant", leg=event.leg, detail=bug.detail)
                self.end(event.leg, bug.code, bug.detail)
            case wire.LegSealed():
                self.hub.secured(event.leg)
            case wire.LegClosed():
                self.over(event.leg, event.code, event.detail)
            case wire.TrackLive():
                source = self._feeding.get(event.source, event.source)
                self._flows(source)
                # Whoever fed the track before may have been another encoder, set otherwise.
                backwards = self._out_of_order.get(source) == event.track
                self.hub.describe(event.track, has_b_frames=backwards)
                self.carry_out(self.hub.went_live(event.track, source))
                stream = self.hub.stream_of(source)
                _log.info("track live", stream=stream, track=event.track, leg=source)
                self.stir(stream)
            case _:
                pass

    def _flows(self, leg: int) -> None:
        # The relay tells the stage of its own legs; a connection's leg it cannot.
        if (known := self.ledger.get(leg)) is not None:
            self.ledger.media_flows(leg, (time.time() - known.started_unix) * 1000)


def _log_end(leg: Leg) -> None:
    """One line for a leg that is over; of one that failed also what that means."""
    code = leg.code or ""
    told = {"leg": leg.id, "role": leg.role.value, "way": leg.way, "stream": leg.stream}
    told["code"] = code
    failed = leg.state is LegState.FAILED
    if failed:
        told["meaning"] = lookup(code).sentence
    if leg.detail:
        told["detail"] = leg.detail
    _log.info("leg failed" if failed else "leg ended", **told)
