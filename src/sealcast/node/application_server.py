"""uvicorn on a private Unix socket, for the front alone.

Does: makes the socket (0600 in a folder of its own, 0700), serves the application in this event
loop, stops when told. Does not: listen on any port or touch signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from sealcast.node import limits

BACKLOG: Final = 1024
KEEP_ALIVE_S: Final = 120
"""Longer than the front keeps an idle connection, so that it is always the front that closes."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the supervisor: it stops the parts in order.
        yield


class PrivateSocket:
    """A listening Unix socket that only this user can reach."""

    def __init__(self) -> None:
        # mkdtemp makes 0700; the path must be short (108 bytes), so not in the state folder.
        self._folder = Path(tempfile.mkdtemp(prefix="sealcast-"))
        self.path = self._folder / "app"
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(str(self.path))
        self.path.chmod(0o600)
        self.listening.listen(BACKLOG)
        self.listening.setblocking(False)

    def close(self) -> None:
        """Remove it."""
        self.listening.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class ApplicationServer:
    """One running uvicorn."""

    def __init__(self, app: ASGIApp, private: PrivateSocket) -> None:
        self._private = private
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(limits.STOP_S),
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._private.listening]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("uvicorn ended before it began")
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        """End what is being answered, then be gone."""
        if self._task is None:
            return
        self._server.should_exit = True
        try:
            await asyncio.wait_for(self._task, limits.STOP_S + 1)
        except TimeoutError:
            self._server.force_exit = True
