"""Encoders that send MPEG-TS over TLS: from an opened connection, or a request with a body, to
frames in the relay.

Does: names and admits the encoder, lists its leg, starts a demuxer for it, gives that the sinks of
its tracks, tells the hub what was learnt of the stream, ends leg and connection together.

Does not: demux (`sealcast.ingest.mpegts`) or terminate TLS (the front).

An encoder may announce that its new connection continues another (`sealcast.ts.announcement`), as
`sealcast publish` does to change certificates. Where both are of the same proved identity and the
same run, the demuxer of the older one reads on in the newer one: one feed, and no viewer can tell.
An encoder that only connects again takes over as any publisher does (`sealcast.streams.hub`).

How a leg ended is the demuxer's verdict: it read the stream to its end. Only where it has no
complaint may the connection know better (TLS.IDLE: not the encoder closed it, the front did).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from sealcast.errors import LocalError, RemoteError, SealcastError
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
from sealcast.ingest.mpegts import Counters as Received
from sealcast.keying.agreement import UNPROVED, Identity, TlsClaim
from sealcast.legs.leg import Counters
from sealcast.node import limits
from sealcast.node.permission import Permissions, identity_of
from sealcast.node.ports import FrontPort, native_refusal
from sealcast.node.sessions import Caller
from sealcast.node.switchboard import Switchboard
from sealcast.node.ts_lines import (
    COMPLETE,
    OVER_HTTPS,
    RAW_TLS,
    BodyLine,
    ConnectionLine,
    Key,
    LastWord,
    Line,
    Outcome,
)
from sealcast.policy import Channel, Grant, Note, Policy, Role, admit
from sealcast.streams import TrackShape
from sealcast.ts.announcement import Announcement, Word
from sealcast.ts.packet import PACKET
from sealcast.wire import (
    BodyEnded,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionTiming,
    PeerCertificate,
    TlsFacts,
)

_VIDEO: Final = TrackShape("video", "H264", 90_000)
_AUDIO: Final = TrackShape("audio", "opus", 48_000, channels=2)
_SAYS_NO_MORE: Final = frozenset({"TLS.PEER_CLOSED", "FRONT.BODY_BROKEN", "NODE.CLOSED_BY_NODE"})
"""Ends of a connection that do not explain the end of the stream in it."""
_OF_ONE_CONNECTION: Final = ("IDENTITY.", "TLS.")
"""Reasons to end a connection that are none to end the one that continues it."""
_OF_THE_PROGRAMME: Final = frozenset({"STREAM.B_FRAMES", "TS.UNSUPPORTED_CODEC"})
"""Notes that are as true of the connection that continues as of the one before."""
_COMMON: Final = frozenset({"HTTP.TOO_MANY", "NODE.STOPPING"})
"""Refusals of uploads that an encoder meets again and again; the counter has them."""
_log = structlog.get_logger()
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an encoder came over. `certificate` is what its leg stands on, None for a token."""

    facts: TlsFacts
    address: str
    timing: ConnectionTiming
    certificate: PeerCertificate | None
    door: str


@dataclass(slots=True)
class _Encoder:
    """One connected encoder."""

    leg: int
    line: Line
    stream: str
    identity: Identity
    inlet: Inlet
    feed: _Feed
    gone: LastWord | None = None
    """The front's."""
    verdict_detail: str = ""
    """Why it ends, beyond the code."""


@dataclass(slots=True)
class _Feed:
    """What one demuxer makes of a connection and of those that continue it."""

    publisher: TsPublisher
    encoders: list[_Encoder] = field(default_factory=list)
    """The one that feeds it now, then those that wait to continue it."""
    run: bytes | None = None
    """The encoder's name for its run, if it told one."""
    source: int | None = None
    """What the relay calls it: the leg for which its sinks were made."""
    video_track: int | None = None
    verdict: Ended | None = None
    """Of the demuxer."""

    @property
    def feeding(self) -> _Encoder:
        return self.encoders[0]


class TsIngest:
    """All connections of the ingest door, and all uploads."""

    def __init__(
        self,
        switchboard: Switchboard,
        front: FrontPort,
        permissions: Permissions,
        policy: Policy,
        *,
        local: Identity,
    ) -> None:
        self._board = switchboard
        self._front = front
        self._permissions = permissions
        self._policy = policy
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._encoders: dict[Key, _Encoder] = {}

    def opened(self, event: ConnectionOpened) -> None:
        """The handshake is done and the certificate proved: admit the encoder or close."""
        identity, stream, connection = UNPROVED, "", event.connection
        try:
            identity = identity_of(event.facts.peer)
            self._permissions.identity_of(event.facts.peer)
            stream = self._permissions.stream_of(identity)
            self._permissions.may_publish(stream, identity, event.door)
            if self._board.stopping:
                raise RemoteError("NODE.STOPPING")
            channel = Channel(
                tls_version=event.facts.version,
                peer=identity,
                roles=self._permissions.roles(identity),
            )
            grant = admit(TlsClaim(event.facts), channel, Role.INGEST, self._policy)
            self._board.hub.may_publish(stream, identity)
        except Exception as error:
            refusal = _as_refusal(error)
            self._board.count_refusal(Role.INGEST, refusal.code)
            self._board.list_refusal(
                Role.INGEST,
                refusal,
                way=RAW_TLS,
                stream=stream,
                peer=identity,
                peer_address=event.peer,
                facts=event.facts,
            )
            self._front.close_connection(connection, refusal.code)
            return
        line = ConnectionLine(self._front, connection)
        came = Arrival(event.facts, event.peer, event.timing, event.facts.peer, event.door)
        self._begin(line, came, stream, identity, grant)

    def upload(self, ticket: int, stream: str, caller: Caller, came: Arrival) -> None:
        """A request whose body is a transport stream, from somebody who may publish: admit and read
        it. Raises `SealcastError`; a refusal of somebody who was proved is in the ledger then.
        """
        identity = caller.identity
        try:
            if self._board.stopping:
                raise RemoteError("NODE.STOPPING")
            channel = Channel(tls_version=caller.tls_version, peer=identity, roles=caller.roles)
            grant = admit(TlsClaim(came.facts), channel, Role.INGEST, self._policy)
            self._board.hub.may_publish(stream, identity)
            self._check_room(stream, identity)
        except SealcastError as error:
            if identity.proved and error.code not in _COMMON:
                self._board.list_refusal(
                    Role.INGEST,
                    error,
                    way=OVER_HTTPS,
                    stream=stream,
                    peer=identity,
                    peer_address=came.address,
                    facts=came.facts,
                )
            raise
        if not self._begin(BodyLine(self._front, ticket), came, stream, identity, grant):
            raise RemoteError("TS.GONE")

    def _check_room(self, stream: str, identity: Identity) -> None:
        """HTTP.TOO_MANY: each upload that is read has a thread, whatever comes of it."""
        bodies = [one for one in self._encoders.values() if isinstance(one.line, BodyLine)]
        own = [one for one in bodies if one.stream == stream and one.identity.same_as(identity)]
        if len(own) >= limits.UPLOADS_OF_ONE:
            raise RemoteError(
                "HTTP.TOO_MANY", f"The limit is {limits.UPLOADS_OF_ONE} uploads of one stream."
            )
        if len(bodies) >= limits.UPLOADS:
            raise RemoteError("HTTP.TOO_MANY", f"The limit is {limits.UPLOADS} uploads.")

    def _begin(
        self, line: Line, came: Arrival, stream: str, identity: Identity, grant: Grant
    ) -> bool:
        """List the leg and start to read. False where the encoder is gone already."""
        leg = self._board.ledger.new_id()
        kind, number = line.key
        self._board.ledger.open_connection(
            leg,
            number if kind == "connection" else None,
            came.facts,
            grant=grant,
            way=line.way,
            stream=stream,
            local=self._local,
            peer_address=came.address,
            timing=came.timing,
        )
        try:
            descriptor = line.take()
        except Exception as error:
            unread = Received()
            self._board.register(leg, lambda code: line.end(Outcome(leg, stream, code, "", unread)))
            if native_refusal(error) is None:
                self._board.end(leg, "TS.FAILED")
                raise
            # It left the front's table between its announcement and now.
            self._board.end(leg, "TS.GONE")
            return False
        publisher = TsPublisher(
            descriptor,
            name=stream,
            open_sinks=lambda found: self._in_loop(self._attach(feed, found)),
            report=lambda happened: self._tell(feed, happened),
            announced=lambda told: self._in_loop(self._announced(encoder, told)),
        )
        feed = _Feed(publisher)
        encoder = _Encoder(leg, line, stream, identity, publisher.inlet, feed)
        feed.encoders.append(encoder)
        self._encoders[line.key] = encoder
        self._board.register(leg, lambda code: self._close(encoder, code))
        publisher.start()
        grace_s = self._policy.identities.expired_grace_s
        self._board.stands_on(leg, came.certificate, came.door, grace_s)
        return True

    def closed(self, event: ConnectionClosed) -> None:
        """The connection is gone; the demuxer reads what is left and gives its verdict."""
        word = LastWord(event.code, event.detail, event.bytes_in, event.bytes_out)
        self._gone(("connection", event.connection), word)

    def body_ended(self, event: BodyEnded) -> None:
        """An upload's body is over; the demuxer reads what is left and gives its verdict."""
        word = LastWord(event.code, event.detail, event.bytes_in)
        self._gone(("body", event.ticket), word)

    def _gone(self, key: Key, word: LastWord) -> None:
        encoder = self._encoders.get(key)
        if encoder is None:
            return
        encoder.gone, feed = word, encoder.feed
        if feed.verdict is not None:
            self._over(encoder, feed.verdict)
        elif (
            encoder is not feed.feeding
            and not encoder.inlet.has_media()
            # The demuxer's thread may have come to it since: then its verdict counts.
            and feed.publisher.withdraw(encoder.inlet)
        ):
            # It went before its turn came, and took nothing of the stream with it.
            self._over(encoder, Ended(COMPLETE, "It was closed before its turn came."))

    def count(self) -> None:
        """Bring the counters of these legs into the ledger: the relay does not know them."""
        for encoder in self._encoders.values():
            self._count(encoder)

    def join(self, timeout_s: float) -> None:
        """Wait for the threads of encoders that were closed."""
        deadline = time.monotonic() + timeout_s
        for encoder in list(self._encoders.values()):
            encoder.feed.publisher.join(max(0.0, deadline - time.monotonic()))

    # ---- called from the demuxer's thread ----------------------------------------------------

    def _in_loop(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of `work` in the event loop; NODE.STOPPING if it does not come."""
        try:
            future: Future[_Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise LocalError("NODE.STOPPING") from error
        try:
            return future.result(limits.ATTACH_S)
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise LocalError("NODE.STOPPING") from error

    def _tell(self, feed: _Feed, event: Event) -> None:
        # The loop may be closed already: then nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._happened, feed, event)

    # ---- in the event loop -------------------------------------------------------------------

    async def _announced(self, encoder: _Encoder, told: Announcement) -> bool:
        """What an encoder says before its stream; whether another's demuxer reads it from here."""
        if self._encoders.get(encoder.line.key) is not encoder:
            return False
        if isinstance(encoder.line, BodyLine):
            return False  # it could not be answered: it is read as the null packet that it is
        if told.word is Word.CONTINUES:
            for elder in list(self._encoders.values()):
                if elder is not encoder and self._continues(encoder, elder, told.run):
                    encoder.feed = elder.feed
                    elder.feed.encoders.append(encoder)
                    return True
        encoder.feed.run = told.run
        return False

    @staticmethod
    def _continues(encoder: _Encoder, elder: _Encoder, run: bytes) -> bool:
        """Whether `elder` feeds what `encoder` continues; its demuxer has the inlet then."""
        feed = elder.feed
        return (
            elder is feed.feeding
            and feed.run == run
            and feed.verdict is None
            and elder.stream == encoder.stream
            and elder.identity.same_as(encoder.identity)
            and feed.publisher.append(encoder.inlet)
        )

    async def _attach(self, feed: _Feed, found: ProgrammeFound) -> Sinks:
        """The sinks of what an encoder brings. Raises `SealcastError` if it may not."""
        encoder = feed.feeding
        if self._encoders.get(encoder.line.key) is not encoder:
            raise RemoteError("STREAM.ENDED")
        shapes = [
            shape
            for shape, codec in ((_VIDEO, found.video), (_AUDIO, found.audio))
            if codec is not None
        ]
        board = self._board
        publication = board.hub.publish(
            encoder.stream,
            leg=encoder.leg,
            identity=encoder.identity,
            way=encoder.line.way,
            shapes=shapes,
            proved=True,  # its handshake is over
        )
        board.make_tracks(publication)
        sinks = {
            track.kind: board.relay.frame_sink(track.id, encoder.leg)
            for track in publication.tracks
        }
        feed.source = encoder.leg
        feed.video_track = next(
            (track.id for track in publication.tracks if track.kind == "video"), None
        )
        board.stir(encoder.stream)
        return Sinks(sinks.get("video"), sinks.get("audio"))

    def _happened(self, feed: _Feed, event: Event) -> None:
        board, encoder = self._board, feed.feeding
        told = {"leg": encoder.leg, "stream": encoder.stream}
        match event:
            case ProgrammeFound():
                _log.info("programme found", **told, **_codecs(event))
            case ParameterSetsSeen(profile) if feed.video_track is not None:
                board.hub.describe(feed.video_track, profile_level_id=profile)
                board.stir(encoder.stream)
            case BFramesSeen() if feed.video_track is not None:
                board.pictures_out_of_order(encoder.leg, feed.video_track)
                board.ledger.note(encoder.leg, Note("STREAM.B_FRAMES"))
                board.stir(encoder.stream)
            case Remarked(code, detail):
                _log.warning("remark", **told, code=code, detail=detail)
                board.ledger.note(encoder.leg, Note(code, detail))
            case Continued(inlet):
                while feed.feeding.inlet is not inlet and len(feed.encoders) > 1:
                    before = self._succeed(feed)
                    words = f"Leg {feed.feeding.leg} continues it."
                    self._over(before, Ended("STREAM.TAKEN_OVER", words))
            case Ended():
                feed.verdict = event
                for one in list(feed.encoders):
                    if event.code != COMPLETE or one.gone is not None:
                        self._over(one, event)
                    else:
                        # The front's last word is on its way; a broken promise must not keep the
                        # leg.
                        self._loop.call_later(limits.LAST_WORD_S, self._over, one, event)
            case _:
                pass

    def _succeed(self, feed: _Feed) -> _Encoder:
        """The next encoder's turn; the one before it, whose end is the caller's to tell."""
        before = feed.encoders.pop(0)
        heir, board = feed.feeding, self._board
        told = {"leg": heir.leg, "stream": heir.stream}
        _log.info("continued", **told, before=before.leg)
        board.succeed(before.leg, heir.leg, before.leg if feed.source is None else feed.source)
        known = board.ledger.get(before.leg)
        notes = () if known is None else known.notes
        board.ledger.note(heir.leg, *(note for note in notes if note.code in _OF_THE_PROGRAMME))
        return before

    def _over(self, encoder: _Encoder, verdict: Ended) -> None:
        """The demuxer is done and the connection gone, or enough was waited for that."""
        if self._encoders.get(encoder.line.key) is not encoder:
            return
        self._count(encoder)
        del self._encoders[encoder.line.key]
        if encoder is not encoder.feed.feeding and encoder in encoder.feed.encoders:
            encoder.feed.encoders.remove(encoder)
        code, detail, gone = verdict.code, verdict.detail, encoder.gone
        if code == COMPLETE and gone is not None:
            code = code if gone.code in _SAYS_NO_MORE else gone.code
            detail = gone.detail or detail
        encoder.verdict_detail = detail
        self._board.end(encoder.leg, code, detail)

    def _count(self, encoder: _Encoder) -> None:
        seen, gone = encoder.inlet.counters, encoder.gone
        self._board.ledger.count(
            encoder.leg,
            Counters(
                packets_in=seen.bytes_in // PACKET,
                bytes_in=seen.bytes_in if gone is None else max(seen.bytes_in, gone.bytes_in),
                bytes_out=0 if gone is None else gone.bytes_out,
                drops=dict(seen.drops),
            ),
        )

    def _close(self, encoder: _Encoder, code: str) -> None:
        """End the demuxer, unless another connection continues it; then the connection."""
        feed = encoder.feed
        is_feeding = encoder in feed.encoders and encoder is feed.feeding
        if is_feeding and not code.startswith(_OF_ONE_CONNECTION):
            for heir in feed.encoders[:0:-1]:
                self._board.end(heir.leg, code)
        feed.publisher.stop(code, encoder.inlet)
        if encoder in feed.encoders and len(feed.encoders) > 1:
            self._count(encoder)
            del self._encoders[encoder.line.key]
            if is_feeding:
                self._succeed(feed)
            else:
                feed.encoders.remove(encoder)
        encoder.line.end(
            Outcome(
                encoder.leg, encoder.stream, code, encoder.verdict_detail, encoder.inlet.counters
            )
        )


def _codecs(found: ProgrammeFound) -> dict[str, str]:
    return {"video": found.video or "none", "audio": found.audio or "none"}


def _as_refusal(error: Exception) -> SealcastError:
    if isinstance(error, SealcastError):
        return error
    code = getattr(error, "code", None)
    return LocalError(code if isinstance(code, str) else "HTTP.INTERNAL", str(error))
