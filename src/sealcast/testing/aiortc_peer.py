"""aiortc as an independent WebRTC peer that publishes by WHIP and watches by WHEP.

Does: runs its own event loop in a thread, so that a test can use a browser at the same time;
counts what was decoded.

Does not: check any certificate of media beyond what aiortc does by itself (the SDP's fingerprint).
"""

from __future__ import annotations

import asyncio
import fractions
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
import aioice.ice
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame

from sealcast.testing.node_process import Client

T = TypeVar("T")

SDP = "application/sdp"
ANSWER_S = 15.0
AUDIO_HZ = 48_000
AUDIO_SAMPLES = 960
TONE_HZ = 440


class Refused(Exception):  # noqa: N818 - an outcome that tests ask for, not a fault
    """The node answered a POST with something else than 201."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Secured:
    """What aiortc's own OpenSSL says of the handshake."""

    version: str
    cipher: str
    srtp_profile: str


class _Picture(VideoStreamTrack):
    """A grey level that changes with each frame: cheap to encode, and never the same twice."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        level = (pts // 3000) % 200 + 28
        picture = np.full((240, 320, 3), level, dtype=np.uint8)
        picture[:, : (pts // 3000) % 320] = 255 - level
        frame = VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class _Tone(AudioStreamTrack):
    """A sine, 20 ms at a time."""

    _sent = 0
    _began = 0.0

    async def recv(self) -> AudioFrame:
        if self._sent == 0:
            self._began = time.monotonic()
        ahead = self._began + self._sent / AUDIO_HZ - time.monotonic()
        await asyncio.sleep(max(0.0, ahead))
        moments = (self._sent + np.arange(AUDIO_SAMPLES)) / AUDIO_HZ
        wave = (8000 * np.sin(2 * np.pi * TONE_HZ * moments)).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = AUDIO_HZ
        frame.pts, frame.time_base = self._sent, fractions.Fraction(1, AUDIO_HZ)
        self._sent += AUDIO_SAMPLES
        return frame


class AiortcPeer:
    """One peer connection. `frames` and `audio_energy` grow while media is decoded."""

    def __init__(self, authority: Path, client: Client | None) -> None:
        self.frames = 0
        self.audio_energy = 0.0
        self._tls = ssl.create_default_context(cafile=str(authority))
        if client is not None:
            self._tls.load_cert_chain(client.chain, client.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: RTCPeerConnection | None = None
        self._resource: str | None = None
        self._token = ""
        self._readers: list[asyncio.Task[None]] = []

    def publish(self, url: str, token: str) -> None:
        """Offers a picture and a tone. Raises `Refused`."""
        self._run(self._open(url, token, publishing=True))

    def watch(self, url: str, token: str) -> None:
        """Asks for a picture and sound. Raises `Refused`."""
        self._run(self._open(url, token, publishing=False))

    @property
    def state(self) -> str:
        return "new" if self._connection is None else str(self._connection.connectionState)

    def secured(self) -> Secured:
        """The facts of its finished handshake."""
        assert self._connection is not None, "publish or watch comes first"
        (transport, *_) = {side.sender.transport for side in self._connection.getTransceivers()}
        connection = transport._ssl  # aiortc has no public way to these facts
        assert connection is not None, "the handshake is over"
        return Secured(
            version=connection.get_protocol_version_name(),
            cipher=str(connection.get_cipher_name()),
            srtp_profile=connection.get_selected_srtp_profile().decode(),
        )

    def close(self) -> None:
        """Ends the session at the node, then the loop."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self, url: str, token: str, *, publishing: bool) -> None:
        connection = self._connection = RTCPeerConnection()
        self._token = token
        if publishing:
            connection.addTrack(_Picture())
            connection.addTrack(_Tone())
            for transceiver in connection.getTransceivers():
                transceiver.direction = "sendonly"
        else:
            connection.addTransceiver("video", direction="recvonly")
            connection.addTransceiver("audio", direction="recvonly")
            connection.on("track", self._follow)
        await connection.setLocalDescription(await connection.createOffer())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http:
            posting = http.post(
                url,
                data=connection.localDescription.sdp,
                headers={"content-type": SDP, **self._authorization()},
                ssl=self._tls,
            )
            async with posting as answer:
                body = await answer.text()
                if answer.status != 201:
                    raise Refused(answer.status, body)
                self._resource = urljoin(url, answer.headers["location"])
        await connection.setRemoteDescription(RTCSessionDescription(body, "answer"))

    def _follow(self, track: Any) -> None:
        self._readers.append(self._loop.create_task(self._read(track)))

    async def _read(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                self.frames += 1
            else:
                samples = frame.to_ndarray().astype(np.float64) / 32768
                self.audio_energy += float(np.mean(samples**2))

    async def _close(self) -> None:
        if self._resource is not None:
            deleted: dict[str, Any] = {"headers": self._authorization(), "ssl": self._tls}
            async with aiohttp.ClientSession() as http:
                # Whose certificate was revoked meanwhile is not let in to say goodbye.
                with suppress(aiohttp.ClientConnectionError):
                    async with http.delete(self._resource, **deleted):
                        pass
        if self._connection is not None:
            await self._connection.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


@contextmanager
def aiortc_peer(authority: Path, client: Client | None = None) -> Iterator[AiortcPeer]:
    """A peer on loopback, with a client certificate for the door that wants one. aioice leaves
    loopback out of its candidates, so here it is told of nothing else.
    """
    real = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: (
        ["127.0.0.1"] if use_ipv4 else ["::1"]
    )
    peer = AiortcPeer(authority, client)
    try:
        yield peer
    finally:
        peer.close()
        aioice.ice.get_host_addresses = real
