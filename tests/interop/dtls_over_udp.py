"""Our DTLS endpoint on a UDP socket of loopback, in real time, against a foreign program.

Does: carries datagrams both ways and ticks at the deadline, until a condition holds.

Does not: judge; the tests do.
"""

from __future__ import annotations

import select
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sealcast.dtls import (
    Closed,
    DtlsEndpoint,
    DtlsEvent,
    HandshakeCompleted,
    KeyMaterialRevealed,
    KeysAgreed,
    PeerRefused,
)

Event = TypeVar("Event", HandshakeCompleted, KeysAgreed, PeerRefused, Closed)

PATIENCE_S: Final = 20.0
LOOPBACK: Final = "127.0.0.1"


class OverUdp:
    """One endpoint and its socket. Without a peer's port it answers whoever speaks first."""

    def __init__(self, make: Callable[[float], DtlsEndpoint], peer_port: int | None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self._is_connected = peer_port is not None
        if peer_port is not None:
            self.socket.connect((LOOPBACK, peer_port))
        self.endpoint = make(time.monotonic())
        self.told: list[DtlsEvent] = []
        self.received: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def find(self, kind: type[Event]) -> Event | None:
        """The event of a kind, if it was told."""
        return next((event for event in self.told if isinstance(event, kind)), None)

    def get(self, kind: type[Event]) -> Event:
        event = self.find(kind)
        assert event is not None, f"told: {self.told}"
        return event

    def run(self, until: Callable[[], object], *, what: str) -> None:
        """Works until the condition holds; fails when it does not in time."""
        give_up = time.monotonic() + PATIENCE_S
        while not until():
            self._collect()
            if until():
                return
            now = time.monotonic()
            assert now < give_up, f"not in {PATIENCE_S} s: {what}; told: {self.told}"
            due = self.endpoint.deadline
            wait = 0.1 if due is None else min(0.1, max(0.0, due - now))
            if select.select([self.socket], [], [], wait)[0]:
                self._receive()
            self.endpoint.tick(time.monotonic())
        self._collect()

    def shake_hands(self) -> None:
        self.run(lambda: self.find(KeysAgreed), what="keys")

    def close(self) -> None:
        self.endpoint.close(time.monotonic())
        self._collect()

    def material(self) -> bytes:
        """The exported material as RFC 5764 §4.2 lays it out, of a client's point of view."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeyMaterialRevealed)
            keys = self.get(KeysAgreed).keys.reveal()
        sent = (keys.send_key.reveal(), keys.send_salt.reveal())
        received = (keys.receive_key.reveal(), keys.receive_salt.reveal())
        client, server = (sent, received) if self.is_client else (received, sent)
        return client[0] + server[0] + client[1] + server[1]

    is_client = True

    def _receive(self) -> None:
        try:
            datagram, address = self.socket.recvfrom(65536)
        except ConnectionRefusedError:
            return  # the peer is gone, or not there yet; DTLS sends again
        if not self._is_connected:
            self.socket.connect(address)
            self._is_connected = True
        self.received.append(datagram)
        self.endpoint.receive(time.monotonic(), datagram)

    def _collect(self) -> None:
        for datagram in self.endpoint.drain():
            try:
                self.socket.send(datagram)
            except ConnectionRefusedError:
                continue
        self.told += self.endpoint.events()


@contextmanager
def over_udp(
    make: Callable[[float], DtlsEndpoint], *, is_client: bool, peer_port: int | None = None
) -> Iterator[OverUdp]:
    """An endpoint with its socket; `make` gets the time that it begins at."""
    end = OverUdp(make, peer_port)
    end.is_client = is_client
    try:
        yield end
    finally:
        end.socket.close()
