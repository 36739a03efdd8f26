"""One HTTPS request and its answer, with everything that an attacker may want to set.

Does: sends headers as they are given, duplicates included; bodies with or without a length.

Does not: follow, retry or correct anything.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sealcast.codes import CODES, PROBLEM_TYPE
from sealcast.testing.node_process import Client, Node

SDP = "application/sdp"
TIMEOUT_S = 15.0

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The answer as the problem document of `code`: complete, and not a word too much."""
        assert self.status == status, f"{self.status}: {self.body[:400]!r}"
        assert self.headers["content-type"] == PROBLEM_TYPE
        document: dict[str, Any] = json.loads(self.body)
        assert document["code"] == code, document
        row = CODES[code]
        assert document["status"] == status
        assert document["type"] == f"urn:sealcast:code:{code}"
        assert document["title"] == row.sentence
        assert document["remedy"] == row.remedy
        assert document["stage"] == row.stage
        assert b"Traceback" not in self.body
        assert len(self.body) < 2048, "a long body is not repeated to its sender"
        return document


def tls_context(node: Node, client: Client | None = None) -> ssl.SSLContext:
    """Verifies the node; presents a certificate if there is one."""
    context = ssl.create_default_context(cafile=str(node.authority))
    if client is not None:
        context.load_cert_chain(client.chain, client.key)
    return context


def ask(
    node: Node,
    method: str,
    path: str,
    *,
    token: str | None = None,
    client: Client | None = None,
    headers: Headers = (),
    body: bytes | Iterable[bytes] | None = None,
) -> Answer:
    """One request: at the secure door with a certificate, at the public door without one.

    A body that is not `bytes` is sent in chunks, so without a length.
    """
    port = node.public_port if client is None else node.secure_port
    connection = http.client.HTTPSConnection(
        node.address, port, timeout=TIMEOUT_S, context=tls_context(node, client)
    )
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        if token is not None:
            connection.putheader("authorization", f"Bearer {token}")
        in_chunks = body is not None and not isinstance(body, bytes)
        if in_chunks:
            connection.putheader("transfer-encoding", "chunked")
        else:
            connection.putheader("content-length", str(len(body or b"")))  # type: ignore[arg-type]
        connection.endheaders(body, encode_chunked=in_chunks)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


def post_offer(node: Node, path: str, token: str | None, offer: str | bytes) -> Answer:
    """An offer to a WHIP or WHEP endpoint, at the public door."""
    body = offer.encode() if isinstance(offer, str) else offer
    return ask(node, "POST", path, token=token, headers=[("content-type", SDP)], body=body)
