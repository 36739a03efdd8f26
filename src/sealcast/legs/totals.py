"""Sums over all legs that there ever were: what counters on a page of metrics show.

Does: adds what the numbers of a leg have grown by since they were last told. A leg that ends takes
nothing along, so no sum ever goes back.

Does not: keep legs. Numbers that may shrink (`lost`, once a retransmission came) have no sum.
"""

from collections import Counter
from dataclasses import dataclass, field

from sealcast.legs.leg import Counters
from sealcast.policy import Role


@dataclass(slots=True)
class Totals:
    """The sums. `packets` and `octets` are by role and direction (`in`, `out`), `drops` by code."""

    packets: Counter[tuple[str, str]] = field(default_factory=Counter)
    octets: Counter[tuple[str, str]] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)

    def add(self, role: Role, before: Counters, after: Counters) -> None:
        """A leg's numbers were `before` and are `after`."""
        for sums, direction, growth in (
            (self.packets, "in", after.packets_in - before.packets_in),
            (self.packets, "out", after.packets_out - before.packets_out),
            (self.octets, "in", after.bytes_in - before.bytes_in),
            (self.octets, "out", after.bytes_out - before.bytes_out),
        ):
            sums[role.value, direction] += max(0, growth)
        for code, number in after.drops.items():
            self.drops[code] += max(0, number - before.drops.get(code, 0))
