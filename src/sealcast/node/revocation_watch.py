"""From the authority's store to the doors and legs of a running node: what is revoked.

Does: asks the store again and again, whoever wrote to it (`sealcast identity revoke` is another
process); gives the doors the set that their handshakes look at; ends what is open.

Does not: revoke. While the store cannot be read, what was known stays.

It has a thread of its own: however many requests wait for the store in those that all share, the
next poll comes in time.

The caller must still: await `round` once before doors open, then `try_round` a few times a second;
`stop` it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog

from sealcast.errors import SealcastError
from sealcast.identity.revocation import Revoked
from sealcast.node.ports import FrontPort
from sealcast.node.switchboard import Switchboard

_log = structlog.get_logger()
_Result = TypeVar("_Result")


class RevocationList(Protocol):
    """`sealcast.identity.revocation.Revocations`."""

    def poll(self) -> tuple[Revoked, ...] | None:
        """All that is revoked; None if that is as at the last poll. Blocks."""

    def close(self) -> None: ...


class RevocationWatch:
    """The one who asks."""

    def __init__(self, source: RevocationList, front: FrontPort, board: Switchboard) -> None:
        self._source = source
        self._front = front
        self._board = board
        self._thread = ThreadPoolExecutor(1, "revocations")
        self._news: tuple[Revoked, ...] | None = None
        """What the doors were not told yet."""
        self._told: str | None = None
        """The code of the last failure, which is said once."""

    async def round(self) -> None:
        """Asks, and acts on news. Raises only what the first answer's absence means: nothing may
        open before it is known what is revoked.
        """
        revoked = await self._apart(self._source.poll)
        if self._told is not None:
            _log.info("revocations are read again")
            self._told = None
        if revoked is not None:
            self._news = revoked
        if self._news is not None:
            await self._act(self._news)
            # Whatever kept the doors from hearing of it, they are told again until they have.
            self._news = None

    async def try_round(self) -> None:
        """As `round`; a store that cannot be read is said once, and asked again."""
        try:
            await self.round()
        except SealcastError as error:
            if self._told != error.code:
                self._told = error.code
                _log.warning(
                    "revocations cannot be read; those known stay",
                    code=error.code,
                    detail=error.detail,
                )

    async def stop(self) -> None:
        """Asks no more."""
        await self._apart(self._source.close)
        self._thread.shutdown(wait=False)

    async def _apart(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _act(self, revoked: tuple[Revoked, ...]) -> None:
        by_id = {f"{each.authority_key}:{each.serial}": each.reason for each in revoked}
        # Legs before doors: whoever comes through a door in between finds the set here.
        for ended in self._board.certified.set_revoked(by_id):
            _log.info("ended by revocation", **{ended.key[0]: ended.key[1]}, reason=ended.reason)
        closed = await self._apart(lambda: self._front.set_revoked(list(by_id)))
        _log.info("revocations taken in", revoked=len(by_id), connections_closed=closed)
