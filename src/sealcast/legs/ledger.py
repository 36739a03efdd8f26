"""The ledger: what a node keeps of its legs.

Does: turns events of the relay and the front into legs, judges each seal against its grant, marks
the stage at which a leg failed, keeps the last ended and failed ones. Bounded: what is over leaves
in order of age, and strangers who got no further than a handshake push out only one another.

Does not: know the time (`now` is seconds since 1970, an argument) or close anything: a leg that was
sealed outside its grant is handed back to be closed.

The caller must still: end the leg of a TLS connection (`close`). That the connection is gone says
little of how the stream in it ended; whoever read the stream knows.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sealcast.codes import lookup
from sealcast.errors import Bug
from sealcast.keying.agreement import UNPROVED, Identity
from sealcast.legs.leg import Counters, Leg, LegState, PeerCandidate
from sealcast.legs.seal import Seal
from sealcast.legs.stage import Outcome, Stage, StageRecord
from sealcast.legs.totals import Totals
from sealcast.policy import Grant, Note, Role, judge
from sealcast.wire import (
    BodyEnded,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionTiming,
    FrontEvent,
    HandshakeFailed,
    LegClosed,
    LegNoted,
    LegPath,
    LegSealed,
    LegStage,
    RelayEvent,
    TlsFacts,
    TrackEnded,
    TrackKeyFrame,
    TrackLive,
)

KEPT: Final = 1000
"""Legs that are over."""
STRANGERS_KEPT: Final = 100
"""Handshakes that failed: anybody can make as many of them as they like."""
CANDIDATES_KEPT: Final = 32
"""Of one leg; browsers send about ten."""

# Ends that are nobody's fault; with any other code a leg has `failed`.
_PEACEFUL: Final = frozenset(
    {
        "LEG.DELETED",
        "LEG.CLOSED_BY_OPERATOR",
        "NODE.STOPPING",
        "STREAM.TAKEN_OVER",
        "STREAM.ENDED",
        "STREAM.CODEC_CHANGED",
        "PULL.PATH_CHANGED",
        "DTLS.CLOSED",
    }
)

# The front tells of a connection once TCP was accepted: then its handshake begins.
_KNOCKED: Final = (
    StageRecord(Stage.SIGNALLING).after(Outcome.DONE, 0.0, None, None),
    StageRecord(Stage.PATH).after(Outcome.DONE, 0.0, None, None),
    StageRecord(Stage.HANDSHAKE).after(Outcome.STARTED, 0.0, None, None),
    StageRecord(Stage.IDENTITY),
    StageRecord(Stage.KEYS),
    StageRecord(Stage.MEDIA),
)


class Ledger:
    """Legs by id. Ids are given out here (`new_id`), also for the relay."""

    def __init__(self, *, kept: int = KEPT, door_roles: Mapping[str, Role] | None = None) -> None:
        """`door_roles` says which role a connection of a door has, for handshakes that failed."""
        self._kept = kept
        self._door_roles = dict(door_roles or {})
        self._ids = itertools.count(1)
        self._living: dict[int, Leg] = {}
        self._over: OrderedDict[int, Leg] = OrderedDict()
        self._strangers: OrderedDict[int, Leg] = OrderedDict()
        self._grants: dict[int, Grant] = {}
        self._connections: dict[int, int] = {}
        self.totals = Totals()
        """Sums over all legs, those that are over included."""

    def new_id(self) -> int:
        """An id that no leg has had."""
        return next(self._ids)

    def open(
        self,
        leg: int,
        *,
        grant: Grant,
        way: str,
        stream: str,
        local: Identity,
        now: float,
        signalling_ms: float = 0.0,
    ) -> Leg:
        """A leg whose signalling succeeded: list it.

        `signalling_ms` is how long the answer took; the leg's own clock starts when it is listed.
        """
        opened = Leg(
            id=leg,
            role=grant.role,
            way=way,
            stream=stream,
            local=local,
            peer=grant.peer,
            policy=grant.policy.name,
            started_unix=now,
            notes=grant.notes,
        )
        self._living[leg] = opened
        self._grants[leg] = grant
        self._stage(leg, Stage.SIGNALLING, Outcome.STARTED, 0.0)
        return self._stage(leg, Stage.SIGNALLING, Outcome.DONE, signalling_ms)

    def open_connection(
        self,
        leg: int,
        connection: int | None,
        facts: TlsFacts,
        *,
        grant: Grant,
        way: str,
        stream: str,
        local: Identity,
        peer_address: str,
        timing: ConnectionTiming,
    ) -> Leg:
        """A leg that is a TLS connection, or a request on one (`connection` is None then): its
        handshake is over, so it is sealed when listed.

        It began when TCP was accepted; the wait for its turn counts as path. The front's
        `ConnectionClosed` brings its last numbers, but not a request's; its end is the caller's to
        tell.
        """
        accepted = timing.accepted_unix_ms / 1000
        self.open(leg, grant=grant, way=way, stream=stream, local=local, now=accepted)
        if connection is not None:
            self._connections[connection] = leg
        finished_ms = timing.queued_ms + timing.handshake_ms
        self._stage(leg, Stage.PATH, Outcome.DONE, timing.queued_ms)
        self._stage(leg, Stage.HANDSHAKE, Outcome.STARTED, timing.queued_ms)
        for stage in (Stage.HANDSHAKE, Stage.IDENTITY, Stage.KEYS):
            self._stage(leg, stage, Outcome.DONE, finished_ms)
        return self._change(leg, seal=Seal.of_connection(facts), path_remote=peer_address)

    def refused(
        self,
        *,
        role: Role,
        way: str,
        stream: str,
        code: str,
        detail: str,
        now: float,
        peer: Identity = UNPROVED,
        peer_address: str | None = None,
        policy: str = "",
        facts: TlsFacts | None = None,
    ) -> Leg:
        """A leg that failed before it could be listed, such as a refused offer.

        It stands at the stage of its code. `facts` are those of its own connection, if it had one
        whose handshake was over: then it has a seal.
        """
        leg = self.new_id()
        self._living[leg] = Leg(
            id=leg,
            role=role,
            way=way,
            stream=stream,
            local=UNPROVED,
            peer=peer,
            policy=policy,
            started_unix=now,
            path_remote=peer_address,
            seal=None if facts is None else Seal.of_connection(facts),
        )
        return self._end(leg, code, detail, now)

    def apply(self, event: RelayEvent | FrontEvent, now: float) -> Bug | None:
        """One event of the relay or the front.

        Returns a `Bug` when a leg was sealed outside its grant: the caller must close that leg with
        the bug's code. Events for legs that are not known are ignored: they crossed with an end.
        """
        match event:
            case LegStage():
                self._apply_stage(event)
            case LegSealed():
                return self._apply_seal(event)
            case LegPath():
                if event.leg in self._living:
                    self._change(event.leg, path_local=event.local, path_remote=event.remote)
            case LegNoted():
                self.note(event.leg, Note(event.code, event.detail))
            case LegClosed():
                if event.last is not None:
                    self.count(event.leg, Counters.of_media(event.last))
                self.close(event.leg, event.code, event.detail, now)
            case ConnectionClosed():
                leg = self._connections.pop(event.connection, None)
                known = None if leg is None else self.get(leg)
                if known is not None:
                    numbers = known.counters
                    # What the front opened is what came, also where the reader gave up before.
                    self.count(
                        known.id,
                        replace(numbers, bytes_in=event.bytes_in, bytes_out=event.bytes_out),
                    )
            case HandshakeFailed():
                self._stranger(event, now)
            case BodyEnded() | ConnectionOpened() | TrackLive() | TrackKeyFrame() | TrackEnded():
                pass  # the node and the hub act on these
        return None

    def media_flows(self, leg: int, at_ms: float) -> None:
        """The first bytes or packets of a leg that the relay does not watch (a TLS connection)."""
        if leg in self._living:
            self._stage(leg, Stage.MEDIA, Outcome.DONE, at_ms)

    def count(self, leg: int, counters: Counters) -> None:
        """New counters of a leg; the last ones may come after its end.

        A reading that is older than the known one, such as a snapshot that crossed with the end,
        changes nothing.
        """
        for legs in (self._living, self._over):
            known = legs.get(leg)
            if known is not None and not counters.is_older_than(known.counters):
                self.totals.add(known.role, known.counters, counters)
                legs[leg] = replace(known, counters=counters)

    def told_candidates(
        self, leg: int, candidates: Iterable[PeerCandidate], *, anew: bool = False
    ) -> None:
        """More candidates of a living leg's peer; with `anew` they replace all before (RFC 8445 §9:
        a restart begins another generation). Each stands once.
        """
        if leg in self._living:
            known = () if anew else self._living[leg].candidates
            distinct = dict.fromkeys(itertools.chain(known, candidates))
            self._change(leg, candidates=tuple(distinct)[:CANDIDATES_KEPT])

    def note(self, leg: int, *notes: Note) -> None:
        """Adds remarks to a living leg; each stands once."""
        if leg in self._living:
            known = self._living[leg].notes
            self._change(leg, notes=tuple(dict.fromkeys((*known, *notes))))

    def close(self, leg: int, code: str, detail: str | None, now: float) -> None:
        """The leg is over. The first code stays: what comes later is its echo."""
        if leg in self._living:
            self._end(leg, code, detail, now)

    def get(self, leg: int) -> Leg | None:
        """A leg that is listed, living or over."""
        return self._living.get(leg) or self._over.get(leg) or self._strangers.get(leg)

    def grant_of(self, leg: int) -> Grant | None:
        """What policy had granted to a living leg."""
        return self._grants.get(leg)

    def living(self) -> list[Leg]:
        return list(self._living.values())

    def __iter__(self) -> Iterator[Leg]:
        """Living ones first, then those that are over, newest first."""
        yield from self._living.values()
        yield from heapq.merge(
            reversed(self._over.values()),
            reversed(self._strangers.values()),
            key=lambda leg: leg.ended_unix or 0.0,
            reverse=True,
        )

    def __len__(self) -> int:
        return len(self._living) + len(self._over) + len(self._strangers)

    def to_json(self) -> dict[str, object]:
        """What `GET /api/legs` answers."""
        return {"legs": [leg.to_json() for leg in self]}

    # --- inside ---------------------------------------------------------------------------------

    def _apply_stage(self, event: LegStage) -> None:
        if event.leg not in self._living:
            return
        try:
            stage, outcome = Stage(event.stage), Outcome(event.outcome)
        except ValueError:
            return  # a stage that only a newer core knows
        self._stage(event.leg, stage, outcome, event.elapsed_ms, event.code, event.detail)

    def _apply_seal(self, event: LegSealed) -> Bug | None:
        if event.leg not in self._living:
            return None
        self._change(event.leg, seal=Seal.of_media(event.seal))
        grant = self._grants.get(event.leg)
        if grant is None:
            return None
        try:
            self.note(event.leg, *judge(event.seal, grant))
        except Bug as bug:
            return bug
        return None

    def _stage(
        self,
        leg: int,
        stage: Stage,
        outcome: Outcome,
        at_ms: float,
        code: str | None = None,
        detail: str | None = None,
    ) -> Leg:
        now = self._living[leg]
        stages = tuple(
            record.after(outcome, at_ms, code, detail) if record.stage is stage else record
            for record in now.stages
        )
        live = stage is Stage.MEDIA and outcome is Outcome.DONE
        return self._change(leg, stages=stages, state=LegState.LIVE if live else now.state)

    def _change(self, leg: int, **changes: object) -> Leg:
        changed = replace(self._living[leg], **changes)  # type: ignore[arg-type]
        self._living[leg] = changed
        return changed

    def _end(self, leg: int, code: str, detail: str | None, now: float) -> Leg:
        living = self._living.pop(leg)
        self._grants.pop(leg, None)
        over = _ended(living, code, detail, now)
        _keep(self._over, over, self._kept)
        return over

    def _stranger(self, event: HandshakeFailed, now: float) -> None:
        knocked = Leg(
            id=self.new_id(),
            role=self._door_roles.get(event.door, Role.SIGNALLING),
            way=event.door,
            stream="",
            local=UNPROVED,
            peer=UNPROVED,
            policy="",
            started_unix=now - event.elapsed_ms / 1000,
            path_remote=event.peer,
            stages=_KNOCKED,
        )
        over = _ended(
            knocked,
            event.code,
            event.detail,
            now,
            otherwise=Stage.HANDSHAKE,
            at_ms=event.elapsed_ms,
        )
        _keep(self._strangers, over, STRANGERS_KEPT)


def _keep(ring: OrderedDict[int, Leg], leg: Leg, kept: int) -> None:
    ring[leg.id] = leg
    while len(ring) > kept:
        ring.popitem(last=False)


def _ended(
    leg: Leg,
    code: str,
    detail: str | None,
    now: float,
    *,
    otherwise: Stage | None = None,
    at_ms: float | None = None,
) -> Leg:
    """The leg as it is when it is over; `otherwise` is the stage of a code that has none, `at_ms`
    the end by the leg's own clock, where somebody measured it.
    """
    peaceful = code in _PEACEFUL
    stages = leg.stages
    if not peaceful:
        if at_ms is None:
            at_ms = max(0.0, now - leg.started_unix) * 1000
        stage = _stage_of(code) or otherwise or _reached(leg)
        stages = _failed(leg, stage, at_ms, code, detail)
    return replace(
        leg,
        state=LegState.ENDED if peaceful else LegState.FAILED,
        stages=stages,
        code=code,
        detail=detail,
        ended_unix=now,
    )


def _failed(
    leg: Leg, stage: Stage, at_ms: float, code: str, detail: str | None
) -> tuple[StageRecord, ...]:
    """With the stage that `code` is about marked, and those before it done."""
    if any(record.outcome is Outcome.FAILED for record in leg.stages):
        return leg.stages  # the relay told which, with its own clock
    order = list(Stage)

    def judged(record: StageRecord) -> StageRecord:
        if record.stage is stage:
            return record.after(Outcome.FAILED, at_ms, code, detail)
        if order.index(record.stage) < order.index(stage):
            return record.after(Outcome.DONE, at_ms, None, None)
        return record

    return tuple(judged(record) for record in leg.stages)


def _reached(leg: Leg) -> Stage:
    """The first stage that is not done."""
    waiting = (record.stage for record in leg.stages if record.outcome is not Outcome.DONE)
    return next(waiting, Stage.MEDIA)


def _stage_of(code: str) -> Stage | None:
    """The stage that a code is about; None for those of the node itself."""
    stage = lookup(code).stage
    return Stage(stage) if stage in set(Stage) else None
