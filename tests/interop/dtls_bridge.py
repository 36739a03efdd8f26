"""A way for ``openssl s_client`` and ``s_server`` to a media leg: they speak DTLS over plain UDP,
the node wants WHIP and ICE before it.

Does: offers a publisher with somebody else's fingerprint, finds the path as the controlling end,
then carries DTLS datagrams, unread, between the node and a UDP port for OpenSSL.

Does not: trickle, send media, or end the session: OpenSSL's close_notify does.
"""

from __future__ import annotations

import re
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from tests.attack import stun

from sealcast.testing.node_process import Node

Address = tuple[str, int]
Setup = Literal["active", "passive"]

PATH_S: Final = 10.0
RETRY_S: Final = 0.1
LOOPBACK: Final = "127.0.0.1"
VP8: Final = 96
_DTLS = range(20, 64)
"""RFC 7983 §7."""


def _offer(ufrag: str, pwd: str, fingerprint: str, setup: Setup) -> bytes:
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        f"m=video 9 UDP/TLS/RTP/SAVPF {VP8}",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{pwd}",
        f"a=fingerprint:{fingerprint}",
        f"a=setup:{setup}",
        f"a=rtpmap:{VP8} VP8/90000",
        "a=ssrc:1 cname:bridge",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


class Bridge:
    """One session. `address` is where OpenSSL sends to, and where its datagrams come from."""

    def __init__(self, node: Node, stream: str, fingerprint: str, setup: Setup) -> None:
        """`fingerprint` as `a=fingerprint` has it (RFC 8122 §5); `setup` is OpenSSL's part."""
        self._ufrag, self._pwd = secrets.token_hex(4), secrets.token_hex(16)
        answer = self._post(node, stream, _offer(self._ufrag, self._pwd, fingerprint, setup))
        self._node_ufrag = _found(r"^a=ice-ufrag:(\S+)", answer)[1]
        self._node_pwd = _found(r"^a=ice-pwd:(\S+)", answer)[1]
        candidate = _found(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
        self._node: Address = (candidate[1], int(candidate[2]))
        self.setup = _found(r"^a=setup:(\S+)", answer)[1]
        """The node's part."""
        self._media, self._openssl = _socket(), _socket()
        self.address: Address = self._openssl.getsockname()
        self._peer: Address | None = None
        self._found_path = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def start(self, openssl: Address | None = None) -> None:
        """Finds the path, then carries; `openssl` is where a server waits, a client comes."""
        self._peer = openssl
        deadline = time.monotonic() + PATH_S
        while not self._found_path:
            assert time.monotonic() < deadline, "no path"
            username = f"{self._node_ufrag}:{self._ufrag}"
            self._media.sendto(stun.check(username, self._node_pwd), self._node)
            self._turn(RETRY_S)
        self._thread.start()

    def close(self) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._media.close()
        self._openssl.close()

    def _carry(self) -> None:
        while not self._done.is_set():
            self._turn(RETRY_S)

    def _turn(self, seconds: float) -> None:
        """What comes first within `seconds`, from either side."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._media, selectors.EVENT_READ, self._from_node)
            waiting.register(self._openssl, selectors.EVENT_READ, self._from_openssl)
            for key, _ in waiting.select(seconds):
                key.data()

    def _from_node(self) -> None:
        datagram = self._media.recv(2048)
        if stun.is_stun(datagram):
            message = stun.read(datagram)
            if message.kind == stun.REQUEST:
                self._media.sendto(stun.answer(message, self._node, self._pwd), self._node)
            self._found_path |= message.kind == stun.SUCCESS
        elif datagram[0] in _DTLS and self._peer is not None:
            self._openssl.sendto(datagram, self._peer)

    def _from_openssl(self) -> None:
        datagram, self._peer = self._openssl.recvfrom(2048)
        self._media.sendto(datagram, self._node)

    @staticmethod
    def _post(node: Node, stream: str, offer: bytes) -> str:
        status, body = node.request(
            "POST",
            f"/whip/{stream}",
            headers={
                "content-type": "application/sdp",
                "authorization": f"Bearer {node.token('publish', stream)}",
            },
            body=offer,
        )
        assert status == 201, (status, body)
        return body.decode()


@contextmanager
def bridge(node: Node, stream: str, fingerprint: str, setup: Setup) -> Iterator[Bridge]:
    """A bridge that ends with its test."""
    built = Bridge(node, stream, fingerprint, setup)
    try:
        yield built
    finally:
        built.close()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((LOOPBACK, 0))
    return made


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, text
    return match
