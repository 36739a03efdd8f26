"""STUN binding messages, byte by byte (RFC 8489, RFC 8445 §7).

Does: builds checks and answers, good ones and such as an attacker makes; takes messages apart.

Does not: keep transactions or time.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import struct
import zlib
from dataclasses import dataclass

MAGIC_COOKIE = 0x2112A442
REQUEST = 0x0001
SUCCESS = 0x0101
# RFC 8489 §14 and RFC 8445 §16.1.
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLING = 0x802A

_HEADER = struct.Struct("!HHI12s")
_FINGERPRINT_XOR = 0x5354554E
_HOST_PRIORITY = 126 << 24 | 65535 << 8 | 255


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received. Its integrity was not looked at."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]


def is_stun(datagram: bytes) -> bool:
    """RFC 7983 §7."""
    return len(datagram) >= _HEADER.size and datagram[0] < 4


def read(datagram: bytes) -> Message:
    kind, length, _, transaction = _HEADER.unpack_from(datagram)
    attributes: dict[int, bytes] = {}
    at = _HEADER.size
    while at < _HEADER.size + length:
        name, size = struct.unpack_from("!HH", datagram, at)
        attributes.setdefault(name, datagram[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return Message(kind, transaction, attributes)


def check(
    username: str, password: str, *, nominate: bool = True, transaction: bytes | None = None
) -> bytes:
    """A connectivity check of a controlling agent, with a fresh transaction if none is given."""
    attributes = [
        (USERNAME, username.encode()),
        (PRIORITY, struct.pack("!I", _HOST_PRIORITY)),
        (ICE_CONTROLLING, b"\xff" * 8),
    ]
    if nominate:
        attributes.append((USE_CANDIDATE, b""))
    return _signed(REQUEST, transaction or secrets.token_bytes(12), attributes, password)


def answer(request: Message, to: tuple[str, int], password: str) -> bytes:
    """The success response to a check that came from `to`."""
    port = to[1] ^ MAGIC_COOKIE >> 16
    address = int(ipaddress.IPv4Address(to[0])) ^ MAGIC_COOKIE
    mapped = struct.pack("!BBHI", 0, 1, port, address)
    return _signed(SUCCESS, request.transaction, [(XOR_MAPPED_ADDRESS, mapped)], password)


def _signed(
    kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: str
) -> bytes:
    body = b"".join(_attribute(name, value) for name, value in attributes)
    # RFC 8489 §14.5 and §14.7: each is computed as if it were the last attribute.
    signed = _message(kind, transaction, body, 24)
    integrity = hmac.new(password.encode(), signed, hashlib.sha1).digest()
    body += _attribute(MESSAGE_INTEGRITY, integrity)
    checksum = zlib.crc32(_message(kind, transaction, body, 8)) ^ _FINGERPRINT_XOR
    return _message(kind, transaction, body + _attribute(FINGERPRINT, struct.pack("!I", checksum)))


def _message(kind: int, transaction: bytes, body: bytes, more: int = 0) -> bytes:
    return _HEADER.pack(kind, len(body) + more, MAGIC_COOKIE, transaction) + body


def _attribute(name: int, value: bytes) -> bytes:
    return struct.pack("!HH", name, len(value)) + value + b"\0" * (-len(value) % 4)
