"""What a context may keep, and that it keeps nothing else."""

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.srtp_packets import ends, rtcp, rtp

from sealcast import SrtpReceiver, SrtpSender
from sealcast.errors import AuthenticationFailed, SrtpError

FORGED = 20_000
"""Packets of each kind, each with an SSRC of its own."""


def resident() -> int:
    """Pages of this process that are in memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_forged_packet_creates_no_state() -> None:
    """Python's memory by tracemalloc, the process's by its resident pages, which are coarse; the
    native side counts its own allocations to the byte in `crates/srtp/tests/forgery.rs`.
    """
    sender, receiver = ends()
    receiver.unprotect(sender.protect(rtp(1)))
    genuine = sender.protect(rtp(2))
    forged = [genuine[:8] + ssrc.to_bytes(4, "big") + genuine[12:] for ssrc in range(1, FORGED + 1)]
    # The E flag set, any index, any tag (RFC 7714 §17).
    reports = [rtcp(1, ssrc=one) + os.urandom(16) + b"\x80\0\0\1" for one in range(1, FORGED + 1)]
    before = receiver.statistics()

    def all_of_them() -> None:
        for packet in forged:
            with suppress(AuthenticationFailed):
                receiver.unprotect(packet)
        for packet in reports:
            with suppress(AuthenticationFailed):
                receiver.unprotect_rtcp(packet)

    all_of_them()
    gc.collect()
    pages = resident()
    all_of_them()
    gc.collect()
    # Both kinds have an SSRC of their own each: 64 bytes kept for each would be 2.5 MB.
    assert resident() - pages < 1_000_000
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        all_of_them()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - held
    finally:
        tracemalloc.stop()
    assert receiver.statistics() == before
    assert receiver.totals().refused == {"SRTP.AUTH_FAILED": 6 * FORGED}
    # The interpreter keeps some thousand bytes of its own; a byte per packet would be this many.
    assert kept < 2 * FORGED


def rounds() -> dict[str, Callable[[SrtpSender, SrtpReceiver, int], object]]:
    """Every call that hands memory over, good and bad."""
    target = bytearray(2000)

    def refused(receiver: SrtpReceiver) -> None:
        try:
            receiver.unprotect(bytes(40))
        except SrtpError:
            return

    return {
        "one": lambda sender, receiver, n: receiver.unprotect(sender.protect(rtp(n, bytes(1000)))),
        "into": lambda sender, _, n: sender.protect_into(rtp(n, bytes(1000)), target),
        "many": lambda sender, receiver, n: receiver.unprotect_many(
            [one for one in sender.protect_many([rtp(n)]) if isinstance(one, bytes)]
        ),
        "refused": lambda _, receiver, __: refused(receiver),
        "refused many": lambda _, receiver, __: receiver.unprotect_many([b"", bytes(40)]),
        "facts": lambda sender, receiver, _: (sender.totals(), receiver.statistics()),
        "contexts": lambda _, __, ___: ends(),
    }


@pytest.mark.parametrize("name", rounds())
def test_nothing_leaks(name: str) -> None:
    call = rounds()[name]
    sender, receiver = ends()
    count = iter(range(1 << 30))

    def run(times: int) -> None:
        for _ in range(times):
            call(sender, receiver, next(count))

    run(500)
    before = resident()
    run(5000)
    # A kilobyte lost each time would be 5 MB.
    assert resident() - before < 2_000_000


def test_references_to_arguments_are_given_back() -> None:
    sender, receiver = ends()
    packet, target = bytearray(rtp(1)), bytearray(100)
    references = [sys.getrefcount(one) for one in (sender, receiver, packet, target)]
    for number in range(100):
        packet[2:4] = number.to_bytes(2, "big")
        length = sender.protect_into(packet, target)
        receiver.unprotect_many([target[:length], target[:length]])
        sender.protect_many([packet])
        with pytest.raises(BufferError):
            sender.protect_into(packet, bytes(100))
    assert [sys.getrefcount(one) for one in (sender, receiver, packet, target)] == references
