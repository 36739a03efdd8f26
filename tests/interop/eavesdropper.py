"""What goes over the wire in the clear while two ends shake hands by DTLS.

Neither getStats nor aiortc's OpenSSL shows every fact of a handshake, but its first messages are
readable: all that is agreed on in 1.2, both hellos in 1.3. Each end's Finished covers them, so they
are what both ends saw (RFC 8446 §4.4.4, RFC 5246 §7.4.9).

Does: listens on the node's media port with a packet socket, puts the fragments of handshake
messages together (RFC 6347 §4.2.3), reads what a seal tells.

Does not: decrypt, or tell one leg from another: one handshake while it listens. Needs root.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from tests.interop.tls_registries import (
    ALPN,
    EARLY_DATA,
    ECH,
    GROUPS,
    KEY_SHARE,
    PRE_SHARED_KEY,
    SCHEMES,
    SERVER_NAME,
    SUPPORTED_VERSIONS,
)

from sealcast.testing.network import Host

_ETH_P_ALL: Final = 3  # packet(7)
_UDP: Final = 17
_HANDSHAKE: Final = 22
# IANA's TLS HandshakeType.
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE = 1, 2, 11
_SERVER_KEY_EXCHANGE, _CERTIFICATE_VERIFY = 12, 15
_NAMED_CURVE: Final = 3
_VERSIONS: Final = {0xFEFC: "1.3", 0xFEFD: "1.2"}
# RFC 8446 §4.1.3: a ServerHello with this random is a HelloRetryRequest.
_RETRY_RANDOM: Final = hashlib.sha256(b"HelloRetryRequest").digest()
_RECORD = struct.Struct("!BHH6sH")
_LOOK_UP_S: Final = 0.2


@dataclass(slots=True)
class _Message:
    """One handshake message, as much of it as has come."""

    kind: int
    body: bytearray
    missing: set[int]


@dataclass(frozen=True, slots=True)
class _Hello:
    """A ClientHello or ServerHello."""

    legacy_version: int
    random: bytes
    extensions: dict[int, bytes]


@dataclass
class Eavesdropper:
    """One handshake. Its facts are complete when both ends have finished it."""

    _messages: dict[tuple[bool, int], _Message] = field(default_factory=dict)
    """By who sent it (the node or its peer) and its number."""

    @property
    def node_is_server(self) -> bool:
        return self._sent_by_node(_SERVER_HELLO)

    @property
    def version(self) -> str:
        hello = self._server_hello
        chosen = hello.extensions.get(SUPPORTED_VERSIONS)
        return _VERSIONS[_number(chosen) if chosen else hello.legacy_version]

    @property
    def group(self) -> str:
        if self.version == "1.3":
            return GROUPS[_number(self._server_hello.extensions[KEY_SHARE])]
        body = self._body(_SERVER_KEY_EXCHANGE)
        assert body[0] == _NAMED_CURVE
        return GROUPS[_number(body[1:])]

    def signature(self, *, of_node: bool) -> str:
        """What an end signed with. In 1.3 it is encrypted."""
        assert self.version == "1.2"
        if of_node is not self.node_is_server:
            return SCHEMES[_number(self._body(_CERTIFICATE_VERIFY))]
        # RFC 8422 §5.4: curve, group, the public key with its length, then the scheme.
        body = self._body(_SERVER_KEY_EXCHANGE)
        return SCHEMES[_number(body[4 + body[3] :])]

    def fingerprint(self, *, of_node: bool) -> str:
        """Of the certificate that an end showed, SHA-256."""
        shown = self._certificate(of_node)
        return f"sha-256 {hashlib.sha256(shown).digest().hex(':').upper()}"

    def expires_unix(self, *, of_node: bool) -> int:
        """The notAfter of the certificate that an end showed."""
        shown = x509.load_der_x509_certificate(self._certificate(of_node))
        return int(shown.not_valid_after_utc.timestamp())

    def _certificate(self, of_node: bool) -> bytes:
        """In 1.3 it is encrypted. RFC 5246 §7.4.2: the list's length, the first certificate's
        length, it.
        """
        assert self.version == "1.2"
        (body,) = [body for from_node, body in self._of(_CERTIFICATE) if from_node is of_node]
        return body[6 : 6 + int.from_bytes(body[3:6])]

    @property
    def hello_retry(self) -> bool:
        return any(hello.random == _RETRY_RANDOM for hello in self._hellos(_SERVER_HELLO))

    @property
    def resumed(self) -> bool:
        """With a key agreed before (1.3), or without any exchange of keys (1.2)."""
        if self.version == "1.3":
            return PRE_SHARED_KEY in self._server_hello.extensions
        return not any(m.kind == _SERVER_KEY_EXCHANGE for m in self._messages.values())

    @property
    def offered(self) -> set[int]:
        """The extensions of all ClientHellos."""
        return {name for hello in self._hellos(_CLIENT_HELLO) for name in hello.extensions}

    @property
    def early_data(self) -> bool:
        return EARLY_DATA in self.offered

    @property
    def ech(self) -> bool:
        return ECH in self.offered

    @property
    def sni(self) -> str | None:
        assert SERVER_NAME not in self.offered, "no WebRTC stack sends one"
        return None

    @property
    def alpn(self) -> str | None:
        """Firefox offers RFC 8833's. What a server of 1.3 chooses is encrypted."""
        assert self.version == "1.2" or ALPN not in self.offered
        chosen = self._server_hello.extensions.get(ALPN)
        # RFC 7301 §3.1: the list's length, the one name's length, it.
        return None if chosen is None else chosen[3:].decode()

    def hear(self, *, from_node: bool, datagram: bytes) -> None:
        """The handshake messages of a datagram that are in the clear: those of epoch 0."""
        while len(datagram) >= _RECORD.size:
            kind, _, epoch, _, length = _RECORD.unpack_from(datagram)
            fragment = datagram[_RECORD.size : _RECORD.size + length]
            datagram = datagram[_RECORD.size + length :]
            if kind != _HANDSHAKE or epoch != 0:
                # 1.3's encrypted records have other headers (RFC 9147 §4): nothing more to read.
                return
            self._take(from_node, fragment)

    def _take(self, from_node: bool, fragments: bytes) -> None:
        while len(fragments) >= 12:
            kind, number = fragments[0], _number(fragments[4:])
            total, offset, size = (int.from_bytes(fragments[at : at + 3]) for at in (1, 6, 9))
            part, fragments = fragments[12 : 12 + size], fragments[12 + size :]
            fresh = _Message(kind, bytearray(total), set(range(total)))
            message = self._messages.setdefault((from_node, number), fresh)
            message.body[offset : offset + size] = part
            message.missing -= set(range(offset, offset + size))

    def _of(self, kind: int) -> list[tuple[bool, bytes]]:
        """Who sent the messages of a kind, and their bodies, in order."""
        found = sorted((key, m) for key, m in self._messages.items() if m.kind == kind)
        assert all(not message.missing for _, message in found), "not all of it was heard"
        return [(key[0], bytes(message.body)) for key, message in found]

    def _sent_by_node(self, kind: int) -> bool:
        (sender,) = {sender for sender, _ in self._of(kind)}
        return sender

    def _body(self, kind: int) -> bytes:
        (message,) = self._of(kind)
        return message[1]

    def _hellos(self, kind: int) -> list[_Hello]:
        return [_hello(body, from_client=kind == _CLIENT_HELLO) for _, body in self._of(kind)]

    @property
    def _server_hello(self) -> _Hello:
        """The last one: a HelloRetryRequest comes before it."""
        return self._hellos(_SERVER_HELLO)[-1]


@contextmanager
def eavesdropping(port: int, host: Host | None = None) -> Iterator[Eavesdropper]:
    """Listens at the node's media `port`, in its namespace if it has one."""
    heard = Eavesdropper()
    done = threading.Event()
    tap = host.call(_tap) if host else _tap()

    def listen() -> None:
        while True:
            try:
                packet = tap.recv(65536)
            except (TimeoutError, BlockingIOError):
                if done.is_set():
                    return
                continue
            udp = _udp(packet)
            if len(udp) < 8:
                continue
            source, destination = struct.unpack_from("!HH", udp)
            if port in (source, destination):
                heard.hear(from_node=source == port, datagram=udp[8:])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield heard
    finally:
        done.set()
        tap.settimeout(0)  # what is in the queue is still heard
        listener.join(timeout=5)
        tap.close()


def _tap() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    tap.settimeout(_LOOK_UP_S)
    return tap


def _udp(packet: bytes) -> bytes:
    """The UDP datagram with its header in an IP packet; nothing if it is another one."""
    if packet[:1] and packet[0] >> 4 == 4 and packet[9] == _UDP:
        return packet[4 * (packet[0] & 15) :]
    if packet[:1] and packet[0] >> 4 == 6 and packet[6] == _UDP:
        return packet[40:]
    return b""


def _hello(body: bytes, *, from_client: bool) -> _Hello:
    """RFC 8446 §4.1.2 and §4.1.3, with DTLS's cookie (RFC 6347 §4.2.1)."""
    at = 34 + 1 + body[34]
    if from_client:
        at += 1 + body[at]
        at += 2 + _number(body[at:])
        at += 1 + body[at]
    else:
        at += 3
    left = body[at + 2 :]
    extensions: dict[int, bytes] = {}
    while left:
        name, size = struct.unpack_from("!HH", left)
        extensions[name], left = left[4 : 4 + size], left[4 + size :]
    return _Hello(_number(body), body[2:34], extensions)


def _number(octets: bytes) -> int:
    """The first two octets."""
    return int.from_bytes(octets[:2])
