"""DTLS pairs per CPU-second: two endpoints in one process, certificates on both sides, no network.

Ours is `crates/tls/examples/pairs.rs` (DTLS 1.3, X25519MLKEM768, P-256), which prints its own
figure; the peer is aiortc's transport (DTLS 1.2, P-256, OpenSSL) over queues in memory.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from aiortc import RTCIceTransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from measure import Run


class QueueTransport:
    """What aiortc's DTLS transport asks of an ICE transport, over two queues."""

    def __init__(
        self, inbox: asyncio.Queue[bytes], outbox: asyncio.Queue[bytes], role: str
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self.role = role
        self.state = "completed"
        self._connection = self

    async def _recv(self) -> bytes:
        return await self._inbox.get()

    async def _send(self, data: bytes) -> None:
        self._outbox.put_nowait(data)

    async def stop(self) -> None:
        """Nothing to stop."""


async def _aiortc_pair() -> None:
    left: asyncio.Queue[bytes] = asyncio.Queue()
    right: asyncio.Queue[bytes] = asyncio.Queue()
    ends = [
        RTCDtlsTransport(transport, [RTCCertificate.generateCertificate()])
        for transport in (
            cast(RTCIceTransport, QueueTransport(left, right, "controlling")),
            cast(RTCIceTransport, QueueTransport(right, left, "controlled")),
        )
    ]
    parameters = [end.getLocalParameters() for end in ends]
    await asyncio.gather(ends[0].start(parameters[1]), ends[1].start(parameters[0]))
    if any(end.state != "connected" for end in ends):
        raise RuntimeError("aiortc's DTLS transports did not connect")
    for end in ends:
        cast(Any, end)._task.cancel()


def aiortc(seconds: float = 3.0) -> Run:
    """Complete handshakes of aiortc per second of this process's own processor time."""

    async def run() -> float:
        await _aiortc_pair()
        pairs, start = 0, time.process_time()
        while time.process_time() - start < seconds:
            await _aiortc_pair()
            pairs += 1
        return pairs / (time.process_time() - start)

    return Run(asyncio.run(run()))


def aiortc_name() -> str:
    """The peer's name and version."""
    return f"aiortc {version('aiortc')} (DTLS 1.2)"


def sealcast(target: Path, seconds: float = 3.0) -> Run:
    """The same of ours, as `pairs` measures it: {"pairs": …, "cpu_seconds": …}."""
    output = subprocess.run(
        [target / "release/examples/pairs", str(seconds)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    result = json.loads(output)
    return Run(result["pairs"] / result["cpu_seconds"])
