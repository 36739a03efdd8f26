"""One encoder's transport stream, from bytes to frames in the relay: one thread per encoder.

Does: reads a blocking socket to its end, and those that continue it, has it demuxed, and gives the
verdict on how it ended. Where a connection continues another, the demuxer, the timeline and the
sound's encoder go on: what is pushed has no seam.

Does not: know asyncio, the hub or who the encoder is; choose a stream's name; decide which
connection continues which. An event may say that the programme has B-frames; whether that matters
is decided elsewhere.

Specs: ISO/IEC 13818-1 (transport stream).

The caller must still: hand over a socket whose peer was authenticated; be ready for calls of
`open_sinks`, `report` and `announced` from the worker's thread; call `stop` and then `join`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Final

from sealcast.errors import RemoteError, SealcastError
from sealcast.ingest.mpegts.events import (
    Continued,
    Counters,
    Ended,
    Event,
    Outlet,
    ProgrammeFound,
    Sinks,
)
from sealcast.ingest.mpegts.programme import Programme, native_verdict
from sealcast.ingest.mpegts.source import Inlet, Source
from sealcast.ts.announcement import Announcement

PROBE_BYTES: Final = 2_000_000
PROBE_US: Final = 1_500_000


class TsPublisher:
    """The worker. `start` once; `stop` from any thread; then `join`."""

    def __init__(
        self,
        descriptor: int,
        *,
        name: str,
        open_sinks: Callable[[ProgrammeFound], Sinks],
        report: Callable[[Event], None],
        announced: Callable[[Announcement], bool] = lambda _: False,
    ) -> None:
        """Own `descriptor`, a blocking stream socket.

        `open_sinks` may raise `SealcastError` to refuse the programme: its code ends the stream.
        `announced` is told what an encoder says before its stream. True: another worker was given
        the `inlet` with `append`; this one is done and reports nothing.
        """
        self.inlet: Final = Inlet(socket.socket(fileno=descriptor))
        self._outlet = Outlet(open_sinks, report, self.inlet.counters)
        self._source = Source(self.inlet, self._continued)
        self._announced = announced
        self._stop_code: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"ts {name}", daemon=True)

    @property
    def counters(self) -> Counters:
        """What went through so far, of the connection that is read now; from any thread."""
        return self._outlet.counters

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def append(self, heir: Inlet) -> bool:
        """Read `heir` when the inlets before it have ended; `Continued` is reported then.

        False if this worker takes no more.
        """
        return self._source.append(heir)

    def withdraw(self, heir: Inlet) -> bool:
        """Forget and close an appended inlet; False if its turn has come already."""
        return self._source.withdraw(heir)

    def stop(self, code: str, inlet: Inlet | None = None) -> None:
        """End it: the pending read returns, `Ended(code)` is reported.

        With an `inlet` only that one ends, and the worker only if none continues it.
        """
        inlet = inlet or self._source.present
        if self._source.withdraw(inlet):
            return
        if self._source.ends_with(inlet) and self._stop_code is None:
            self._stop_code = code
        inlet.shut()

    def join(self, timeout: float) -> bool:
        """Whether the thread is over within `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        code, detail = "STREAM.ENDED", "The encoder closed the connection."
        try:
            if self._hands_over():
                return
            self._read()
        except SealcastError as error:
            code, detail = error.code, error.detail
        except Exception as error:
            code, detail = native_verdict(error)
        if self._stop_code is not None:
            code, detail = self._stop_code, ""
        self._source.close()
        self._outlet.report(Ended(code, detail))

    def _hands_over(self) -> bool:
        """Whether another worker reads this connection from here on."""
        announcement = self.inlet.announced()
        if announcement is None:
            return False
        is_continued = self._announced(announcement)
        # Only now: an encoder that was answered changes connections, and its heir must be known.
        self.inlet.admit(announcement)
        return is_continued

    def _continued(self, heir: Inlet) -> None:
        self._outlet.counters = heir.counters
        self._outlet.report(Continued(heir))

    def _read(self) -> None:
        """All of the stream. Raises where it did not end as a transport stream should."""
        self.inlet.check_sync()
        self._demux(self._source)
        if not self._source.ended:
            # FFmpeg resynchronises by itself, but it does not look for ever.
            raise RemoteError("TS.GARBAGE", "In the middle of the stream its sync bytes ended.")
        if broken_off := self._source.present.broken_off:
            raise RemoteError("TS.TRUNCATED", f"The last packet has {broken_off} of 188 bytes.")

    def _demux(self, source: Source) -> None:
        # Only a node with an encoder needs FFmpeg in its memory.
        import av

        options = {
            "probesize": str(PROBE_BYTES),
            "analyzeduration": str(PROBE_US),
            # The frame rate is nobody's business here; guessing it takes a second.
            "fpsprobesize": "0",
            # Timestamps come as they were sent: Unwrapper unwraps them.
            "correct_ts_overflow": "0",
            "scan_all_pmts": "0",
        }
        try:
            container = av.open(source, mode="r", format="mpegts", options=options)
        except (av.error.FFmpegError, ValueError) as error:
            # Sync bytes were there, so it is a transport stream, with no programme in it.
            raise RemoteError("TS.NO_VIDEO", f"No programme: FFmpeg says {error}.") from error
        with container:
            Programme(self._outlet, container, self.inlet.began_ns).run()
