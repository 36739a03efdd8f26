"""What was opened with a certificate ends with it: when it is revoked, and when it has expired."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.application import H264, STREAM, Node, behind_the_gate, offer
from tests.unit.native_stand_ins import ENCODER, ISSUER, VIEWER, FakeFront, FakeRelay, revocation_id
from tests.unit.test_api_ts_ingest import Door, at_the_door

from sealcast.errors import LocalError
from sealcast.identity import Verb
from sealcast.identity.revocation import Revoked
from sealcast.keying.agreement import Proof
from sealcast.legs import Ledger, LegState
from sealcast.node.certified import ANNOUNCED_S, Certified, Key, Verdict
from sealcast.node.revocation_watch import RevocationWatch
from sealcast.node.switchboard import Switchboard
from sealcast.node.trusted_roots import TrustedRoots
from sealcast.policy import load
from sealcast.streams import Hub
from sealcast.wire import PeerCertificate

LEG: Key = ("leg", 1)
BEGIN, END = 1000, 1600
CERTIFICATE = PeerCertificate(
    not_before_unix=BEGIN, not_after_unix=END, chain=("aa:1", "bb:2"), san_uris=("spiffe://x/y",)
)


@dataclass
class Bench:
    """A leg that stands on `CERTIFICATE`, and what became of it."""

    certified: Certified = field(default_factory=Certified)
    verdicts: list[Verdict] = field(default_factory=list)

    def stand(self, grace_s: float = 0, certificate: PeerCertificate | None = CERTIFICATE) -> None:
        self.certified.add(
            ("leg", 1),
            certificate,
            door="secure",
            grace_s=grace_s,
            end=self.verdicts.append,
            about={"leg": 1, "stream": "venue/stage-1"},
        )

    def codes(self) -> list[str]:
        return [verdict.code for verdict in self.verdicts]


@pytest.mark.parametrize("revoked", ["aa:1", "bb:2"], ids=["its own", "its issuer's"])
def test_a_leg_ends_when_its_certificate_or_its_issuers_is_revoked(revoked: str) -> None:
    bench = Bench()
    bench.stand()
    (ended,) = bench.certified.set_revoked({revoked: "keyCompromise"})
    assert (ended.key, ended.reason) == (LEG, "keyCompromise")
    assert bench.codes() == ["IDENTITY.REVOKED"]
    assert "keyCompromise" in bench.verdicts[0].detail
    assert not bench.verdicts[0].expected_back
    assert bench.certified.set_revoked({revoked: "keyCompromise"}) == [], "it ended once"


def test_another_certificate_changes_nothing() -> None:
    bench = Bench()
    bench.stand()
    assert bench.certified.set_revoked({"aa:2": "unspecified", "bb:1": "unspecified"}) == []
    assert bench.codes() == []


def test_whoever_was_replaced_is_expected_back() -> None:
    bench = Bench()
    bench.stand()
    bench.certified.set_revoked({"aa:1": "superseded"})
    assert bench.verdicts[0].expected_back


def test_what_is_opened_after_the_news_ends_as_it_opens() -> None:
    bench = Bench()
    bench.certified.set_revoked({"aa:1": "unspecified"})
    bench.stand()
    assert bench.codes() == ["IDENTITY.REVOKED"]
    bench.certified.tick(END + 1)
    assert bench.codes() == ["IDENTITY.REVOKED"]


@pytest.mark.parametrize("grace_s", [0, 60])
def test_a_leg_ends_at_its_end_plus_the_grace_and_not_before(grace_s: int) -> None:
    bench = Bench()
    bench.stand(grace_s)
    bench.certified.tick(END + grace_s - 1)
    assert bench.codes() == []
    bench.certified.tick(END + grace_s)
    assert bench.codes() == ["IDENTITY.EXPIRED"]
    assert ("60 s beyond" in bench.verdicts[0].detail) == bool(grace_s)


def test_the_presets_state_the_grace() -> None:
    graces = {
        name: load(name).identities.expired_grace_s for name in ("strict", "standard", "compatible")
    }
    assert graces == {"strict": 0, "standard": 60, "compatible": 60}


def test_the_end_is_announced_once_in_the_last_sixth_of_the_life() -> None:
    bench = Bench()
    bench.stand()
    with capture_logs() as before:
        bench.certified.tick(END - 101)
    assert before == []
    with capture_logs() as lines:
        bench.certified.tick(END - 100)
        bench.certified.tick(END - 99)
    assert [(line["log_level"], line["leg"], line["stream"]) for line in lines] == [
        ("warning", 1, "venue/stage-1")
    ]
    assert lines[0]["until"] == "1970-01-01 00:26:40Z"


def test_the_end_of_a_long_life_is_announced_a_day_before() -> None:
    bench, year = Bench(), 365 * 24 * 3600
    bench.stand(certificate=PeerCertificate(not_before_unix=0, not_after_unix=year))
    with capture_logs() as lines:
        bench.certified.tick(year - ANNOUNCED_S - 1)
        assert lines == []
        bench.certified.tick(year - ANNOUNCED_S)
        assert len(lines) == 1


def test_a_clock_that_jumps_over_the_end_ends_it_and_one_that_jumps_back_does_not() -> None:
    day = 24 * 3600
    bench = Bench()
    bench.stand()
    bench.certified.tick(END - day)
    assert bench.codes() == []
    bench.certified.tick(END + day)
    assert bench.codes() == ["IDENTITY.EXPIRED"]


def test_what_ended_in_another_way_is_left_alone() -> None:
    bench = Bench()
    bench.stand()
    bench.certified.remove(LEG)
    bench.certified.tick(END + 1)
    assert bench.certified.set_revoked({"aa:1": "unspecified"}) == []
    assert bench.codes() == []


def test_who_comes_and_goes_leaves_nothing_behind() -> None:
    """A certificate lasts for months; whoever reads the metrics connects every few seconds."""
    bench = Bench()
    bench.stand()
    for number in range(10_000):
        key: Key = ("connection", number)
        bench.certified.add(
            *(key, CERTIFICATE),
            door="secure",
            grace_s=0,
            end=bench.verdicts.append,
            about={"connection": number},
        )
        bench.certified.remove(key)
    assert len(bench.certified._agenda) < 100
    bench.certified.tick(END)
    assert bench.codes() == ["IDENTITY.EXPIRED"], "the leg's own entry is still there"


def test_a_leg_without_a_certificate_has_no_such_end() -> None:
    bench = Bench()
    bench.stand(certificate=None)
    bench.certified.tick(1e12)
    assert bench.codes() == []


@pytest.mark.parametrize("how", ["revoked", "trusted no more", "expired"])
def test_one_that_cannot_be_ended_does_not_keep_the_others(how: str) -> None:
    bench = Bench()

    def broken(_: Verdict) -> None:
        raise RuntimeError("as a test asked")

    for number in range(2, 52):
        key: Key = ("leg", number)
        bench.certified.add(
            *(key, BELOW),
            door="secure",
            grace_s=0,
            end=broken if number % 2 else bench.verdicts.append,
            about={},
        )
    with capture_logs() as lines:
        if how == "revoked":
            bench.certified.set_revoked({"aa:1": "unspecified"})
        elif how == "expired":
            bench.certified.tick(END)
        else:
            bench.certified.set_trusted({"secure": OTHERS})
    assert len(bench.codes()) == 25
    assert sum(line["log_level"] == "error" for line in lines) == 25


# ---- whom a door trusts no more ---------------------------------------------------------------

ROOT = "AB:CD"
BELOW = msgspec.structs.replace(CERTIFICATE, root_sha256=ROOT)
BUNDLE = TrustedRoots(frozenset({ROOT, "EF:01"}), frozenset({"bb", "ff"}))
OTHERS = TrustedRoots(frozenset({"EF:01"}), frozenset({"ff"}))


def test_a_leg_ends_when_its_door_trusts_its_root_no_more() -> None:
    bench = Bench()
    bench.stand(certificate=BELOW)
    assert bench.certified.set_trusted({"secure": BUNDLE}) == []
    assert bench.certified.set_trusted({"secure": OTHERS}) == [LEG]
    assert bench.codes() == ["IDENTITY.NO_LONGER_TRUSTED"]
    assert ROOT in bench.verdicts[0].detail
    assert "secure" in bench.verdicts[0].detail
    assert bench.verdicts[0].expected_back, "with a certificate of another authority"
    assert bench.certified.set_trusted({"secure": OTHERS}) == [], "it ended once"


def test_what_another_door_trusts_ends_nothing_here() -> None:
    bench = Bench()
    bench.stand(certificate=BELOW)
    assert bench.certified.set_trusted({"ingest-ts": OTHERS}) == []
    assert bench.codes() == []


def test_a_root_that_was_issued_anew_with_its_key_ends_nothing() -> None:
    bench = Bench()
    bench.stand(certificate=BELOW)
    renewed = TrustedRoots(frozenset({"99:99"}), frozenset({"bb"}))
    assert bench.certified.set_trusted({"secure": renewed}) == []
    assert bench.codes() == []


def test_whoever_was_verified_before_the_bundle_changed_ends_as_it_opens() -> None:
    bench = Bench()
    bench.certified.set_trusted({"secure": OTHERS})
    bench.stand(certificate=BELOW)
    assert bench.codes() == ["IDENTITY.NO_LONGER_TRUSTED"]
    bench.certified.tick(END + 1)
    assert bench.codes() == ["IDENTITY.NO_LONGER_TRUSTED"]


# ---- in the node -------------------------------------------------------------------------------


@dataclass
class Told:
    """A list of the revoked that says what a test has it say."""

    news: list[tuple[Revoked, ...] | Exception | None]

    def poll(self) -> tuple[Revoked, ...] | None:
        said = self.news.pop(0) if self.news else None
        if isinstance(said, Exception):
            raise said
        return said

    def close(self) -> None: ...


def revoked(path: str, reason: str = "keyCompromise") -> Revoked:
    key, serial = revocation_id(path).split(":")
    return Revoked(key, serial, path, reason, 1)


def issuer() -> Revoked:
    key, serial = ISSUER.split(":")
    return Revoked(key, serial, "the issuing authority", "cACompromise", 1)


async def hear(node: Any, *news: Revoked) -> FakeFront:
    front: FakeFront = node.front
    watch = RevocationWatch(Told([news]), front, node.board)
    await watch.round()
    await watch.stop()
    return front


@at_the_door
async def test_a_revoked_encoder_and_its_connection_end(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    door.connect(2, "encoder/venue-2")
    front = await hear(door, revoked("encoder/venue-1"))
    assert front.closed == [(1, "IDENTITY.REVOKED")]
    assert front.revoked == [revocation_id("encoder/venue-1")]
    over = next(leg for leg in door.legs() if leg.over)
    assert (over.code, over.stage.value) == ("IDENTITY.REVOKED", "identity")
    assert over.detail == "Revoked: keyCompromise."
    assert len(door.board.ledger.living()) == 1


@at_the_door
async def test_everyone_of_a_revoked_authority_ends(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    door.connect(2, "encoder/venue-2")
    front = await hear(door, issuer())
    assert {code for _connection, code in front.closed} == {"IDENTITY.REVOKED"}
    assert door.board.ledger.living() == []


@at_the_door
async def test_an_encoder_that_came_in_beside_the_news_ends_as_well(door: Door) -> None:
    """Its handshake looked at the set before; the door's event comes after the news."""
    await hear(door, revoked("encoder/venue-1"))
    door.connect(1, "encoder/venue-1")
    assert door.front.closed == [(1, "IDENTITY.REVOKED")]


@behind_the_gate
async def test_sessions_that_a_certificate_opened_end_with_it(node: Node) -> None:
    leg = await publish(node)
    await hear(node, revoked("encoder/venue-1"))
    known = node.board.ledger.get(leg)
    assert known is not None
    assert known.code == "IDENTITY.REVOKED"
    assert node.relay.named("close_leg") == [("close_leg", leg, "IDENTITY.REVOKED")]


@behind_the_gate
async def test_sessions_end_with_their_root_by_certificate_and_not_by_token(node: Node) -> None:
    leg, token = await publish(node), node.token(Verb.WATCH)
    assert (await node.watch(token=token)).status_code == 201
    by_certificate = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=VIEWER)
    assert by_certificate.status_code == 201
    ended = node.board.certified.set_trusted({"secure": OTHERS})
    assert len(ended) == 2
    known = node.board.ledger.get(leg)
    assert known is not None
    assert known.code == "IDENTITY.NO_LONGER_TRUSTED"
    [left] = node.board.ledger.living()
    assert left.peer.proof is Proof.TOKEN


@at_the_door
async def test_an_encoder_of_an_authority_that_was_taken_away_ends(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    assert door.board.certified.set_trusted({"ingest-ts": OTHERS}) == [("leg", 1)]
    assert door.front.closed == [(1, "IDENTITY.NO_LONGER_TRUSTED")]
    (over,) = door.legs()
    assert over.stage.value == "identity"


@behind_the_gate
async def test_a_session_that_a_token_opened_does_not_end_with_the_connections_certificate(
    node: Node,
) -> None:
    await node.publish(connection=ENCODER)
    await hear(node, revoked("encoder/venue-1"))
    assert len(node.board.ledger.living()) == 1


async def publish(node: Node) -> int:
    """A publisher of `STREAM`, known by its certificate, whose media flows; its leg."""
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), connection=ENCODER)
    assert answer.status_code == 201, answer.text
    [leg] = node.board.ledger.living()
    stream = node.board.hub.get(STREAM)
    assert stream is not None
    for track in stream.tracks:
        node.board.hub.describe(track.id, profile_level_id=H264)
        node.board.hub.went_live(track.id, leg.id)
    return leg.id


@behind_the_gate
async def test_viewers_of_a_revoked_publisher_are_told_why_and_do_not_wait(node: Node) -> None:
    publisher, token = await publish(node), node.token(Verb.WATCH)
    watching = await node.watch(token=token)
    assert watching.status_code == 201, watching.text
    [viewer] = [leg for leg in node.board.ledger.living() if leg.id != publisher]
    await hear(node, revoked("encoder/venue-1"))
    told = node.board.ledger.get(viewer.id)
    assert told is not None
    assert (told.code, told.state) == ("STREAM.PUBLISHER_REVOKED", LegState.FAILED)
    asked = await node.ask("GET", f"{watching.headers['location']}/leg", token=token)
    assert asked.json()["end"]["code"] == "STREAM.PUBLISHER_REVOKED"


@behind_the_gate
async def test_viewers_of_a_publisher_that_was_replaced_wait_for_it(node: Node) -> None:
    await publish(node)
    await node.watch()
    await hear(node, revoked("encoder/venue-1", reason="superseded"))
    assert len(node.board.ledger.living()) == 1
    stream = node.board.hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is None


@behind_the_gate
async def test_a_viewer_with_a_revoked_certificate_ends_and_the_others_stay(node: Node) -> None:
    publisher = await publish(node)
    by_certificate = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=VIEWER)
    assert by_certificate.status_code == 201, by_certificate.text
    [first] = [leg for leg in node.board.ledger.living() if leg.id != publisher]
    await node.watch()
    await hear(node, revoked("viewer/vera"))
    ended = node.board.ledger.get(first.id)
    assert ended is not None
    assert ended.code == "IDENTITY.REVOKED"
    assert len(node.board.ledger.living()) == 2


@behind_the_gate
async def test_fifty_legs_of_one_name_end_together_and_nobody_elses(node: Node) -> None:
    publisher = await publish(node)
    for _ in range(50):
        answer = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=VIEWER)
        assert answer.status_code == 201, answer.text
    await node.watch()
    assert len(node.board.ledger.living()) == 52
    await hear(node, revoked("viewer/vera"))
    left = node.board.ledger.living()
    assert len(left) == 2
    assert publisher in {leg.id for leg in left}
    codes = [call[2] for call in node.relay.named("close_leg")]
    assert codes == ["IDENTITY.REVOKED"] * 50


@behind_the_gate
async def test_doors_that_could_not_be_told_are_told_again(node: Node) -> None:
    told: list[list[str]] = []

    class Stubborn(FakeFront):
        def set_revoked(self, revoked: list[str]) -> int:
            told.append(revoked)
            if len(told) < 3:
                raise RuntimeError("as a test asked")
            return 0

    watch = RevocationWatch(Told([(revoked("encoder/venue-1"),)]), Stubborn(), node.board)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await watch.try_round()
    for _ in range(2):
        await watch.try_round()
    await watch.stop()
    assert told == [[revocation_id("encoder/venue-1")]] * 3


@behind_the_gate
async def test_news_come_however_many_requests_wait_for_the_store(node: Node) -> None:
    """Every thread of those that requests share is taken until the news have come."""
    come = threading.Event()
    waiting = [asyncio.to_thread(come.wait, 20) for _ in range(64)]
    requests = asyncio.gather(*waiting)
    await asyncio.sleep(0)
    front = await hear(node, revoked("encoder/venue-1"))
    assert front.revoked
    assert not requests.done()
    come.set()
    assert all(await requests)


@behind_the_gate
async def test_a_store_that_cannot_be_read_is_said_once_and_what_was_known_stays(
    node: Node,
) -> None:
    damaged = LocalError("IDENTITY.STORE_DAMAGED", "as a test asked")
    known = revoked("encoder/venue-1")
    watch = RevocationWatch(
        Told([(known,), damaged, damaged, None, (known, issuer())]), node.front, node.board
    )
    with capture_logs() as lines:
        for _ in range(5):
            await watch.try_round()
            assert revocation_id("encoder/venue-1") in node.front.revoked
    warned = [line["code"] for line in lines if line["log_level"] == "warning"]
    assert warned == ["IDENTITY.STORE_DAMAGED"]
    assert node.front.revoked == [revocation_id("encoder/venue-1"), ISSUER]


def test_the_first_answer_is_waited_for_and_its_failure_is_the_callers() -> None:
    """A node opens no door before it knows whom not to let in."""
    locked = LocalError("IDENTITY.STORE_LOCKED", "as a test asked")
    board = Switchboard(FakeRelay(), Hub(), Ledger())
    with pytest.raises(LocalError) as refused:
        asyncio.run(RevocationWatch(Told([locked]), FakeFront(), board).round())
    assert refused.value.code == "IDENTITY.STORE_LOCKED"


def test_a_leg_that_stands_on_a_newer_certificate_ends_with_that_one_alone() -> None:
    bench = Bench()
    newer = msgspec.structs.replace(CERTIFICATE, not_after_unix=END + 600, chain=("aa:3", "bb:2"))
    bench.stand()
    bench.stand(certificate=newer)
    bench.certified.tick(END + 1)
    assert bench.verdicts == []
    bench.certified.set_revoked({"aa:1": "superseded"})
    assert bench.verdicts == []
    bench.certified.set_revoked({"aa:3": "keyCompromise"})
    assert bench.codes() == ["IDENTITY.REVOKED"]


def test_a_leg_that_was_shown_a_newer_certificate_ends_when_that_has_expired() -> None:
    bench = Bench()
    bench.stand()
    bench.stand(certificate=msgspec.structs.replace(CERTIFICATE, not_after_unix=END + 600))
    with capture_logs() as lines:
        bench.certified.tick(END - 1)
        assert lines == [], "the end that was put off is not announced"
        bench.certified.tick(END + 599)
    assert len(lines) == 1
    bench.certified.tick(END + 600)
    assert bench.codes() == ["IDENTITY.EXPIRED"]
