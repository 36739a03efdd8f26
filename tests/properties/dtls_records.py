"""DTLS records and handshake fragments by hand, as an attacker writes them (RFC 6347 §4.1, §4.2.2).

Does: any header with any body, true or not.

Does not: encrypt. Whoever has no keys can make no more than this.
"""

from __future__ import annotations

import secrets
import struct
from typing import Final

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23

CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
CERTIFICATE: Final = 11

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD
DTLS_1_3: Final = 0xFEFC

FATAL: Final = 2
WARNING: Final = 1

ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    48: "unknown_ca",
    51: "decrypt_error",
    70: "protocol_version",
    80: "internal_error",
}
"""Some of RFC 8446 §6."""


def record(
    kind: int, body: bytes, *, epoch: int = 0, number: int = 0, version: int = DTLS_1_2
) -> bytes:
    header = struct.pack(
        "!BHHHIH", kind, version, epoch, number >> 32, number & 0xFFFFFFFF, len(body)
    )
    return header + body


def fragment(
    body: bytes,
    *,
    kind: int = CLIENT_HELLO,
    length: int | None = None,
    message: int = 0,
    offset: int = 0,
    claimed: int | None = None,
) -> bytes:
    """A part of a handshake message; `length` is the whole message's, `claimed` the part's."""
    whole = len(body) if length is None else length
    part = len(body) if claimed is None else claimed
    return (
        struct.pack("!B", kind)
        + whole.to_bytes(3, "big")
        + struct.pack("!H", message)
        + offset.to_bytes(3, "big")
        + part.to_bytes(3, "big")
        + body
    )


def alert(number: int, *, level: int = FATAL, epoch: int = 0, sequence: int = 0) -> bytes:
    return record(ALERT, bytes((level, number)), epoch=epoch, number=sequence)


def client_hello(
    *, suites: tuple[int, ...] = (0xC02B, 0xC02F), version: int = DTLS_1_2, padding: int = 0
) -> bytes:
    """A ClientHello body of DTLS 1.2 with a fresh random, use_srtp, one group and one signature
    algorithm. Suite 0 is TLS_NULL_WITH_NULL_NULL.
    """
    extensions = b"".join(
        struct.pack("!HH", number, len(body)) + body
        for number, body in (
            (14, bytes((0, 2, 0, 7, 0))),  # use_srtp: AEAD_AES_128_GCM (RFC 7714 §14.2)
            (10, bytes((0, 4, 0, 29, 0, 23))),  # X25519, P-256
            (11, bytes((1, 0))),  # uncompressed points
            (13, bytes((0, 2, 4, 3))),  # ecdsa_secp256r1_sha256
            (23, b""),  # extended_master_secret
            (21, bytes(padding)),
        )
    )
    listed = b"".join(suite.to_bytes(2, "big") for suite in suites)
    return (
        version.to_bytes(2, "big")
        + secrets.token_bytes(32)
        + b"\0\0"  # no session, no cookie
        + len(listed).to_bytes(2, "big")
        + listed
        + b"\x01\0"  # no compression
        + len(extensions).to_bytes(2, "big")
        + extensions
    )


def hello_datagram(**shape: int | tuple[int, ...]) -> bytes:
    """A whole ClientHello in one datagram."""
    return record(HANDSHAKE, fragment(client_hello(**shape)))  # type: ignore[arg-type]
