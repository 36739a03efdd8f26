"""Packets, keys and pairs of contexts for the tests of SRTP."""

import os
import struct
from typing import Any

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender

SSRC = 0xCAFEBABE

# Profiles that encrypt; those that do not are refused unless asked for by name.
ENCRYPTING = [profile for profile in SrtpProfile if not profile.startswith("NULL_")]


def rtp(sequence: int, payload: bytes = b"sound or picture", ssrc: int = SSRC) -> bytes:
    """An RTP packet (RFC 3550 §5.1) of payload type 96."""
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, 3000 * sequence, ssrc) + payload


def rtcp(number: int = 0, ssrc: int = SSRC) -> bytes:
    """A receiver report without blocks and an application packet (RFC 3550 §6)."""
    report = struct.pack("!BBHI", 0x80, 201, 1, ssrc)
    return report + struct.pack("!BBHI4sI", 0x80, 204, 3, ssrc, b"SEAL", number)


def fresh(profile: SrtpProfile) -> tuple[bytes, bytes]:
    """A master key and salt that no other sender of this process has."""
    return os.urandom(profile.key_len), os.urandom(profile.salt_len)


def ends(
    profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM, **both: Any
) -> tuple[SrtpSender, SrtpReceiver]:
    """A sender and the receiver that opens its packets."""
    key, salt = fresh(profile)
    if profile.startswith("NULL_"):
        both["null_cipher"] = True
    return SrtpSender(profile, key, salt, **both), SrtpReceiver(profile, key, salt, **both)


def flipped(packet: bytes, at: int = -1) -> bytes:
    """The packet with one bit of one byte turned."""
    damaged = bytearray(packet)
    damaged[at] ^= 1
    return bytes(damaged)
