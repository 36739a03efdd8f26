"""A viewer that watches for long, beside whatever else a test run does.

Does: takes every frame of a stream with the project's own client, in a thread with an event loop of
its own, and remembers the longest silence of each kind.

Does not: decode. Whether a picture can be seen is for tests with browsers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealcast.client import watch


class PatientViewer:
    """Frames and silences of one leg, since its first frame."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        self.frames: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._last_s: dict[str, float] = {}
        self._longest_s: dict[str, float] = {}
        self._began_s: float | None = None
        self._loop = asyncio.new_event_loop()
        self._watching: asyncio.Task[None] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(url, token, authority), name="patient viewer", daemon=True
        )
        self._thread.start()

    def watched_s(self) -> float:
        """Seconds since the first frame; 0 before it."""
        return 0.0 if self._began_s is None else time.monotonic() - self._began_s

    def silences_s(self) -> dict[str, float]:
        """The longest time without a frame, by kind, the one that lasts until now included."""
        now = time.monotonic()
        return {
            kind: max(self._longest_s.get(kind, 0.0), now - last)
            for kind, last in self._last_s.items()
        }

    def stop(self) -> None:
        """Ends the leg; more than once does no harm."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(timeout=15)
        assert not self._thread.is_alive(), "the viewer's thread did not end"

    def _cancel(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def _run(self, url: str, token: str, authority: Path) -> None:
        try:
            self._watching = self._loop.create_task(self._watch(url, token, authority))
            self._loop.run_until_complete(self._watching)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # told by the test that looks, not by a dying thread
            self.error = error
        finally:
            self._loop.close()

    async def _watch(self, url: str, token: str, authority: Path) -> None:
        async with await watch(url, token=token, ca_file=authority) as viewer:
            async for frame in viewer.frames():
                now = time.monotonic()
                silence = now - self._last_s.get(frame.kind, now)
                self._longest_s[frame.kind] = max(self._longest_s.get(frame.kind, 0.0), silence)
                self._last_s[frame.kind] = now
                self.frames[frame.kind] += 1
                self._began_s = self._began_s or now


@contextmanager
def patient_viewer(url: str, token: str, authority: Path) -> Iterator[PatientViewer]:
    """A viewer of `url` until the context ends."""
    viewer = PatientViewer(url, token, authority)
    try:
        yield viewer
    finally:
        viewer.stop()
