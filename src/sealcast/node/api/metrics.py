"""The node in numbers, as Prometheus reads them: every cause by its code.

Does: turns counters that others keep into samples at the moment of asking. Does not: keep any. What
ends here as `_total` never goes back while the node runs: a leg, a track or a connection that ends
leaves its numbers behind with whoever counted them.

Specs: Prometheus text format 0.0.4; names and units by its "Metric and label naming".
"""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from sealcast.codes import lookup
from sealcast.errors import LocalError
from sealcast.identity.reserve import Reserve
from sealcast.node.api import certificate_metrics
from sealcast.node.api.door_metrics import DoorMetrics
from sealcast.node.measure import DoorNumbers, Measure
from sealcast.node.ports import FrontPort
from sealcast.node.switchboard import Switchboard
from sealcast.wire import SocketNumbers

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, Metric

    from sealcast.identity.authority import Authority
    from sealcast.identity.due import Lasting


class _FrontNumbers(msgspec.Struct, frozen=True):
    doors: dict[str, DoorNumbers] = {}
    events_dropped: int = 0
    app_connections: int = 0


_FRONT: Final = msgspec.json.Decoder(_FrontNumbers)
_LEFT: Final = "TLS.PEER_CLOSED"
"""The front gives it to handshakes and to connections alike, so it says nothing of handshakes."""


class Metrics:
    """Makes the page."""

    def __init__(
        self,
        switchboard: Switchboard,
        measure: Measure,
        front: FrontPort,
        authority: Authority | None = None,
        doors: DoorMetrics | None = None,
    ) -> None:
        self._board = switchboard
        self._measure = measure
        self._front = front
        self._authority = authority
        self._certificates: list[Lasting] = []
        self._reserve_bytes = 0
        self._doors = doors

    async def refresh(self) -> None:
        """Reads what blocks, in a thread. A store that cannot be read leaves the last numbers: they
        are dates, which do not age.
        """
        if self._authority is not None:
            now = datetime.datetime.now(datetime.UTC)
            self._reserve_bytes = Reserve(self._authority.folder).size()
            with suppress(LocalError):
                self._certificates = await asyncio.to_thread(
                    certificate_metrics.read, self._authority, now
                )

    def render(self) -> tuple[bytes, str]:
        """The page and its media type."""
        # Imported when first asked for: a node without Prometheus starts without it.
        from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
        from prometheus_client.registry import Collector

        samples = self._samples

        class OneMoment(Collector):
            def collect(self) -> Iterator[Metric]:
                yield from samples()

        registry = CollectorRegistry(auto_describe=False)
        registry.register(OneMoment())
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    def _samples(self) -> Iterator[Metric]:
        yield from self._leg_samples()
        yield from self._stream_samples()
        yield from self._media_samples()
        yield from self._socket_samples(self._measure.relay.sockets)
        yield from self._door_samples()
        if self._authority is not None:
            yield from certificate_metrics.samples(self._certificates)
            yield certificate_metrics.reserve(self._reserve_bytes)
        if self._doors is not None:
            yield from self._doors.samples()

    def _leg_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        living = GaugeMetricFamily(
            "sealcast_legs",
            "Legs that are open now, by role, by the stage where they are, and by state.",
            labels=["role", "stage", "state"],
        )
        counted = Counter(
            (leg.role.value, leg.stage.value, leg.state.value)
            for leg in self._board.ledger.living()
        )
        for labels, number in counted.items():
            living.add_metric(labels, number)
        yield living
        yield _counter(
            "sealcast_legs_ended",
            "Legs that are over, by role and by the code of their end.",
            ("role", "code"),
            self._board.ended.items(),
        )
        yield _counter(
            "sealcast_refusals",
            "Connections and requests that were refused before there was a leg, by role and code.",
            ("role", "code"),
            self._board.refused.items(),
        )

    def _stream_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        streams = self._board.hub.streams()
        live = sum(stream.live for stream in streams)
        viewers = sum(len(stream.viewers) for stream in streams)
        yield GaugeMetricFamily(
            "sealcast_streams", "Streams with media of a publisher who is there.", value=live
        )
        yield GaugeMetricFamily("sealcast_viewers", "Viewers of all streams.", value=viewers)

    def _media_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        totals, relay = self._board.ledger.totals, self._measure.relay
        yield GaugeMetricFamily(
            "sealcast_relay_numbers_age_seconds",
            "How old the relay's numbers on this page are: it is asked for them now and then.",
            value=self._measure.age_s(),
        )
        yield _counter(
            "sealcast_packets",
            "Media packets carried, by the role of the leg and the direction (in: from the peer).",
            ("role", "direction"),
            totals.packets.items(),
        )
        yield _counter(
            "sealcast_bytes",
            "Bytes carried, by the role of the leg and the direction (in: from the peer).",
            ("role", "direction"),
            totals.octets.items(),
        )
        drops = sorted(self._measure.drops().items())
        yield _counter(
            "sealcast_packets_dropped",
            "Packets, datagrams and frames that were dropped, by code.",
            ("code",),
            (((code,), number) for code, number in drops),
        )
        yield _counter(
            "sealcast_relay_cpu_seconds",
            "CPU time of the relay's thread.",
            (),
            [((), relay.cpu_us / 1e6)],
        )
        yield _counter(
            "sealcast_relay_events_lost",
            "Events of the relay that found its queue full; the ledger does not know of them.",
            (),
            [((), relay.events_lost)],
        )

    @staticmethod
    def _socket_samples(sockets: Iterable[SocketNumbers]) -> Iterator[Metric]:
        sums = {
            name: sum(getattr(socket, name) for socket in sockets)
            for name in ("datagrams_in", "datagrams_out", "receive_calls", "send_calls")
        }
        yield _counter(
            "sealcast_udp_datagrams",
            "Datagrams of all media sockets, by direction.",
            ("direction",),
            [(("in",), sums["datagrams_in"]), (("out",), sums["datagrams_out"])],
        )
        yield _counter(
            "sealcast_udp_calls",
            "System calls that received (in) or sent (out) these datagrams.",
            ("direction",),
            [(("in",), sums["receive_calls"]), (("out",), sums["send_calls"])],
        )
        yield _counter(
            "sealcast_udp_send_buffer_full",
            "Times that the kernel took no more datagrams of a socket for the moment, by socket.",
            ("socket",),
            (((socket.address,), socket.would_block) for socket in sockets),
        )

    def _door_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        numbers = _FRONT.decode(self._front.counters())
        doors = numbers.doors
        open_now = GaugeMetricFamily(
            "sealcast_connections", "TCP connections that are open now, by door.", labels=["door"]
        )
        for name, door in doors.items():
            open_now.add_metric([name], door.open)
        yield open_now
        codes = [
            ((name, code), number)
            for name, door in doors.items()
            for code, number in door.codes.items()
        ]
        yield _counter(
            "sealcast_tls_handshakes",
            "TLS handshakes that were completed, by door.",
            ("door",),
            (((name,), door.handshakes) for name, door in doors.items()),
        )
        yield _counter(
            "sealcast_tls_handshake_failures",
            "TLS handshakes that failed, by door and code. A peer that hung up in its handshake is "
            "not here: it is with sealcast_connections_ended, as TLS.PEER_CLOSED.",
            ("door", "code"),
            (row for row in codes if _of_handshake(row[0][1])),
        )
        yield _counter(
            "sealcast_connections_ended",
            "TCP connections that are over, failed handshakes included, by door and code.",
            ("door", "code"),
            codes,
        )
        yield _counter(
            "sealcast_http_requests",
            "HTTP requests that were begun, by door.",
            ("door",),
            (((name,), door.requests) for name, door in doors.items()),
        )
        yield _counter(
            "sealcast_front_events_dropped",
            "Failed handshakes that were counted and not listed in the ledger: too many came.",
            (),
            [((), numbers.events_dropped)],
        )


def _counter(
    name: str,
    described: str,
    labels: tuple[str, ...],
    rows: Iterable[tuple[tuple[str, ...], float]],
) -> CounterMetricFamily:
    """A family of counters; the format adds `_total` to its name."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, described, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _of_handshake(code: str) -> bool:
    return code != _LEFT and lookup(code).stage in ("handshake", "identity")
