"""A TLS leg that blocks: for programs without an event loop, and for the standard library's HTTP.

Does: over a connected socket, what `sealcast.client.tls_leg` does over asyncio: the handshake, with
a key from a file or a token; bytes both ways, each step within the socket's own timeout.

Does not: connect, or read and write from two threads at once. What failed is said in our words
(`TlsError`), also where `http.client` would expect an `OSError`.

    plain = socket.create_connection((host, port), 10)
    leg = TlsSocket.open(plain, server_of(host, roots), identity)
"""

from __future__ import annotations

import io
import socket
from typing import Final, Literal

from sealcast.tls import TlsClient, TlsError, TlsIdentity, TlsPolicy, TlsServer
from sealcast.wire import TlsFacts

_SOCKET_BYTES: Final = 65_536


class TlsSocket:
    """An open leg. It has what `http.client` asks of a socket."""

    def __init__(self, client: TlsClient, plain: socket.socket, facts: TlsFacts) -> None:
        self.facts = facts
        self._client, self._plain = client, plain
        self._files = 0
        self._is_closed = False

    @staticmethod
    def open(
        plain: socket.socket,
        server: TlsServer,
        identity: TlsIdentity | None = None,
        *,
        policy: TlsPolicy | None = None,
    ) -> TlsSocket:
        """Shakes hands over `plain`, which is closed if that fails.

        The refusals of `sealcast.client.tls_leg.connect`; TLS.SERVER_TIMEOUT where the socket's
        timeout ends a step of it.
        """
        try:
            client = TlsClient(server, identity, policy=policy)
            return TlsSocket(client, plain, _shake_hands(client, plain))
        except BaseException:
            plain.close()
            raise

    def recv(self, most: int) -> bytes:
        """Up to `most` bytes; none at the end."""
        while not (data := self._client.read(most)):
            if self._client.is_over:
                if (failure := self._client.failure) is not None:
                    raise failure
                return b""
            _take_in(self._client, self._plain)
        return data

    def sendall(self, data: bytes) -> None:
        """Sends all of it."""
        self._client.write(data)
        try:
            self._plain.sendall(self._client.take())
        except ConnectionError:
            # An alert that says why may have come before the reset.
            while not self._client.is_over:
                self._client.read()
                _take_in(self._client, self._plain)
            raise self._client.failure or TlsError(
                "TLS.SERVER_TRUNCATED", "It was reset."
            ) from None
        except TimeoutError:
            raise _too_slow(self._plain) from None

    def makefile(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """What the server sends, as a file; closing it leaves the leg open."""
        self._files += 1
        return io.BufferedReader(_Reading(self))

    def close(self) -> None:
        """Says goodbye, if that can be sent at once, and closes the socket: at once, or when the
        last file of it is closed, as any socket does. (`http.client` closes its socket as soon as
        it has read that the connection will not last, and reads the body from the file.)
        """
        self._is_closed = True
        if not self._files:
            self._end()

    def _file_closed(self) -> None:
        self._files -= 1
        if self._is_closed and not self._files:
            self._end()

    def _end(self) -> None:
        self._client.close()
        try:
            self._plain.sendall(self._client.take())
        except OSError:
            pass  # whoever is gone needs no goodbye
        finally:
            self._plain.close()


class _Reading(io.RawIOBase):
    def __init__(self, tls: TlsSocket) -> None:
        self._tls = tls

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._tls._file_closed()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._tls.recv(len(view))
        view[: len(data)] = data
        return len(data)


def _shake_hands(client: TlsClient, plain: socket.socket) -> TlsFacts:
    while True:
        wanted = client.signature_wanted
        if wanted is not None:
            try:
                client.sign(wanted.signer(wanted.scheme, wanted.message))
            except Exception as error:
                # A signer may be anybody's; whatever it raises ends this connection, by code.
                client.decline_to_sign(error)
        failure = client.failure
        try:
            plain.sendall(client.take())
        except TimeoutError:
            raise _too_slow(plain) from None
        except ConnectionError:
            client.receive_end()
        if (failure := failure or client.failure) is not None:
            raise failure
        if (facts := client.facts) is not None:
            return facts
        _take_in(client, plain)


def _take_in(client: TlsClient, plain: socket.socket) -> None:
    try:
        data = plain.recv(_SOCKET_BYTES)
    except TimeoutError:
        raise _too_slow(plain) from None
    except ConnectionError:
        data = b""
    if data:
        client.receive(data)
    else:
        client.receive_end()


def _too_slow(plain: socket.socket) -> TlsError:
    return TlsError("TLS.SERVER_TIMEOUT", f"Nothing came or went for {plain.gettimeout()} s.")
