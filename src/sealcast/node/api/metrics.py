"""The node in numbers, as Prometheus reads them: every cause by its code.

Does: turns counters that others keep into samples at the moment of asking. Does not: keep any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from sealcast.node.measure import DoorNumbers, RelayNumbers
from sealcast.node.ports import FrontPort
from sealcast.node.switchboard import Switchboard

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class _FrontNumbers(msgspec.Struct, frozen=True):
    doors: dict[str, DoorNumbers] = {}
    events_dropped: int = 0
    app_connections: int = 0


_FRONT = msgspec.json.Decoder(_FrontNumbers)


class Metrics:
    """Makes the page."""

    def __init__(self, switchboard: Switchboard, front: FrontPort) -> None:
        self._board = switchboard
        self._front = front

    def render(self, relay: RelayNumbers) -> tuple[bytes, str]:
        """The page and its media type."""
        # Imported when first asked for: a node without Prometheus starts without it.
        from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
        from prometheus_client.registry import Collector

        samples = self._samples

        class OneMoment(Collector):
            def collect(self) -> Iterator[Metric]:
                yield from samples(relay)

        registry = CollectorRegistry(auto_describe=False)
        registry.register(OneMoment())
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    def _samples(self, relay: RelayNumbers) -> Iterator[Metric]:
        yield from self._leg_samples()
        yield from self._relay_samples(relay)
        yield from self._door_samples()

    def _leg_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        living = GaugeMetricFamily(
            "sealcast_legs", "Legs that are open, by role and state.", labels=["role", "state"]
        )
        counted: dict[tuple[str, str], int] = {}
        for leg in self._board.ledger.living():
            key = (leg.role.value, leg.state.value)
            counted[key] = counted.get(key, 0) + 1
        for key, number in counted.items():
            living.add_metric(key, number)
        yield living
        for name, described, numbers in (
            ("sealcast_legs_ended", "Legs that are over, by role and code.", self._board.ended),
            (
                "sealcast_refusals",
                "Refused legs and requests, by role and code.",
                self._board.refused,
            ),
        ):
            family = CounterMetricFamily(name, described, labels=["role", "code"])
            for key, number in numbers.items():
                family.add_metric(key, number)
            yield family
        streams = self._board.hub.streams()
        viewers = sum(len(stream.viewers) for stream in streams)
        live = sum(stream.live for stream in streams)
        yield GaugeMetricFamily("sealcast_streams", "Streams that are live.", value=live)
        yield GaugeMetricFamily("sealcast_viewers", "Viewers of all streams.", value=viewers)

    def _relay_samples(self, relay: RelayNumbers) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        drops = Counter(relay.drops)
        for leg in relay.legs:
            drops.update(leg.drops)
        for track in relay.tracks:
            drops.update(track.drops)
        family = CounterMetricFamily(
            "sealcast_packets_dropped", "Packets dropped by open legs, by code.", labels=["code"]
        )
        for code, number in sorted(drops.items()):
            family.add_metric([code], number)
        yield family
        for name, described, field in (
            ("sealcast_datagrams_received", "Datagrams received.", "datagrams_in"),
            ("sealcast_receive_calls", "System calls for these.", "receive_calls"),
            ("sealcast_datagrams_sent", "Datagrams sent.", "datagrams_out"),
            ("sealcast_send_calls", "System calls for these.", "send_calls"),
        ):
            family = CounterMetricFamily(name, described, labels=["socket"])
            for socket in relay.sockets:
                family.add_metric([socket.address], getattr(socket, field))
            yield family
        yield CounterMetricFamily(
            "sealcast_relay_cpu_seconds", "CPU time of the relay.", value=relay.cpu_us / 1e6
        )
        yield CounterMetricFamily(
            "sealcast_relay_events_lost", "Events that found no room.", value=relay.events_lost
        )

    def _door_samples(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        doors = _FRONT.decode(self._front.counters()).doors
        open_now = GaugeMetricFamily(
            "sealcast_connections", "Open TCP connections.", labels=["door"]
        )
        handshakes = CounterMetricFamily(
            "sealcast_tls_handshakes", "Completed TLS handshakes.", labels=["door"]
        )
        requests = CounterMetricFamily("sealcast_requests", "HTTP requests.", labels=["door"])
        codes = CounterMetricFamily(
            "sealcast_connections_ended",
            "Handshakes that failed and connections that ended, by code.",
            labels=["door", "code"],
        )
        for name, door in doors.items():
            open_now.add_metric([name], door.open)
            handshakes.add_metric([name], door.handshakes)
            requests.add_metric([name], door.requests)
            for code, number in door.codes.items():
                codes.add_metric([name, code], number)
        yield from (open_now, handshakes, requests, codes)
