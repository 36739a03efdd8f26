"""TLS legs over loopback: what goes over them, and how each way of failing is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from tests.unit.tls_server import NODE_URI, Authority, server_context

from sealcast.client.tls_identity import load_identity
from sealcast.client.tls_leg import UNREAD_BYTES, connect
from sealcast.errors import LocalError, SealcastError
from sealcast.identity.private_files import write_private
from sealcast.tls import TlsIdentity

VENUE = Authority()
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server on loopback; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass  # whoever called has gone
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextmanager
def blocking(context: ssl.SSLContext) -> Iterator[int]:
    """A server of one connection with blocking sockets: asyncio's keeps its alerts to itself."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listening.accept()
        with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def run(work: Awaitable[None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await work

    asyncio.run(within())


def test_bytes_go_there_and_back_and_the_seal_says_how(tmp_path: Path) -> None:
    async def work() -> None:
        context = server_context(tmp_path, VENUE.server(), VENUE.roots)
        async with (
            serving(echo, context) as port,
            await connect("127.0.0.1", port, VENUE.roots, identity=VENUE.client().identity) as leg,
        ):
            assert (leg.facts.version, leg.facts.resumed) == ("1.3", False)
            assert leg.facts.peer is not None
            assert leg.facts.peer.san_uris == (NODE_URI,)
            sent = bytes(range(256)) * 8_000
            writing = asyncio.create_task(leg.write(sent))
            got = b""
            while len(got) < len(sent):
                got += await leg.read()
            await writing
            assert got == sent
            assert not leg.ended.done()
        assert leg.ended.result() is None

    run(work())


def test_a_slow_reader_holds_little_and_loses_nothing(tmp_path: Path) -> None:
    sent = b"0123456789abcdef" * 100_000

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    async def work() -> None:
        async with serving(pour, server_context(tmp_path, VENUE.server())) as port:
            leg = await connect("127.0.0.1", port, VENUE.roots, spiffe_id=NODE_URI)
            got = bytearray()
            while data := await leg.read(10_000):
                assert len(leg._plain) <= UNREAD_BYTES + 2 * 65_536
                got += data
            assert got == sent
            assert await leg.read() == b""
            await leg.close()

    run(work())


def test_two_legs_of_one_identity_are_open_at_once(tmp_path: Path) -> None:
    async def work() -> None:
        context = server_context(tmp_path, VENUE.server(), VENUE.roots)
        identity = VENUE.client().identity
        async with (
            serving(echo, context) as port,
            await connect("127.0.0.1", port, VENUE.roots, identity=identity) as old,
            await connect("127.0.0.1", port, VENUE.roots, identity=identity) as new,
        ):
            for leg in (old, new):
                await leg.write(b"both")
                assert await leg.read() == b"both"

    run(work())


def test_a_refused_certificate_ends_a_leg_that_only_writes(tmp_path: Path) -> None:
    async def work() -> None:
        with blocking(
            server_context(tmp_path, VENUE.server(), Authority("Another CA").roots)
        ) as port:
            identity = VENUE.client().identity
            leg = await connect("127.0.0.1", port, VENUE.roots, identity=identity)
            reason = await leg.ended
            assert reason is not None
            assert reason.code == "TLS.REFUSED_AS_UNKNOWN"
            with pytest.raises(SealcastError) as refused:
                await leg.write(b"more")
            assert refused.value is reason
            with pytest.raises(SealcastError):
                await leg.read()
            await leg.close()

    run(work())


async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await writer.drain()


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (answer_http, "TLS.SERVER_PLAIN_HTTP"),
        (hang_up, "TLS.SERVER_CLOSED"),
        (reset, "TLS.SERVER_CLOSED"),
        (say_nothing, "TLS.SERVER_TIMEOUT"),
    ],
)
def test_what_is_no_tls_server_is_told_apart(handler: Handler, code: str) -> None:
    async def work() -> None:
        patience = 0.3 if handler is say_nothing else 20.0
        async with serving(handler, None) as port:
            with pytest.raises(SealcastError) as failed:
                await connect("127.0.0.1", port, VENUE.roots, patience_s=patience)
            assert failed.value.code == code

    run(work())


def test_a_port_where_nobody_listens_and_a_name_that_is_none() -> None:
    async def work() -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            for host in ("127.0.0.1", "no-such-host.invalid"):
                with pytest.raises(SealcastError) as failed:
                    await connect(host, bound.getsockname()[1], VENUE.roots)
                assert failed.value.code == "TLS.SERVER_UNREACHABLE"

    run(work())


def test_a_connection_that_breaks_off_is_no_end(tmp_path: Path) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half")
        await reader.read(1)
        writer.transport.abort()

    async def work() -> None:
        async with serving(break_off, server_context(tmp_path, VENUE.server())) as port:
            leg = await connect("127.0.0.1", port, VENUE.roots)
            assert await leg.read() == b"half"
            await leg.write(b"!")
            with pytest.raises(SealcastError) as failed:
                await leg.read()
            assert failed.value.code == "TLS.SERVER_TRUNCATED"
            await leg.close()

    run(work())


def test_the_loop_goes_on_while_a_slow_key_signs(tmp_path: Path) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        ticked = asyncio.Event()
        held = VENUE.client()

        def slow(scheme: str, message: bytes) -> bytes:
            # It waits for the loop, which a signature made on it would stop for good.
            asyncio.run_coroutine_threadsafe(ticked.wait(), loop).result(30)
            from sealcast.identity.key_places import sign_handshake

            return sign_handshake(held.key, scheme, message)

        context = server_context(tmp_path, VENUE.server(), VENUE.roots)
        async with serving(echo, context) as port:
            identity = TlsIdentity(held.chain_pem, slow)
            joining = asyncio.create_task(
                connect("127.0.0.1", port, VENUE.roots, identity=identity)
            )
            loop.call_later(0.1, ticked.set)
            leg = await joining
            await leg.write(b"signed")
            assert await leg.read() == b"signed"
            await leg.close()

    run(work())


def test_a_key_that_cannot_sign_says_why(tmp_path: Path) -> None:
    def gone(_scheme: str, _message: bytes) -> bytes:
        raise LocalError("HSM.TOKEN_GONE")

    async def work() -> None:
        context = server_context(tmp_path, VENUE.server(), VENUE.roots)
        async with serving(echo, context) as port:
            identity = TlsIdentity(VENUE.client().chain_pem, gone)
            with pytest.raises(LocalError) as failed:
                await connect("127.0.0.1", port, VENUE.roots, identity=identity)
            assert failed.value.code == "HSM.TOKEN_GONE"

    run(work())


def test_a_pair_of_files_is_read_whole_or_refused(tmp_path: Path) -> None:
    mine, other = VENUE.client(), VENUE.client()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_private(chain, mine.chain_pem)
    write_private(key, mine.key_pem)
    assert load_identity(chain, key).chain_pem == mine.chain_pem
    write_private(key, other.key_pem)
    for content, code in ((mine.chain_pem, "TLS.KEY_MISMATCH"), (b"", "CERTIFICATE_MALFORMED")):
        write_private(chain, content)
        with pytest.raises(LocalError) as refused:
            load_identity(chain, key)
        assert refused.value.code.endswith(code)
    with pytest.raises(LocalError, match="KEY_UNREADABLE"):
        load_identity(tmp_path / "absent.pem", key)
