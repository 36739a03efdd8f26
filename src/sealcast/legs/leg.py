"""One leg, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from sealcast.codes import lookup
from sealcast.keying.agreement import Identity
from sealcast.legs.seal import Seal
from sealcast.legs.stage import Outcome, Stage, StageRecord
from sealcast.policy import Note, Role
from sealcast.wire import LegNumbers


class LegState(StrEnum):
    """`opening` until media flows; `ended` and `failed` stay listed."""

    OPENING = "opening"
    LIVE = "live"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Counters:
    """What went over the leg. `lost` as told by the end that receives; `drops` by code."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    lost: int = 0
    retransmitted: int = 0
    rtt_ms: float | None = None
    drops: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_media(cls, numbers: LegNumbers) -> Counters:
        """The relay's numbers of a leg, all its media sections together."""
        return cls(
            packets_in=sum(section.packets for section in numbers.receive),
            packets_out=sum(section.packets for section in numbers.send),
            bytes_in=numbers.bytes_in,
            bytes_out=numbers.bytes_out,
            # A lost packet that a retransmission brought was not lost to anybody.
            lost=sum(max(0, section.lost - section.recovered) for section in numbers.receive)
            + sum(max(0, section.lost) for section in numbers.send),
            retransmitted=sum(section.retransmitted for section in numbers.send)
            + sum(section.recovered for section in numbers.receive),
            rtt_ms=numbers.rtt_ms,
            drops=numbers.drops,
        )

    def is_older_than(self, other: Counters) -> bool:
        """Whether `other` was read from the same leg later: bytes only ever grow."""
        return self.bytes_in < other.bytes_in or self.bytes_out < other.bytes_out


@dataclass(frozen=True, slots=True)
class PeerCandidate:
    """Where a peer said it might be reached (RFC 8839 §5.1), as it said it. Its word, not a proof:
    nothing is ever sent there.

    `address` may be a name (mDNS); `type` is host, srflx, prflx or relay.
    """

    type: str
    transport: str
    address: str
    port: int


def _fresh_stages() -> tuple[StageRecord, ...]:
    return tuple(StageRecord(stage) for stage in Stage)


@dataclass(frozen=True, slots=True)
class Leg:
    """One hop between two ends. Frozen: the ledger replaces it, so a reader never sees half of it.

    `way` names how the media comes or goes ("whip", "whep", "mpegts", ...). Times are seconds since
    1970; stages count milliseconds from `started_unix`.
    """

    id: int
    role: Role
    way: str
    stream: str
    local: Identity
    peer: Identity
    policy: str
    started_unix: float
    state: LegState = LegState.OPENING
    stages: tuple[StageRecord, ...] = field(default_factory=_fresh_stages)
    seal: Seal | None = None
    path_local: str | None = None
    path_remote: str | None = None
    candidates: tuple[PeerCandidate, ...] = ()
    """Of the peer, from the offer and from PATCH: the first `ledger.CANDIDATES_KEPT`."""
    counters: Counters = Counters()
    notes: tuple[Note, ...] = ()
    code: str | None = None
    detail: str | None = None
    ended_unix: float | None = None

    @property
    def over(self) -> bool:
        return self.state in (LegState.ENDED, LegState.FAILED)

    @property
    def stage(self) -> Stage:
        """Where the leg is: the stage that failed, else the last one that began."""
        begun = [record for record in self.stages if record.outcome is not Outcome.WAITING]
        failed = [record for record in begun if record.outcome is Outcome.FAILED]
        return (failed or begun or list(self.stages[:1]))[-1].stage

    def record(self, stage: Stage) -> StageRecord:
        return next(record for record in self.stages if record.stage is stage)

    def to_json(self) -> dict[str, object]:
        """As `GET /api/legs` shows it."""
        end = None
        if self.code is not None:
            row = lookup(self.code)
            end = {
                "code": row.code,
                "stage": row.stage,
                "sentence": row.sentence,
                "detail": self.detail,
                "remedy": row.remedy,
            }
        return {
            "id": self.id,
            "role": self.role.value,
            "way": self.way,
            "stream": self.stream,
            "state": self.state.value,
            "stage": self.stage.value,
            "local": _identity_json(self.local),
            "peer": _identity_json(self.peer),
            "policy": self.policy,
            "path": {"local": self.path_local, "remote": self.path_remote},
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "seal": self.seal.to_json() if self.seal else None,
            "stages": [record.to_json() for record in self.stages],
            "counters": asdict(self.counters),
            "notes": [
                {"code": note.code, "sentence": note.sentence, "detail": note.detail}
                for note in self.notes
            ],
            "end": end,
            "started_unix": self.started_unix,
            "ended_unix": self.ended_unix,
        }


def _identity_json(identity: Identity) -> dict[str, object]:
    return {"name": identity.name, "proof": identity.proof.value, "proved": identity.proved}
