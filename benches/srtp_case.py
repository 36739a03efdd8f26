"""What every side of the SRTP benchmark does alike: the key, the packets, the measured time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from measure import Run

# Replay protection is on for everyone. The peers get libsrtp's default: a larger window would cost
# libsrtp more, since it shifts all of it for every packet. Ours is always 1024 at least.
PEERS_WINDOW = 128
# So many packets are made, then worked on in the measured time: with 1200 bytes each they stay in
# the processor's cache, as the packets of a server do that has just received them.
RING = 256
SSRC = 0x5EA1CA57
TAIL = 16

Made = TypeVar("Made")


@dataclass(frozen=True)
class Profile:
    """A protection profile: its names, its number in the registry of RFC 5764, lengths in bytes."""

    name: str
    short: str
    id: int
    key_len: int
    salt_len: int

    @property
    def key(self) -> bytes:
        """0, 1, 2, …: the same key on every side."""
        return bytes(range(self.key_len))

    @property
    def salt(self) -> bytes:
        """100, 101, …: the same salt on every side."""
        return bytes(range(100, 100 + self.salt_len))


GCM_128 = Profile("AEAD_AES_128_GCM", "GCM-128", 7, 16, 12)
GCM_256 = Profile("AEAD_AES_256_GCM", "GCM-256", 8, 32, 12)
CM_80 = Profile("AES128_CM_SHA1_80", "CM-SHA1-80", 1, 16, 14)


@dataclass(frozen=True)
class Case:
    """One measurement: a profile, a direction, and the plain packet's length in bytes."""

    profile: Profile
    unprotect: bool
    length: int
    seconds: float

    @property
    def direction(self) -> str:
        """`protect` or `unprotect`."""
        return "unprotect" if self.unprotect else "protect"


class UnlikeError(Exception):
    """Two sides did not do the same job, so no figure of theirs can be compared."""


def packet(sequence: int, length: int) -> bytes:
    """The plain packet with this sequence number."""
    header = b"\x80\x60" + (sequence & 0xFFFF).to_bytes(2) + bytes(4) + SSRC.to_bytes(4)
    return header + bytes(at & 0xFF for at in range(12, length))


def in_this_process(
    case: Case, prepare: Callable[[list[bytes]], Made], work: Callable[[Made], Sequence[object]]
) -> Run:
    """Packets that `work` does per second of this process's CPU time.

    What `prepare` makes of the plain packets is made outside of the measured time. `work` gives
    the outcomes that it has at hand; no error may be among them.
    """
    plain = packet(0, case.length)
    done, seconds, sequence = 0, 0.0, 1
    while seconds < case.seconds:
        ring = prepare(
            [
                plain[:2] + (at & 0xFFFF).to_bytes(2) + plain[4:]
                for at in range(sequence, sequence + RING)
            ]
        )
        start = time.process_time()
        outcomes = work(ring)
        seconds += time.process_time() - start
        if any(isinstance(outcome, Exception) for outcome in outcomes):
            raise UnlikeError(f"a packet of {case} was refused")
        sequence += RING
        done += RING
    return Run(done / seconds)
