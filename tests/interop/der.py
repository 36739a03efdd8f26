"""Distinguished encoding (X.690) by hand: only so can what is malformed be made.

Does: lays out tags, lengths and the few types that certificates have.

Does not: check anything; whoever calls decides how wrong the result is.
"""

from __future__ import annotations

import datetime
import itertools

SEQUENCE, SET, BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING = 0x30, 0x31, 0x01, 0x02, 0x03, 0x04
UTF8, PRINTABLE, IA5, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x13, 0x16, 0x17, 0x18
NULL = bytes((0x05, 0))


def tlv(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*items: bytes) -> bytes:
    return tlv(SEQUENCE, *items)


def integer(value: int) -> bytes:
    length = (value + (value < 0)).bit_length() // 8 + 1
    return tlv(INTEGER, value.to_bytes(length, "big", signed=True))


def boolean(value: bool) -> bytes:
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def bits(octets: bytes, *, unused: int = 0) -> bytes:
    return tlv(BIT_STRING, bytes((unused,)), octets)


def octets(content: bytes) -> bytes:
    return tlv(OCTET_STRING, content)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, b"".join(map(_base_128, (40 * first + second, *rest))))


def explicit(number: int, *content: bytes) -> bytes:
    return tlv(0xA0 | number, *content)


def implicit(number: int, content: bytes) -> bytes:
    return tlv(0x80 | number, content)


def moment(when: datetime.datetime) -> bytes:
    """As RFC 5280 §4.1.2.5 has it: UTCTime through 2049."""
    if when.year < 2050:
        return tlv(UTC_TIME, when.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, when.strftime("%Y%m%d%H%M%SZ").encode())


def _base_128(value: int) -> bytes:
    septets = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)][::-1]
    return bytes(itertools.chain((septet | 0x80 for septet in septets[:-1]), septets[-1:]))
