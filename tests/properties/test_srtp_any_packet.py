"""What holds for every packet, every order and every number of bytes."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.srtp_packets import ends, flipped, rtcp, rtp

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender
from sealcast.errors import AuthenticationFailed, MalformedPacket, ReplayedPacket, SrtpError

profiles = st.sampled_from(list(SrtpProfile))
words = st.integers(0, 2**32 - 1)


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """Any well-formed RTP packet (RFC 3550 §5.1, §5.3.1)."""
    csrcs = draw(st.lists(words, max_size=15))
    extension = draw(st.none() | st.lists(words, max_size=8))
    first = 0x80 | draw(st.sampled_from([0, 0x20])) | len(csrcs)
    # RFC 3551 §6 keeps the payload types 72 to 76 with the marker for RTCP.
    second = draw(st.integers(0, 255).filter(lambda byte: not 200 <= byte <= 204))
    header = bytes([first | (0x10 if extension is not None else 0), second])
    header += draw(st.binary(min_size=10, max_size=10))
    header += b"".join(one.to_bytes(4, "big") for one in csrcs)
    if extension is not None:
        header += b"\xbe\xde" + len(extension).to_bytes(2, "big")
        header += b"".join(one.to_bytes(4, "big") for one in extension)
    return header + draw(st.binary(max_size=1500))


@given(profiles, packets())
def test_what_is_opened_is_what_was_protected(profile: SrtpProfile, packet: bytes) -> None:
    sender, receiver = ends(profile)
    assert receiver.unprotect(sender.protect(packet)) == packet


@given(profiles, words, st.binary(max_size=400))
def test_what_is_opened_is_the_report_that_was_protected(
    profile: SrtpProfile, ssrc: int, rest: bytes
) -> None:
    sender, receiver = ends(profile)
    packet = rtcp(1, ssrc=ssrc) + rest
    assert receiver.unprotect_rtcp(sender.protect_rtcp(packet)) == packet


@given(packets(), st.integers(0, 100), st.integers(0, 100))
def test_all_forms_make_the_same_bytes(packet: bytes, source: int, target: int) -> None:
    key, salt = bytes(range(16)), bytes(range(12))
    made: list[bytes] = []
    for form in range(4):
        with SrtpSender(
            SrtpProfile.AEAD_AES_128_GCM, key, salt, key_reuse_for_tests=True
        ) as sender:
            room = memoryview(bytearray(len(packet) + 200))
            room[source : source + len(packet)] = packet
            if form == 0:
                made.append(sender.protect(packet))
            elif form == 1:
                length = sender.protect_into(room[source : source + len(packet)], room[target:])
                made.append(bytes(room[target : target + length]))
            elif form == 2:
                made += [one for one in sender.protect_many([packet]) if isinstance(one, bytes)]
            else:
                lengths = array("q", [len(packet)])
                offsets = array("q", [source, len(room)])
                assert sender.protect_arena(room, offsets, lengths, bytearray(1)) == 1
                made.append(bytes(room[source : source + lengths[0]]))
    assert len(made) == 4
    assert len(set(made)) == 1


@given(profiles, st.permutations(range(64)))
def test_no_order_within_the_window_loses_a_packet(profile: SrtpProfile, order: list[int]) -> None:
    sender, receiver = ends(profile, replay_window=128)
    protected = [sender.protect(rtp(65_500 + number)) for number in range(65)]
    # The first one tells the receiver where it is: before a rollover.
    assert receiver.unprotect(protected[0]) == rtp(65_500)
    opened = receiver.unprotect_many(protected[1 + number] for number in order)
    assert opened == [rtp(65_501 + number) for number in order]


@given(profiles, st.lists(st.integers(0, 63), max_size=200))
def test_every_replay_is_refused(profile: SrtpProfile, order: list[int]) -> None:
    sender, receiver = ends(profile)
    protected = [sender.protect(rtp(number)) for number in range(64)]
    seen: set[int] = set()
    for number, result in zip(
        order, receiver.unprotect_many(protected[one] for one in order), strict=True
    ):
        if number in seen:
            assert isinstance(result, ReplayedPacket)
        else:
            assert result == rtp(number)
        seen.add(number)


@given(profiles, packets(), st.data())
def test_a_flipped_bit_anywhere_is_refused_and_changes_nothing(
    profile: SrtpProfile, packet: bytes, data: st.DataObject
) -> None:
    sender, receiver = ends(profile)
    protected = sender.protect(packet)
    damaged = flipped(protected, data.draw(st.integers(0, len(protected) - 1)))
    (result,) = receiver.unprotect_many([damaged])
    assert isinstance(result, SrtpError)
    assert receiver.statistics() == []
    assert receiver.unprotect(protected) == packet


@settings(max_examples=500)
@given(
    profiles,
    st.binary(max_size=200)
    | st.builds(bytes.__add__, st.sampled_from([b"\x80\x60", b"\x91\xc8"]), st.binary(max_size=80)),
)
def test_random_bytes_raise_typed_errors_and_nothing_else(
    profile: SrtpProfile, noise: bytes
) -> None:
    sender, receiver = ends(profile)
    for call in (receiver.unprotect, receiver.unprotect_rtcp):
        with pytest.raises(SrtpError) as refused:
            call(noise)
        assert refused.value.row.remedy
        with pytest.raises(type(refused.value)):
            call(noise)
    with pytest.raises(SrtpError) as refused:
        receiver.unprotect_into(noise, bytearray(300))
    (result,) = receiver.unprotect_many([noise])
    assert type(result) is type(refused.value)
    for several in (sender.protect_many, sender.protect_many_rtcp):
        (result,) = several([noise])
        if isinstance(result, bytes):
            assert len(result) > len(noise)
        else:
            assert isinstance(result, MalformedPacket)


@given(st.lists(packets(), max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_the_packets_of_a_batch_do_not_touch_each_other(
    plain: list[bytes], damaged: list[bool]
) -> None:
    key, salt = bytes(range(16)), bytes(range(1, 13))
    profile = SrtpProfile.AEAD_AES_128_GCM
    with SrtpSender(profile, key, salt, key_reuse_for_tests=True) as sender:
        batch = sender.protect_many(plain)
    with SrtpSender(profile, key, salt, key_reuse_for_tests=True) as sender:
        alone = [result for packet in plain for result in sender.protect_many([packet])]
    assert [one if isinstance(one, bytes) else type(one) for one in alone] == [
        one if isinstance(one, bytes) else type(one) for one in batch
    ]
    sent = [
        (packet, one) for packet, one in zip(plain, batch, strict=True) if isinstance(one, bytes)
    ]
    arriving = [flipped(one) if bad else one for (_, one), bad in zip(sent, damaged, strict=False)]
    results = SrtpReceiver(profile, key, salt).unprotect_many(arriving)
    for (packet, _), bad, result in zip(sent, damaged, results, strict=False):
        if bad:
            assert isinstance(result, AuthenticationFailed)
        elif isinstance(result, bytes):
            assert result == packet
