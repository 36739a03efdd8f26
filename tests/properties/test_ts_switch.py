"""A transport stream that changes connections: nothing is lost, doubled or out of order, whatever
the stream and whenever the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from tests.unit.transport_streams import transport_stream

from sealcast.ts.packet import (
    NULL_PID,
    PACKET,
    Cutter,
    begins_unit,
    counter_of,
    has_payload,
    is_random_access,
    null_packet,
    pid_of,
    with_counter,
)
from sealcast.ts.switch import Phase, Switch
from sealcast.ts.tables import PAT_PID, checksum

PMT, PICTURE, SOUND, TEXT, CLOCK = 0x1000, 0x100, 0x101, 0x102, 0x1FF
TABLES = frozenset({PAT_PID, PMT})


def section(table: int, body: bytes) -> bytes:
    head = bytes([table, 0xB0 | (len(body) + 9) >> 8, (len(body) + 9) & 0xFF])
    whole = head + b"\x00\x01\xc1\x00\x00" + body
    return whole + checksum(whole).to_bytes(4, "big")


@dataclass
class Multiplexer:
    """Makes packets, counted as ISO/IEC 13818-1 wants them."""

    clock: int = PICTURE
    padding: int = 0
    """Bytes of descriptors in the PMT: with many it takes more than one packet."""
    packets: list[bytes] = field(default_factory=list)
    counters: dict[int, int] = field(default_factory=dict)

    def packet(self, pid: int, payload: bytes, *, begins: bool, key: bool = False) -> None:
        room = PACKET - 4
        stuffing = room - len(payload)
        adaptation = b""
        if stuffing or key:
            stuffing = max(stuffing, 2)
            payload = payload[: room - stuffing]
            adaptation = bytes([stuffing - 1])
            if stuffing > 1:
                adaptation += bytes([0x40 if key else 0]) + b"\xff" * (stuffing - 2)
        counter = self.counters[pid] = (self.counters.get(pid, 15) + bool(payload)) & 15
        head = bytes([0x47, begins << 6 | pid >> 8, pid & 0xFF])
        control = bool(adaptation) << 5 | bool(payload) << 4
        self.packets.append(head + bytes([control | counter]) + adaptation + payload)

    def tables(self) -> None:
        pat = b"\x00\x01" + bytes([0xE0 | PMT >> 8, PMT & 0xFF])
        streams = b"".join(
            bytes([kind, 0xE0 | pid >> 8, pid & 0xFF, 0xF0, 0])
            for kind, pid in ((0x1B, PICTURE), (0x0F, SOUND), (0x06, TEXT))
        )
        described = bytes([0xF0 | self.padding >> 8, self.padding & 0xFF]) + bytes(self.padding)
        pmt = bytes([0xE0 | self.clock >> 8, self.clock & 0xFF]) + described + streams
        for pid, whole in ((PAT_PID, section(0, pat)), (PMT, section(2, pmt))):
            data = b"\x00" + whole
            for at in range(0, len(data), PACKET - 4):
                self.packet(pid, data[at : at + PACKET - 4], begins=at == 0)

    def unit(self, pid: int, size: int, *, key: bool = False) -> None:
        for number in range(size):
            self.packet(pid, bytes(PACKET - 4), begins=number == 0, key=key and number == 0)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    made = Multiplexer(
        clock=draw(st.sampled_from((PICTURE, CLOCK))), padding=draw(st.sampled_from((0, 300)))
    )
    open_units: dict[int, int] = {}
    for _ in range(draw(st.integers(5, 60))):
        what = draw(st.sampled_from(("tables", "key", "picture", "sound", "text", "rest", "clock")))
        match what:
            case "tables":
                made.tables()
            case "clock":
                made.packet(CLOCK, b"", begins=False)
            case "rest":
                # What goes on in the middle of a unit, between others.
                for pid in (PICTURE, SOUND):
                    if open_units.get(pid):
                        made.packet(pid, bytes(PACKET - 4), begins=False)
                made.packets.append(null_packet())
            case _:
                pid = {"sound": SOUND, "text": TEXT}.get(what, PICTURE)
                made.unit(pid, draw(st.integers(1, 4)), key=what == "key")
                open_units[pid] = 1
    return made.packets


def cut(data: bytes) -> list[bytes]:
    assert len(data) % PACKET == 0
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def spread(packets: Sequence[bytes], asks: Sequence[int], finish_after: int) -> list[list[bytes]]:
    """What each connection carried, in turn; a change is asked for at each place of `asks`."""
    switch = Switch()
    carried: list[list[bytes]] = [[], []]
    changing_for = 0
    for place, packet in enumerate(packets):
        if place in asks and switch.phase is Phase.STEADY:
            switch.change()
        done = switch.push([packet])
        carried[-2] += cut(done.present)
        carried[-1] += cut(done.coming)
        changing_for = changing_for + 1 if switch.phase is Phase.CHANGING else 0
        if done.is_over or (changing_for > finish_after and switch.finish()):
            carried.append([])
        if switch.phase is not Phase.STEADY:
            continue
        changing_for = 0
    return carried


def without_counter(packet: bytes) -> bytes:
    return with_counter(packet, 0)


@given(streams(), st.lists(st.integers(0, 150), max_size=6), st.integers(0, 40))
def test_both_connections_together_carried_the_input(
    packets: list[bytes], asks: list[int], finish_after: int
) -> None:
    connections = spread(packets, asks, finish_after)
    event(f"{len(connections) - 2} changes")
    carried = [packet for connection in connections for packet in connection]
    pids = {pid_of(packet) for packet in packets}
    for pid in pids - TABLES:
        sent = [packet for packet in packets if pid_of(packet) == pid]
        assert [packet for packet in carried if pid_of(packet) == pid] == sent
    for pid in TABLES & pids:
        sent = [without_counter(packet) for packet in packets if pid_of(packet) == pid]
        came = [without_counter(packet) for packet in carried if pid_of(packet) == pid]
        assert set(came) == set(sent)
        assert len(came) >= len(sent)
    assert {pid_of(packet) for packet in carried} == pids


@given(streams(), st.lists(st.integers(0, 150), max_size=6), st.integers(0, 40))
def test_no_continuity_counter_steps(
    packets: list[bytes], asks: list[int], finish_after: int
) -> None:
    last: dict[int, int] = {}
    for connection in spread(packets, asks, finish_after):
        for packet in connection:
            pid = pid_of(packet)
            if pid == NULL_PID:
                continue
            if pid in last:
                assert counter_of(packet) == (last[pid] + has_payload(packet)) & 15
            last[pid] = counter_of(packet)


@given(streams(), st.lists(st.integers(0, 150), max_size=6))
def test_every_connection_begins_with_tables_and_a_key_frame_and_units_are_whole(
    packets: list[bytes], asks: list[int]
) -> None:
    connections = [one for one in spread(packets, asks, finish_after=10**6) if one]
    for connection in connections[1:]:
        others = [packet for packet in connection if pid_of(packet) not in TABLES]
        tables = connection[: connection.index(others[0])]
        assert {pid_of(packet) for packet in tables} == TABLES
        assert begins_unit(tables[0])
        assert pid_of(others[0]) == PICTURE
        assert is_random_access(others[0])
        for pid in {pid_of(packet) for packet in others} - {NULL_PID, CLOCK}:
            first = next(packet for packet in connection if pid_of(packet) == pid)
            assert begins_unit(first), "it begins in the middle of a unit"


def real_packets() -> list[bytes]:
    return Cutter().push(transport_stream(seconds=2))


def test_a_change_waits_for_a_key_frame_and_the_sound_follows_at_its_next_unit() -> None:
    packets = real_packets()
    switch = Switch()
    before = switch.push(packets[:60])
    assert not before.coming
    switch.change()
    after = switch.push(packets[60:])
    assert after.is_over
    coming = cut(after.coming)
    assert [pid_of(packet) for packet in coming[:2]] == [PAT_PID, 0x1000]
    assert is_random_access(coming[2])
    assert before.present + after.present + after.coming != b"".join(packets)
    assert len(before.present + after.present + after.coming) == (len(packets) + 2) * PACKET


def test_a_key_frame_is_found_without_the_multiplexers_flag() -> None:
    made = Multiplexer()
    made.tables()
    pes = b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + bytes(5)
    for nal in (b"\x41", b"\x67"):
        data = pes + b"\x00\x00\x00\x01\x09\x10\x00\x00\x00\x01" + nal
        made.packet(PICTURE, data, begins=True)
    switch = Switch()
    switch.change()
    carried = switch.push(made.packets)
    assert cut(carried.coming)[-1] == made.packets[-1]
    assert cut(carried.present)[-1] == made.packets[-2]


def test_who_hurries_goes_over_at_any_picture() -> None:
    made = Multiplexer()
    made.tables()
    made.unit(PICTURE, 3)
    made.unit(PICTURE, 3)
    switch = Switch()
    switch.push(made.packets[:3])
    switch.change()
    switch.hurry()
    carried = switch.push(made.packets[3:])
    assert cut(carried.coming)[2:] == made.packets[-3:]
    assert carried.is_over


def test_a_change_that_is_called_off_leaves_everything_with_the_present_connection() -> None:
    packets = real_packets()
    switch = Switch()
    switch.change()
    switch.cancel()
    spread = switch.push(packets)
    assert (spread.present, spread.coming) == (b"".join(packets), b"")
    assert not switch.finish()


def test_without_tables_there_is_nothing_to_begin_with() -> None:
    made = Multiplexer()
    made.unit(PICTURE, 3, key=True)
    switch = Switch()
    switch.change()
    assert not switch.push(made.packets).coming


def test_a_stream_of_sound_alone_changes_at_any_unit_of_it() -> None:
    packets = Cutter().push(transport_stream(seconds=1, video=None))
    switch = Switch()
    switch.push(packets[:20])
    switch.change()
    assert switch.push(packets[20:]).is_over


@given(
    st.lists(st.binary(max_size=400).filter(lambda one: b"\x47" not in one), max_size=4),
    st.lists(st.integers(1, 700), min_size=1, max_size=30),
)
def test_packets_are_found_again_after_garbage_however_the_bytes_come(
    garbage: list[bytes], sizes: list[int]
) -> None:
    packets = [null_packet(bytes([number]) * 100) for number in range(60)]
    runs = [packets[at : at + 12] for at in range(0, 60, 12)]
    sent = b"".join(
        b"".join(run) + between for run, between in zip(runs, [*garbage, *[b""] * 5], strict=False)
    )
    cutter, found, at, turn = Cutter(), [], 0, 0
    while at < len(sent):
        size = sizes[turn % len(sizes)]
        found += cutter.push(sent[at : at + size])
        at, turn = at + size, turn + 1
    assert found == packets
    assert cutter.skipped == sum(map(len, garbage))


@pytest.mark.parametrize("offset", range(1, 188, 31))
def test_a_stream_that_is_joined_in_the_middle_of_a_packet_is_cut_right(offset: int) -> None:
    packets = real_packets()
    cutter = Cutter()
    assert cutter.push(b"".join(packets)[offset:]) == packets[1:]
    assert cutter.skipped == PACKET - offset
