"""Two DTLS endpoints over a network that a seeded generator spoils, under a clock of its own.

Does: carries datagrams both ways with a delay, loses, repeats, reorders and damages them as the
`Weather` says, and moves the clock to whatever is due next.

Does not: make BoringSSL's own randomness repeatable; the seed repeats what the network does.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from sealcast.dtls import (
    Closed,
    DtlsEndpoint,
    DtlsEvent,
    DtlsIdentity,
    DtlsPolicy,
    HandshakeCompleted,
    KeysAgreed,
    PeerRefused,
)

End = Literal["client", "server"]
Event = TypeVar("Event", HandshakeCompleted, KeysAgreed, PeerRefused, Closed)
ENDS: tuple[End, End] = ("client", "server")
BEGAN = 1_000.0
"""No clock begins at zero."""
ONE_WAY_S = 0.01

V1_2 = DtlsPolicy(max_version="1.2")
V1_3 = DtlsPolicy(min_version="1.3")
ANY = DtlsPolicy()


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to datagrams, each in hundredths of them."""

    loss: int = 0
    reordering: int = 0
    duplication: int = 0
    flips: int = 0
    """Damaged copies that go ahead of the originals."""


CALM = Weather()


@dataclass
class Link:
    """The two ends, what is on its way, and what each end has told."""

    client: DtlsEndpoint
    server: DtlsEndpoint
    weather: Weather = CALM
    seed: int = 0
    now: float = BEGAN
    told: dict[End, list[DtlsEvent]] = field(default_factory=lambda: {end: [] for end in ENDS})
    wire: list[tuple[End, bytes]] = field(default_factory=list)
    """Everything that was sent, with who sent it."""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._numbers = itertools.count()
        self._under_way: list[tuple[float, int, End, bytes]] = []
        self._collect()

    def end(self, name: End) -> DtlsEndpoint:
        return self.client if name == "client" else self.server

    def run(self, until: Callable[[Link], bool], *, within_s: float = 60.0) -> None:
        """Moves the clock until the condition holds, nothing is left to happen, or time is up."""
        stop_at = self.now + within_s
        self._collect()
        while not until(self):
            due = [self.end(name).deadline for name in ENDS]
            if self._under_way:
                due.append(self._under_way[0][0])
            times = [time for time in due if time is not None]
            if not times or min(times) > stop_at:
                return
            self.now = max(self.now, min(times))
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, sender, datagram = heapq.heappop(self._under_way)
                self.end(other(sender)).receive(self.now, datagram)
            for name in ENDS:
                self.end(name).tick(self.now)
            self._collect()

    def settle(self, within_s: float = 60.0) -> Link:
        """Runs until both ends have their keys or are over."""
        self.run(lambda link: all(map(link.is_decided, ENDS)), within_s=within_s)
        return self

    def is_decided(self, name: End) -> bool:
        return any(
            isinstance(event, KeysAgreed | PeerRefused | Closed) for event in self.told[name]
        )

    def completed(self, name: End) -> HandshakeCompleted:
        return self._one(name, HandshakeCompleted)

    def agreed(self, name: End) -> KeysAgreed:
        return self._one(name, KeysAgreed)

    def refused(self, name: End) -> PeerRefused:
        return self._one(name, PeerRefused)

    def closed(self, name: End) -> Closed:
        return self._one(name, Closed)

    def _one(self, name: End, kind: type[Event]) -> Event:
        found = [event for event in self.told[name] if isinstance(event, kind)]
        assert len(found) == 1, f"the {name} told {self.told[name]}"
        return found[0]

    def _collect(self) -> None:
        for name in ENDS:
            for datagram in self.end(name).drain():
                self.wire.append((name, datagram))
                self._send(name, datagram)
            self.told[name] += self.end(name).events()

    def _send(self, sender: End, datagram: bytes) -> None:
        if self._happens(self.weather.flips):
            self._put(sender, flipped(datagram, self._dice), ONE_WAY_S / 2)
        for _ in range(2 if self._happens(self.weather.duplication) else 1):
            if self._happens(self.weather.loss):
                continue
            detour = self._dice.uniform(0, 5) if self._happens(self.weather.reordering) else 0
            self._put(sender, datagram, ONE_WAY_S * (1 + detour))

    def _put(self, sender: End, datagram: bytes, after_s: float) -> None:
        heapq.heappush(self._under_way, (self.now + after_s, next(self._numbers), sender, datagram))

    def _happens(self, hundredths: int) -> bool:
        return self._dice.randrange(100) < hundredths


def other(end: End) -> End:
    return "server" if end == "client" else "client"


def flipped(datagram: bytes, dice: random.Random) -> bytes:
    """A copy with one bit turned."""
    bit = dice.randrange(8 * len(datagram))
    spoilt = bytearray(datagram)
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)


def link(
    client: DtlsPolicy = ANY,
    server: DtlsPolicy = ANY,
    *,
    weather: Weather = CALM,
    seed: int = 0,
    mtu: int = 1200,
    handshake_timeout: float = 20.0,
    initial_timeout: float = 0.1,
) -> Link:
    """Two fresh ends that expect one another."""
    ours, theirs = DtlsIdentity.generate(), DtlsIdentity.generate()

    def endpoint(
        role: End, own: DtlsIdentity, peer: DtlsIdentity, policy: DtlsPolicy
    ) -> DtlsEndpoint:
        return DtlsEndpoint(
            role,
            own,
            expected=[peer.fingerprint()],
            policy=policy,
            mtu=mtu,
            handshake_timeout=handshake_timeout,
            initial_timeout=initial_timeout,
            now=BEGAN,
        )

    return Link(
        endpoint("client", ours, theirs, client),
        endpoint("server", theirs, ours, server),
        weather,
        seed,
    )
