"""Buffers that cannot be used are refused, and no buffer is touched outside of a call."""

import ctypes
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.unit.srtp_packets import ends, rtp

from sealcast import srtp


def released() -> memoryview:
    view = memoryview(bytearray(100))
    view.release()
    return view


def read_only() -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    room = np.zeros(100, np.uint8)
    room.flags.writeable = False
    return room


@pytest.mark.parametrize(
    "target",
    [
        lambda: bytes(100),
        lambda: memoryview(bytes(100)),
        read_only,
        lambda: memoryview(bytearray(200))[::2],
        lambda: np.zeros(200, np.uint8)[::2],
        released,
    ],
    ids=["bytes", "view of bytes", "numpy read-only", "strided", "numpy strided", "released"],
)
def test_a_target_that_cannot_be_written_is_one_kind_of_error(
    target: Callable[[], memoryview],
) -> None:
    sender, receiver = ends()
    with pytest.raises(BufferError, match="the target"):
        sender.protect_into(rtp(1), target())
    protected = sender.protect(rtp(1))
    with pytest.raises(BufferError, match="the target"):
        receiver.unprotect_into(protected, target())
    assert receiver.unprotect(protected) == rtp(1)


def test_a_packet_in_pieces_is_refused_and_nothing_is_spent() -> None:
    sender, receiver = ends()
    spread = memoryview(bytes(byte for one in rtp(1) for byte in (one, 0)))[::2]
    with pytest.raises(BufferError, match="the packet"):
        sender.protect(spread)
    with pytest.raises(BufferError, match="a packet"):
        sender.protect_many([rtp(2), spread])
    assert receiver.unprotect(sender.protect(rtp(1))) == rtp(1)
    assert receiver.unprotect(sender.protect(rtp(2))) == rtp(2)


@pytest.mark.parametrize("packet", ["text", 7, None, [1, 2]])
def test_what_is_no_buffer_is_a_type_error(packet: bytes) -> None:
    sender, receiver = ends()
    for call in (sender.protect, sender.protect_rtcp, receiver.unprotect, receiver.unprotect_rtcp):
        with pytest.raises(TypeError):
            call(packet)
    with pytest.raises(TypeError):
        sender.protect_many([packet])
    with pytest.raises(TypeError):
        sender.protect_into(packet, bytearray(100))
    with pytest.raises(TypeError):
        sender.protect_many(packet)  # type: ignore[arg-type]


def test_a_buffer_can_be_resized_as_soon_as_the_call_is_over() -> None:
    sender, receiver = ends()
    target = bytearray(100)
    length = sender.protect_into(bytearray(rtp(1)), target)
    target.extend(bytes(1000))
    with pytest.raises(BufferError):
        receiver.unprotect_into(bytes(target[:length]), bytes(100))
    packet = bytearray(target[:length])
    assert receiver.unprotect(packet) == rtp(1)
    packet.clear()


def test_a_buffer_that_shrinks_while_a_list_is_read_is_read_as_it_then_is() -> None:
    sender, receiver = ends()
    packet = bytearray(rtp(1))

    def packets() -> Iterator[bytearray]:
        yield packet
        packet.clear()
        yield packet

    first, second = sender.protect_many(packets())
    assert isinstance(first, bytes)
    assert receiver.unprotect(first) == rtp(1)
    assert getattr(second, "code", None) == "SRTP.MALFORMED"


def test_an_iterable_that_fails_costs_no_index() -> None:
    sender, receiver = ends()

    def packets() -> Iterator[bytes]:
        yield rtp(1)
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        sender.protect_many(packets())
    assert receiver.unprotect(sender.protect(rtp(1))) == rtp(1)


ARENA = bytearray(200)
WORDS = array("q", [0, 100, 200])
LENGTHS = array("q", [28, 28])
OUTCOMES = bytearray(2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((ARENA, array("i", [0, 100, 200]), LENGTHS, OUTCOMES), "offsets: an array of 64-bit"),
        ((ARENA, WORDS, bytearray(16), OUTCOMES), "lengths: an array of 64-bit"),
        ((ARENA, WORDS, LENGTHS, bytearray(1)), "outcomes: one byte"),
        ((ARENA, WORDS, LENGTHS, array("q", [0, 0])), "outcomes: one byte"),
        ((ARENA, WORDS, LENGTHS, bytes(2)), "outcomes"),
        ((ARENA, WORDS, memoryview(LENGTHS).toreadonly(), OUTCOMES), "lengths"),
        ((bytes(200), WORDS, LENGTHS, OUTCOMES), "arena"),
        ((ARENA, array("q", [0, 100]), LENGTHS, OUTCOMES), "offsets: 2 numbers for 2 packets"),
        ((ARENA, array("q", [0, 100, 201]), LENGTHS, OUTCOMES), "slot 1"),
        ((ARENA, array("q", [0, 100, 50]), LENGTHS, OUTCOMES), "slot 1"),
        ((ARENA, array("q", [-1, 100, 200]), LENGTHS, OUTCOMES), "slot 0"),
        ((ARENA, WORDS, array("q", [101, 0]), OUTCOMES), "slot 0: 101 bytes do not fit"),
        ((ARENA, WORDS, array("q", [0, -1]), OUTCOMES), "slot 1"),
    ],
)
def test_a_wrong_arena_is_refused_before_any_packet_is_touched(
    arguments: "tuple[bytearray, array[int], array[int], bytearray]", said: str
) -> None:
    sender, _ = ends()
    lengths = list(LENGTHS)
    ARENA[0:28], ARENA[100:128] = rtp(1), rtp(2)
    with pytest.raises((BufferError, ValueError), match=said):
        sender.protect_arena(*arguments)
    assert list(LENGTHS) == lengths
    assert ARENA[0:28] + ARENA[100:128] == rtp(1) + rtp(2)
    assert sender.totals().rtp_packets == 0


def test_an_arena_that_names_a_context_that_is_not_there_is_refused() -> None:
    sender, _ = ends()
    for which in ([0, 1], [0, -1]):
        with pytest.raises(ValueError, match="which: packet 1 names context"):
            srtp.protect_arena([sender], array("q", which), ARENA, WORDS, LENGTHS, OUTCOMES)
    with pytest.raises(ValueError, match="which: one number for each of 2"):
        srtp.protect_arena([sender], array("q", [0]), ARENA, WORDS, LENGTHS, OUTCOMES)


def test_numbers_that_lie_inside_the_arena_are_read_before_it_is_written() -> None:
    sender, receiver = ends()
    memory = np.zeros(64, np.int64)
    memory.view(np.uint8)[:28] = np.frombuffer(rtp(1), np.uint8)
    memory[60], memory[61], memory[62] = 0, 480, 28
    outcomes = bytearray(1)
    done = sender.protect_arena(memory, memory[60:62], memory[62:63], outcomes)
    assert (done, memory[62]) == (1, 44)
    assert receiver.unprotect(memory.view(np.uint8)[:44]) == rtp(1)


@pytest.mark.parametrize(
    "numbers",
    [
        array("d", [0.0, 20.0]),
        np.array([0, 20], ">i8"),
        np.array([0, 20], np.int32),
        array("i", [0, 20]),
    ],
    ids=["fractions", "big-endian", "NumPy of 32 bits", "of 32 bits"],
)
def test_an_arena_takes_only_whole_numbers_of_this_machines_order(numbers: Any) -> None:
    sender, _ = ends()
    words = array("q", [0, 20])
    with pytest.raises(BufferError, match="offsets: an array of 64-bit integers in native"):
        sender.protect_arena(bytearray(200), numbers, words[:1], bytearray(1))
    with pytest.raises(BufferError, match="lengths: an array of 64-bit integers in native"):
        sender.protect_arena(bytearray(200), words, numbers[:1], bytearray(1))
    with pytest.raises(BufferError, match="outcomes: one byte"):
        sender.protect_arena(bytearray(200), words, words[:1], numbers[:1])
    assert sender.totals().rtp_packets == 0


@pytest.mark.parametrize(
    "integers",
    [
        lambda values: array("q", values),
        lambda values: array("Q", values),
        lambda values: np.array(values, np.int64),
        lambda values: np.array(values, np.uint64),
        lambda values: (ctypes.c_int64 * len(values))(*values),
        lambda values: memoryview(array("l", values)),
    ],
)
def test_an_arena_takes_every_form_of_native_64_bit_integers(
    integers: Callable[[list[int]], Any],
) -> None:
    sender, _ = ends()
    packet = rtp(1)
    arena, lengths = bytearray(packet + bytes(60)), integers([len(packet)])
    assert sender.protect_arena(arena, integers([0, 80]), lengths, np.ones(1, np.uint8)) == 1
    assert lengths[0] == len(packet) + sender.rtp_overhead


def test_a_negative_number_of_an_arena_is_shown_as_it_is() -> None:
    sender, _ = ends()
    with pytest.raises(ValueError, match="slot 0: -1 bytes do not fit between offsets 0 and 20"):
        sender.protect_arena(bytearray(20), array("q", [0, 20]), array("q", [-1]), bytearray(1))
