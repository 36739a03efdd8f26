"""The node's counters, as Prometheus would read them.

Does: asks `/metrics` as an administrator; waits for a counter to rise by what an attack is worth.

Does not: look into the node.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sealcast.node import limits
from sealcast.testing.node_process import Client, Node
from sealcast.testing.waiting import wait_for

from .exchange import ask

ENDED_CONNECTIONS = "sealcast_connections_ended_total"
ENDED_LEGS = "sealcast_legs_ended_total"
REFUSALS = "sealcast_refusals_total"
DROPPED_PACKETS = "sealcast_packets_dropped_total"
DATAGRAMS = "sealcast_udp_datagrams_total"
AGE = "sealcast_relay_numbers_age_seconds"

RISES_WITHIN_S = limits.MEASURE_UNASKED_S + 3.0
"""On a busy machine an answer of the relay seems dear, and the next one is asked for that late."""


class Counters:
    """All counters of one node."""

    def __init__(self, node: Node, admin: Client) -> None:
        self._node = node
        self._admin = admin

    def total(self, name: str, **labels: str) -> int:
        """The sum of a counter's samples that have these labels."""
        return _total(self._samples(), name, labels)

    def total_from_now(self, name: str, **labels: str) -> int:
        """The same, with nothing missing that the relay counted before this call."""
        asked = time.monotonic()

        def seen() -> list[Sample] | None:
            sent = time.monotonic()
            samples = self._samples()
            return samples if sent - asked >= _value(samples, AGE) else None

        fresh = wait_for(seen, what="numbers of the relay from now", timeout_s=RISES_WITHIN_S)
        return _total(fresh, name, labels)

    def by_code(self, name: str) -> dict[str, int]:
        """A counter's sums by code."""
        sums: dict[str, int] = {}
        for sample in self._samples():
            if sample.name == name:
                code = sample.labels["code"]
                sums[code] = sums.get(code, 0) + int(sample.value)
        return sums

    def _samples(self) -> list[Sample]:
        answer = ask(self._node, "GET", "/metrics", client=self._admin)
        assert answer.status == 200, answer
        families = text_string_to_metric_families(answer.body.decode())
        return [sample for family in families for sample in family.samples]

    @contextmanager
    def rise(
        self, name: str, *, by: int = 1, at_least: bool = False, **labels: str
    ) -> Iterator[None]:
        """What happens inside adds `by` to this counter: exactly, unless it is `at_least`."""
        before = self.total_from_now(name, **labels)
        yield
        now = wait_for(
            lambda: total if (total := self.total(name, **labels)) >= before + by else None,
            what=f"{name}{labels} rises by {by} from {before}",
            timeout_s=RISES_WITHIN_S,
            explain=lambda: self.by_code(name),
        )
        assert at_least or now == before + by, f"{name}{labels} rose by {now - before}, not {by}"


def _total(samples: Iterable[Sample], name: str, labels: dict[str, str]) -> int:
    return sum(
        int(sample.value)
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _value(samples: Iterable[Sample], name: str) -> float:
    return next(sample.value for sample in samples if sample.name == name)
