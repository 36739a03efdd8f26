"""The four forms of `protect` and `unprotect`, and what each refuses."""

import pickle
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.srtp_packets import ENCRYPTING, ends, flipped, fresh, rtcp, rtp

import sealcast
from sealcast import SrtpProfile, SrtpReceiver, SrtpSender, srtp
from sealcast._core import codes
from sealcast.codes import CODES
from sealcast.errors import (
    SRTP_ERRORS,
    AuthenticationFailed,
    BufferTooSmall,
    ContextClosed,
    MalformedPacket,
    PacketIndexUsed,
    PacketTooOld,
    RemoteError,
    ReplayedPacket,
    SealcastError,
    SrtpError,
    UnencryptedControlPacket,
)


def test_a_packet_opens_to_what_was_protected() -> None:
    sender, receiver = ends()
    protected = sender.protect(rtp(1))
    assert protected[:12] == rtp(1)[:12]
    assert protected[12:28] != rtp(1)[12:28]
    assert receiver.unprotect(protected) == rtp(1)
    assert receiver.unprotect_rtcp(sender.protect_rtcp(rtcp())) == rtcp()


@pytest.mark.parametrize(
    "kind",
    [bytes, bytearray, memoryview, lambda packet: np.frombuffer(packet, np.uint8)],
    ids=["bytes", "bytearray", "memoryview", "numpy"],
)
def test_every_form_takes_every_bytes_like_object(kind: Callable[[bytes], bytes]) -> None:
    sender, receiver = ends()
    target = bytearray(100)
    opened = receiver.unprotect(kind(sender.protect(kind(rtp(1)))))
    assert opened == rtp(1)
    length = sender.protect_into(kind(rtp(2)), target)
    assert receiver.unprotect_into(kind(bytes(target[:length])), target) == len(rtp(2))
    assert target.startswith(rtp(2))
    (protected,) = sender.protect_many([kind(rtp(3))])
    assert isinstance(protected, bytes)
    assert receiver.unprotect_many([kind(protected)]) == [rtp(3)]


@pytest.mark.parametrize(
    "room",
    [bytearray, lambda size: memoryview(bytearray(size)), lambda size: np.zeros(size, np.uint8)],
    ids=["bytearray", "memoryview", "numpy"],
)
def test_a_packet_is_worked_on_in_the_buffer_that_holds_it(
    room: Callable[[int], bytearray],
) -> None:
    sender, receiver = ends()
    buffer, packet = room(200), rtp(1)
    view = memoryview(buffer)
    view[: len(packet)] = packet
    length = sender.protect_into(view[: len(packet)], buffer)
    assert length == len(packet) + sender.rtp_overhead
    assert receiver.unprotect_into(view[:length], buffer) == len(packet)
    assert view[: len(packet)] == packet


def test_packet_and_target_may_overlap_in_any_way() -> None:
    sender, receiver = ends()
    packet = rtp(1)
    for sequence, (source, target) in enumerate([(0, 5), (5, 0), (0, 0), (40, 3)]):
        packet = rtp(sequence)
        buffer = memoryview(bytearray(200))
        buffer[source : source + len(packet)] = packet
        length = sender.protect_into(buffer[source : source + len(packet)], buffer[target:])
        assert receiver.unprotect(buffer[target : target + length]) == packet


def test_a_target_without_room_is_refused_and_nothing_is_spent() -> None:
    sender, receiver = ends()
    packet = rtp(1)
    with pytest.raises(BufferTooSmall, match="target has 43 bytes and the packet needs 44"):
        sender.protect_into(packet, bytearray(len(packet) + sender.rtp_overhead - 1))
    protected = sender.protect(packet)
    with pytest.raises(BufferTooSmall, match="target has 43 bytes and the packet needs 44"):
        receiver.unprotect_into(protected, bytearray(len(protected) - 1))
    assert receiver.unprotect(protected) == packet
    for context in (sender, receiver):
        assert context.totals().refused == {"SRTP.BUFFER_TOO_SMALL": 1}


def test_a_list_has_a_result_or_an_error_for_each_packet() -> None:
    sender, receiver = ends()
    first, bad, third = sender.protect_many([rtp(1), b"\x00", rtp(2)])
    assert isinstance(first, bytes)
    assert isinstance(bad, MalformedPacket)
    assert isinstance(third, bytes)
    results = receiver.unprotect_many([first, first, flipped(third), third])
    assert [type(one) for one in results] == [bytes, ReplayedPacket, AuthenticationFailed, bytes]
    assert [one for one in results if isinstance(one, bytes)] == [rtp(1), rtp(2)]
    (report,) = sender.protect_many_rtcp([rtcp()])
    assert isinstance(report, bytes)
    assert receiver.unprotect_many_rtcp([report]) == [rtcp()]


def test_a_list_may_be_empty_or_any_iterable() -> None:
    sender, _ = ends()
    assert sender.protect_many([]) == []
    assert len(sender.protect_many(rtp(number) for number in range(5))) == 5


@pytest.mark.parametrize("profile", list(SrtpProfile))
@pytest.mark.parametrize("count", [3, 64])
@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_a_list_becomes_what_its_packets_become_one_by_one(
    profile: SrtpProfile, count: int, form: Callable[[bytes], bytes]
) -> None:
    keys = fresh(profile)
    options: dict[str, Any] = {"mki": b"\x07", "null_cipher": profile.startswith("NULL_")}
    # With Cryptex the packets grow by different amounts: those with a CSRC get an extension too.
    with_source = b"\x81" + rtp(0)[1:12] + b"CSRC" + bytes(20)
    media = [
        packet[:2] + number.to_bytes(2) + packet[4:]
        for number in range(count)
        for packet in [with_source if number % 3 else rtp(number, bytes(7 * number))]
    ]
    reports = [rtcp(number) for number in range(count)]
    with SrtpSender(profile, *keys, cryptex=True, key_reuse_for_tests=True, **options) as sender:
        one_by_one = [sender.protect(packet) for packet in media]
        one_by_one_rtcp = [sender.protect_rtcp(packet) for packet in reports]
    sender = SrtpSender(profile, *keys, cryptex=True, key_reuse_for_tests=True, **options)
    receiver, other = (
        SrtpReceiver(profile, *keys, cryptex="accepted", **options) for _ in range(2)
    )
    assert sender.protect_many(map(form, media)) == one_by_one
    assert sender.protect_many_rtcp(map(form, reports)) == one_by_one_rtcp
    assert receiver.unprotect_many(map(form, one_by_one)) == [
        other.unprotect(packet) for packet in one_by_one
    ]
    assert receiver.unprotect_many_rtcp(map(form, one_by_one_rtcp)) == reports


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_packets_of_any_length_are_refused_in_a_list_and_change_nothing(
    kind: Callable[[bytes], bytes],
) -> None:
    sender, receiver = ends()
    packet = sender.protect(rtp(1))
    short = [kind(packet[:length]) for length in range(len(packet))]
    for results in (receiver.unprotect_many(short), receiver.unprotect_many_rtcp(short)):
        assert len(results) == len(short)
        assert all(isinstance(one, SrtpError) for one in results)
    assert receiver.unprotect_many([packet]) == [rtp(1)]


def test_packets_of_many_contexts_go_through_one_call() -> None:
    pairs = [ends() for _ in range(3)]
    order = [0, 1, 1, 2, 0]
    plain = [rtp(number) for number in range(5)]
    protected = srtp.protect_many(
        (pairs[one][0], packet) for one, packet in zip(order, plain, strict=True)
    )
    assert all(isinstance(one, bytes) for one in protected)
    opened = srtp.unprotect_many(
        (pairs[one][1], packet)
        for one, packet in zip(order, protected, strict=True)
        if isinstance(packet, bytes)
    )
    assert opened == plain
    (report,) = srtp.protect_many_rtcp([(pairs[0][0], rtcp())])
    assert isinstance(report, bytes)
    assert srtp.unprotect_many_rtcp([(pairs[0][1], report)]) == [rtcp()]


class Arena:
    """Slots of equal size with a packet at the front of each."""

    def __init__(self, packets: list[bytes], size: int = 100) -> None:
        self.memory = bytearray(b"".join(packet.ljust(size, b"\0") for packet in packets))
        self.offsets = array("q", range(0, size * len(packets) + 1, size))
        self.lengths = array("q", map(len, packets))
        self.outcomes = bytearray(b"\xff" * len(packets))

    def arguments(self) -> tuple[bytearray, "array[int]", "array[int]", bytearray]:
        return self.memory, self.offsets, self.lengths, self.outcomes

    def packets(self) -> list[bytes]:
        return [
            bytes(self.memory[start : start + length])
            for start, length in zip(self.offsets, self.lengths, strict=False)
        ]


def test_an_arena_is_worked_on_where_it_lies() -> None:
    sender, receiver = ends()
    plain = [rtp(number, bytes(number)) for number in range(50)]
    arena = Arena(plain)
    assert sender.protect_arena(*arena.arguments()) == 50
    assert list(arena.lengths) == [len(one) + sender.rtp_overhead for one in plain]
    assert arena.outcomes == bytes(50)
    assert arena.packets() != plain
    assert receiver.unprotect_arena(*arena.arguments()) == 50
    assert arena.packets() == plain


def test_an_arena_of_reports_is_worked_on_where_it_lies() -> None:
    sender, receiver = ends()
    arena = Arena([rtcp(1), rtcp(2)])
    assert sender.protect_arena_rtcp(*arena.arguments()) == 2
    assert receiver.unprotect_arena_rtcp(*arena.arguments()) == 2
    assert arena.packets() == [rtcp(1), rtcp(2)]


def test_an_arena_names_the_error_of_each_packet_by_number() -> None:
    sender, receiver = ends()
    protected = sender.protect(rtp(1))
    arena = Arena([protected, protected, flipped(sender.protect(rtp(2))), b"short"])
    assert receiver.unprotect_arena(*arena.arguments()) == 1
    assert [srtp.OUTCOMES[number] for number in arena.outcomes] == [
        None,
        ReplayedPacket,
        AuthenticationFailed,
        MalformedPacket,
    ]
    assert list(arena.lengths) == [len(rtp(1)), 0, 0, 0]


def test_an_arena_without_room_behind_a_packet_says_so() -> None:
    sender, _ = ends()
    arena = Arena([rtp(1), rtp(2)], size=len(rtp(1)))
    assert sender.protect_arena(*arena.arguments()) == 0
    assert {srtp.OUTCOMES[number] for number in arena.outcomes} == {BufferTooSmall}


def test_an_arena_serves_many_contexts() -> None:
    pairs = [ends() for _ in range(3)]
    plain = [rtp(number) for number in range(6)]
    which = array("q", [2, 0, 1, 1, 2, 0])
    arena = Arena(plain)
    senders, receivers = [one for one, _ in pairs], [one for _, one in pairs]
    assert srtp.protect_arena(senders, which, *arena.arguments()) == 6
    assert srtp.unprotect_arena(receivers, which, *arena.arguments()) == 6
    assert arena.packets() == plain
    arena = Arena([rtcp(1), rtcp(2)])
    assert srtp.protect_arena_rtcp(senders, which[:2], *arena.arguments()) == 2
    assert srtp.unprotect_arena_rtcp(receivers, which[:2], *arena.arguments()) == 2
    assert arena.packets() == [rtcp(1), rtcp(2)]


def test_numpy_arrays_make_an_arena() -> None:
    sender, receiver = ends()
    memory = np.zeros((20, 100), np.uint8)
    for number in range(20):
        memory[number, : len(rtp(number))] = np.frombuffer(rtp(number), np.uint8)
    offsets = np.arange(0, 2001, 100)
    lengths = np.full(20, len(rtp(0)))
    outcomes = np.empty(20, np.uint8)
    assert sender.protect_arena(memory, offsets, lengths, outcomes) == 20
    assert receiver.unprotect_arena(memory, offsets, lengths, outcomes) == 20
    assert bytes(memory[7, : len(rtp(7))]) == rtp(7)


def test_a_sequence_number_is_protected_once() -> None:
    sender, _ = ends()
    sender.protect(rtp(1))
    with pytest.raises(PacketIndexUsed) as refused:
        sender.protect(rtp(1, b"other"))
    assert refused.value.code == "SRTP.INDEX_USED"


def test_a_packet_behind_the_window_is_too_old_and_not_replayed() -> None:
    sender, receiver = ends(replay_window=64)
    late = sender.protect(rtp(1))
    receiver.unprotect(sender.protect(rtp(2)))
    receiver.unprotect(sender.protect(rtp(65)))
    with pytest.raises(PacketTooOld):
        receiver.unprotect(late)


def test_a_refusal_leaves_the_context_as_it_was() -> None:
    sender, receiver = ends()
    receiver.unprotect(sender.protect(rtp(1)))
    before = receiver.statistics()
    protected = sender.protect(rtp(2))
    for bad in (b"", protected[:11], flipped(protected), flipped(protected, 1)):
        with pytest.raises(SrtpError):
            receiver.unprotect(bad)
    (stream,), (was,) = receiver.statistics(), before
    assert (stream.highest_index, stream.roc) == (was.highest_index, was.roc)
    assert receiver.unprotect(protected) == rtp(2)


@pytest.mark.parametrize("profile", ENCRYPTING)
def test_a_packet_that_was_not_authenticated_leaves_no_plaintext_behind(
    profile: SrtpProfile,
) -> None:
    sender, receiver = ends(profile)
    damaged = flipped(sender.protect(rtp(1, b"read me" * 20)))
    target = bytearray(300)
    with pytest.raises(AuthenticationFailed):
        receiver.unprotect_into(damaged, target)
    assert b"read me" not in target
    arena = Arena([damaged], size=300)
    assert receiver.unprotect_arena(*arena.arguments()) == 0
    assert b"read me" not in arena.memory


def test_a_packet_longer_than_any_datagram_is_refused_and_the_next_one_is_not() -> None:
    sender, receiver = ends()
    longest = rtp(1, bytes(65_535 - 12 - sender.rtp_overhead))
    assert receiver.unprotect(sender.protect(longest)) == longest
    for call in (sender.protect, receiver.unprotect):
        with pytest.raises(MalformedPacket):
            call(rtp(2, bytes(1_000_000)))
    # One byte more could be protected but not be sent, nor opened.
    with pytest.raises(MalformedPacket, match=r"has 65520 bytes and may have 65519\."):
        sender.protect(longest + b"\0")
    assert receiver.unprotect(sender.protect(rtp(2))) == rtp(2)


def test_a_closed_context_refuses_every_call() -> None:
    sender, receiver = ends()
    protected = sender.protect(rtp(1))
    with receiver:
        receiver.unprotect(protected)
    sender.close()
    sender.close()
    for call in (
        lambda: sender.protect(rtp(2)),
        lambda: sender.protect_into(rtp(2), bytearray(100)),
        lambda: receiver.unprotect_rtcp(rtcp()),
        sender.statistics,
        sender.events,
        lambda: sender.mkis,
    ):
        with pytest.raises(ContextClosed):
            call()
    assert [type(one) for one in sender.protect_many([rtp(2)])] == [ContextClosed]
    arena = Arena([rtp(2)])
    assert sender.protect_arena(*arena.arguments()) == 0
    assert srtp.OUTCOMES[arena.outcomes[0]] is ContextClosed


def test_a_context_cannot_be_copied_pickled_or_looked_into() -> None:
    for context in ends():
        with pytest.raises(TypeError):
            pickle.dumps(context)
        assert not hasattr(context, "__dict__")
        assert "key" not in repr(context).lower()


@pytest.mark.parametrize("kind", SRTP_ERRORS.values())
def test_every_error_has_its_row_and_reads_as_what_why_and_what_next(
    kind: type[SrtpError],
) -> None:
    row = CODES[kind.code]
    error = kind("It was so.")
    assert isinstance(error, SealcastError)
    assert str(error) == f"{row.code}: {row.sentence} It was so. {row.remedy}"
    assert str(kind()) == f"{row.code}: {row.sentence} {row.remedy}"
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line itself
    assert (type(copied), copied.detail) == (kind, "It was so.")


def test_every_code_that_a_packet_or_key_can_meet_has_a_class() -> None:
    not_raised = {"SRTP.NOT_READY", "SRTP.KEY_NEARLY_SPENT"}
    native = {code for code in codes() if code.startswith("SRTP.")}
    assert set(SRTP_ERRORS) == native - not_raised
    assert {one.code for one in srtp.OUTCOMES if one} <= set(SRTP_ERRORS)


def test_what_a_peer_sent_is_the_peers_fault() -> None:
    for kind in (ReplayedPacket, PacketTooOld, AuthenticationFailed):
        assert issubclass(kind, RemoteError)


def test_the_paved_path_has_at_most_15_names() -> None:
    assert len(sealcast.__all__) <= 15
    assert set(sealcast.__all__) <= set(dir(sealcast))
    for name in sealcast.__all__:
        assert getattr(sealcast, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'SrtpSession'"):
        _ = sealcast.SrtpSession  # type: ignore[attr-defined]


def test_the_classes_are_those_of_the_module() -> None:
    assert (SrtpSender.__module__, SrtpReceiver.__module__) == ("sealcast.srtp", "sealcast.srtp")


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "The packet has 0 bytes and the header of RTP takes 12."),
        (bytes(12), "Byte 0: the version is 0 and must be 2."),
        (bytes([0x8F]) + bytes(20), "Byte 0: with 15 CSRCs the header takes 72 bytes of 21."),
        (bytes([0x90]) + bytes(13), "Byte 12: the header extension takes 4 bytes at least of 14."),
        (b"\x80" + bytes(65_535), "The packet has 65536 bytes and may have 65535."),
    ],
)
def test_a_malformed_packet_is_explained_by_field_and_offset(packet: bytes, said: str) -> None:
    sender, receiver = ends()
    room = bytearray(len(packet) + 100)
    for call in (
        sender.protect,
        receiver.unprotect,
        lambda packet: sender.protect_into(packet, room),
        lambda packet: receiver.unprotect_into(packet, room),
    ):
        with pytest.raises(MalformedPacket) as refused:
            call(packet)
        assert refused.value.detail == said
        assert "Harmless" not in str(refused.value)
    both: list[bytes | bytearray] = [packet, bytearray(packet)]
    for listed in (
        sender.protect_many(both),
        srtp.protect_many((sender, one) for one in both),
        receiver.unprotect_many(both),
        srtp.unprotect_many((receiver, one) for one in both),
    ):
        assert [one.detail for one in listed if isinstance(one, MalformedPacket)] == [said] * 2


def test_a_malformed_packet_that_lies_where_its_result_goes_is_explained() -> None:
    sender, _ = ends()
    room = bytearray(b"\x8f" + bytes(40))
    view = memoryview(room)
    for packet, target in ((view[:20], view), (view[:20], view[4:])):
        room[0] = 0x8F
        with pytest.raises(MalformedPacket, match="with 15 CSRCs the header takes 72 bytes of 20"):
            sender.protect_into(packet, target)


def test_the_slot_of_a_malformed_packet_is_as_it_was_and_says_by_itself_what_is_wrong() -> None:
    sender, receiver = ends()
    for alone, at_once in (
        (sender.protect, sender.protect_arena),
        (receiver.unprotect, receiver.unprotect_arena),
    ):
        bad = bytes([0x8F]) + bytes(20)
        arena = Arena([bad])
        assert at_once(*arena.arguments()) == 0
        assert srtp.OUTCOMES[arena.outcomes[0]] is MalformedPacket
        assert arena.memory == bad.ljust(100, b"\0")
        with pytest.raises(MalformedPacket, match="with 15 CSRCs"):
            alone(arena.memory[: len(bad)])


def test_a_packet_of_the_other_protocol_is_refused() -> None:
    sender, receiver = ends()
    with pytest.raises(MalformedPacket, match="Byte 1: 201 is a packet type of RTCP"):
        sender.protect(rtcp(1))
    with pytest.raises(MalformedPacket, match="Byte 1: 96 is no packet type of RTCP"):
        sender.protect_rtcp(rtp(1))
    # What is to be opened has keys of its own for each protocol.
    with pytest.raises(AuthenticationFailed):
        receiver.unprotect(sender.protect_rtcp(rtcp(1)))
    with pytest.raises((AuthenticationFailed, UnencryptedControlPacket)):
        receiver.unprotect_rtcp(sender.protect(rtp(1)))


def test_a_protected_packet_that_is_cut_lacks_its_tag() -> None:
    sender, receiver = ends()
    for call, packet in (
        (receiver.unprotect, sender.protect(rtp(1, b""))),
        (receiver.unprotect_rtcp, sender.protect_rtcp(rtcp(1)[:8])),
    ):
        with pytest.raises(MalformedPacket, match=r"leave no room for the .. that protection adds"):
            call(packet[:-1])
