"""A TLS leg over TCP that we open: an encoder's way into a node, an agent's to its authority.

Does: connects, proves the server, shows our certificate with a key from a file or a token (which
signs on a thread of its own), gives the facts for a seal, carries bytes both ways with
backpressure, and says by code how it ended.

Does not: reconnect, resume, or know what the bytes mean. Two legs of one identity may be open at
once, which is how one replaces another without a gap.

The caller must still: watch `ended` if it only writes. In TLS 1.3 a server judges our certificate
after our side is open, so its refusal comes while the caller may be writing already.

    async with await connect("node.example", 9443, roots, identity=identity) as leg:
        await leg.write(packets)
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from types import TracebackType
from typing import Final, Self

from sealcast.errors import LocalError, SealcastError
from sealcast.tls import TlsClient, TlsError, TlsIdentity, TlsPolicy, TlsServer
from sealcast.wire import TlsFacts

HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 2.0
_SOCKET_BYTES: Final = 65_536
UNREAD_BYTES: Final = 262_144
"""What waits for a slow reader; then the server's bytes stay in its own socket."""


async def connect(
    host: str,
    port: int,
    roots: bytes,
    *,
    identity: TlsIdentity | None = None,
    spiffe_id: str | None = None,
    policy: TlsPolicy | None = None,
    alpn: tuple[str, ...] = (),
    patience_s: float = HANDSHAKE_S,
) -> TlsLeg:
    """An open leg to `host`, whose certificate chains to `roots` (PEM) and carries `spiffe_id`, or
    else the host's name or address.

    LocalError for what is wrong here (`TlsClient`), also of the key that is to sign;
    `TlsError` with TLS.SERVER_*, TLS.REFUSED_* or TLS.CERTIFICATE_REQUIRED for the rest.
    """
    client = TlsClient(server_of(host, roots, spiffe_id), identity, policy=policy, alpn=alpn)
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await _dial(host, port)
            try:
                await _shake_hands(client, reader, writer)
            except SealcastError:
                # Not abruptly: the alert that says why is on its way.
                await _hang_up(writer)
                raise
            except BaseException:
                writer.transport.abort()
                raise
    except TimeoutError:
        detail = f"{_place(host, port)}, after {time.monotonic() - began:.1f} s."
        raise TlsError("TLS.SERVER_TIMEOUT", detail) from None
    return TlsLeg(client, reader, writer)


class TlsLeg:
    """An open leg; `connect` makes it. One task reads, one writes."""

    def __init__(
        self, client: TlsClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        facts = client.facts
        if facts is None:
            raise LocalError("TLS.NOT_OPEN")
        self.facts: TlsFacts = facts
        """What was negotiated: the leg's seal."""
        self.ended: asyncio.Future[SealcastError | None] = (
            asyncio.get_running_loop().create_future()
        )
        """Done when nothing more will come: with None after the server's close_notify or our own
        `close`, else with the reason, such as TLS.REFUSED_AS_REVOKED.
        """
        self._client, self._reader, self._writer = client, reader, writer
        self._plain = bytearray()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._is_closing = False
        self._has_sent_all = False
        self._taking = asyncio.create_task(self._take_in(), name="tls-leg")

    async def read(self, most: int = _SOCKET_BYTES) -> bytes:
        """Up to `most` bytes; none at the end. Raises the reason if the leg failed."""
        while not self._plain:
            if self.ended.done():
                if (reason := self.ended.result()) is not None:
                    raise reason
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        taken = bytes(self._plain[:most])
        del self._plain[:most]
        if len(self._plain) < UNREAD_BYTES:
            self._room.set()
        return taken

    async def write(self, data: bytes) -> None:
        """Sends `data`, waiting while the socket is full. Raises the reason if the leg is over."""
        if self.ended.done() and (reason := self.ended.result()) is not None:
            raise reason
        self._client.write(data)
        self._send()
        try:
            await self._writer.drain()
        except OSError:
            # The reading side knows why: an alert may have come before the reset.
            reason = await asyncio.shield(self.ended)
            raise reason or LocalError("TLS.NOT_OPEN") from None

    async def close(self) -> None:
        """Says goodbye and waits a moment for the server's, so that nothing sent is lost."""
        if not self._is_closing:
            self._is_closing = True
            # What still comes is read and thrown away (RFC 8446 §6.1): it must not stop the rest.
            self._room.set()
            if not self.ended.done():
                self._client.close()
                self._send()
                self._has_sent_all = True
                with contextlib.suppress(OSError):
                    self._writer.write_eof()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self.ended), GOODBYE_S)
        self._taking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._taking
        self._end(None)
        await _hang_up(self._writer)

    def abort(self) -> None:
        """Ends it at once and without a word; what waits to be sent is lost."""
        self._is_closing = True
        self._taking.cancel()
        self._end(None)
        self._writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _take_in(self) -> None:
        """Reads what comes, until the end."""
        try:
            # What came with the last flight of the handshake.
            self._open_records()
            while not self._client.is_over:
                await self._room.wait()
                data = await self._reader.read(_SOCKET_BYTES)
                if data:
                    self._client.receive(data)
                else:
                    self._client.receive_end()
                self._open_records()
            reason = self._client.failure
        except OSError:
            reason = self._client.failure or TlsError(
                "TLS.SERVER_TRUNCATED", "The connection was reset."
            )
        # An answer of the engine's own, such as an alert, still goes out.
        self._send()
        self._end(None if self._is_closing else reason)

    def _open_records(self) -> None:
        while plain := self._client.read(_SOCKET_BYTES):
            if self._is_closing:
                continue
            self._plain += plain
            self._arrived.set()
        if len(self._plain) >= UNREAD_BYTES and not self._is_closing:
            self._room.clear()
        # A key update (RFC 8446 §4.6.3) may have to be answered.
        self._send()

    def _send(self) -> None:
        sealed = self._client.take()
        # After our goodbye nothing follows, whatever the engine would answer.
        if sealed and not self._has_sent_all:
            self._writer.write(sealed)

    def _end(self, reason: SealcastError | None) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
        self._arrived.set()


def server_of(host: str, roots: bytes, spiffe_id: str | None = None) -> TlsServer:
    """Whom a caller of `host` expects: its name or address, or else `spiffe_id`."""
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        if spiffe_id is None:
            return TlsServer(roots, dns=host)
        # RFC 6066 §3: names are asked for, addresses are not.
        return TlsServer(roots, uri=spiffe_id, sni=host)
    if spiffe_id is None:
        return TlsServer(roots, address=address)
    return TlsServer(roots, uri=spiffe_id)


async def _dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port)
    except TimeoutError:
        raise
    except OSError as error:
        detail = f"{_place(host, port)}: {error.strerror or error}."
        raise TlsError("TLS.SERVER_UNREACHABLE", detail) from None


async def _shake_hands(
    client: TlsClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while True:
        wanted = client.signature_wanted
        if wanted is not None:
            try:
                signature = await asyncio.to_thread(wanted.signer, wanted.scheme, wanted.message)
            except Exception as error:
                # A signer may be anybody's; whatever it raises ends this connection, by code.
                client.decline_to_sign(error)
            else:
                client.sign(signature)
            continue
        writer.write(client.take())
        if client.facts is not None:
            return
        if (failure := client.failure) is not None:
            raise failure
        data = b""
        with contextlib.suppress(ConnectionError):
            data = await reader.read(_SOCKET_BYTES)
        if data:
            client.receive(data)
        else:
            client.receive_end()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
