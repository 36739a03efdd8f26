"""Encoders on the ingest door: who is admitted, what becomes of their streams."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from tests.unit.native_stand_ins import FakeFront, FakeRelay, tls_facts
from tests.unit.transport_streams import transport_stream

from sealcast.errors import LocalError, RemoteError
from sealcast.identity import TokenKey, TokenVerifier
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Ledger, Leg, LegState, Stage
from sealcast.node import config
from sealcast.node.permission import Permissions
from sealcast.node.switchboard import Switchboard
from sealcast.node.ts_ingest import TsIngest
from sealcast.policy import load
from sealcast.streams import Hub
from sealcast.wire import ConnectionClosed, ConnectionOpened

CONFIG = """
[ingest.ts.streams]
"encoder/venue-1" = "venue/stage-1"
"encoder/spare" = "venue/stage-1"
[streams.guarded]
publishers = ["spiffe://sealcast.internal/encoder/other"]
"""


class Door:
    """The ingest door with everything behind it that is not native."""

    def __init__(self, policy: str = "standard") -> None:
        self.relay = FakeRelay()
        self.front = FakeFront()
        self.board = Switchboard(self.relay, Hub(), Ledger())
        permissions = Permissions(config.loads(CONFIG), TokenVerifier(TokenKey.generate()))
        self.ingest = TsIngest(
            self.board,
            self.front,
            permissions,
            load(policy),
            local=Identity("localhost", Proof.CERTIFICATE),
        )

    def connect(self, connection: int, path: str | None, version: str = "1.3") -> None:
        told = {
            "type": "connection_opened",
            "door": "ingest-ts",
            "connection": connection,
            "peer": "192.0.2.9:40000",
            "facts": tls_facts(path, version),
            "timing": {"accepted_unix_ms": 1, "queued_ms": 0.5, "handshake_ms": 3.5},
        }
        self.ingest.opened(msgspec.json.decode(json.dumps(told), type=ConnectionOpened))

    async def send(
        self, connection: int, data: bytes, last_word: str = "TLS.PEER_CLOSED", detail: str = ""
    ) -> None:
        """All of an encoder's stream, then its end; waits until the leg is over."""
        encoder = self.front.pairs[connection]
        await asyncio.to_thread(encoder.sendall, data)
        encoder.close()
        self.front_closed(connection, last_word, detail, len(data))
        await self.until(lambda: not self.board.ledger.living())

    def front_closed(self, connection: int, code: str, detail: str = "", came: int = 0) -> None:
        """The front's last word on a connection, as the supervisor hands it on."""
        event = ConnectionClosed(connection=connection, code=code, detail=detail, bytes_in=came)
        self.board.ledger.apply(event, time.time())
        self.ingest.closed(event)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - what is waited for is not ours to signal
                await asyncio.sleep(0.01)

    def legs(self) -> list[Leg]:
        return list(self.board.ledger)


def at_the_door(check: Callable[[Door], Awaitable[None]]) -> Callable[[], None]:
    """A test in an event loop of its own."""

    def run() -> None:
        async def once() -> None:
            door = Door()
            await check(door)
            door.board.end_all("NODE.STOPPING")
            await asyncio.to_thread(door.ingest.join, 5.0)
            for encoder in door.front.pairs.values():
                encoder.close()

        asyncio.run(once())

    run.__name__ = check.__name__
    return run


@at_the_door
async def test_an_encoders_stream_comes_from_its_certificates_name(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    [leg] = door.board.ledger.living()
    assert leg.stream == "venue/stage-1"
    assert leg.peer.name == "spiffe://sealcast.internal/encoder/venue-1"
    assert leg.seal is not None
    assert leg.seal.version == "1.3"
    door.connect(2, "encoder/unlisted")
    assert door.board.ledger.living()[-1].stream == "unlisted"


@at_the_door
async def test_picture_and_sound_go_into_the_sinks_of_their_tracks(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await door.send(1, transport_stream(seconds=1))
    tracks = {call[2]: call[1] for call in door.relay.named("add_track")}
    assert door.relay.sinks[tracks["video"]].frames == 30
    assert door.relay.sinks[tracks["audio"]].frames > 40
    [leg] = door.legs()
    assert (leg.state, leg.code) == (LegState.ENDED, "STREAM.ENDED")
    assert leg.counters.packets_in > 10
    assert door.front.closed == [(1, "STREAM.ENDED")]


@at_the_door
async def test_viewers_can_be_offered_the_stream_once_its_parameter_sets_came(door: Door) -> None:
    with pytest.raises(RemoteError, match=r"STREAM\.ABSENT"):
        await door.board.watchable("venue/stage-1", 0)
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=2))
    # The demuxer needs a moment to know what it has; a viewer would ask again meanwhile.
    await door.until(lambda: door.board.hub.get("venue/stage-1") is not None)
    video, audio = await door.board.watchable("venue/stage-1", 2.0)
    assert video.shape.profile_level_id is not None
    assert audio.codec == "opus"


@at_the_door
async def test_b_frames_are_noted_and_refused_to_webrtc_viewers(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=2, b_frames=2))
    await door.until(lambda: door.board.hub.get("venue/stage-1") is not None)
    with pytest.raises(RemoteError, match=r"STREAM\.B_FRAMES"):
        await door.board.watchable("venue/stage-1", 2.0)
    [leg] = door.board.ledger.living()
    assert [note.code for note in leg.notes] == ["STREAM.B_FRAMES"]


@at_the_door
async def test_a_certificate_that_is_no_encoders_is_refused_and_listed(door: Door) -> None:
    door.connect(1, "viewer/vera")
    door.connect(2, "encoder/guarded")
    assert [code for _, code in door.front.closed] == [
        "TS.UNKNOWN_IDENTITY",
        "IDENTITY.NOT_ALLOWED",
    ]
    assert {leg.code for leg in door.legs()} == {"TS.UNKNOWN_IDENTITY", "IDENTITY.NOT_ALLOWED"}
    assert door.board.refused == Counter(
        {("ingest", "TS.UNKNOWN_IDENTITY"): 1, ("ingest", "IDENTITY.NOT_ALLOWED"): 1}
    )
    assert all(leg.state is LegState.FAILED for leg in door.legs())
    assert not door.front.pairs, "nothing of theirs was read"


@at_the_door
async def test_policy_looks_at_the_profile_again_where_the_rules_say_too_much(door: Door) -> None:
    class TooMuch(Permissions):
        """As if a rule let anybody publish."""

        def stream_of(self, identity: Identity) -> str:
            return "venue/stage-1"

        def may_publish(self, stream: str, identity: Identity, door: str) -> Identity:
            return identity

    lax = TooMuch(config.loads(CONFIG), TokenVerifier(TokenKey.generate()))
    door.ingest = TsIngest(
        door.board,
        door.front,
        lax,
        load("standard"),
        local=Identity("localhost", Proof.CERTIFICATE),
    )
    door.connect(7, "viewer/vera")
    assert door.front.closed == [(7, "POLICY.OUTSIDE_PROFILE")]


@at_the_door
async def test_a_version_of_tls_below_the_policy_is_refused(door: Door) -> None:
    door.connect(1, "encoder/venue-1", version="1.1")
    assert door.front.closed == [(1, "POLICY.TLS_TOO_OLD")]


@at_the_door
async def test_garbage_ends_the_leg_with_its_code(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await door.send(1, b"RTSP/1.0 200 OK\r\n" * 200)
    [leg] = door.legs()
    assert (leg.state, leg.code, leg.stage) == (LegState.FAILED, "TS.GARBAGE", Stage.MEDIA)
    assert door.board.ended == Counter({("ingest", "TS.GARBAGE"): 1})
    assert not door.relay.named("add_track")


VERDICTS = {
    "nothing": (b"", "TS.NO_VIDEO"),
    "garbage": (b"RTSP/1.0 200 OK\r\n" * 200, "TS.GARBAGE"),
    "no programme": ((b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000, "TS.NO_VIDEO"),
    "half a packet at the end": (None, "TS.TRUNCATED"),
}


@pytest.mark.parametrize("what", VERDICTS)
@pytest.mark.parametrize("front_first", [True, False])
def test_the_demuxers_verdict_stands_in_ledger_and_counter(what: str, front_first: bool) -> None:
    data, code = VERDICTS[what]

    async def once() -> None:
        door = Door()
        door.connect(1, "encoder/venue-1")
        sent = transport_stream(seconds=1)[:-100] if data is None else data
        if front_first:
            # A reset: the front has told the end before the demuxer read a byte.
            door.front_closed(1, "TLS.PEER_CLOSED", "reset by peer", len(sent))
        await door.send(1, sent)
        [leg] = door.legs()
        assert (leg.state, leg.code) == (LegState.FAILED, code)
        assert leg.record(Stage.MEDIA).code == code
        assert door.board.ended == Counter({("ingest", code): 1})
        assert leg.counters.bytes_in == len(sent)

    asyncio.run(once())


@at_the_door
async def test_an_encoder_that_fell_silent_is_not_said_to_have_closed(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await door.send(1, transport_stream(seconds=1), "TLS.IDLE", "no byte for 15 s")
    [leg] = door.legs()
    assert (leg.state, leg.code, leg.detail) == (LegState.FAILED, "TLS.IDLE", "no byte for 15 s")
    assert door.board.ended == Counter({("ingest", "TLS.IDLE"): 1})


@at_the_door
async def test_an_encoder_that_left_is_told_with_the_fronts_evidence(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    cut = "TCP ended without close_notify: the end may be cut short"
    await door.send(1, transport_stream(seconds=1), "TLS.PEER_CLOSED", cut)
    [leg] = door.legs()
    assert (leg.state, leg.code, leg.detail) == (LegState.ENDED, "STREAM.ENDED", cut)


@at_the_door
async def test_a_front_that_says_nothing_more_does_not_keep_the_leg(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    door.front.pairs[1].sendall(transport_stream(seconds=1))
    door.front.pairs[1].close()
    await door.until(lambda: not door.board.ledger.living())
    [leg] = door.legs()
    assert leg.code == "STREAM.ENDED"


@at_the_door
async def test_an_encoder_that_was_gone_before_it_was_read_is_listed_with_its_seal(
    door: Door,
) -> None:
    def gone(connection: int) -> int:
        raise LocalError("CORE.BAD_ARGUMENT", f"connection {connection} has no plaintext end")

    door.front.take_ingest = gone  # type: ignore[method-assign]
    door.connect(1, "encoder/venue-1")
    [leg] = door.legs()
    assert (leg.state, leg.code, leg.stage) == (LegState.FAILED, "TS.GONE", Stage.MEDIA)
    assert leg.seal is not None
    assert (leg.seal.version, leg.peer.proved) == ("1.3", True)
    assert door.board.ended == Counter({("ingest", "TS.GONE"): 1})
    assert not door.board.refused, "it was admitted"


@at_the_door
async def test_the_same_encoder_takes_over_and_the_old_connection_ends(door: Door) -> None:
    half = transport_stream(seconds=2)
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, half)
    await door.until(lambda: len(door.relay.named("frame_sink")) == 2)
    old = door.board.ledger.living()[0].id
    door.connect(2, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[2].sendall, half)
    await door.until(lambda: len(door.relay.named("frame_sink")) == 4)
    new = door.board.ledger.living()[1].id
    video = next(call[1] for call in door.relay.named("add_track") if call[2] == "video")
    assert not door.front.closed, "the old one stays until the new one's first key frame"
    live = {"type": "track_live", "track": video, "source": new}
    door.board.take_in(json.dumps([live]).encode())
    assert door.front.closed == [(1, "STREAM.TAKEN_OVER")]
    over = door.board.ledger.get(old)
    assert over is not None
    assert over.code == "STREAM.TAKEN_OVER"
    taken = door.board.ledger.get(new)
    assert taken is not None
    assert taken.state is LegState.LIVE
    assert len(door.relay.named("add_track")) == 2, "the tracks, and so the viewers, stay"


@at_the_door
async def test_an_encoder_restarted_without_b_frames_can_be_watched(door: Door) -> None:
    def go_live(leg: int) -> None:
        tracks = [call[1] for call in door.relay.named("add_track")]
        events = [{"type": "track_live", "track": track, "source": leg} for track in tracks]
        door.board.take_in(json.dumps(events).encode())

    def sinks() -> int:
        return len(door.relay.named("frame_sink"))

    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=2, b_frames=2))
    first = door.board.ledger.living()[0].id
    await door.until(lambda: door.board.ledger.living()[0].notes != ())
    go_live(first)
    with pytest.raises(RemoteError, match=r"STREAM\.B_FRAMES"):
        await door.board.watchable("venue/stage-1", 2.0)
    # The old connection still hangs when the new one takes over.
    door.connect(2, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[2].sendall, transport_stream(seconds=2))
    await door.until(lambda: sinks() == 4)
    go_live(door.board.ledger.living()[1].id)
    video, _ = await door.board.watchable("venue/stage-1", 2.0)
    assert not video.has_b_frames


@at_the_door
async def test_b_frames_of_one_who_waits_do_not_shut_out_the_viewers_of_today(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=2))
    await door.until(lambda: len(door.relay.named("frame_sink")) == 2)
    door.connect(2, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[2].sendall, transport_stream(seconds=2, b_frames=2))
    await door.until(lambda: door.board.ledger.living()[1].notes != ())
    await door.board.watchable("venue/stage-1", 2.0)
    video = next(call[1] for call in door.relay.named("add_track") if call[2] == "video")
    new = door.board.ledger.living()[1].id
    live = {"type": "track_live", "track": video, "source": new}
    door.board.take_in(json.dumps([live]).encode())
    with pytest.raises(RemoteError, match=r"STREAM\.B_FRAMES"):
        await door.board.watchable("venue/stage-1", 2.0)


@at_the_door
async def test_viewers_stay_when_an_encoder_is_killed_and_comes_back(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=2))
    await door.until(lambda: door.board.hub.get("venue/stage-1") is not None)
    tracks = await door.board.watchable("venue/stage-1", 2.0)
    viewer = door.board.ledger.new_id()
    door.board.hub.join(
        "venue/stage-1",
        leg=viewer,
        identity=Identity("vera", Proof.TOKEN),
        way="whep",
        tracks=[track.id for track in tracks],
    )
    door.front.pairs[1].close()
    door.front_closed(1, "TLS.PEER_CLOSED", "Connection reset by peer")
    await door.until(lambda: not door.board.ledger.living())
    door.board.sweep()
    door.connect(2, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[2].sendall, transport_stream(seconds=2))
    await door.until(lambda: len(door.relay.named("frame_sink")) == 4)
    stream = door.board.hub.get("venue/stage-1")
    assert stream is not None
    assert list(stream.viewers) == [viewer]
    assert [track.id for track in stream.tracks] == [track.id for track in tracks]
    assert not door.relay.named("remove_track")


@at_the_door
async def test_a_node_that_stops_ends_its_encoders(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await asyncio.to_thread(door.front.pairs[1].sendall, transport_stream(seconds=1)[:18_800])
    door.board.end_all("NODE.STOPPING")
    await asyncio.to_thread(door.ingest.join, 5.0)
    assert door.front.closed == [(1, "NODE.STOPPING")]
    door.connect(2, "encoder/venue-1")
    assert door.front.closed[-1] == (2, "NODE.STOPPING")
