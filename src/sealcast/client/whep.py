"""One WHEP session as a viewer (draft-ietf-wish-whep-03, the viewer offers).

Does: POST, answer, leg, frames, DELETE. Does not: trickle (the offer waits for nothing: our own
addresses are found by the node from our checks) or restart ICE.

The caller must still: close it (`async with`), and take frames as fast as they come; a slow taker
loses frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin, urlsplit

import msgspec

from sealcast import wire
from sealcast.client.offer import AgreedTrack, agreed_tracks, build_offer, sockets_for
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.keying import dtls_srtp
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Seal
from sealcast.policy import Channel, Grant, Role, admit, judge, load
from sealcast.sdp import IceCredentials, read_offer
from sealcast.sdp.patch import probeable
from sealcast.wire import CodecName, Kind

if TYPE_CHECKING:
    import aiohttp

    from sealcast._core import FrameTap, Relay

LEG: Final = 1
ANSWER_BYTES: Final = 64 * 1024
REQUEST_S: Final = 10.0
FRAMES_WAITING: Final = 512
"""Frames that wait for a slow taker; then the oldest are lost, and counted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An access unit (H264: Annex B) or an Opus packet.

    `timestamp` counts the track's clock; `arrived_ns` is when it was taken here
    (`time.monotonic_ns`): the clocks of two tracks have nothing else in common.
    """

    kind: Kind
    codec: CodecName
    data: bytes
    timestamp: int
    key: bool
    arrived_ns: int


@dataclass(slots=True)
class Progress:
    """What is known of the leg, growing."""

    stages: dict[str, float] = field(default_factory=dict)
    """Milliseconds from the leg's start to the end of each stage."""
    seal: Seal | None = None
    notes: tuple[str, ...] = ()
    path: tuple[str, str] | None = None
    lost_here: int = 0
    """Frames that a slow taker lost."""


async def watch(
    url: str,
    *,
    token: str | None = None,
    ca_file: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    policy: str = "standard",
) -> ViewerSession:
    """Ask `url`, a WHEP endpoint or a watch page of a node, for its stream.

    `certificate` are the files (PEM) of a viewer's chain and key, for a door that takes one.

    Raises `RemoteError` with the node's own code when it refuses, and `LocalError` when it cannot
    be reached or proved.
    """
    session = ViewerSession(
        endpoint_of(url), token=token, ca_file=ca_file, certificate=certificate, policy=policy
    )
    try:
        await session.open()
    except BaseException:
        await session.close()
        raise
    return session


def endpoint_of(url: str) -> str:
    """The WHEP endpoint: `url` itself, or that of a watch page, so that either can be given."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise LocalError("CLIENT.BAD_ADDRESS", f"{url!r} is not an https:// address.")
    path = parts.path
    if path.startswith("/watch/"):
        path = "/whep/" + path.removeprefix("/watch/")
    return parts._replace(path=path, fragment="").geturl()


class ViewerSession:
    """An open session; made by `watch`."""

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None,
        ca_file: Path | None,
        policy: str,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.tracks: tuple[AgreedTrack, ...] = ()
        self.progress = Progress()
        self._token = token
        self._ca_file = ca_file
        self._certificate = certificate
        self._policy = load(policy)
        self._grant: Grant | None = None
        self._http: aiohttp.ClientSession | None = None
        self._resource: str | None = None
        self._relay: Relay | None = None
        self._taps: list[FrameTap] = []
        self._readers: list[int] = []
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(FRAMES_WAITING)
        self._ended: SealcastError | None = None
        self._sealed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def seal(self) -> Seal | None:
        """What was agreed on the media leg, once it is sealed."""
        return self.progress.seal

    async def sealed(self, timeout_s: float) -> Seal:
        """Wait for the seal. Raises the leg's own end, or DTLS.TIMEOUT."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._sealed.wait(), timeout_s)
        if self.progress.seal is not None:
            return self.progress.seal
        raise self._ended or RemoteError("DTLS.TIMEOUT", f"Not sealed in {timeout_s:.0f} s.")

    async def frames(self) -> AsyncIterator[Frame]:
        """Frames as they come, until the leg ends; raises `RemoteError` if it failed."""
        while True:
            frame = await self._frames.get()
            if frame is None:
                break
            yield frame
        if self._ended is not None and self._ended.code not in _PEACEFUL:
            raise self._ended

    async def leg(self) -> dict[str, Any] | None:
        """What the node says of this leg; None when it says nothing."""
        if self._http is None or self._resource is None:
            return None
        async with self._http.get(f"{self._resource}/leg", headers=self._authorization()) as answer:
            told: dict[str, Any] | None = await answer.json() if answer.status == 200 else None
            return told

    # ---- opening and closing -----------------------------------------------------------------

    async def open(self) -> None:
        """POST the offer and start the leg."""
        from sealcast._core import MediaIdentity, Relay

        identity = MediaIdentity.generate()
        credentials = IceCredentials.draw(secrets.token_bytes)
        offer = build_offer(credentials, identity.fingerprint("sha-256"))
        text, tls_version = await self._post(offer.to_text())
        # An answer has the grammar of an offer, and must keep the same rules.
        answer = read_offer(text)
        host = urlsplit(self.endpoint).hostname or ""
        channel = Channel(tls_version, Identity(host, Proof.CERTIFICATE))
        self._grant = grant = admit(dtls_srtp.claim(answer), channel, Role.DELIVERY, self._policy)
        self.tracks = agreed_tracks(answer)
        if grant.dtls is None:
            raise LocalError("POLICY.OUTSIDE_GRANT", "The grant is not for a media leg.")
        spec = wire.LegSpec(
            id=LEG,
            side="client",
            ice=wire.IceSpec(
                local_ufrag=credentials.ufrag,
                local_pwd=credentials.pwd,
                remote_ufrag=answer.credentials.ufrag,
                remote_pwd=answer.credentials.pwd,
                remote_candidates=probeable(answer.candidates),
            ),
            dtls=grant.dtls,
            receive=tuple(track.spec for track in self.tracks),
        )
        self._relay = relay = Relay(binds=list(sockets_for(spec.ice.remote_candidates)))
        for track in self.tracks:
            relay.add_track(track.track, track.kind, track.codec, track.clock_rate)
            tap = relay.frame_tap(track.track)
            self._taps.append(tap)
            self._watch(tap.fileno(), lambda tap=tap, track=track: self._take(tap, track))
        self._watch(relay.fileno(), lambda: self._take_in(relay.drain_events()))
        relay.add_leg(wire.encode(spec), identity)

    async def close(self) -> None:
        """End session and leg; more than once does no harm."""
        loop = asyncio.get_running_loop()
        for descriptor in self._readers:
            loop.remove_reader(descriptor)
        self._readers.clear()
        if self._http is not None and self._resource is not None:
            # Nobody is left to read a refusal: the session may be over already.
            with contextlib.suppress(Exception):
                await self._http.delete(self._resource, headers=self._authorization())
        self._resource = None
        for tap in self._taps:
            tap.close()
        self._taps.clear()
        relay, self._relay = self._relay, None
        if relay is not None:
            await asyncio.to_thread(relay.stop)
        if self._http is not None:
            await self._http.close()
            self._http = None
        self._finish()

    async def _post(self, offer: str) -> tuple[str, str | None]:
        """The answer, and the version of TLS that carried it."""
        import aiohttp

        context, seen = _context(self._ca_file)
        if self._certificate is not None:
            try:
                context.load_cert_chain(*self._certificate)
            except (OSError, ssl.SSLError) as error:
                chain, key = self._certificate
                raise LocalError(
                    "IDENTITY.CERTIFICATE_MALFORMED", f"{chain} with {key}: {error.strerror}."
                ) from error
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=REQUEST_S),
        )
        headers = {"content-type": "application/sdp", **self._authorization()}
        try:
            # A redirect would take the token to another host.
            async with self._http.post(
                self.endpoint, data=offer.encode(), headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_BYTES)
                if answer.status != 201:
                    raise _refusal(answer.status, body)
                location = answer.headers.get("location")
                if location is None:
                    raise RemoteError("CLIENT.BAD_ANSWER", "The answer names no Location.")
                resource = urljoin(self.endpoint, location)
                if urlsplit(resource)[:2] != urlsplit(self.endpoint)[:2]:
                    # Our token would go there with the DELETE.
                    raise RemoteError("CLIENT.BAD_ANSWER", "Its Location is on another host.")
                self._resource = resource
                return body.decode("utf-8", "replace"), seen.version
        except aiohttp.ClientConnectorCertificateError as error:
            raise LocalError("CLIENT.NODE_UNPROVED", str(error.certificate_error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LocalError("CLIENT.UNREACHABLE", f"{type(error).__name__}: {error}") from error

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    # ---- events ------------------------------------------------------------------------------

    def _watch(self, descriptor: int, readable: Any) -> None:
        self._readers.append(descriptor)
        asyncio.get_running_loop().add_reader(descriptor, readable)

    def _take(self, tap: FrameTap, track: AgreedTrack) -> None:
        if self._ended is not None and self.progress.seal is None:
            return
        now = time.monotonic_ns()
        for data, timestamp, key in tap.read():
            if self._frames.full():
                self._frames.get_nowait()
                self.progress.lost_here += 1
            self._frames.put_nowait(Frame(track.kind, track.codec, data, timestamp, key, now))

    def _take_in(self, data: bytes) -> None:
        events, _unknown = wire.decode_relay_events(data)
        for event in events:
            match event:
                case wire.LegStage(stage=stage, outcome="done", elapsed_ms=elapsed):
                    self.progress.stages[stage] = elapsed
                case wire.LegSealed(seal=seal):
                    # The core was told what is admissible; this is the second pair of eyes.
                    try:
                        notes = judge(seal, self._grant) if self._grant is not None else ()
                    except SealcastError as refusal:
                        self._end(refusal)
                        return
                    self.progress.notes = tuple(note.code for note in notes)
                    self.progress.seal = Seal.of_media(seal)
                    self._sealed.set()
                case wire.LegPath(local=local, remote=remote):
                    self.progress.path = (local, remote)
                case wire.LegNoted(code=code):
                    self.progress.notes += (code,)
                case wire.LegClosed(code=code, detail=detail):
                    self._end(RemoteError(code, detail or ""))
                case _:
                    pass

    def _end(self, reason: SealcastError) -> None:
        """Whoever waits for a frame or for the seal is told why none will come."""
        if self._ended is None:
            self._ended = reason
        if self.progress.seal is None:  # never sealed as granted: nothing that came counts
            while not self._frames.empty():
                self._frames.get_nowait()
        self._sealed.set()
        self._finish()

    def _finish(self) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(None)


_PEACEFUL: Final = frozenset({"DTLS.CLOSED", "LEG.DELETED", "STREAM.ENDED"})


class _Problem(msgspec.Struct):
    """The members of a problem document that are read (RFC 9457)."""

    code: str = ""
    detail: str = ""
    title: str = ""


def _refusal(status: int, body: bytes) -> RemoteError:
    """What the node said, in its own words."""
    try:
        told = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        told = _Problem()
    detail = told.detail or told.title
    return RemoteError(told.code or "CLIENT.BAD_ANSWER", detail or f"The answer was {status}.")


@dataclass(slots=True)
class _SeenHandshake:
    """What a handshake agreed on. aiohttp gives the connection back before we could ask it."""

    version: str | None = None


def _context(ca_file: Path | None) -> tuple[ssl.SSLContext, _SeenHandshake]:
    """A context that proves the node, and where it writes what it saw."""
    seen = _SeenHandshake()

    class Recording(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            version = self.version()
            seen.version = None if version is None else version.removeprefix("TLSv")

    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = Recording
    return context, seen
