"""What carries an encoder's transport stream to the node: a TLS connection of its own, or the body
of an HTTPS request.

Does: gets the plain bytes from the front, and ends what carried them, so that the encoder hears as
much of the reason as its protocol can say: over raw TLS nothing, over HTTPS an answer.

Does not: admit anybody, or read a byte.

Specs: RFC 9110 (the answer's status), RFC 9457 (why an upload was ended).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from sealcast.codes import PROBLEM_TYPE, lookup, problem
from sealcast.ingest.mpegts import Counters
from sealcast.node.ports import FrontPort

Key = tuple[Literal["connection", "body"], int]

RAW_TLS: Final = "mpegts"
OVER_HTTPS: Final = "mpegts-https"
COMPLETE: Final = "STREAM.ENDED"
"""The encoder sent all of what it wanted to send, and it could be read."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """Of the front, on what carried a stream."""

    code: str
    detail: str | None
    bytes_in: int
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the leg of an encoder ended."""

    leg: int
    stream: str
    code: str
    detail: str
    counters: Counters


class Line(Protocol):
    """One of them."""

    @property
    def key(self) -> Key:
        """What the front calls it."""

    @property
    def way(self) -> str:
        """What the ledger calls it."""

    def take(self) -> int:
        """The plain bytes, a blocking stream socket. Raises what the core refuses."""

    def end(self, outcome: Outcome) -> None:
        """End it. One that is over already stays as it is."""


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A TLS connection to the ingest door."""

    front: FrontPort
    connection: int
    way: str = RAW_TLS

    @property
    def key(self) -> Key:
        return "connection", self.connection

    def take(self) -> int:
        return self.front.take_ingest(self.connection)

    def end(self, outcome: Outcome) -> None:
        self.front.close_connection(self.connection, outcome.code)


@dataclass(frozen=True, slots=True)
class BodyLine:
    """The body of a request, by the ticket that the front gave it."""

    front: FrontPort
    ticket: int
    way: str = OVER_HTTPS

    @property
    def key(self) -> Key:
        return "body", self.ticket

    def take(self) -> int:
        return self.front.take_body(self.ticket)

    def end(self, outcome: Outcome) -> None:
        if outcome.code == COMPLETE:
            told, status, media_type = _received(outcome), 200, "application/json"
        else:
            told = problem(outcome.code, outcome.detail)
            status, media_type = lookup(outcome.code).http_status, PROBLEM_TYPE
        self.front.answer_body(self.ticket, status, media_type, json.dumps(told).encode())


def _received(outcome: Outcome) -> dict[str, str | int]:
    counters = outcome.counters
    return {
        "leg": outcome.leg,
        "stream": outcome.stream,
        "code": outcome.code,
        "bytes": counters.bytes_in,
        "video_frames": counters.video_frames,
        "audio_packets": counters.audio_packets,
    }
