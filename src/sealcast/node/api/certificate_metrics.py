"""The ends of certificates in numbers, named as cert-manager names them, so that its alerts fit.

Does: one sample for each identity of the node's own authority and for the authority itself. Does
not: keep expired ones longer than `identity due` shows them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sealcast.identity.due import Lasting, everything
from sealcast.identity.reserve import RESERVE_BYTES

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

    from sealcast.identity.authority import Authority


def read(authority: Authority, now: datetime.datetime) -> list[Lasting]:
    """What there are samples of. It reads the store, which blocks."""
    return [
        one
        for one in everything(authority, now)
        if one.left_s(now) > 0 or one.is_due(datetime.timedelta(seconds=one.warn_s), now)
    ]


def reserve(have: int) -> GaugeMetricFamily:
    """How much of the disk is kept for revocations."""
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(
        "sealcast_identity_reserve_bytes",
        f"Room that the authority keeps for revocations on a full disk; {RESERVE_BYTES} is whole.",
        value=have,
    )


def samples(lasting: list[Lasting]) -> Iterator[GaugeMetricFamily]:
    """`certmanager_certificate_…_timestamp_seconds` with our own prefix."""
    from prometheus_client.core import GaugeMetricFamily

    labels = ["name", "side", "kind"]
    ends = GaugeMetricFamily(
        "sealcast_certificate_expiration_timestamp_seconds",
        "When the newest certificate of an identity or authority expires, in seconds since 1970.",
        labels=labels,
    )
    renewals = GaugeMetricFamily(
        "sealcast_certificate_renewal_timestamp_seconds",
        "When its holder should renew it, in seconds since 1970.",
        labels=labels,
    )
    for one in lasting:
        values = [one.name, one.side, one.kind]
        ends.add_metric(values, one.not_after_unix)
        if one.renew_unix is not None:
            renewals.add_metric(values, one.renew_unix)
    yield ends
    yield renewals
