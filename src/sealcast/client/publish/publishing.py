"""What a publisher does when: sends, changes connections, connects again, leaves out.

```
                 certificate changed            admitted             key frame … last unit
   one connection ───────────────► a second one ───────► both carry ───────────────► the new one
        │                             │ refused, gone: the old one goes on, tried again
        │ gone
        ▼                      admitted              key frame
   none: all is left out ───────────────► still none ─────────► one connection
```

Does: keeps one connection carrying the stream. A new certificate gets a connection of its own
beside the old one, and the stream goes over as `sealcast.ts.switch` says. Where no connection is
there, or the one there does not take what comes, whole packets are left out until a decoder can
begin again, and counted. Memory is bounded by `BACKLOG`.

Does not: know where the bytes come from (`input`) or how TLS is done (`connection`).

The caller must still: end the task that runs it to stop at once, or stop its input to stop cleanly.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from dataclasses import dataclass
from typing import Final, Protocol

from sealcast.client.publish.connection import Address, Connection
from sealcast.client.publish.identity import IdentityFiles
from sealcast.client.publish.input import StreamInput
from sealcast.errors import RemoteError, SealcastError
from sealcast.ts.announcement import RUN_BYTES, Announcement, Word
from sealcast.ts.packet import PACKET, Cutter, null_packet
from sealcast.ts.switch import Phase, Switch

BACKLOG: Final = 4 * 1024 * 1024
"""Bytes that may wait for a slow connection: some three seconds of 10 Mbit/s."""
LOOK_S: Final = 0.25
"""How often the identity's files are looked at."""
ADMIT_S: Final = 3.0
"""How long an answer to the announcement is waited for; a receiver that knows none gives none."""
HURRY_S: Final = 10.0
"""How long a key frame is waited for before any picture will do."""
CHANGE_S: Final = 1.0
"""How long the last PID has to come to its next unit."""
KEEP_ALIVE_S: Final = 5.0
"""How often a connection that waits for its turn says that it is there: a node gives up after 15 s
of silence."""
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 30.0
_LEFT_OUT: Final = "what comes meanwhile is left out, up to a key frame"
GARBAGE: Final = 1024 * 1024
"""Bytes without a packet among them after which the input is no transport stream."""


class Log(Protocol):
    """A log whose lines have values; structlog's loggers are such."""

    def info(self, event: str, **values: object) -> object:
        """What goes as it should."""

    def warning(self, event: str, **values: object) -> object:
        """What somebody may have to act on: with its code, why, and what is done about it."""


@dataclass(slots=True)
class Counts:
    """What became of the stream so far."""

    packets: int = 0
    left_out: int = 0
    """Packets that no connection carried."""
    connections: int = 0
    changes: int = 0
    """Times that the stream went from one connection to the next without a gap."""
    failures: int = 0
    """Attempts at a connection that came to nothing: the node was not there, or refused."""
    ended_by_node: int = 0
    """Connections that the other end closed while the stream was going on."""
    unusable: int = 0
    """New files of the identity that could not be used when they were looked at."""


@dataclass(slots=True)
class _Retry:
    """When to try again: later each time, and not all encoders at once."""

    wait_s: float = FIRST_RETRY_S
    at: float = 0.0

    def failed(self, now: float) -> float:
        wait = self.wait_s * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        self.at, self.wait_s = now + wait, min(2 * self.wait_s, LONGEST_RETRY_S)
        return wait

    def succeeded(self) -> None:
        self.wait_s, self.at = FIRST_RETRY_S, 0.0


class Publishing:
    """One stream on its way to one node."""

    def __init__(
        self, address: Address, files: IdentityFiles, source: StreamInput, log: Log
    ) -> None:
        self.counts = Counts()
        self._address = address
        self._files = files
        self._source = source
        self._log = log
        self._cutter = Cutter()
        self._switch = Switch()
        self._stamp = self._seen = files.stamp()
        self._newest = files.load()
        self._unread = False
        """Whether the files are others than those of `_newest` and could not be used so far."""
        self._run = b""
        self._present: Connection | None = None
        self._coming: Connection | None = None
        self._blocked: Connection | None = None
        """The present connection while it takes no more."""
        self._opening: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[bool]] = set()
        self._retry = _Retry()
        self._since = 0.0
        """When the phase of the change began."""
        self._missed = 0
        """Packets left out since the last one that was carried."""
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Publish until the input ends. Raises what the input raises, and TS.GARBAGE."""
        keeping = asyncio.create_task(self._keep())
        try:
            await self._connected(keeping)
            await self._source.start()
            self._since = time.monotonic()
            while chunk := await self._source.read():
                self._take(chunk)
                if keeping.done():
                    keeping.result()  # a fault of ours; nobody would connect again
            self._check_input()
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await self._leave()
            await self._source.end()

    # ---- the stream ----------------------------------------------------------------------------

    def _take(self, chunk: bytes) -> None:
        packets = self._cutter.push(chunk)
        self._check_input()
        self._drop_closed()
        self._watch_backlog()
        before = self._switch.phase
        spread = self._switch.push(packets)
        self.counts.packets += len(packets)
        if self._present is not None:
            self._present.send(spread.present)
        else:
            self._miss(len(spread.present) // PACKET)
        if self._coming is not None:
            self._coming.send(spread.coming)
        now = time.monotonic()
        if spread.is_over:
            self._changed()
        elif self._switch.phase is not before:
            self._since = now
        elif self._switch.phase is Phase.CHANGING and now - self._since > CHANGE_S:
            self._switch.finish()
            self._changed()
        elif self._switch.phase is Phase.AWAITING and now - self._since > HURRY_S:
            self._switch.hurry()

    def _check_input(self) -> None:
        """TS.GARBAGE once it is certain that the input is no transport stream."""
        if self.counts.packets == 0 and self._cutter.skipped > GARBAGE:
            raise RemoteError("TS.GARBAGE", f"{self._cutter.skipped} bytes, and no packet.")

    def _watch_backlog(self) -> None:
        """Leave out what a slow connection would only keep waiting."""
        present = self._present
        if present is not None and present.backlog > BACKLOG:
            self._abandon_coming()
            self._present, self._blocked = None, present
            error = RemoteError("PUBLISH.TOO_SLOW", f"{present.backlog} bytes wait.")
            self._warn("the connection does not keep up", error, _LEFT_OUT)
        elif self._blocked is not None and self._blocked.backlog < BACKLOG // 4:
            self._coming, self._blocked = self._blocked, None
            self._begin_change()

    def _miss(self, packets: int) -> None:
        self.counts.left_out += packets
        self._missed += packets

    def _begin_change(self) -> None:
        self._switch.change()
        self._since = time.monotonic()

    def _changed(self) -> None:
        """The coming connection is the present one."""
        before, self._present, self._coming = self._present, self._coming, None
        if self._present is None:
            return
        if before is not None:
            self.counts.changes += 1
            self._log.info("changed connections", **_told(self._present))
            leaving = asyncio.create_task(before.finish())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        elif self._missed:
            self._log.info("goes on", left_out_packets=self._missed)
        self._missed = 0

    # ---- connections ---------------------------------------------------------------------------

    async def _connected(self, keeping: asyncio.Task[None]) -> None:
        """Wait for the first connection: before that nothing is worth encoding."""
        while self._present is None:
            stirred = asyncio.create_task(self._stirred.wait())
            await asyncio.wait({stirred, keeping}, return_when=asyncio.FIRST_COMPLETED)
            stirred.cancel()
            if keeping.done():
                keeping.result()
            self._stirred.clear()

    async def _keep(self) -> None:
        """See to it that there is a connection, and that it shows the newest certificate."""
        spoke = time.monotonic()
        while True:
            await self._look_at_files()
            self._drop_closed()
            now = time.monotonic()
            if self._opening is None and now >= self._retry.at and self._wants_connection():
                self._opening = asyncio.create_task(self._open())
            if self._coming is not None and now - spoke > KEEP_ALIVE_S:
                spoke = now
                self._coming.send(null_packet())
            await asyncio.sleep(LOOK_S)

    def _wants_connection(self) -> bool:
        if self._coming is not None or self._blocked is not None:
            return False
        # The serial, not the files: a new authority beside the same certificate is for next time.
        return self._present is None or self._present.presented.serial != self._newest.serial

    async def _look_at_files(self) -> None:
        stamp = self._files.stamp()
        rests, self._seen = stamp == self._seen, stamp
        # They are replaced one after the other: once they rest, they belong together.
        if not rests or (stamp == self._stamp and not self._unread):
            return
        self._stamp = stamp
        try:
            newest = await asyncio.to_thread(self._files.load)
        except SealcastError as error:
            # Whoever writes them may be in the middle of it; the old ones are still good.
            if not self._unread:
                self.counts.unusable += 1
                then = "the old one goes on; the files are looked at again"
                self._warn("the new identity cannot be used yet", error, then)
            self._unread = True
            return
        self._unread = False
        self._newest = newest
        self._retry.succeeded()

    def _drop_closed(self) -> None:
        """Notice what the other end closed."""
        if self._coming is not None and not self._coming.is_open:
            why = self._coming.why
            self.counts.ended_by_node += 1
            self._abandon_coming()
            self._warn("the new connection is gone", why, self._asked_again(self._failed()))
        for gone in (self._present, self._blocked):
            if gone is not None and not gone.is_open:
                self.counts.ended_by_node += 1
                self._warn("the node is gone", gone.why, f"asked again at once; {_LEFT_OUT}")
                gone.abort()
                self._present = self._blocked = None
                self._finish_change_without_present()

    def _finish_change_without_present(self) -> None:
        if self._switch.finish():
            self._changed()

    def _abandon_coming(self) -> None:
        """Stay with the present connection, whatever the coming one was to carry."""
        if self._coming is not None:
            self._switch.cancel()
            self._coming.abort()
            self._coming = None

    def _failed(self) -> float:
        return self._retry.failed(time.monotonic())

    def _asked_again(self, wait_s: float) -> str:
        """What happens next, and to the stream meanwhile."""
        if self._present is not None:
            meanwhile = "the old connection carries the stream"
        else:
            meanwhile = _LEFT_OUT if self.counts.packets else "nothing is encoded before"
        return f"asked again in {wait_s:.1f} s; {meanwhile}"

    def _warn(self, event: str, error: SealcastError, then: str) -> None:
        why = f"{error.row.sentence} {error.detail}".strip()
        self._log.warning(event, code=error.code, why=why, then=then, do=error.row.remedy)

    async def _open(self) -> None:
        """One attempt at a connection with the newest certificate."""
        continues = self._present is not None
        if not continues:
            self._run = secrets.token_bytes(RUN_BYTES)
        word = Word.CONTINUES if continues else Word.BEGINS
        presented = self._newest
        opened: Connection | None = None
        try:
            opened = await Connection.open(
                self._address, presented, Announcement(word, self._run), self._stirred.set
            )
            answered = await opened.admitted(ADMIT_S)
        except SealcastError as error:
            self.counts.failures += 1
            self._warn("not connected", error, self._asked_again(self._failed()))
        else:
            self._admit(opened, answered=answered)
            opened = None
        finally:
            self._opening = None
            if opened is not None:
                opened.abort()

    def _admit(self, opened: Connection, *, answered: bool) -> None:
        self._retry.succeeded()
        self.counts.connections += 1
        told = _told(opened) if answered else {**_told(opened), "answer": "none"}
        self._log.info("connected", to=str(self._address), **told)
        if self._present is None and self.counts.packets == 0:
            self._present = opened
        else:
            self._coming = opened
            self._begin_change()
        self._stirred.set()

    async def _leave(self) -> None:
        """The end: what waits is sent, then goodbye."""
        if self._opening is not None:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        for connection in (self._present, self._blocked, self._coming):
            if connection is not None:
                await connection.finish()
        if self._leaving:
            await asyncio.wait(self._leaving)


def _told(connection: Connection) -> dict[str, object]:
    presented, facts = connection.presented, connection.facts
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(presented.not_after_unix))
    tls = f"{facts.version} {facts.cipher} {facts.group}"
    return {"certificate": presented.serial, "until": until, "tls": tls}
