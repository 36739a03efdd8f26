"""Writes libsrtp.json: packets protected by libsrtp (through pylibsrtp), one list per profile.

The second maker of our vectors: RFC 3711 and RFC 7714 publish no packet that starts from a master
key, so an independent implementation does. The packets are in sending order, over a rollover of
the sequence number. Run: python make_libsrtp.py > libsrtp.json
"""

from __future__ import annotations

import json
import struct
import sys

from pylibsrtp import Policy, Session

PROFILES = {
    "AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    "AES128_CM_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 16, 14),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
}
SEQUENCES = [65_530, 65_534, 65_535, 0, 1, 2, 40]
SSRC = 0xCAFEBABE


def rtp(sequence: int) -> bytes:
    """A packet with one CSRC, a one-byte-header extension and a payload that names itself."""
    header = struct.pack("!BBHIIIHHI", 0x91, 96, sequence, 3000, SSRC, 7, 0xBEDE, 1, 0x10FF0000)
    return header + f"sequence number {sequence}".encode()


def rtcp(number: int) -> bytes:
    """A receiver report without blocks and an application packet that names itself."""
    report = struct.pack("!BBHI", 0x80, 201, 1, SSRC)
    return report + struct.pack("!BBHI4sI", 0x80, 204, 3, SSRC, b"SEAL", number)


def main() -> None:
    cases = []
    for name, (profile, key_len, salt_len) in PROFILES.items():
        key, salt = bytes(range(key_len)), bytes(range(0x80, 0x80 + salt_len))
        policy = Policy(key=key + salt, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        session = Session(policy)
        packets = []
        for number, sequence in enumerate(SEQUENCES):
            plain = rtp(sequence)
            packets.append(
                {"kind": "rtp", "plain": plain.hex(), "protected": session.protect(plain).hex()}
            )
            plain = rtcp(number)
            packets.append(
                {
                    "kind": "rtcp",
                    "plain": plain.hex(),
                    "protected": session.protect_rtcp(plain).hex(),
                }
            )
        cases.append(
            {
                "source": "libsrtp through pylibsrtp 1.0.0, vectors/srtp/make_libsrtp.py",
                "profile": name,
                "master_key": key.hex(),
                "master_salt": salt.hex(),
                "packets": packets,
            }
        )
    about = "Packets in sending order, protected under a master key by libsrtp."
    json.dump({"about": about, "cases": cases}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
