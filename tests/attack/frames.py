"""HTTP/2 frame by frame, for a client that no library would be.

Does: announces a window of its choice, asks many times on one connection, resets, counts answers.

Does not: decode headers, or obey the protocol where an attacker would not.
"""

from __future__ import annotations

import socket
import ssl
import struct
from types import TracebackType
from typing import Self

from sealcast.testing.node_process import Node

from .exchange import TIMEOUT_S, tls_context

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4

# Frame types, RFC 9113 §6.
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
CANCEL = 8
HEAD = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113 §4.1."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def get(stream: int, path: str) -> bytes:
    """A whole GET request. In RFC 7541, appendix A, 2 is `:method: GET`, 7 `:scheme: https`, and 4
    and 1 are the names `:path` and `:authority`.
    """
    block = b"\x82\x87"
    for name, value in ((4, path), (1, "localhost")):
        block += bytes((name, len(value))) + value.encode()
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block)


def cancel(stream: int) -> bytes:
    """A reset of a stream."""
    return frame(RST_STREAM, 0, stream, struct.pack("!I", CANCEL))


class Connection:
    """One connection to the public door, from an address of our choice."""

    def __init__(self, node: Node, *, window: int, source: str = "127.0.0.1") -> None:
        context = tls_context(node)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(
            (node.address, node.public_port), timeout=TIMEOUT_S, source_address=(source, 0)
        )
        self._tls = context.wrap_socket(plain, server_hostname=node.address)
        assert self._tls.selected_alpn_protocol() == "h2"
        self._unread = b""
        settings = struct.pack("!HI", INITIAL_WINDOW_SIZE, window)
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tls.close()

    def send(self, frames: bytes) -> None:
        """Sends them as they are."""
        self._tls.sendall(frames)

    def wait_for_heads(self, count: int) -> None:
        """Reads until so many answers have begun; not a byte of a body may come with them."""
        begun = 0
        while begun < count:
            kind = self._next_frame()
            assert kind != DATA, "a client without a window was sent a body"
            begun += kind == HEADERS

    def wait_for_end(self) -> None:
        """Reads until the node hangs up."""
        try:
            while self._tls.recv(1 << 16):
                pass
        except (ssl.SSLError, ConnectionError):
            return

    def _next_frame(self) -> int:
        head = self._take(HEAD)
        self._take(int.from_bytes(head[:3], "big"))
        return head[3]

    def _take(self, length: int) -> bytes:
        while len(self._unread) < length:
            more = self._tls.recv(1 << 16)
            assert more, "the node hung up"
            self._unread += more
        taken, self._unread = self._unread[:length], self._unread[length:]
        return taken
