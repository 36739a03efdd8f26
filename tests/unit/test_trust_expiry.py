"""What doors show and trust is told before it ends."""

from __future__ import annotations

import datetime

from structlog.testing import capture_logs
from tests.unit.native_stand_ins import FakeFront

from sealcast.identity import ThrowAwayAuthority
from sealcast.node import config
from sealcast.node.api.door_metrics import DoorMetrics
from sealcast.node.certificate_sources import FixedBundle
from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.doors import OpenDoor, plans
from sealcast.node.state_folder import KeyPair
from sealcast.node.trust_expiry import TOLD_AGAIN, TrustExpiry

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
LIFE = datetime.timedelta(days=30)


class Fixed:
    """A pair that does not change."""

    name = "a test's pair"

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair

    def current(self) -> KeyPair:
        return self._pair

    def look(self, now: datetime.datetime) -> bool:
        return False


def keeper(*authorities: ThrowAwayAuthority) -> DoorKeeper:
    """Of a secure door that trusts these, and shows what the first one issued at `NOW`."""
    issued = authorities[0].issue_server(["node.example"], NOW, LIFE)
    pair = Fixed(KeyPair(issued.chain_pem, issued.key_pem))
    bundle = FixedBundle("a test's", b"".join(known.root_pem for known in authorities))
    plan = next(plan for plan in plans(config.Config()) if plan.name == "secure")
    made = DoorKeeper(FakeFront())
    made.keep([OpenDoor(plan, [], pair, bundle)])
    return made


def warnings(expiry: TrustExpiry, now: datetime.datetime) -> list[tuple[str, str]]:
    with capture_logs() as lines:
        expiry.warn(now)
    return [(line["event"], line["name"]) for line in lines]


def test_an_authority_in_a_bundle_is_told_within_its_last_thirty_days_once_a_day() -> None:
    outside = ThrowAwayAuthority.create("cdn.example", NOW - 340 * DAY)  # it lasts 365
    lasting = ThrowAwayAuthority.create("venue.example", NOW)
    expiry = TrustExpiry(keeper(lasting, outside))
    told = [
        ("an authority that a door trusts ends soon", name)
        for name in ("CN=sealcast throw-away CA cdn.example,O=sealcast",)
    ]
    assert warnings(TrustExpiry(keeper(lasting, outside)), NOW - 6 * DAY) == []
    assert warnings(expiry, NOW) == told
    assert warnings(expiry, NOW + TOLD_AGAIN / 2) == []
    assert warnings(expiry, NOW + TOLD_AGAIN) == told


def test_a_doors_own_certificate_is_told_when_its_renewal_is_overdue() -> None:
    expiry = TrustExpiry(keeper(ThrowAwayAuthority.create("venue.example", NOW)))
    assert warnings(expiry, NOW + LIFE * 2 / 3) == []
    assert [event for event, _ in warnings(expiry, NOW + LIFE * 9 / 10)] == [
        "the certificate of a door ends soon"
    ]


def test_the_ends_are_metrics() -> None:
    authority = ThrowAwayAuthority.create("venue.example", NOW)
    samples = {
        (sample.name, sample.labels.get("authority", "")): sample.value
        for family in DoorMetrics(keeper(authority)).samples()
        for sample in family.samples
    }
    shown = samples["sealcast_door_certificate_expiration_timestamp_seconds", ""]
    assert shown == (NOW + LIFE).timestamp()
    name = "CN=sealcast throw-away CA venue.example,O=sealcast"
    trusted = samples["sealcast_door_authority_expiration_timestamp_seconds", name]
    assert trusted == (NOW + 365 * DAY).timestamp()
    assert samples["sealcast_door_swaps_total", ""] == 0
