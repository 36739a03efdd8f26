"""The doors' certificates and trust bundles in numbers.

Does: says when each ends, in the way of cert-manager (an expiration timestamp, so that what draws
and warns subtracts the time itself), how often doors swapped, and what they refused to swap in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.trust_expiry import TrustExpiry

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class DoorMetrics:
    """Makes these samples."""

    def __init__(self, keeper: DoorKeeper) -> None:
        self._keeper = keeper
        self._expiry = TrustExpiry(keeper)

    def samples(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        shown = GaugeMetricFamily(
            "sealcast_door_certificate_expiration_timestamp_seconds",
            "When the certificate that a door shows ends, in seconds since 1970, by door.",
            labels=["door"],
        )
        trusted = GaugeMetricFamily(
            "sealcast_door_authority_expiration_timestamp_seconds",
            "When an authority in a door's trust bundle ends, in seconds since 1970.",
            labels=["door", "authority", "serial"],
        )
        for each in self._expiry.certificates():
            until = each.not_after.timestamp()
            if each.role == "shown":
                shown.add_metric([each.door], until)
            else:
                trusted.add_metric([each.door, each.name, each.serial], until)
        yield shown
        yield trusted
        swaps = CounterMetricFamily(
            "sealcast_door_swaps",
            "Certificates and trust bundles that were swapped at an open door, by door.",
            labels=["door"],
        )
        for door, number in self._keeper.swaps.items():
            swaps.add_metric([door], number)
        yield swaps
        refusals = CounterMetricFamily(
            "sealcast_door_certificate_refusals",
            "Certificates and trust bundles that a door did not take, by door and code.",
            labels=["door", "code"],
        )
        for (door, code), number in self._keeper.refusals.items():
            refusals.add_metric([door, code], number)
        yield refusals
