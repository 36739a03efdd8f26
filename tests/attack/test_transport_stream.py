"""What an encoder with a good certificate may send in place of a transport stream."""

from __future__ import annotations

import io
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import av
import numpy as np
import pytest

from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from .counters import ENDED_LEGS, REFUSALS, Counters
from .exchange import TIMEOUT_S, tls_context
from .ledger import assert_failed, leg_from

PACKET = 188
PICTURES = 60


@pytest.fixture(scope="module")
def transport_stream() -> bytes:
    """Two seconds of H264 without B-frames."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "15"}
        for number in range(PICTURES):
            picture = np.full((120, 160, 3), number * 4, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


@contextmanager
def encoder(node: Node, name: str) -> Iterator[tuple[ssl.SSLSocket, str]]:
    """A connection of `name` to the ingest door, and our address."""
    address = (node.address, node.ts_port)
    context = tls_context(node, node.client(name))
    with (
        socket.create_connection(address, timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=node.address) as connection,
    ):
        yield connection, "{}:{}".format(*connection.getsockname())


def send(connection: ssl.SSLSocket, data: bytes) -> None:
    """All of it, unless the node hangs up meanwhile: then it has said what it thinks of it."""
    with suppress(ssl.SSLError, ConnectionError):
        connection.sendall(data)


GARBAGE = {
    "random bytes": secrets.token_bytes(64 * 1024),
    "zeros": bytes(64 * 1024),
    "a text": b"GET / HTTP/1.1\r\n" * 400,
    "sync bytes at other distances": (b"\x47" + bytes(203)) * 200,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_from_a_proved_encoder_ends_its_leg_with_the_evidence(
    attacked: Node, counters: Counters, what: str
) -> None:
    code = "TS.GARBAGE"
    with (
        counters.rise(ENDED_LEGS, role="ingest", code=code),
        encoder(attacked, "encoder/garbage") as (connection, remote),
    ):
        send(connection, GARBAGE[what])
        leg = leg_from(attacked, remote)
    assert_failed(leg, code, says=f"it begins {GARBAGE[what][:8].hex(' ')}")
    assert leg["peer"]["name"].endswith("/encoder/garbage")
    assert leg["stream"] == "garbage"


def test_a_transport_stream_without_a_programme_says_so(attacked: Node, counters: Counters) -> None:
    null_packets = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000
    with (
        counters.rise(ENDED_LEGS, role="ingest", code="TS.NO_VIDEO"),
        encoder(attacked, "encoder/empty") as (connection, remote),
    ):
        wait_for(lambda: attacked.legs(stream="empty"), what="the encoder is listed")
        send(connection, null_packets)
        connection.unwrap()
        leg = leg_from(attacked, remote)
    assert_failed(leg, "TS.NO_VIDEO")


@pytest.mark.parametrize("goodbye", ["a proper end", "no close_notify", "a reset"])
def test_half_a_transport_stream_is_called_truncated(
    attacked: Node, counters: Counters, transport_stream: bytes, goodbye: str
) -> None:
    half = transport_stream[: len(transport_stream) // 2 // PACKET * PACKET + 77]
    code = "TS.TRUNCATED"
    name = f"half/{goodbye.replace(' ', '-')}"
    with (
        counters.rise(ENDED_LEGS, role="ingest", code=code),
        encoder(attacked, f"encoder/{name}") as (connection, remote),
    ):
        send(connection, half)
        wait_for(lambda: attacked.legs(stream=name, state="live"), what="the first half is live")
        if goodbye == "a proper end":
            connection.unwrap()
        elif goodbye == "a reset":
            # SO_LINGER with 0 s: the kernel sends a reset in place of the end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        else:
            connection.close()
        leg = leg_from(attacked, remote)
    assert_failed(leg, code, says="77 of 188")


def test_the_stream_is_free_again_after_garbage(attacked: Node, transport_stream: bytes) -> None:
    name = "encoder/second-try"
    with encoder(attacked, name) as (connection, remote):
        send(connection, GARBAGE["random bytes"])
        leg_from(attacked, remote)
    with encoder(attacked, name) as (connection, _):
        send(connection, transport_stream)
        wait_for(
            lambda: attacked.legs(stream="second-try", state="live"),
            what="the good stream is live",
        )


def test_a_proved_name_without_a_stream_is_refused(attacked: Node, counters: Counters) -> None:
    code = "TS.UNKNOWN_IDENTITY"
    with (
        counters.rise(REFUSALS, role="ingest", code=code),
        encoder(attacked, "viewer/no-encoder") as (connection, remote),
    ):
        leg = leg_from(attacked, remote)
        assert connection.recv(1) == b"", "the connection is ended, too"
    assert_failed(leg, code, says="viewer/no-encoder")
