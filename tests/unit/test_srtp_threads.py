"""Threads take turns on a context, and batches let others run."""

import os
import threading
from array import array
from collections.abc import Callable, Iterator

import pytest
from tests.unit.srtp_packets import ends, rtp

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender, srtp
from sealcast.errors import ReplayedPacket

THREADS = 8
EACH = 500


def together(work: Callable[[int], None]) -> None:
    """Runs `work(0)` … `work(7)` at once and raises what any of them raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as failure:  # handed to the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("form", ["one", "into", "many"])
def test_one_sender_hammered_by_threads_loses_and_repeats_nothing(form: str) -> None:
    sender, receiver = ends(replay_window=32_768)
    protected: list[list[bytes]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        mine = [rtp(1000 + number + THREADS * step) for step in range(EACH)]
        if form == "one":
            protected[number] = [sender.protect(packet) for packet in mine]
        elif form == "into":
            target = bytearray(100)
            for packet in mine:
                length = sender.protect_into(packet, target)
                protected[number].append(bytes(target[:length]))
        else:
            for step in range(0, EACH, 50):
                results = sender.protect_many(mine[step : step + 50])
                protected[number] += [one for one in results if isinstance(one, bytes)]

    together(work)
    packets = [packet for several in protected for packet in several]
    assert len(packets) == THREADS * EACH
    opened = receiver.unprotect_many(packets)
    expected = [
        rtp(1000 + number + THREADS * step) for number in range(THREADS) for step in range(EACH)
    ]
    assert opened == expected


def test_a_packet_that_threads_race_to_open_is_opened_once() -> None:
    sender, receiver = ends()
    packets = [sender.protect(rtp(number)) for number in range(EACH)]
    opened: list[int] = []

    def work(_: int) -> None:
        for number, packet in enumerate(packets):
            try:
                assert receiver.unprotect(packet) == rtp(number)
            except ReplayedPacket:
                continue
            opened.append(number)

    together(work)
    assert sorted(opened) == list(range(EACH))


def test_batches_over_the_same_contexts_in_opposite_order_do_not_lock_each_other_out() -> None:
    pairs = [ends(max_ssrcs=64) for _ in range(4)]
    senders = [sender for sender, _ in pairs]

    def work(number: int) -> None:
        order = senders if number % 2 else senders[::-1]
        for step in range(20):
            results = srtp.protect_many(
                (sender, rtp(step * 16 + count, ssrc=number + 1))
                for count in range(16)
                for sender in order
            )
            assert all(isinstance(one, bytes) for one in results)

    together(work)
    assert {sender.totals().rtp_packets for sender in senders} == {THREADS * 20 * 16}


def test_a_context_closed_by_another_thread_ends_every_call_with_its_error() -> None:
    sender, _ = ends()

    def work(number: int) -> None:
        if number == 0:
            sender.close()
            return
        for step in range(EACH):
            results = sender.protect_many([rtp(step, ssrc=number)])
            assert isinstance(results[0], bytes) or results[0].code == "SRTP.CONTEXT_CLOSED"

    together(work)


def slots(count: int, size: int) -> "tuple[bytearray, array[int], array[int], bytearray]":
    """An arena of RTP packets with 100 bytes of room behind each."""
    packets = [rtp(number, bytes(size - 112)) for number in range(count)]
    memory = bytearray(b"".join(packet + bytes(100) for packet in packets))
    offsets = array("q", range(0, count * size + 1, size))
    return memory, offsets, array("q", [size - 100] * count), bytearray(count)


def test_others_run_while_a_batch_is_worked_on_and_cannot_resize_its_buffer() -> None:
    key = iter(range(1 << 16))
    refused = threading.Event()
    for _ in range(100):
        if refused.is_set():
            break
        salt = next(key).to_bytes(14, "big")
        sender = SrtpSender(SrtpProfile.AES128_CM_SHA1_80, b"threads of tests", salt)
        memory, offsets, lengths, outcomes = slots(2000, 4096)
        over = threading.Event()

        def resize(memory: bytearray = memory, over: threading.Event = over) -> None:
            while not over.is_set():
                try:
                    memory.append(0)
                except BufferError:
                    # The buffer is held during the call only: so this ran during the call.
                    refused.set()
                    return

        watcher = threading.Thread(target=resize)
        watcher.start()
        done = sender.protect_arena(memory, offsets, lengths, outcomes)
        over.set()
        watcher.join()
        assert done == 2000
    assert refused.is_set()


def test_a_thread_that_writes_into_an_arena_spoils_its_packets_and_nothing_else() -> None:
    sender, receiver = ends()
    memory, offsets, lengths, outcomes = slots(500, 1300)
    over = threading.Event()

    def scribble() -> None:
        step = 0
        while not over.is_set():
            step = (step + 7919) % len(memory)
            memory[step] = step & 0xFF

    writer = threading.Thread(target=scribble)
    writer.start()
    for _ in range(50):
        sender.protect_arena(memory, offsets, lengths, outcomes)
        receiver.unprotect_arena(memory, offsets, lengths, outcomes)
        lengths = array("q", [1200] * 500)
    over.set()
    writer.join()
    receiver.close()
    other = SrtpSender(SrtpProfile.AEAD_AES_128_GCM, b"sixteen bytes...", bytes(12))
    opened = SrtpReceiver(SrtpProfile.AEAD_AES_128_GCM, b"sixteen bytes...", bytes(12))
    assert opened.unprotect(other.protect(rtp(1))) == rtp(1)


def test_a_buffer_object_that_calls_back_into_the_context_does_not_lock_it() -> None:
    sender, receiver = ends()

    def packets() -> Iterator[bytes]:
        for number in range(3):
            sender.protect(rtp(100 + number))
            yield rtp(number)

    results = sender.protect_many(packets())
    assert [receiver.unprotect(one) for one in results if isinstance(one, bytes)] == [
        rtp(number) for number in range(3)
    ]


def test_receivers_are_as_safe_as_senders_to_share() -> None:
    key, salt = os.urandom(16), os.urandom(12)
    sender = SrtpSender(SrtpProfile.AEAD_AES_128_GCM, key, salt)
    receivers = [SrtpReceiver(SrtpProfile.AEAD_AES_128_GCM, key, salt) for _ in range(2)]
    packets = [sender.protect(rtp(number)) for number in range(EACH)]

    def work(number: int) -> None:
        results = receivers[number % 2].unprotect_many(packets)
        assert all(isinstance(one, bytes | ReplayedPacket) for one in results)

    together(work)
    assert [one.totals().rtp_packets for one in receivers] == [EACH, EACH]
