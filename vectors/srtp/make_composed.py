"""Writes composed.json: packets put together from the RFCs by hand, with OpenSSL's AES and HMAC.

The second maker for what no published vector and no other library covers: key derivation rates,
AES-192 packets, the NULL cipher, MKIs with AEAD, E = 0, header extension elements under AEAD with a
whole tag and with two-byte headers. It shares nothing with crates/srtp but the RFCs.
Run: python make_composed.py > composed.json
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import sys
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SSRC = 0xCAFEBABE
ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000


def keystream(key: bytes, start: int, length: int) -> bytes:
    """AES in counter mode from a 128-bit counter block."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(length))


def xor(data: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


@dataclass(frozen=True)
class Suite:
    """A row of the profile table, as RFC 3711, RFC 6188 and RFC 7714 give it. Lengths in bytes."""

    name: str
    cipher: str
    key_len: int
    rtp_tag_len: int
    rtcp_tag_len: int

    @property
    def salt_len(self) -> int:
        return 12 if self.cipher == "gcm" else 14


SUITES = {
    suite.name: suite
    for suite in (
        Suite("NULL_SHA1_80", "null", 16, 10, 10),
        Suite("NULL_SHA1_32", "null", 16, 4, 10),
        Suite("AES128_CM_SHA1_80", "cm", 16, 10, 10),
        Suite("AES128_CM_SHA1_32", "cm", 16, 4, 10),
        Suite("AES_192_CM_SHA1_80", "cm", 24, 10, 10),
        Suite("AES_192_CM_SHA1_32", "cm", 24, 4, 10),
        Suite("AES_256_CM_SHA1_80", "cm", 32, 10, 10),
        Suite("AES_256_CM_SHA1_32", "cm", 32, 4, 10),
        Suite("AEAD_AES_128_GCM", "gcm", 16, 16, 16),
        Suite("AEAD_AES_256_GCM", "gcm", 32, 16, 16),
    )
}


@dataclass
class Context:
    """One direction: what both ends agreed on, and the packets made so far."""

    suite: Suite
    about: str
    rate: int = 0
    mki: bytes = b""
    elements: tuple[int, ...] = ()
    rtcp_encrypted: bool = True
    roc: int = 0
    packets: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        return bytes(range(self.suite.key_len))

    @property
    def salt(self) -> bytes:
        return bytes(range(0x80, 0x80 + self.suite.salt_len))

    def derive(self, label: int, index: int, length: int) -> bytes:
        """RFC 3711 section 4.3: x = (label || index DIV rate) XOR salt, with 48 bits of index."""
        period = index // self.rate if self.rate else 0
        salt = int.from_bytes(self.salt.ljust(14, b"\0"), "big")
        return keystream(self.key, (salt ^ label << 48 ^ period) << 16, length)

    def counter(self, salt: bytes, index: int) -> int:
        """RFC 3711 section 4.1.1."""
        return int.from_bytes(salt, "big") << 16 ^ SSRC << 64 ^ index << 16

    def nonce(self, salt: bytes, index: int) -> bytes:
        """RFC 7714 sections 8.1 and 9.1: both have the index in the last six bytes."""
        return xor(struct.pack("!HI", 0, SSRC) + index.to_bytes(6, "big"), salt)

    def with_elements(self, header: bytes, index: int) -> bytes:
        """RFC 6904 section 3.1: the keystream runs along the extension body, masked."""
        if not self.elements:
            return header
        tag, body = int.from_bytes(header[12:14], "big"), header[16:]
        mask, at = bytearray(len(body)), 0
        while at < len(body):
            if body[at] == 0:
                at += 1
                continue
            if tag == ONE_BYTE:
                number, start, length = body[at] >> 4, at + 1, (body[at] & 15) + 1
            else:
                number, start, length = body[at], at + 2, body[at + 1]
            if number in self.elements:
                mask[start : start + length] = b"\xff" * length
            at = start + length
        key = self.derive(6, index, self.suite.key_len)
        # Padded, as libsrtp does it, where an AEAD's salt is shorter than counter mode's.
        salt = self.derive(7, index, self.suite.salt_len).ljust(14, b"\0")
        stream = keystream(key, self.counter(salt, index), len(body))
        return header[:16] + xor(body, bytes(a & b for a, b in zip(stream, mask, strict=True)))

    def protect_rtp(self, sequence: int, roc: int, header: bytes, payload: bytes) -> None:
        index = roc << 16 | sequence
        suite = self.suite
        key = self.derive(0, index, suite.key_len)
        salt = self.derive(2, index, suite.salt_len)
        clear = self.with_elements(header, index)
        if suite.cipher == "gcm":
            sealed = AESGCM(key).encrypt(self.nonce(salt, index), payload, clear)
            protected = clear + sealed + self.mki
        else:
            body = payload
            if suite.cipher == "cm":
                body = xor(payload, keystream(key, self.counter(salt, index), len(payload)))
            message = clear + body + struct.pack("!I", roc)
            tag = hmac.digest(self.derive(1, index, 20), message, hashlib.sha1)
            protected = clear + body + self.mki + tag[: suite.rtp_tag_len]
        self.add("rtp", header + payload, protected)

    def protect_rtcp(self, index: int, plain: bytes) -> None:
        suite = self.suite
        key = self.derive(3, index, suite.key_len)
        salt = self.derive(5, index, suite.salt_len)
        encrypted = self.rtcp_encrypted and suite.cipher != "null"
        word = struct.pack("!I", encrypted << 31 | index)
        clear, body = plain[:8], plain[8:]
        if suite.cipher == "gcm":
            nonce = self.nonce(salt, index)
            if encrypted:
                protected = clear + AESGCM(key).encrypt(nonce, body, clear + word)
            else:
                protected = plain + AESGCM(key).encrypt(nonce, b"", plain + word)
            protected += word + self.mki
        else:
            if encrypted:
                body = xor(body, keystream(key, self.counter(salt, index), len(body)))
            tag = hmac.digest(self.derive(4, index, 20), clear + body + word, hashlib.sha1)
            protected = clear + body + word + self.mki + tag[: suite.rtcp_tag_len]
        self.add("rtcp", plain, protected)

    def add(self, kind: str, plain: bytes, protected: bytes) -> None:
        self.packets.append({"kind": kind, "plain": plain.hex(), "protected": protected.hex()})

    def case(self) -> dict[str, Any]:
        case: dict[str, Any] = {
            "source": f"make_composed.py: {self.about}",
            "profile": self.suite.name,
            "master_key": self.key.hex(),
            "master_salt": self.salt.hex(),
        }
        if self.rate:
            case["key_derivation_rate"] = self.rate
        if self.mki:
            case["mki"] = self.mki.hex()
        if self.elements:
            case["elements"] = list(self.elements)
        if not self.rtcp_encrypted:
            case["unencrypted_srtcp"] = True
        if self.roc:
            case["roc"] = self.roc
        return case | {"packets": self.packets}


def rtp_header(sequence: int, extension: bytes = b"", tag: int = ONE_BYTE) -> bytes:
    first = 0x90 if extension else 0x80
    header = struct.pack("!BBHII", first, 96, sequence, 3000, SSRC)
    if extension:
        header += struct.pack("!HH", tag, len(extension) // 4) + extension
    return header


def report(number: int) -> bytes:
    """A receiver report without blocks and an application packet that names itself."""
    app = struct.pack("!BBHI4sI", 0x80, 204, 3, SSRC, b"SEAL", number)
    return struct.pack("!BBHI", 0x80, 201, 1, SSRC) + app


def fill(context: Context, sequences: list[tuple[int, int]], reports: int) -> dict[str, Any]:
    one_byte = bytes.fromhex("1241424351aabb00") + b"\x00\x21\x11\x22" + b"\x00" * 4
    two_byte = bytes.fromhex("01034142430500210411223344") + b"\x00" * 3
    for sequence, roc in sequences:
        payload = f"sequence number {sequence}".encode() * (1 + sequence % 3)
        context.protect_rtp(sequence, roc, rtp_header(sequence), payload)
        if context.elements:
            header = rtp_header(sequence + 1, one_byte)
            context.protect_rtp(sequence + 1, roc, header, payload)
            header = rtp_header(sequence + 2, two_byte, TWO_BYTE)
            context.protect_rtp(sequence + 2, roc, header, payload)
    for number in range(reports):
        context.protect_rtcp(number, report(number))
    return context.case()


def main() -> None:
    over_a_rollover = [(65_533, 7), (65_535, 7), (0, 8), (1, 8)]
    over_a_boundary = [(14, 0), (15, 0), (16, 0), (17, 0), (31, 0), (32, 0), (300, 0)]
    cases = []
    for suite in SUITES.values():
        plain = Context(suite, "rollover counter 7, over a rollover", roc=7)
        cases.append(fill(plain, over_a_rollover, 3))
    for name in ("AES128_CM_SHA1_80", "AES_192_CM_SHA1_32", "AEAD_AES_128_GCM"):
        suite = SUITES[name]
        rated = Context(suite, "key derivation rate 16, over boundaries", rate=16)
        cases.append(fill(rated, over_a_boundary, 34))
        named = Context(suite, "an MKI of five bytes", mki=b"key-1")
        cases.append(fill(named, [(1, 0), (2, 0)], 2))
        chosen = Context(suite, "encrypted elements 1, 2 and 33", elements=(1, 2, 33))
        cases.append(fill(chosen, [(1, 0), (4, 0)], 1))
        clear = Context(suite, "E = 0", rtcp_encrypted=False)
        cases.append(fill(clear, [(1, 0)], 2))
    every = Context(
        SUITES["AES_256_CM_SHA1_80"],
        "MKI, rate and elements at once",
        rate=2,
        mki=bytes(128),
        elements=(5,),
    )
    cases.append(fill(every, [(1, 0), (4, 0)], 5))
    about = "Packets in sending order, composed from the RFCs with OpenSSL's primitives."
    json.dump({"about": about, "cases": cases}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
