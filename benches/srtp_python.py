"""The Python sides of the SRTP benchmark: sealcast in three forms, pylibsrtp in its one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import pylibsrtp
from measure import Run
from srtp_case import PEERS_WINDOW, RING, TAIL, Case, UnlikeError, in_this_process, packet

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender

# Packets of one batch: about what 50 viewers are sent of one packet.
BATCH = 64
SLOT = 2048


class Form(Enum):
    """How packets go into sealcast from Python."""

    ONE = "one a call"
    LIST = f"{BATCH} a call"
    ARENA = f"{BATCH} in one buffer"


def first_tail(case: Case) -> bytes:
    """What the end of the first packet must be on every side: what pylibsrtp makes it."""
    return _tail(_pylibsrtp_sender(case).protect, case)


def _tail(protect: Callable[[bytes], bytes], case: Case) -> bytes:
    return protect(packet(1, case.length))[-TAIL:]


def _as_they_are(ring: list[bytes]) -> list[bytes]:
    return ring


def _each_by(one: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    return lambda ring: [one(each) for each in ring]


def _one_by_one(one: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    def work(ring: list[bytes]) -> list[bytes]:
        for each in ring:
            one(each)
        return []

    return work


def _cut(ring: list[bytes]) -> list[list[bytes]]:
    return [ring[start : start + BATCH] for start in range(0, len(ring), BATCH)]


def _in_batches(
    many: Callable[[list[bytes]], Sequence[object]],
) -> Callable[[list[list[bytes]]], Sequence[object]]:
    def work(batches: list[list[bytes]]) -> Sequence[object]:
        outcomes: Sequence[object] = ()
        for batch in batches:
            outcomes = many(batch)
        return outcomes

    return work


@dataclass(frozen=True)
class Arena:
    """A batch that is worked on in place: slots of one size, their lengths and their outcomes."""

    memory: bytearray
    offsets: array[int]
    lengths: array[int]
    outcomes: bytearray

    @classmethod
    def of(cls, packets: list[bytes]) -> Arena:
        """A slot for each packet, with room behind it."""
        memory = bytearray(SLOT * len(packets))
        for at, each in enumerate(packets):
            memory[SLOT * at : SLOT * at + len(each)] = each
        return cls(
            memory,
            array("q", range(0, len(memory) + 1, SLOT)),
            array("q", map(len, packets)),
            bytearray(len(packets)),
        )


def _in_arenas(
    many: Callable[[bytearray, array[int], array[int], bytearray], int],
) -> Callable[[list[Arena]], Sequence[object]]:
    def work(arenas: list[Arena]) -> Sequence[object]:
        passed = 0
        for arena in arenas:
            passed += many(arena.memory, arena.offsets, arena.lengths, arena.outcomes)
        if passed != RING:
            raise UnlikeError(f"{RING - passed} packets were refused")
        return ()

    return work


def _sealcast_sender(case: Case) -> SrtpSender:
    return SrtpSender(
        SrtpProfile(case.profile.name),
        case.profile.key,
        case.profile.salt,
        key_reuse_for_tests=True,
    )


def sealcast(case: Case, form: Form) -> tuple[Run, bytes]:
    """Ours, and the end of the first packet."""
    with _sealcast_sender(case) as sender:
        tail = _tail(sender.protect, case)
    # Closed and made anew: two living senders never have one key, and none takes a packet twice.
    with _sealcast_sender(case) as sender:
        if not case.unprotect:
            run = _measure(
                case,
                form,
                _as_they_are,
                sender.protect,
                sender.protect_many,
                sender.protect_arena,
            )
            return run, tail
        profile = case.profile
        with SrtpReceiver(SrtpProfile(profile.name), profile.key, profile.salt) as receiver:
            run = _measure(
                case,
                form,
                _each_by(sender.protect),
                receiver.unprotect,
                receiver.unprotect_many,
                receiver.unprotect_arena,
            )
            return run, tail


def _measure(
    case: Case,
    form: Form,
    prepare: Callable[[list[bytes]], list[bytes]],
    one: Callable[[bytes], bytes],
    many: Callable[[list[bytes]], Sequence[object]],
    arena: Callable[[bytearray, array[int], array[int], bytearray], int],
) -> Run:
    if form is Form.ONE:
        return in_this_process(case, prepare, _one_by_one(one))
    if form is Form.LIST:
        return in_this_process(case, lambda ring: _cut(prepare(ring)), _in_batches(many))
    return in_this_process(
        case,
        lambda ring: [Arena.of(batch) for batch in _cut(prepare(ring))],
        _in_arenas(arena),
    )


def _pylibsrtp_session(case: Case, ssrc_type: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=case.profile.key + case.profile.salt, ssrc_type=ssrc_type, srtp_profile=case.profile.id
    )
    policy.window_size = PEERS_WINDOW
    return pylibsrtp.Session(policy)


def _pylibsrtp_sender(case: Case) -> pylibsrtp.Session:
    return _pylibsrtp_session(case, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)


def through_pylibsrtp(case: Case) -> tuple[Run, bytes]:
    """pylibsrtp, and the end of the first packet."""
    tail = _tail(_pylibsrtp_sender(case).protect, case)
    sender = _pylibsrtp_sender(case)
    if not case.unprotect:
        return in_this_process(case, _as_they_are, _one_by_one(sender.protect)), tail
    receiver = _pylibsrtp_session(case, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    return in_this_process(case, _each_by(sender.protect), _one_by_one(receiver.unprotect)), tail
