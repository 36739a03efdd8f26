"""A publisher: what it sends over which connection, what it leaves out, what it says."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Coroutine, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pytest
from tests.properties.test_ts_switch import PICTURE, PMT, Multiplexer
from tests.unit.publish_door import Fed, Told, now, open_door, publisher, until

from sealcast.client.publish import Address, FfmpegInput, IdentityFiles, PipeInput, Publishing
from sealcast.client.publish.publishing import BACKLOG
from sealcast.codes import lookup
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.identity import ThrowAwayAuthority
from sealcast.ts.announcement import Word
from sealcast.ts.packet import PACKET, begins_unit, is_random_access, pid_of
from sealcast.ts.tables import PAT_PID

TABLES = {PAT_PID, PMT}


def pictures() -> Iterator[list[bytes]]:
    """A live stream, a group of pictures at a time: tables, a key frame, others, sound."""
    made = Multiplexer()
    while True:
        made.tables()
        for number in range(10):
            made.unit(PICTURE, 6, key=number == 0)
            made.unit(0x101, 1)
        yield made.packets
        made.packets = []


def without_tables(packets: Sequence[bytes]) -> list[bytes]:
    return [packet for packet in packets if pid_of(packet) not in TABLES]


def by_pid(packets: Sequence[bytes], pid: int) -> list[bytes]:
    return [packet for packet in packets if pid_of(packet) == pid]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def assert_begins_well(packets: Sequence[bytes]) -> None:
    """With tables and a key frame."""
    assert {pid_of(packet) for packet in packets[:2]} == TABLES
    assert is_random_access(without_tables(packets)[0])
    for pid in (PICTURE, 0x101):
        assert begins_unit(by_pid(packets, pid)[0])


def test_the_whole_stream_comes_and_ends_with_a_goodbye(tmp_path: Path) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            sent: list[bytes] = []
            for group in islice(pictures(), 5):
                sent += group
                publishing.feed(group)
            await publishing.end()
            [came] = door.came
            assert came.packets == sent
            assert came.goodbye
            assert came.announcement is not None
            assert came.announcement.word is Word.BEGINS
            counts = publishing.publishing.counts
            assert (counts.packets, counts.left_out, counts.changes) == (len(sent), 0, 0)

    run(once())


def test_nothing_is_encoded_before_a_node_has_admitted_the_publisher(tmp_path: Path) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door:
            door.reads.clear()
            async with publisher(door) as publishing:
                await until(lambda: door.came)
                assert not publishing.source.started.is_set()
                door.reads.set()
                await until(publishing.source.started.is_set)
                await publishing.end()

    run(once())


def test_a_new_certificate_gets_a_connection_and_the_stream_goes_over_without_a_gap(
    tmp_path: Path,
) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            groups, sent = pictures(), []
            serials: list[str] = []
            for changes in range(4):
                if changes:
                    serials.append(door.enrol())
                    await until(lambda: publishing.told.said("connected") > len(serials))
                for group in islice(groups, 2):
                    sent += group
                    publishing.feed(group)
                await until(lambda: publishing.publishing.counts.changes == len(serials))
            await publishing.end()
            await until(lambda: all(came.goodbye for came in door.came))
            carried = [packet for came in door.came for packet in came.packets]
            for pid in (PICTURE, 0x101):
                assert by_pid(carried, pid) == by_pid(sent, pid)
            for came, serial in zip(door.came[1:], serials, strict=True):
                assert came.serial == serial
                assert came.announcement is not None
                assert came.announcement.word is Word.CONTINUES
                assert_begins_well(came.packets)
            runs = {came.announcement.run for came in door.came if came.announcement}
            assert len(runs) == 1
            assert publishing.publishing.counts.left_out == 0

    run(once())


def test_a_node_that_is_gone_is_asked_again_and_the_stream_goes_on_at_a_key_frame(
    tmp_path: Path,
) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            groups = pictures()
            publishing.feed(next(groups))
            await until(lambda: door.came and door.came[0].packets)
            door.reads.clear()
            door.came[0].writer.transport.abort()
            await until(lambda: publishing.told.said("the node is gone"))
            missed = next(groups)
            publishing.feed(missed)
            await until(publishing.source.chunks.empty)
            door.reads.set()
            await until(lambda: publishing.told.said("connected") == 2)
            half = next(groups)
            # In the middle of a group of pictures nothing can begin.
            publishing.feed(half[20:])
            whole = next(groups)
            publishing.feed(whole)
            await publishing.end()
            assert_begins_well(door.came[1].packets)
            assert by_pid(door.came[1].packets, PICTURE) == by_pid(whole, PICTURE)
            [(event, said)] = publishing.told.warned
            assert event == "the node is gone"
            assert "left out" in said["then"]
            assert publishing.publishing.counts.ended_by_node == 1
            first, second = (came.announcement for came in door.came)
            assert first is not None
            assert second is not None
            assert second.word is Word.BEGINS
            assert second.run != first.run, "nobody is to wait for the one that is gone"
            left_out = publishing.publishing.counts.left_out
            assert len(missed) + len(half) - 20 <= left_out <= len(missed) + len(half)

    run(once())


def test_a_connection_that_takes_too_little_costs_packets_and_no_memory(tmp_path: Path) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            groups = pictures()
            publishing.feed(next(groups))
            await until(lambda: door.came and door.came[0].packets)
            door.reads.clear()
            many = [packet for group in islice(groups, 40) for packet in group]
            size, most, fed = sum(map(len, many)), 0, 0
            while fed * size < 6 * BACKLOG:
                publishing.feed(many)
                fed += 1
                await until(publishing.source.chunks.empty)
                present = publishing.publishing._present or publishing.publishing._blocked
                most = max(most, 0 if present is None else present.backlog)
            assert publishing.told.codes() == ["PUBLISH.TOO_SLOW"]
            assert most < 1.1 * BACKLOG + size
            counts = publishing.publishing.counts
            assert counts.left_out * PACKET > 2 * BACKLOG
            door.reads.set()
            before = len(door.came[0].data)
            await until(lambda: len(door.came[0].data) - before > BACKLOG * 3 // 4)

            def goes_on() -> bool:
                publishing.feed(next(groups))
                return publishing.told.said("goes on") == 1

            await until(goes_on)
            await publishing.end()
            [came] = door.came
            assert len(came.packets) >= counts.packets - counts.left_out, "all others came"
            assert len(came.packets) <= counts.packets - counts.left_out + 2
            [goes_on_with] = [said for event, said in publishing.told.lines if event == "goes on"]
            assert goes_on_with["left_out_packets"] == counts.left_out

    run(once())


def test_a_refused_certificate_is_told_and_tried_again_until_a_better_one_is_there(
    tmp_path: Path,
) -> None:
    async def once() -> None:
        foreign = ThrowAwayAuthority.create("elsewhere.example", now())
        async with open_door(tmp_path) as door:
            door.enrol(foreign)
            async with publisher(door) as publishing:
                await until(lambda: publishing.told.said("not connected") == 2)
                assert not publishing.source.started.is_set()
                assert publishing.publishing.counts.failures >= 2
                for _, said in publishing.told.warned:
                    assert said["then"].endswith("nothing is encoded before")
                door.enrol()
                await until(publishing.source.started.is_set)
                await publishing.end()

    run(once())


def test_a_new_certificate_that_is_refused_leaves_the_old_connection_alone(tmp_path: Path) -> None:
    async def once() -> None:
        foreign = ThrowAwayAuthority.create("elsewhere.example", now())
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            groups = pictures()
            sent = list(next(groups))
            publishing.feed(sent)
            await until(lambda: door.came and door.came[0].packets)
            door.enrol(foreign)
            await until(lambda: publishing.told.said("not connected"))
            event, said = publishing.told.warned[0]
            assert event == "not connected"
            assert said["code"].startswith("TLS.")
            assert said["why"].startswith(lookup(said["code"]).sentence)
            assert said["do"] == lookup(said["code"]).remedy
            assert re.fullmatch(
                r"asked again in \d+\.\d s; the old connection carries the stream", said["then"]
            )
            group = next(groups)
            publishing.feed(group)
            await publishing.end()
            assert publishing.publishing.counts.failures == publishing.told.said("not connected")
            assert door.came[0].packets == sent + group
            assert publishing.publishing.counts.left_out == 0

    run(once())


def test_files_that_do_not_fit_are_waited_for(tmp_path: Path) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            groups = pictures()
            publishing.feed(next(groups))
            await until(lambda: door.came and door.came[0].packets)
            chain = door.files.chain.read_bytes()
            serial = door.enrol()
            newer = door.files.chain.read_bytes()
            door.files.chain.write_bytes(chain)
            await until(lambda: "TLS.KEY_MISMATCH" in publishing.told.codes())
            assert len(door.came) == 1
            assert publishing.publishing.counts.unusable == 1
            assert "the old one goes on" in publishing.told.warned[0][1]["then"]
            door.files.chain.write_bytes(newer)
            await until(lambda: len(door.came) == 2 and door.came[1].serial == serial)
            await publishing.end()

    run(once())


def test_a_node_of_another_authority_is_told_nothing(tmp_path: Path) -> None:
    async def once() -> None:
        other = ThrowAwayAuthority.create("elsewhere.example", now())
        async with open_door(tmp_path) as door:
            (tmp_path / "authority.pem").write_bytes(other.root_pem)
            async with publisher(door) as publishing:
                await until(lambda: "TLS.SERVER_UNKNOWN_CA" in publishing.told.codes())
                assert not door.came

    run(once())


def test_a_receiver_that_knows_no_announcements_is_published_to_all_the_same(
    tmp_path: Path,
) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door:
            door.answers = False
            async with publisher(door) as publishing:
                sent = next(pictures())
                publishing.feed(sent)
                await publishing.end()
                assert door.came[0].packets == sent

    run(once())


def test_what_is_no_transport_stream_is_said_to_be_none(tmp_path: Path) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door, publisher(door) as publishing:
            publishing.source.chunks.put_nowait(b"RTSP/1.0 200 OK\r\n" * 100_000)
            await asyncio.wait({publishing.task}, timeout=20)
            with pytest.raises(RemoteError, match=r"TS\.GARBAGE"):
                publishing.task.result()

    run(once())


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("import os, sys; os.write(1, data); sys.exit(3)", "It ended with 3"),
        ("import os; os.write(1, data); os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("import os; os.write(1, data)", None),
    ],
)
def test_what_an_encoder_wrote_before_it_crashed_is_sent(
    tmp_path: Path, script: str, code: str | None
) -> None:
    async def once() -> None:
        sent = next(pictures())
        (tmp_path / "stream.ts").write_bytes(b"".join(sent))
        program = tmp_path / "ffmpeg"
        reading = f"data = open({str(tmp_path / 'stream.ts')!r}, 'rb').read()"
        program.write_text(f"#!{sys.executable}\n{reading}\n{script}\n")
        program.chmod(0o700)
        async with open_door(tmp_path) as door:
            source = FfmpegInput(("-i", "x"), str(program))
            publishing = Publishing(door.address, door.files, source, Told())
            if code is None:
                await publishing.run()
            else:
                with pytest.raises(LocalError, match=code) as raised:
                    await publishing.run()
                assert raised.value.code == "PUBLISH.ENCODER_FAILED"
            await until(lambda: door.came[0].goodbye)
            assert door.came[0].packets == sent

    run(once())


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "tls://",
        "tls://a.example:99999",
        "tls://u@a.example",
        "a",
        "tls://a..b",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(LocalError, match=r"PUBLISH\.BAD_ADDRESS"):
        Address.parse(url)


def test_addresses_are_read_as_they_are_written() -> None:
    assert Address.parse("tls://a.example") == Address("a.example", 8445)
    assert str(Address.parse("tls://[::1]:8000")) == "[::1]:8000"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda door: Path(door.files.key).unlink(), "IDENTITY.KEY_UNREADABLE"),
        (lambda door: Path(door.files.key).chmod(0o644), "IDENTITY.KEY_EXPOSED"),
        (lambda door: door.files.authority.unlink(), "IDENTITY.KEY_UNREADABLE"),
        (lambda door: door.files.chain.write_text("none"), "IDENTITY.CERTIFICATE_MALFORMED"),
        (lambda door: door.files.authority.write_text("no"), "IDENTITY.CERTIFICATE_MALFORMED"),
        (lambda door: Path(door.files.key).write_text("no key"), "IDENTITY.CERTIFICATE_MALFORMED"),
    ],
)
def test_an_identity_that_cannot_be_used_is_refused_before_anything_begins(
    tmp_path: Path, spoil: Any, code: str
) -> None:
    async def once() -> None:
        async with open_door(tmp_path) as door:
            spoil(door)
            with pytest.raises(SealcastError) as raised:
                Publishing(door.address, door.files, Fed(), Told())
            assert raised.value.code == code

    run(once())


def test_the_name_may_be_written_as_a_shell_completes_it() -> None:
    whole = IdentityFiles.named(Path("venue/one.pem"))
    assert whole == IdentityFiles.named(Path("venue/one"))
    assert whole.key == Path("venue/one-key.pem")


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_a_stream_from_another_program_is_published_to_its_end(tmp_path: Path, kind: str) -> None:
    async def once() -> None:
        sent = next(pictures())
        file = tmp_path / "stream.ts"
        file.write_bytes(b"".join(sent))
        async with open_door(tmp_path) as door:
            with file.open("rb") if kind == "file" else _piped(b"".join(sent)) as stream:
                publishing = Publishing(door.address, door.files, PipeInput(stream), Told())
                await publishing.run()
            await until(lambda: door.came[0].goodbye)
            assert door.came[0].packets == sent

    run(once())


def test_who_is_told_to_stop_sends_what_it_has_and_says_goodbye(tmp_path: Path) -> None:
    async def once() -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", 0) as writer:
            async with open_door(tmp_path) as door:
                source = PipeInput(stream)
                publishing = Publishing(door.address, door.files, source, Told())
                running = asyncio.create_task(publishing.run())
                sent = next(pictures())
                writer.write(b"".join(sent))
                await until(lambda: door.came and len(door.came[0].packets) == len(sent))
                source.stop()
                await running
                await until(lambda: door.came[0].goodbye)

    run(once())


def _piped(data: bytes) -> IO[bytes]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as writer:
        writer.write(data)  # less than a pipe holds
    return os.fdopen(reading, "rb")
