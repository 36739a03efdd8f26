"""An ingest door and an input for tests of a publisher: TLS in the test's own event loop; all that
came is kept, by connection.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealcast.client.publish import Address, IdentityFiles, Publishing
from sealcast.identity import ThrowAwayAuthority
from sealcast.identity.private_files import write_private
from sealcast.ts.announcement import Announcement, Word, read_announcement
from sealcast.ts.packet import NULL_PID, PACKET, pid_of

WAIT_S = 20.0


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.01)


@dataclass
class Came:
    """One connection, as the door saw it."""

    writer: asyncio.StreamWriter
    data: bytearray = field(default_factory=bytearray)
    goodbye: bool = False
    """Whether it ended with close_notify."""
    serial: str = ""

    @property
    def packets(self) -> list[bytes]:
        """Without the announcement and other null packets."""
        whole = bytes(self.data)
        assert len(whole) % PACKET == 0, "packets come whole"
        cut = [whole[at : at + PACKET] for at in range(0, len(whole), PACKET)]
        return [packet for packet in cut if pid_of(packet) != NULL_PID]

    @property
    def announcement(self) -> Announcement | None:
        return read_announcement(bytes(self.data[:PACKET]))


@dataclass
class Door:
    """What a publisher connects to."""

    folder: Path
    authority: ThrowAwayAuthority
    answers: bool = True
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    came: list[Came] = field(default_factory=list)
    address: Address = field(default=Address("127.0.0.1", 0))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Came(writer)
        peer = writer.get_extra_info("peercert") or {}
        connection.serial = str(peer.get("serialNumber", "")).lower().lstrip("0")
        self.came.append(connection)
        try:
            while True:
                await self.reads.wait()
                data = await reader.read(65536)
                if not data:
                    # Python's ssl tells the end of TCP without close_notify as an error.
                    connection.goodbye = True
                    break
                if not connection.data and self.answers:
                    told = read_announcement(data[:PACKET])
                    assert told is not None
                    writer.write(Announcement(Word.ADMITTED, told.run).packet())
                connection.data += data
        except OSError:
            pass
        finally:
            writer.close()

    def server_context(self, trusts: ThrowAwayAuthority | None = None) -> ssl.SSLContext:
        issued = self.authority.issue_server(["127.0.0.1"], now())
        chain, key = issued.save(self.folder, "door")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=(trusts or self.authority).root_pem.decode())
        return context

    def enrol(self, authority: ThrowAwayAuthority | None = None) -> str:
        """A new certificate in the publisher's files; its serial."""
        issued = (authority or self.authority).issue_client("encoder/venue-1", now())
        # Not `save`: that does not put one authority's over another's.
        write_private(self.folder / "venue-1-key.pem", issued.key_pem)
        write_private(self.folder / "venue-1.pem", issued.chain_pem)
        return issued.serial

    @property
    def files(self) -> IdentityFiles:
        return IdentityFiles.named(self.folder / "venue-1")


@asynccontextmanager
async def open_door(
    folder: Path, *, trusts: ThrowAwayAuthority | None = None, port: int = 0
) -> AsyncIterator[Door]:
    """A door with an authority of its own, and a publisher's identity in `folder`."""
    door = Door(folder, ThrowAwayAuthority.create("test.sealcast", now()))
    door.reads.set()
    (folder / "authority.pem").write_bytes(door.authority.root_pem)
    door.enrol()
    server = await asyncio.start_server(
        door.take, "127.0.0.1", port, ssl=door.server_context(trusts)
    )
    door.address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield door
    finally:
        server.close()
        for connection in door.came:
            connection.writer.transport.abort()


class Fed:
    """An input that the test feeds."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.started = asyncio.Event()

    async def start(self) -> None:
        self.started.set()

    async def read(self) -> bytes:
        return await self.chunks.get()

    def stop(self) -> None:
        self.chunks.put_nowait(b"")

    async def end(self) -> None: ...


@dataclass
class Told:
    """What a publisher says."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    warned: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    def warning(self, event: str, **values: object) -> None:
        self.lines.append((event, values))
        self.warned.append((event, values))

    def codes(self) -> list[str]:
        return [values["code"] for _, values in self.lines if "code" in values]

    def said(self, event: str) -> int:
        return sum(said == event for said, _ in self.lines)


@dataclass
class Run:
    """A publisher that runs."""

    publishing: Publishing
    source: Fed
    told: Told
    task: asyncio.Task[None]

    def feed(self, packets: list[bytes]) -> None:
        self.source.chunks.put_nowait(b"".join(packets))

    async def end(self) -> None:
        self.source.stop()
        async with asyncio.timeout(WAIT_S):
            await self.task


@asynccontextmanager
async def publisher(door: Door) -> AsyncIterator[Run]:
    source, told = Fed(), Told()
    publishing = Publishing(door.address, door.files, source, told)
    run = Run(publishing, source, told, asyncio.create_task(publishing.run()))
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.wait({run.task})
