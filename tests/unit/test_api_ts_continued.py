"""Encoders on the ingest door that change connections: one feed, two legs, no viewer can tell."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.unit.test_api_ts_ingest import Door, at_the_door
from tests.unit.test_mpegts import parts_of
from tests.unit.transport_streams import transport_stream

from sealcast.keying.agreement import UNPROVED
from sealcast.legs import LegState
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import PACKET, null_packet

RUN, OTHER_RUN = bytes(16), bytes(range(16))
STREAM = "venue/stage-1"
FRAMES = 60


async def begin(door: Door, connection: int, word: Word, run: bytes = RUN) -> None:
    """A connection that begins with an announcement, up to its answer."""
    end = door.front.pairs[connection]
    end.settimeout(10)
    await asyncio.to_thread(end.sendall, Announcement(word, run).packet())
    answer = await asyncio.to_thread(end.recv, PACKET, socket.MSG_WAITALL)
    assert read_announcement(answer) == Announcement(Word.ADMITTED, run)


async def carry(door: Door, connection: int, data: bytes, *, to_the_end: bool = True) -> None:
    end = door.front.pairs[connection]
    await asyncio.to_thread(end.sendall, data)
    if to_the_end:
        end.close()
        door.front_closed(connection, "TLS.PEER_CLOSED", came=len(data))


def frames(door: Door) -> int:
    tracks = {call[2]: call[1] for call in door.relay.named("add_track")}
    return door.relay.sinks[tracks["video"]].frames


def ends(door: Door) -> dict[int, str | None]:
    return {leg.id: leg.code for leg in door.legs()}


@at_the_door
async def test_the_new_leg_feeds_the_same_tracks_and_the_old_one_says_who_continues(
    door: Door,
) -> None:
    first, second = parts_of(transport_stream(seconds=2), 1)
    door.connect(1, "encoder/venue-1")
    await begin(door, 1, Word.BEGINS)
    await carry(door, 1, first, to_the_end=False)
    await door.until(lambda: door.board.hub.get(STREAM) is not None)
    [old] = door.board.ledger.living()
    tracks = [track.id for track in await door.board.watchable(STREAM, 2.0)]
    door.board.hub.join(STREAM, leg=99, identity=UNPROVED, way="whep", tracks=tracks)
    door.connect(2, "encoder/venue-1")
    await begin(door, 2, Word.CONTINUES)
    assert len(door.board.ledger.living()) == 2, "the old one still carries the stream"
    await carry(door, 1, b"")
    await door.until(lambda: len(door.board.ledger.living()) == 1)
    [new] = door.board.ledger.living()
    over = door.board.ledger.get(old.id)
    assert over is not None
    assert (over.state, over.code) == (LegState.ENDED, "STREAM.TAKEN_OVER")
    assert over.detail == f"Leg {new.id} continues it."
    stream = door.board.hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == new.id
    assert [track.id for track in stream.tracks] == tracks
    assert list(stream.viewers) == [99], "its viewers stay"
    await carry(door, 2, second)
    await door.until(lambda: not door.board.ledger.living())
    assert frames(door) == FRAMES
    assert ends(door) == {old.id: "STREAM.TAKEN_OVER", new.id: "STREAM.ENDED"}
    assert len(door.relay.named("frame_sink")) == 2, "the sinks are the same, too"


@at_the_door
async def test_ten_changes_lose_no_frame(door: Door) -> None:
    parts = parts_of(transport_stream(seconds=12), 10)
    for number, part in enumerate(parts, start=1):
        door.connect(number, "encoder/venue-1")
        await begin(door, number, Word.BEGINS if number == 1 else Word.CONTINUES)
        if number > 1:
            await carry(door, number - 1, b"")
            await door.until(lambda: len(door.board.ledger.living()) == 1)
        await carry(door, number, part, to_the_end=False)
    await carry(door, len(parts), b"")
    await door.until(lambda: not door.board.ledger.living())
    assert frames(door) == 360
    assert list(ends(door).values()).count("STREAM.TAKEN_OVER") == 10
    assert door.board._feeding == {}, "nothing is remembered of legs that are over"


@pytest.mark.parametrize("name", ["encoder/venue-1", "encoder/other"])
def test_only_the_same_run_of_the_same_identity_is_continued(name: str) -> None:
    async def once() -> None:
        door = Door()
        first, second = parts_of(transport_stream(seconds=2), 1)
        door.connect(1, "encoder/venue-1")
        await begin(door, 1, Word.BEGINS)
        await carry(door, 1, first, to_the_end=False)
        await door.until(lambda: door.board.hub.get(STREAM) is not None)
        door.connect(2, name)
        await begin(door, 2, Word.CONTINUES, OTHER_RUN if name == "encoder/venue-1" else RUN)
        await carry(door, 1, b"")
        await carry(door, 2, second)
        await door.until(lambda: not door.board.ledger.living())
        assert len(door.relay.named("frame_sink")) > 2, "two streams, a demuxer for each"
        assert not [leg for leg in door.legs() if "continues" in (leg.detail or "")]

    asyncio.run(once())


@at_the_door
async def test_another_identity_of_the_same_stream_continues_nothing(door: Door) -> None:
    """Before the first has sent anything the stream is not taken, and a run's name is no secret of
    the certificate's.
    """
    first, second = parts_of(transport_stream(seconds=2), 1)
    door.connect(1, "encoder/venue-1")
    await begin(door, 1, Word.BEGINS)
    door.connect(2, "encoder/spare")
    await begin(door, 2, Word.CONTINUES)
    await carry(door, 1, first)
    await door.until(lambda: len(door.board.ledger.living()) == 1)
    await carry(door, 2, second)
    await door.until(lambda: not door.board.ledger.living())
    assert "STREAM.TAKEN_OVER" not in ends(door).values()
    assert len(door.relay.named("frame_sink")) > 2, "two streams, a demuxer for each"


@at_the_door
async def test_a_revoked_connection_ends_and_the_one_that_continues_it_goes_on(door: Door) -> None:
    first, second = parts_of(transport_stream(seconds=2), 1)
    door.connect(1, "encoder/venue-1")
    await begin(door, 1, Word.BEGINS)
    await carry(door, 1, first, to_the_end=False)
    await door.until(lambda: door.board.hub.get(STREAM) is not None)
    door.connect(2, "encoder/venue-1")
    await begin(door, 2, Word.CONTINUES)
    old, new = (leg.id for leg in door.board.ledger.living())
    door.board.end(old, "IDENTITY.NOT_ALLOWED")
    stream = door.board.hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == new
    await carry(door, 2, second)
    await door.until(lambda: not door.board.ledger.living())
    assert ends(door) == {old: "IDENTITY.NOT_ALLOWED", new: "STREAM.ENDED"}


@at_the_door
async def test_who_takes_the_stream_from_a_leg_takes_it_from_its_heir(door: Door) -> None:
    first, _ = parts_of(transport_stream(seconds=2), 1)
    door.connect(1, "encoder/venue-1")
    await begin(door, 1, Word.BEGINS)
    await carry(door, 1, first, to_the_end=False)
    await door.until(lambda: door.board.hub.get(STREAM) is not None)
    door.connect(2, "encoder/venue-1")
    await begin(door, 2, Word.CONTINUES)
    door.board.end(door.board.ledger.living()[0].id, "STREAM.TAKEN_OVER")
    assert not door.board.ledger.living()
    assert set(ends(door).values()) == {"STREAM.TAKEN_OVER"}


@at_the_door
async def test_an_heir_that_leaves_before_its_turn_changes_nothing(door: Door) -> None:
    door.connect(1, "encoder/venue-1")
    await begin(door, 1, Word.BEGINS)
    await carry(door, 1, transport_stream(seconds=1), to_the_end=False)
    await door.until(lambda: door.board.hub.get(STREAM) is not None)
    door.connect(2, "encoder/venue-1")
    await begin(door, 2, Word.CONTINUES)
    await carry(door, 2, null_packet())
    [old] = door.board.ledger.living()
    await carry(door, 1, b"")
    await door.until(lambda: not door.board.ledger.living())
    assert set(ends(door).values()) == {"STREAM.ENDED"}
    assert old.code is None
    assert frames(door) == 30
