"""The blocking TLS leg: under the standard library's HTTP, and each way of failing by its code."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.unit.tls_server import Authority, server_context

from sealcast.client.tls_leg import server_of
from sealcast.client.tls_socket import TlsSocket
from sealcast.errors import LocalError, SealcastError
from sealcast.tls import TlsError, TlsIdentity

VENUE = Authority()


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def opened(port: int, identity: TlsIdentity | None = None, timeout_s: float = 20) -> TlsSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout_s)
    return TlsSocket.open(plain, server_of("127.0.0.1", VENUE.roots), identity)


def over(context: ssl.SSLContext, answer: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            while not tls.recv(65_536).endswith(b"\r\n\r\n"):
                pass
            tls.sendall(answer)
            tls.unwrap()

    return talk


@pytest.mark.parametrize("lasts", [b"keep-alive", b"close"])
def test_http_of_the_standard_library_goes_over_it(tmp_path: Path, lasts: bytes) -> None:
    """`http.client` closes a connection that will not last before it reads the body."""
    body = b"x" * 100_000
    head = b"HTTP/1.1 200 OK\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n"
    answer = head % (lasts, len(body)) + body
    context = server_context(tmp_path, VENUE.server(), VENUE.roots)
    with serving(over(context, answer)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = opened(port, VENUE.client().identity)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, body)
        connection.close()


def test_the_end_is_an_end_only_if_the_server_said_so(tmp_path: Path) -> None:
    context = server_context(tmp_path, VENUE.server())

    def break_off(connection: socket.socket) -> None:
        tls = context.wrap_socket(connection, server_side=True)
        tls.sendall(b"half")
        tls.recv(1)
        tls.close()

    with serving(over(context, b"whole")) as port:
        leg = opened(port)
        leg.sendall(b"\r\n\r\n")
        assert leg.makefile().read() == b"whole"
        leg.close()
    with serving(break_off) as port:
        leg = opened(port)
        assert leg.recv(10) == b"half"
        leg.sendall(b"!")
        with pytest.raises(TlsError, match=r"TLS\.SERVER_TRUNCATED"):
            leg.recv(10)
        leg.close()


def test_a_refused_certificate_is_told_at_the_first_read(tmp_path: Path) -> None:
    context = server_context(tmp_path, VENUE.server(), Authority("Another CA").roots)
    with serving(over(context, b"never")) as port:
        leg = opened(port, VENUE.client().identity)
        with pytest.raises(TlsError) as refused:
            leg.recv(1)
        assert refused.value.code == "TLS.REFUSED_AS_UNKNOWN"
        leg.close()


def test_silence_an_end_and_a_key_that_cannot_sign_have_their_codes(tmp_path: Path) -> None:
    def gone(_scheme: str, _message: bytes) -> bytes:
        raise LocalError("HSM.TOKEN_GONE")

    held = threading.Event()
    context = server_context(tmp_path, VENUE.server(), VENUE.roots)
    identity = TlsIdentity(VENUE.client().chain_pem, gone)
    cases: list[tuple[Callable[[socket.socket], None], TlsIdentity | None, float, str]] = [
        (lambda _: (held.wait(30), None)[1], None, 0.2, "TLS.SERVER_TIMEOUT"),
        (lambda connection: connection.close(), None, 20, "TLS.SERVER_CLOSED"),
        (over(context, b""), identity, 20, "HSM.TOKEN_GONE"),
    ]
    for talk, shown, timeout_s, code in cases:
        with serving(talk) as port:
            with pytest.raises(SealcastError) as failed:
                opened(port, shown, timeout_s)
            held.set()
        assert failed.value.code == code
