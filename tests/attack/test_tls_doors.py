"""Who has no business at a door of TLS: which certificate, which version, which protocol."""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sealcast.testing.node_process import Client, Node

from .counters import ENDED_CONNECTIONS, Counters
from .exchange import TIMEOUT_S, tls_context
from .identities import Identities
from .ledger import assert_failed, leg_from

WITH_CERTIFICATE = ("secure", "ingest-ts")
EVERY_DOOR = ("public", "secure", "ingest-ts")
NAME = "encoder/attack"

# TLS records of alerts: type 21, two bytes, level fatal (RFC 8446 §6).
ALERT_RECORD = 21
FATAL = 2
PROTOCOL_VERSION = 70


@dataclass(frozen=True, slots=True)
class Knock:
    """A connection that was refused: our address, and the alert that we were told, as OpenSSL
    names it.
    """

    remote: str
    alert: str | None


def port_of(node: Node, door: str) -> int:
    return {
        "public": node.public_port,
        "secure": node.secure_port,
        "ingest-ts": node.ts_port,
    }[door]


def name_of(connection: socket.socket) -> str:
    return "{}:{}".format(*connection.getsockname())


def knock(node: Node, door: str, client: Client | None) -> Knock:
    """A TLS handshake, and then what the door says to it: in TLS 1.3 a client learns only with
    its first read whether its certificate was taken.
    """
    address = (node.address, port_of(node, door))
    with socket.create_connection(address, timeout=TIMEOUT_S) as plain:
        remote = name_of(plain)
        try:
            with tls_context(node, client).wrap_socket(
                plain, server_hostname=node.address
            ) as connection:
                connection.recv(1)
        except ssl.SSLError as error:
            return Knock(remote, error.reason)
    return Knock(remote, None)


def say(node: Node, door: str, words: bytes) -> tuple[str, bytes]:
    """Our address, and all that the door answers to bytes in clear until it hangs up."""
    address = (node.address, port_of(node, door))
    with socket.create_connection(address, timeout=TIMEOUT_S) as plain:
        remote = name_of(plain)
        plain.sendall(words)
        heard = b""
        try:
            while more := plain.recv(4096):
                heard += more
        except ConnectionResetError:
            pass
        return remote, heard


CERTIFICATES: dict[str, tuple[Callable[[Identities], Client | None], str, str, str]] = {
    "no certificate": (
        lambda _: None,
        "TLS.NO_CLIENT_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "the client sent no certificate",
    ),
    "a certificate of a foreign authority": (
        lambda held: held.of_foreign_authority(NAME),
        "TLS.UNKNOWN_CA",
        "TLSV1_ALERT_UNKNOWN_CA",
        "not issued by an authority that this door trusts",
    ),
    "an expired certificate": (
        lambda held: held.expired(NAME),
        "TLS.CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "has expired",
    ),
    "a certificate of tomorrow": (
        lambda held: held.not_yet_valid(NAME),
        "TLS.CERTIFICATE_NOT_YET_VALID",
        # RFC 8446 §6.2: it has expired "or is not currently valid".
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "not valid yet",
    ),
    "a server's certificate": (
        lambda held: held.server(),
        "TLS.WRONG_USAGE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "not one for clients",
    ),
}


@pytest.mark.parametrize("door", WITH_CERTIFICATE)
@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_door_that_wants_a_certificate_refuses(
    attacked: Node, identities: Identities, counters: Counters, door: str, what: str
) -> None:
    held, code, alert, says = CERTIFICATES[what]
    with counters.rise(ENDED_CONNECTIONS, door=door, code=code):
        refused = knock(attacked, door, held(identities))
    assert refused.alert == alert
    leg = leg_from(attacked, refused.remote)
    assert_failed(leg, code, says=says)
    assert leg["role"] == ("ingest" if door == "ingest-ts" else "signalling")
    assert leg["peer"]["proved"] is False, "a name in a refused certificate proves nothing"


def client_hello_1_1() -> bytes:
    """The ClientHello of a client that ends at TLS 1.1 (RFC 4346 §7.4.1.2), by hand: OpenSSL 4
    does not speak it any more.
    """
    suites = bytes.fromhex("c009 c00a c013 c014 002f 0035")
    groups = struct.pack("!HHHHH", 10, 6, 4, 23, 24)
    hello = (
        b"\x03\x02"
        + secrets.token_bytes(32)
        + b"\0"
        + struct.pack("!H", len(suites))
        + suites
        + b"\x01\0"
        + struct.pack("!H", len(groups))
        + groups
    )
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


@pytest.mark.parametrize("door", EVERY_DOOR)
def test_tls_1_1_is_refused_by_its_version(attacked: Node, counters: Counters, door: str) -> None:
    code = "TLS.VERSION_REFUSED"
    with counters.rise(ENDED_CONNECTIONS, door=door, code=code):
        remote, heard = say(attacked, door, client_hello_1_1())
    assert heard[0] == ALERT_RECORD
    assert heard[5:7] == bytes([FATAL, PROTOCOL_VERSION])
    assert_failed(leg_from(attacked, remote), code, says="TLS 1.1")


@pytest.mark.parametrize("door", EVERY_DOOR)
@pytest.mark.parametrize("sent", ["nothing", "half a ClientHello"])
def test_a_client_that_vanishes_in_the_handshake_is_named(
    attacked: Node, counters: Counters, door: str, sent: str
) -> None:
    code = "TLS.PEER_CLOSED"
    hello = client_hello_1_1()
    address = (attacked.address, port_of(attacked, door))
    # Others leave the secure door as well: those who read the counters.
    with counters.rise(ENDED_CONNECTIONS, at_least=True, door=door, code=code):
        with socket.create_connection(address, timeout=TIMEOUT_S) as plain:
            remote = name_of(plain)
            plain.sendall(hello[: len(hello) // 2] if sent != "nothing" else b"")
        leg = leg_from(attacked, remote)
    says = "before it sent anything" if sent == "nothing" else "in the middle of its ClientHello"
    assert_failed(leg, code, says=says)


@pytest.mark.parametrize(
    ("door", "line"),
    [
        ("public", b"This port speaks HTTPS only: use https://"),
        ("secure", b"This port speaks HTTPS only: use https://"),
        ("ingest-ts", b"This port takes media over TLS only, and no HTTP: use tls://"),
    ],
)
def test_plain_http_gets_one_line_that_says_so(
    attacked: Node, counters: Counters, door: str, line: bytes
) -> None:
    code = "TLS.PLAIN_HTTP"
    with counters.rise(ENDED_CONNECTIONS, door=door, code=code):
        remote, heard = say(attacked, door, b"GET /watch/control HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body.splitlines() == [line]
    assert_failed(leg_from(attacked, remote), code, says="plain HTTP")


OTHER_PROTOCOLS = {
    "RTMP": (b"\x03" + bytes(8) + secrets.token_bytes(1528), "RTMP in clear"),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    "MPEG-TS": (b"\x47\x40\x00\x10" + bytes(184), "an MPEG transport stream in clear"),
    "noise": (b"\xfe" + secrets.token_bytes(99), "first bytes are fe"),
}


@pytest.mark.parametrize("door", EVERY_DOOR)
@pytest.mark.parametrize("protocol", OTHER_PROTOCOLS)
def test_another_protocol_on_a_tls_port_is_named_and_not_answered(
    attacked: Node, counters: Counters, door: str, protocol: str
) -> None:
    words, name = OTHER_PROTOCOLS[protocol]
    code = "TLS.NOT_TLS"
    with counters.rise(ENDED_CONNECTIONS, door=door, code=code):
        remote, heard = say(attacked, door, words)
    assert heard == b"", "whoever speaks another protocol understands no alert"
    assert_failed(leg_from(attacked, remote), code, says=name)


def test_a_flood_of_failed_handshakes_is_counted_in_full_and_listed_in_part(
    attacked: Node, counters: Counters
) -> None:
    flood = 100
    listed = len(attacked.legs())
    with counters.rise(ENDED_CONNECTIONS, by=flood, door="public", code="TLS.NOT_TLS"):
        for _ in range(flood):
            say(attacked, "public", OTHER_PROTOCOLS["SSH"][0])
    assert len(attacked.legs()) < listed + flood
