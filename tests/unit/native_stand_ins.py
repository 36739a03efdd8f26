"""Stand-ins for the native side: they remember what they were told and know five connections.

Used where a test is about the node's own decisions; what packets do is tested with the real one.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any

from sealcast.errors import LocalError

ANYBODY, ENCODER, ADMIN, VIEWER, CDN = 1, 2, 3, 4, 5
"""Connections of the stand-in front, by who showed which certificate."""
_PATHS = {
    ENCODER: "encoder/venue-1",
    ADMIN: "admin/ada",
    VIEWER: "viewer/vera",
    # At the origin door, whose bundle may be anybody's: the name is a lie.
    CDN: "admin/ada",
}


def tls_facts(path: str | None, version: str = "1.3") -> dict[str, Any]:
    """What TLS negotiated with the holder of a certificate for `path`, or with anybody."""
    facts: dict[str, Any] = {"version": version, "group": "X25519MLKEM768"}
    if path is not None:
        name = f"spiffe://sealcast.internal/{path}"
        facts["peer"] = {
            "subject": "CN=x",
            "san_uris": [name],
            "not_after_unix": 1,
            "chain": [revocation_id(path), ISSUER],
        }
    return facts


TIMING = {"accepted_unix_ms": 1, "queued_ms": 0.5, "handshake_ms": 3.5}
ISSUER = "0007:155"
"""The authority that issued every such certificate, as a list of the revoked calls it."""


def revocation_id(path: str) -> str:
    """The certificate of `path`, as a list of the revoked calls it."""
    return f"155e:{path.encode().hex()}"


class FakeIdentity:
    """A certificate's digest without a certificate."""

    def fingerprint(self, algorithm: str = "sha-256") -> str:
        return ":".join(["CD"] * 32)


@dataclass
class FakeSink:
    """Counts frames."""

    frames: int = 0

    def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        self.frames += 1

    def close(self) -> None: ...


@dataclass
class FakeRelay:
    """Remembers what it was told."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    refuse: str | None = None
    busy: bool = False
    """Takes nothing back for the moment."""
    sinks: dict[int, FakeSink] = field(default_factory=dict)

    def local_addresses(self) -> list[str]:
        return ["192.0.2.1:8443"]

    def fileno(self) -> int:
        return -1

    def drain_events(self) -> bytes:
        return b"[]"

    def add_track(self, track: int, kind: str, codec: str, clock_rate: int) -> None:
        self.calls.append(("add_track", track, kind, codec, clock_rate))

    def remove_track(self, track: int) -> None:
        self._take_back("remove_track", track)

    def add_leg(self, spec: bytes, identity: Any) -> None:
        if self.refuse is not None:
            raise LocalError(self.refuse)
        self.calls.append(("add_leg", json.loads(spec)))

    def restart_ice(self, leg: int, *credentials: str) -> None:
        if self.refuse is not None:
            raise LocalError(self.refuse)
        self.calls.append(("restart_ice", leg, *credentials))

    def close_leg(self, leg: int, code: str) -> None:
        self._take_back("close_leg", leg, code)

    def _take_back(self, *call: Any) -> None:
        if self.busy:
            raise LocalError("RELAY.BUSY")
        self.calls.append(call)

    def frame_sink(self, track: int, source: int) -> FakeSink:
        self.calls.append(("frame_sink", track, source))
        return self.sinks.setdefault(track, FakeSink())

    def snapshot(self) -> bytes:
        known = [self._leg(call[1]["id"]) for call in self.named("add_leg")]
        sockets = [
            {"datagrams_in": 600, "receive_calls": 15, "datagrams_out": 3000, "send_calls": 50},
            {"datagrams_in": 40, "receive_calls": 5},
        ]
        told = {"legs": known, "sockets": sockets, "drops": {"PACKET.UNKNOWN_KIND": 3}}
        return json.dumps(told).encode()

    def leg_snapshot(self, leg: int) -> bytes | None:
        known = any(call[1]["id"] == leg for call in self.named("add_leg"))
        return json.dumps(self._leg(leg)).encode() if known else None

    @staticmethod
    def _leg(leg: int) -> dict[str, Any]:
        sections = [{"packets": 7, "lost": 2, "retransmitted": 1}]
        return {"id": leg, "bytes_out": 700, "drops": {}, "send": sections}

    def stop(self) -> None: ...

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == name]


@dataclass
class FakeFront:
    """Knows five connections; an ingest connection is a socket pair."""

    pairs: dict[int, socket.socket] = field(default_factory=dict)
    """The encoders' ends, by connection."""
    bodies: dict[int, socket.socket | None] = field(default_factory=dict)
    """Bodies that wait, by ticket; the uploader's end once they were taken."""
    answered: dict[int, tuple[int, str, dict[str, Any]]] = field(default_factory=dict)
    """What their clients were told first: status, media type, document."""
    closed: list[tuple[int, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    challenges: dict[tuple[str, str], tuple[bytes, bytes] | None] = field(default_factory=dict)
    swapped: list[tuple[str, bytes, bytes, bytes | None]] = field(default_factory=list)
    shown: dict[int, dict[str, Any]] = field(default_factory=dict)
    """More connections: what the peer's certificate says."""

    def facts(self, connection: int) -> bytes | None:
        if connection in self.shown:
            tls = {**tls_facts(None), "peer": self.shown[connection]}
            told = {"connection": connection, "door": "secure", "peer": "192.0.2.9:5", "facts": tls}
            told["timing"] = TIMING
            return json.dumps(told).encode()
        if connection not in (ANYBODY, *_PATHS):
            return None
        tls = tls_facts(_PATHS.get(connection))
        door = {ANYBODY: "public", CDN: "origin"}.get(connection, "secure")
        told = {"connection": connection, "door": door, "peer": "192.0.2.9:5555", "facts": tls}
        told["timing"] = TIMING
        return json.dumps(told).encode()

    def counters(self) -> bytes:
        door: dict[str, Any] = {
            "open": 1,
            "handshakes": 2,
            "requests": 3,
        }
        door["codes"] = {"TLS.PLAIN_HTTP": 4, "TLS.PEER_CLOSED": 9, "TLS.IDLE": 1}
        return json.dumps({"doors": {"public": door}}).encode()

    def open_door(self, *_: Any) -> list[str]:
        return []

    def swap(
        self, door: str, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> None:
        self.swapped.append((door, chain_pem, key_pem, client_roots_pem))

    def set_challenge(self, door: str, server_name: str, pair: tuple[bytes, bytes] | None) -> None:
        self.challenges[door, server_name] = pair

    def set_revoked(self, revoked: list[str]) -> int:
        self.revoked = revoked
        return 0

    def fileno(self) -> int:
        return -1

    def drain_events(self) -> bytes:
        return b"[]"

    def take_ingest(self, connection: int) -> int:
        self.pairs[connection], plaintext = socket.socketpair()
        return plaintext.detach()

    def take_body(self, ticket: int) -> int:
        if ticket not in self.bodies:
            raise LocalError("CORE.BAD_ARGUMENT", f"body {ticket} cannot be taken")
        self.bodies[ticket], plaintext = socket.socketpair()
        return plaintext.detach()

    def answer_body(self, ticket: int, status: int, media_type: str, body: bytes) -> bool:
        self.answered.setdefault(ticket, (status, media_type, json.loads(body)))
        return True

    def close_connection(self, connection: int, code: str) -> None:
        self.closed.append((connection, code))

    def stop(self) -> None: ...
