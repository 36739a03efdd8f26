"""The example of two processes that stream sound over DTLS-SRTP does what it says, on a network
that adds datagrams of its own too.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from sealcast.testing.requirement import require

require("core")

EXAMPLE = Path(__file__).parents[2] / "examples" / "dtls_srtp_audio.py"
HOST = "127.0.0.1"
END_S = 60.0
EXPECTED = "heard 50 frames of 160 bytes, AEAD_AES_128_GCM\n"


def start(role: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, EXAMPLE, role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The port and the fingerprint that a process names."""
    assert process.stdout is not None
    port, _, fingerprint = process.stdout.readline().strip().partition(" ")
    assert fingerprint.startswith("sha-256 ")
    return int(port), fingerprint


def tell(process: subprocess.Popen[str], port: int, fingerprint: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{port} {fingerprint}\n")
    process.stdin.flush()


def hear_one_another(between: Callable[[int, int], tuple[int, int]]) -> None:
    """`between` says what port the server and what port the client sends to."""
    with start("server") as server, start("client") as client:
        try:
            (server_port, server_proof), (client_port, client_proof) = said(server), said(client)
            of_server, of_client = between(server_port, client_port)
            tell(server, of_server, client_proof)
            tell(client, of_client, server_proof)
            for process in (server, client):
                output, errors = process.communicate(timeout=END_S)
                assert (process.returncode, output, errors) == (0, EXPECTED, "")
        finally:
            for process in (server, client):
                process.kill()


def test_two_processes_hear_one_another() -> None:
    hear_one_another(lambda server, client: (client, server))


def test_a_strangers_datagrams_capture_nobody() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:

        def first(server: int, client: int) -> tuple[int, int]:
            # They wait in the processes' sockets before the peer's first one can.
            for port in (server, client):
                for datagram in (b"", b"\x16garbage", b"\x80" + bytes(60)):
                    stranger.sendto(datagram, (HOST, port))
            return client, server

        hear_one_another(first)


def test_what_is_forged_in_the_peers_name_ends_nothing() -> None:
    """A relay that repeats each datagram and puts forged ones beside it, from its own address."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as to_server,
        socket.socket(type=socket.SOCK_DGRAM) as to_client,
        selectors.DefaultSelector() as selector,
    ):
        for one in (to_server, to_client):
            one.bind((HOST, 0))
        stop_reader, stop = socket.socketpair()
        selector.register(stop_reader, selectors.EVENT_READ)

        def carry() -> None:
            while True:
                for key, _ in selector.select():
                    if key.fileobj is stop_reader:
                        return
                    source, (target, address) = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    datagram = source.recv(65_536)
                    forged = datagram[:12] + os.urandom(60)
                    for each in (b"", datagram, datagram, forged, b"\x80", b"\x16" + bytes(20)):
                        target.sendto(each, address)

        carrier = threading.Thread(target=carry)

        def through(server: int, client: int) -> tuple[int, int]:
            # What the client sends to `to_client` leaves for the server by `to_server`.
            selector.register(to_client, selectors.EVENT_READ, (to_server, (HOST, server)))
            selector.register(to_server, selectors.EVENT_READ, (to_client, (HOST, client)))
            carrier.start()
            return to_server.getsockname()[1], to_client.getsockname()[1]

        try:
            hear_one_another(through)
        finally:
            stop.close()
            if carrier.ident is not None:
                carrier.join(END_S)
            stop_reader.close()


def test_the_example_is_about_sixty_lines() -> None:
    lines = [line.strip() for line in EXAMPLE.read_text().splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 60
