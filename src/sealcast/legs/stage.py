"""Where a leg is, as a table.

signalling → path → handshake → identity → keys → media. For WebRTC: SDP, ICE, DTLS, fingerprint,
SRTP contexts, packets. For TLS: address, TCP, TLS, certificate, application keys, bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Stage(StrEnum):
    """In the order in which a leg passes them."""

    SIGNALLING = "signalling"
    PATH = "path"
    HANDSHAKE = "handshake"
    IDENTITY = "identity"
    KEYS = "keys"
    MEDIA = "media"


class Outcome(StrEnum):
    """The state of one stage."""

    WAITING = "waiting"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


# Rows: the state a stage is in; columns: what is reported; cells: the state it is in then. A stage
# that is done may start again (an ICE restart) or fail later (consent lost). A failure stays, so
# that a leg that failed stays listed with its stage and code.
TRANSITIONS: Final[Mapping[Outcome, Mapping[Outcome, Outcome]]] = MappingProxyType(
    {
        Outcome.WAITING: {
            Outcome.STARTED: Outcome.STARTED,
            Outcome.DONE: Outcome.DONE,
            Outcome.FAILED: Outcome.FAILED,
        },
        Outcome.STARTED: {
            Outcome.STARTED: Outcome.STARTED,
            Outcome.DONE: Outcome.DONE,
            Outcome.FAILED: Outcome.FAILED,
        },
        Outcome.DONE: {
            Outcome.STARTED: Outcome.STARTED,
            Outcome.DONE: Outcome.DONE,
            Outcome.FAILED: Outcome.FAILED,
        },
        Outcome.FAILED: {
            Outcome.STARTED: Outcome.FAILED,
            Outcome.DONE: Outcome.FAILED,
            Outcome.FAILED: Outcome.FAILED,
        },
    }
)


def next_outcome(now: Outcome, reported: Outcome) -> Outcome:
    """The state of a stage in state `now` after `reported`; WAITING is never reported."""
    return TRANSITIONS[now].get(reported, now)


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of one leg. Times are milliseconds since the leg began."""

    stage: Stage
    outcome: Outcome = Outcome.WAITING
    started_ms: float | None = None
    ended_ms: float | None = None
    code: str | None = None
    detail: str | None = None

    def after(
        self, reported: Outcome, at_ms: float, code: str | None, detail: str | None
    ) -> "StageRecord":
        """This stage after `reported`. The first failure's code is kept."""
        outcome = next_outcome(self.outcome, reported)
        if self.outcome is Outcome.FAILED:
            return self
        started = self.started_ms if self.started_ms is not None else at_ms
        ended = at_ms if outcome in (Outcome.DONE, Outcome.FAILED) else None
        if outcome is self.outcome is Outcome.DONE:
            ended = self.ended_ms
        return StageRecord(self.stage, outcome, started, ended, code, detail)

    def to_json(self) -> dict[str, object]:
        return {
            "stage": self.stage.value,
            "outcome": self.outcome.value,
            "started_ms": self.started_ms,
            "ended_ms": self.ended_ms,
            "code": self.code,
            "detail": self.detail,
        }
