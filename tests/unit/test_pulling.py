"""A pull: from an origin's answer to a leg of the relay, what it does when it may not, and that it
does not stop asking.
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.unit.native_stand_ins import FakeIdentity, FakeRelay
from tests.unit.test_whep import AUDIO, answered, video

from sealcast import wire
from sealcast.errors import RemoteError, SealcastError
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Ledger, LegState
from sealcast.node import limits
from sealcast.node.config import Pull
from sealcast.node.pull import Paths, Pulls, pulling
from sealcast.node.pull.origin import Answered, Proved
from sealcast.node.pull.patience import Patience
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Role, load
from sealcast.streams import Hub, HubLimits, Track, TrackShape

STREAM = "venue/stage-1"
DOMAIN = "venue.example"
ORIGIN = Identity(f"spiffe://{DOMAIN}/node/origin", Proof.CERTIFICATE)
US = Identity(f"spiffe://{DOMAIN}/node/edge-1", Proof.CERTIFICATE)
PEER = wire.PeerCertificate(
    san_uris=(ORIGIN.name,), not_before_unix=0, not_after_unix=4_000_000_000, chain=("0:1",)
)


@dataclass
class FakeEnds:
    """What is shown and trusted, without files: `pair` is another one after a renewal."""

    us: Identity = US
    pair: object = None
    roots_pem: bytes = b""
    until: datetime.datetime = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


@dataclass
class FakeSource:
    """What it has, until a test gives it another."""

    has: Any

    def current(self) -> Any:
        return self.has


@dataclass
class FakeSources:
    """Where they come from."""

    pair: FakeSource = field(default_factory=lambda: FakeSource("first"))
    bundle: FakeSource = field(default_factory=lambda: FakeSource(b"roots"))

    def look(self, now: datetime.datetime) -> None: ...

    def now(self) -> FakeEnds:
        return FakeEnds(pair=self.pair.has, roots_pem=self.bundle.has)


@dataclass
class FakeOrigin:
    """An origin that has these tracks, or refuses."""

    tracks: tuple[Track, ...] = (video(), AUDIO)
    refusal: SealcastError | None = None
    path: str | None = None
    asked: int = 0
    renewed: list[object] = field(default_factory=list)
    left: int = 0
    address: str = "https://origin.example:8444"
    peer: wire.PeerCertificate = PEER

    def ask(self, stream: str, offer: str, ends: Any, our_name: str) -> Answered:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        answer = answered(offer, *self.tracks)
        return Answered(answer.answer_sdp, "/sessions/1", self.path, self._proved())

    def renew(self, answered: Answered, ends: Any) -> Proved:
        if self.refusal is not None:
            raise self.refusal
        self.renewed.append(ends.pair)
        return self._proved()

    def leave(self, answered: Answered, ends: Any) -> None:
        self.left += 1

    def _proved(self) -> Proved:
        return Proved(ORIGIN, wire.TlsFacts(version="1.3", peer=self.peer))


class Edge:
    """A node that takes one stream from a stand-in."""

    def __init__(self, origin: FakeOrigin) -> None:
        self.origin = origin
        self.sources = FakeSources()
        self.relay = FakeRelay()
        self.board = Switchboard(self.relay, Hub(HubLimits()), Ledger())
        self.pulls = Pulls(
            self.board,
            policy=load("standard"),
            make_identity=FakeIdentity,
            paths=Paths(),
            trust_domain=DOMAIN,
        )

    def told(self) -> dict[str, Any]:
        (told,) = self.pulls.to_json()
        return told

    def code(self) -> str | None:
        why = self.told()["why"]
        return None if why is None else why["code"]

    def hear(self, *events: dict[str, Any]) -> None:
        self.board.take_in(json.dumps(events).encode())

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)


Check = Callable[[Edge], Awaitable[None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeOrigin, Check], None]:
    """Runs a check beside a pull; no test waits for the pull's patience at its full length."""
    for name in ("PULL_AGAIN_S", "PULL_ABSENT_AGAIN_S", "PULL_LOOK_S", "PULL_STEADY_S"):
        monkeypatch.setattr(limits, name, 0.01)
    monkeypatch.setattr(limits, "PULL_AGAIN_MOST_S", 0.05)

    def run(origin: FakeOrigin, check: Check) -> None:
        monkeypatch.setattr(pulling, "Origin", lambda *_: origin)

        async def once() -> None:
            edge = Edge(origin)
            settings = Pull(stream=STREAM, from_="https://origin.example:8444")
            edge.pulls.begin([(settings, edge.sources)])  # type: ignore[list-item]
            try:
                await check(edge)
            finally:
                edge.pulls.stop()

        asyncio.run(once())

    return run


Run = Callable[[FakeOrigin, Check], None]


def test_what_the_origin_answered_becomes_a_leg_that_asks_and_can_ask_again(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.relay.named("add_leg"))
        ((_, spec),) = edge.relay.named("add_leg")
        assert (spec["side"], spec["dtls"]["role"]) == ("client", "active")
        assert spec["own_binds"]
        assert spec["ice"]["remote_candidates"]
        picture, sound = spec["receive"]
        # What is lost on the way is asked for again, and a key frame for viewers here.
        assert picture["nack"] is True
        assert picture["pli"] is True
        assert picture["rtx_payload_type"] is not None
        assert (sound["codec"], sound["clock_rate"]) == ("opus", 48_000)
        leg = edge.board.ledger.get(spec["id"])
        assert leg is not None
        assert (leg.role, leg.way, leg.local, leg.peer) == (Role.NODE, "pull", US, ORIGIN)
        stream = edge.board.hub.get(STREAM)
        assert stream is not None
        assert stream.publisher is not None
        assert stream.publisher.identity == ORIGIN
        assert {track.shape.profile_level_id for track in stream.tracks} == {"42c01f", None}

    run(FakeOrigin(), check)


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
def test_every_codec_passes_as_it_is(run: Run, codec: wire.CodecName) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.relay.named("add_leg"))
        assert ("add_track", 1, "video", codec, 90_000) in edge.relay.calls
        assert [track.codec for track in edge.board.hub.watchable(STREAM)] == [codec]

    run(FakeOrigin((video(codec),)), check)


def test_a_refusal_is_counted_each_time_and_said_and_listed_once(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.origin.asked >= 4)
        assert edge.code() == "IDENTITY.NOT_ALLOWED"
        assert edge.board.refused[Role.NODE.value, "IDENTITY.NOT_ALLOWED"] >= 3
        listed = list(edge.board.ledger)
        assert [(leg.code, leg.role, leg.state) for leg in listed] == [
            ("IDENTITY.NOT_ALLOWED", Role.NODE, LegState.FAILED)
        ]

    refusal = RemoteError("IDENTITY.NOT_ALLOWED", "It may not.")
    with capture_logs() as lines:
        run(FakeOrigin(refusal=refusal), check)
    assert len([line for line in lines if line["event"] == "pull refused"]) == 1


def test_a_stream_with_b_frames_is_refused_here_by_the_origins_own_code(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.code() == "STREAM.B_FRAMES")

    run(FakeOrigin(refusal=RemoteError("STREAM.B_FRAMES", "")), check)


def test_an_answer_that_leads_in_a_circle_is_taken_back(run: Run) -> None:
    async def check(edge: Edge) -> None:
        edge.origin.path = edge.pulls.paths.own
        await edge.until(lambda: edge.code() == "PULL.LOOP")
        await edge.until(lambda: edge.origin.left)
        assert not edge.relay.named("add_leg")
        assert edge.board.hub.get(STREAM) is None

    run(FakeOrigin(), check)


def test_a_leg_that_the_relay_does_not_take_leaves_nothing_behind(run: Run) -> None:
    async def check(edge: Edge) -> None:
        edge.relay.refuse = "RELAY.BUSY"
        await edge.until(lambda: edge.code() == "RELAY.BUSY")
        assert edge.origin.left
        known = edge.board.hub.get(STREAM)
        assert known is None or known.publisher is None
        edge.relay.refuse = None
        await edge.until(lambda: edge.relay.named("add_leg"))

    run(FakeOrigin(), check)


def test_an_encoder_here_has_the_stream_and_the_origin_is_not_asked(run: Run) -> None:
    async def check(edge: Edge) -> None:
        shapes = [TrackShape("audio", "opus", 48_000, 2)]
        encoder = Identity(f"spiffe://{DOMAIN}/encoder/here", Proof.CERTIFICATE)
        edge.board.hub.publish(
            STREAM, leg=77, identity=encoder, way="mpegts", shapes=shapes, proved=True
        )
        await edge.until(lambda: edge.code() == "STREAM.TAKEN")
        asked = edge.origin.asked
        await edge.until(lambda: edge.told()["tries"] >= 4)
        assert edge.origin.asked == asked
        edge.board.hub.leave(77, 0.0)
        await edge.until(lambda: edge.relay.named("add_leg"))

    run(FakeOrigin(), check)


def test_a_leg_that_ended_is_asked_for_again(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.relay.named("add_leg"))
        ((_, first),) = edge.relay.named("add_leg")
        edge.hear({"type": "leg_closed", "leg": first["id"], "code": "ICE.CONSENT_LOST"})
        await edge.until(lambda: len(edge.relay.named("add_leg")) == 2)
        assert edge.code() == "ICE.CONSENT_LOST"

    run(FakeOrigin(), check)


def test_a_newer_certificate_is_shown_and_the_leg_goes_on(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.told()["leg"])
        edge.sources.pair.has = "second"
        await edge.until(lambda: edge.told()["renewals"] == 1)
        assert edge.origin.renewed == ["second"]
        edge.sources.pair.has = "third"
        await edge.until(lambda: edge.told()["renewals"] == 2)
        assert edge.origin.renewed == ["second", "third"]
        assert len(edge.relay.named("add_leg")) == 1

    run(FakeOrigin(), check)


def test_a_renewal_that_is_refused_is_tried_again_and_the_leg_stays(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.told()["leg"])
        leg = edge.told()["leg"]
        edge.origin.refusal = RemoteError("TLS.SERVER_UNREACHABLE", "")
        edge.sources.pair.has = "second"
        refused = edge.board.refused
        await edge.until(lambda: refused[Role.NODE.value, "TLS.SERVER_UNREACHABLE"] >= 2)
        assert edge.origin.renewed == []
        edge.origin.refusal = None
        await edge.until(lambda: edge.origin.renewed)
        assert edge.told()["leg"] == leg

    run(FakeOrigin(), check)


def test_a_leg_ends_when_the_authority_of_its_origin_is_taken_away(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.told()["leg"])
        leg = edge.told()["leg"]
        # The same refusal without news of the bundle ends nothing: the origin's certificate holds.
        edge.origin.refusal = RemoteError("TLS.SERVER_UNKNOWN_CA", "")
        edge.sources.pair.has = "second"
        refused = edge.board.refused
        await edge.until(lambda: refused[Role.NODE.value, "TLS.SERVER_UNKNOWN_CA"] >= 1)
        assert edge.told()["leg"] == leg
        edge.sources.bundle.has = b"other roots"
        await edge.until(lambda: edge.told()["leg"] is None)
        over = edge.board.ledger.get(leg)
        assert over is not None
        assert over.code == "IDENTITY.NO_LONGER_TRUSTED"

    run(FakeOrigin(), check)


def test_a_leg_ends_with_the_certificate_of_its_origin(run: Run) -> None:
    async def check(edge: Edge) -> None:
        await edge.until(lambda: edge.relay.named("add_leg"))
        ((_, spec),) = edge.relay.named("add_leg")
        edge.board.certified.set_revoked({"0:1": "keyCompromise"})
        over = edge.board.ledger.get(spec["id"])
        assert over is not None
        assert over.code == "IDENTITY.REVOKED"

    run(FakeOrigin(), check)


def test_patience_grows_to_a_bound_and_no_two_edges_ask_together() -> None:
    late, early = Patience(chance=lambda: 1.0), Patience(chance=lambda: 0.0)
    waits = [(early.next(30.0), late.next(30.0)) for _ in range(9)]
    assert waits[0] == (0.25, 0.75)
    assert waits[-1] == (15.0, 45.0)
    assert early.next(2.0) == 1.0
    early.begin_anew()
    assert early.next(30.0) == 0.25
