"""The ledger: what a node keeps of its legs.

Does: turns events of the relay and the front into legs, judges each seal against its grant, keeps
the last ended and failed ones. Bounded: what is over leaves in order of age.

Does not: know the time (`now` is seconds since 1970, an argument) or close anything: a leg that was
sealed outside its grant is handed back to be closed.
"""

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from sealcast.codes import lookup
from sealcast.errors import Bug
from sealcast.keying.agreement import UNPROVED, Identity
from sealcast.legs.leg import Counters, Leg, LegState
from sealcast.legs.seal import Seal
from sealcast.legs.stage import Outcome, Stage
from sealcast.policy import Grant, Note, Role, judge
from sealcast.wire import (
    ConnectionClosed,
    ConnectionOpened,
    FrontEvent,
    HandshakeFailed,
    LegClosed,
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

# Ends that are nobody's fault; with any other code a leg has `failed`.
_PEACEFUL: Final = frozenset(
    {
        "LEG.DELETED",
        "LEG.CLOSED_BY_OPERATOR",
        "NODE.STOPPING",
        "STREAM.TAKEN_OVER",
        "STREAM.ENDED",
        "STREAM.CODEC_CHANGED",
        "DTLS.CLOSED",
    }
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
        self._grants: dict[int, Grant] = {}
        self._connections: dict[int, int] = {}

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
        connection: int,
        facts: TlsFacts,
        *,
        grant: Grant,
        way: str,
        stream: str,
        local: Identity,
        peer_address: str,
        now: float,
    ) -> Leg:
        """A leg that is a TLS connection: its handshake is over, so it is sealed when listed.

        Its end comes as the front's `ConnectionClosed`.
        """
        self.open(leg, grant=grant, way=way, stream=stream, local=local, now=now)
        self._connections[connection] = leg
        for stage in (Stage.PATH, Stage.HANDSHAKE, Stage.IDENTITY, Stage.KEYS):
            self._stage(leg, stage, Outcome.DONE, 0.0)
        return self._change(leg, seal=Seal.of_connection(facts), path_remote=peer_address)

    def refused(
        self,
        *,
        role: Role,
        way: str,
        stream: str,
        stage: Stage,
        code: str,
        detail: str,
        now: float,
        peer: Identity = UNPROVED,
        peer_address: str | None = None,
        policy: str = "",
    ) -> Leg:
        """A leg that failed before it could be listed, such as a refused offer or handshake."""
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
        )
        self._stage(leg, stage, Outcome.FAILED, 0.0, code, detail)
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
            case LegClosed():
                self.close(event.leg, event.code, event.detail, now)
            case ConnectionClosed():
                leg = self._connections.pop(event.connection, None)
                if leg is not None and leg in self._living:
                    counters = self._living[leg].counters
                    self.count(
                        leg,
                        replace(counters, bytes_in=event.bytes_in, bytes_out=event.bytes_out),
                    )
                    self.close(leg, event.code, event.detail, now)
            case HandshakeFailed():
                self.refused(
                    role=self._door_roles.get(event.door, Role.SIGNALLING),
                    way=event.door,
                    stream="",
                    stage=_handshake_stage(event.code),
                    code=event.code,
                    detail=event.detail or "",
                    now=now,
                    peer_address=event.peer,
                )
            case ConnectionOpened() | TrackLive() | TrackKeyFrame() | TrackEnded():
                pass  # the node and the hub act on these
        return None

    def media_flows(self, leg: int, at_ms: float) -> None:
        """The first bytes or packets of a leg that the relay does not watch (a TLS connection)."""
        if leg in self._living:
            self._stage(leg, Stage.MEDIA, Outcome.DONE, at_ms)

    def count(self, leg: int, counters: Counters) -> None:
        """New counters of a living leg."""
        if leg in self._living:
            self._change(leg, counters=counters)

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
        return self._living.get(leg) or self._over.get(leg)

    def grant_of(self, leg: int) -> Grant | None:
        """What policy had granted to a living leg."""
        return self._grants.get(leg)

    def living(self) -> list[Leg]:
        return list(self._living.values())

    def __iter__(self) -> Iterator[Leg]:
        """Living ones first, then those that are over, newest first."""
        yield from self._living.values()
        yield from reversed(self._over.values())

    def __len__(self) -> int:
        return len(self._living) + len(self._over)

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
        left = living.state is LegState.LIVE and code == "TLS.PEER_CLOSED"
        peaceful = left or code in _PEACEFUL
        over = replace(
            living,
            state=LegState.ENDED if peaceful else LegState.FAILED,
            code=code,
            detail=detail,
            ended_unix=now,
        )
        self._over[leg] = over
        while len(self._over) > self._kept:
            self._over.popitem(last=False)
        return over


def _handshake_stage(code: str) -> Stage:
    stage = lookup(code).stage
    return Stage(stage) if stage in set(Stage) else Stage.HANDSHAKE
