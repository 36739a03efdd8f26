"""Publishers with good tokens who send the bodies of their uploads a byte at a time."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack

from sealcast.node import limits
from sealcast.testing.node_process import Client, Node

from .conftest import Tokens
from .counters import ENDED_CONNECTIONS, REFUSALS, Counters
from .exchange import TIMEOUT_S, ask, tls_context

# More than one address may hold of the 1,024 places at the application: a quarter of seven eighths.
STREAMS = 58
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


def begin(node: Node, context: ssl.SSLContext, stream: str, token: str) -> ssl.SSLSocket:
    """An upload of which a byte has come."""
    plain = socket.create_connection((node.address, node.public_port), timeout=TIMEOUT_S)
    connection = context.wrap_socket(plain, server_hostname=node.address)
    connection.sendall(
        (
            f"PUT /upload/{stream} HTTP/1.1\r\nHost: {node.address}\r\n"
            f"Authorization: Bearer {token}\r\nExpect: 100-continue\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode()
    )
    heard = b""
    while len(heard) < len(GO_ON):
        more = connection.recv(len(GO_ON) - len(heard))
        assert more, heard
        heard += more
    assert heard == GO_ON
    connection.sendall(b"1\r\nG\r\n")
    return connection


def test_slow_uploads_take_nobodys_place(
    attacked: Node, admin: Client, counters: Counters, tokens: Tokens
) -> None:
    busy = counters.total(ENDED_CONNECTIONS, code="FRONT.APP_BUSY")
    context = tls_context(attacked)
    with ExitStack() as stack:
        for number in range(STREAMS):
            stream = f"slow/{number}"
            token = tokens("publish", stream)
            for _ in range(limits.UPLOADS_OF_ONE):
                stack.enter_context(begin(attacked, context, stream, token))
        # Others get what they ask for, from the same address and from their own.
        assert ask(attacked, "GET", "/").status == 200
        assert ask(attacked, "GET", "/api/legs", client=admin).status == 200
        with counters.rise(REFUSALS, code="HTTP.TOO_MANY", role="ingest"):
            answer = ask(attacked, "PUT", f"/upload/{stream}", token=token, body=iter([b"G"]))
            answer.problem(503, "HTTP.TOO_MANY")
    assert counters.total(ENDED_CONNECTIONS, code="FRONT.APP_BUSY") == busy
