"""Packet for packet against libsrtp, through pylibsrtp: the same bytes out, the same verdicts in.

All profiles that pylibsrtp has, both directions, over lost, late and repeated packets and two
rollovers of the sequence number.
"""

import os
import random
import struct
from collections import Counter
from collections.abc import Iterator

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender
from sealcast.errors import (
    AuthenticationFailed,
    MalformedPacket,
    PacketTooOld,
    ReplayedPacket,
    SrtpError,
)

PROFILES = {
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpProfile.AES128_CM_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
COUNT = 100_000
FIRST = 40_000
"""The sequence number of the first packet: 65,535 and 131,071 are passed by 100,000."""
WINDOW = 1024
SSRC = 0x5EA1CA57

# What libsrtp says, in our words.
VERDICTS: dict[str, type[SrtpError]] = {
    "replay check failed (bad index)": ReplayedPacket,
    "replay check failed (index too old)": PacketTooOld,
    "authentication failure": AuthenticationFailed,
    "can't process as much data as requested": MalformedPacket,
    "unspecified failure": MalformedPacket,
    "unsupported parameter": MalformedPacket,
    "error parsing data": MalformedPacket,
}


class Pair:
    """The same key in both libraries."""

    def __init__(self, profile: SrtpProfile) -> None:
        key, salt = os.urandom(profile.key_len), os.urandom(profile.salt_len)
        self.our_sender = SrtpSender(profile, key, salt, replay_window=WINDOW)
        self.our_receiver = SrtpReceiver(profile, key, salt, replay_window=WINDOW)
        self.their_sender = self.session(profile, key + salt, Policy.SSRC_ANY_OUTBOUND)
        self.their_receiver = self.session(profile, key + salt, Policy.SSRC_ANY_INBOUND)

    @staticmethod
    def session(profile: SrtpProfile, key: bytes, direction: int) -> Session:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
        policy.window_size = WINDOW
        return Session(policy)

    def theirs(self, packet: bytes) -> bytes | type[SrtpError]:
        try:
            opened = self.their_receiver.unprotect(packet)
        except pylibsrtp.Error as error:
            return VERDICTS[str(error)]
        assert isinstance(opened, bytes)
        return opened


def rtp(number: int, rng: random.Random) -> bytes:
    """A packet of 12 to about 300 bytes: some with CSRCs, some with a header extension."""
    csrcs = rng.choice((0, 0, 0, 2))
    extension = rng.choice((b"", b"", b"\xbe\xde\0\1\x51ab\0"))
    first = 0x80 | (0x10 if extension else 0) | csrcs
    fixed = struct.pack("!BBHII", first, 96, number & 0xFFFF, 90 * number & 0xFFFFFFFF, SSRC)
    return fixed + bytes(4 * csrcs) + extension + rng.randbytes(rng.randrange(280))


def rtcp(number: int) -> bytes:
    return struct.pack("!BBHIBBHI4sI", 0x80, 201, 1, SSRC, 0x80, 204, 3, SSRC, b"SEAL", number)


def network(packets: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Loses 5 %, repeats 1 %, and delays every packet by up to 200 others."""
    arrivals: list[tuple[float, bytes]] = []
    for sent, packet in enumerate(packets):
        # The first one sets where the receiver starts.
        if sent and rng.random() < 0.05:
            continue
        delay = rng.random() * 200 if sent else 0
        arrivals.append((sent + delay, packet))
        if rng.random() < 0.01:
            arrivals.append((sent + delay + rng.random() * 300, packet))
    arrivals.sort(key=lambda arrival: arrival[0])
    return (packet for _, packet in arrivals)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_hundred_thousand_packets_are_the_same_both_ways(profile: SrtpProfile) -> None:
    rng = random.Random(profile)
    pair = Pair(profile)
    plain = [rtp(number, rng) for number in range(FIRST, FIRST + COUNT)]

    # Out: byte for byte.
    ours = pair.our_sender.protect_many(plain)
    assert ours == [pair.their_sender.protect(packet) for packet in plain]
    protected = [packet for packet in ours if isinstance(packet, bytes)]

    # In: the same packets opened, the same packets refused for the same reason.
    arrived = list(network(protected, rng))
    results = pair.our_receiver.unprotect_many(arrived)
    verdicts = [one if isinstance(one, bytes) else type(one) for one in results]
    assert verdicts == [pair.theirs(packet) for packet in arrived]
    refused = Counter(one for one in verdicts if not isinstance(one, bytes))
    assert set(refused) == {ReplayedPacket}
    opened = {one for one in verdicts if isinstance(one, bytes)}
    assert opened <= set(plain)
    assert len(opened) > 0.94 * COUNT
    (stream,) = pair.our_receiver.statistics()
    assert (stream.roc, stream.replayed) == (2, refused[ReplayedPacket])


@pytest.mark.parametrize("profile", PROFILES)
def test_reports_are_the_same_both_ways(profile: SrtpProfile) -> None:
    pair = Pair(profile)
    # RFC 3711 §3.4 starts at index 0, where libsrtp starts at 1; both receivers take either.
    first = pair.our_sender.protect_rtcp(rtcp(0))
    assert pair.our_receiver.unprotect_rtcp(first) == rtcp(0)
    assert pair.their_receiver.unprotect_rtcp(first) == rtcp(0)
    for number in range(500):
        protected = pair.our_sender.protect_rtcp(rtcp(number))
        assert protected == pair.their_sender.protect_rtcp(rtcp(number))
        assert pair.our_receiver.unprotect_rtcp(protected) == rtcp(number)
        assert pair.their_receiver.unprotect_rtcp(protected) == rtcp(number)


@pytest.mark.parametrize("profile", PROFILES)
def test_damaged_packets_get_the_same_verdict(profile: SrtpProfile) -> None:
    rng = random.Random(profile)
    pair = Pair(profile)
    for number in range(2000):
        packet = bytearray(pair.our_sender.protect(rtp(number, rng)))
        # Behind the fields that say where things are and which packet it is.
        packet[rng.randrange(12, len(packet))] ^= 1 << rng.randrange(8)
        damaged = bytes(packet)
        with pytest.raises((AuthenticationFailed, MalformedPacket)) as refused:
            pair.our_receiver.unprotect(damaged)
        verdict = pair.theirs(damaged)
        # Where lengths are damaged too, libraries may find one or the other first.
        assert verdict in {type(refused.value), AuthenticationFailed, MalformedPacket}
    assert pair.our_receiver.statistics() == []


@pytest.mark.parametrize("profile", PROFILES)
def test_packets_behind_the_window_are_refused_by_both(profile: SrtpProfile) -> None:
    pair, rng = Pair(profile), random.Random(profile)
    packets = [pair.our_sender.protect(rtp(number, rng)) for number in range(3 * WINDOW)]
    for packet in (packets[0], packets[-1]):
        assert pair.our_receiver.unprotect(packet) == pair.theirs(packet)
    for packet in packets[1 : WINDOW + 1]:
        with pytest.raises(PacketTooOld):
            pair.our_receiver.unprotect(packet)
        assert pair.theirs(packet) is PacketTooOld
