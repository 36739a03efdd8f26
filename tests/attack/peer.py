"""A WebRTC peer by hand: SDP as text, ICE, DTLS by OpenSSL, SRTP by libsrtp, one UDP socket.

Does: what a browser does on its way to media, one step at a time, so that a test can leave one out
or do it wrong; then sends or receives numbered frames, one RTP packet each.

Does not: run by itself. Whoever holds a peer drives it with `pump`.
"""

from __future__ import annotations

import re
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import pylibsrtp

from sealcast.testing.node_process import Node

from . import stun
from .dtls import GCM, Certificate, DtlsClient
from .exchange import Answer, ask, post_offer

Way = Literal["whip", "whep"]
Address = tuple[str, int]

VP8 = 96
PACKET_KINDS_OF_RTCP = range(192, 224)
"""RFC 5761 §4."""
PATIENCE_S = 15.0
RETRY_S = 0.2
CONSENT_S = 2.0
"""RFC 7675 wants a check each 5 s; the node asks as well."""

_PROFILES = {GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM}
# A VP8 payload descriptor that begins a frame (RFC 7741 §4.2), then the frame tag of a key frame
# with its start code and a size of 16 by 16, or that of an inter frame (RFC 6386 §9.1). The relay
# reads no further; the frame's number follows.
_KEY_FRAME = b"\x10" + b"\x10\0\0\x9d\x01\x2a\x10\0\x10\0"
_INTER_FRAME = b"\x10" + b"\x11\0\0"
_NUMBER = struct.Struct("!4sI")


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of one VP8 section. `text` is what is sent; tests replace what they are about."""

    way: Way
    fingerprint: str
    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    pwd: str = field(default_factory=lambda: secrets.token_hex(16))
    ssrc: int = field(default_factory=lambda: secrets.randbelow(2**31) + 1)

    @property
    def text(self) -> str:
        lines = [
            "v=0",
            f"o=- {self.ssrc} 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=video 9 UDP/TLS/RTP/SAVPF {VP8}",
            "c=IN IP4 0.0.0.0",
            "a=mid:0",
            "a=sendonly" if self.way == "whip" else "a=recvonly",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            "a=setup:actpass",
            f"a=rtpmap:{VP8} VP8/90000",
            f"a=rtcp-fb:{VP8} nack",
            f"a=rtcp-fb:{VP8} nack pli",
        ]
        if self.way == "whip":
            lines.append(f"a=ssrc:{self.ssrc} cname:attack")
        return "".join(f"{line}\r\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Session:
    """What a 201 told: where the session is and how its leg is reached."""

    path: str
    etag: str
    ufrag: str
    pwd: str
    address: Address

    @staticmethod
    def of(answer: Answer) -> Session:
        assert answer.status == 201, answer
        text = answer.body.decode()
        assert "a=setup:passive" in text, "an actpass offer makes us the client"

        def found(pattern: str) -> re.Match[str]:
            match = re.search(pattern, text, re.MULTILINE)
            assert match is not None, text
            return match

        candidate = found(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host")
        return Session(
            path=answer.headers["location"],
            etag=answer.headers["etag"],
            ufrag=found(r"^a=ice-ufrag:(\S+)")[1],
            pwd=found(r"^a=ice-pwd:(\S+)")[1],
            address=(candidate[1], int(candidate[2])),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that arrived."""

    sender: bytes
    number: int
    sequence: int
    timestamp: int
    ssrc: int
    at: float


class Peer:
    """One end of one leg."""

    def __init__(
        self, node: Node, way: Way, stream: str, token: str, *, profiles: bytes = GCM
    ) -> None:
        self.node = node
        self.token = token
        self.certificate = Certificate.make()
        self.offer = Offer(way, self.certificate.fingerprint)
        self.session: Session | None = None
        self.answers_checks = True
        self.keeps_consent = True
        self.hears_dtls = True
        self.frames: list[Frame] = []
        self.heard_dtls: list[bytes] = []
        self.dtls = DtlsClient(self.certificate, profiles)
        self.name = secrets.token_bytes(4)
        """Stands in each frame that this peer sends."""
        self._endpoint = f"/{way}/{stream}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._checked: dict[bytes, float] = {}
        self._was_answered = False
        self._was_asked = False
        self._sends: pylibsrtp.Session | None = None
        self._receives: pylibsrtp.Session | None = None
        self._sequence = secrets.randbelow(2**15)
        self._timestamp = secrets.randbelow(2**31)
        self._last_check = 0.0

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()
        return str(host), int(port)

    @property
    def remote(self) -> str:
        """Our address as the ledger writes it."""
        return "{}:{}".format(*self.address)

    @property
    def known(self) -> Session:
        assert self.session is not None, "it was signalled"
        return self.session

    @property
    def username(self) -> str:
        """RFC 8445 §7.2.2: the other end's fragment first."""
        return f"{self.known.ufrag}:{self.offer.ufrag}"

    # ---- the stages ----------------------------------------------------------------------------

    def signal(self, *, fingerprint: str | None = None) -> Session:
        """POSTs the offer; `fingerprint` replaces the true one."""
        if fingerprint is not None:
            self.offer = replace(self.offer, fingerprint=fingerprint)
        answer = post_offer(self.node, self._endpoint, self.token, self.offer.text)
        self.session = Session.of(answer)
        return self.session

    def find_path(self) -> None:
        """Checks until both ends have answered."""
        self._until(lambda: self._was_answered and self._was_asked, self.send_check, "a path")

    def shake_hands(self) -> None:
        """DTLS, until it is done or has failed (`dtls.error`)."""
        self.send(self.dtls.start())
        self._until(
            lambda: self.dtls.is_done or self.dtls.error is not None,
            lambda: self.send(self.dtls.again()),
            "an end of the handshake",
        )
        if self.dtls.is_done and self.dtls.profile() in _PROFILES:
            self._install_keys()

    def connect(self) -> Peer:
        """All of it."""
        self.signal()
        self.find_path()
        self.shake_hands()
        assert self.dtls.is_done, self.dtls.error
        return self

    def leave(self) -> None:
        """DELETEs the session, whatever became of it."""
        if self.session is not None:
            answer = ask(self.node, "DELETE", self.session.path, token=self.token)
            assert answer.status in (200, 404), answer

    def close(self) -> None:
        """Forgets everything without a word, as a machine does that loses its power."""
        self._socket.close()

    # ---- datagrams -----------------------------------------------------------------------------

    def send(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._socket.sendto(datagram, self.known.address)

    def check(self, **changes: str) -> bytes:
        """A check; `changes` are other words than ours for `username` and `password`."""
        words = {"username": self.username, "password": self.known.pwd, **changes}
        return stun.check(words["username"], words["password"])

    def send_check(self) -> None:
        message = self.check()
        self._checked[stun.read(message).transaction] = time.monotonic()
        self._last_check = time.monotonic()
        self.send([message])

    def pump(self, seconds: float) -> None:
        """Takes what comes within `seconds`, and keeps the path's consent."""
        deadline = time.monotonic() + seconds
        while True:
            is_due = time.monotonic() - self._last_check > CONSENT_S
            if self.keeps_consent and self._was_answered and is_due:
                self.send_check()
            self._socket.settimeout(max(0.0001, deadline - time.monotonic()))
            try:
                datagram, source = self._socket.recvfrom(2048)
            except (TimeoutError, BlockingIOError):
                return
            if source == self.known.address:
                self._take(datagram)
            if time.monotonic() >= deadline:
                return

    def _take(self, datagram: bytes) -> None:
        if stun.is_stun(datagram):
            self._take_stun(datagram)
        elif 20 <= datagram[0] <= 63:
            self.heard_dtls.append(datagram)
            if self.hears_dtls:
                self.send(self.dtls.receive(datagram))
        elif datagram[1] not in PACKET_KINDS_OF_RTCP and self._receives is not None:
            self._take_frame(self._receives.unprotect(datagram))

    def _take_stun(self, datagram: bytes) -> None:
        message = stun.read(datagram)
        if message.kind == stun.REQUEST and self.answers_checks:
            self.send([stun.answer(message, self.known.address, self.offer.pwd)])
            self._was_asked = True
        elif message.kind == stun.SUCCESS:
            self._was_answered |= self._checked.pop(message.transaction, None) is not None

    def _until(self, done: Callable[[], bool], again: Callable[[], None], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"{self._endpoint}: no {what}"
            again()
            retry = time.monotonic() + RETRY_S
            while not done() and time.monotonic() < retry:
                self.pump(0.01)

    # ---- media ---------------------------------------------------------------------------------

    def send_frame(self, number: int, *, key: bool, fps: int) -> None:
        """One frame, in one packet."""
        self.send([self.protected_frame(number, key=key, fps=fps)])

    def protected_frame(self, number: int, *, key: bool, fps: int) -> bytes:
        """The packet of one frame, ready to be sent."""
        assert self._sends is not None, "keys are installed"
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + 90_000 // fps & 0xFFFFFFFF
        header = struct.pack(
            "!BBHII", 0x80, 0x80 | VP8, self._sequence, self._timestamp, self.offer.ssrc
        )
        payload = (_KEY_FRAME if key else _INTER_FRAME) + _NUMBER.pack(self.name, number)
        return bytes(self._sends.protect(header + payload))

    def _take_frame(self, packet: bytes) -> None:
        _, _, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
        sender, number = _NUMBER.unpack(packet[-_NUMBER.size :])
        self.frames.append(Frame(sender, number, sequence, timestamp, ssrc, time.monotonic()))

    def _install_keys(self) -> None:
        ours, theirs = self.dtls.keys()
        profile = _PROFILES[self.dtls.profile()]
        outbound, inbound = pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND
        self._sends = pylibsrtp.Session(pylibsrtp.Policy(ours, outbound, srtp_profile=profile))
        self._receives = pylibsrtp.Session(pylibsrtp.Policy(theirs, inbound, srtp_profile=profile))


@contextmanager
def peer(node: Node, way: Way, stream: str, token: str, *, profiles: bytes = GCM) -> Iterator[Peer]:
    """A peer that leaves when the test is over."""
    made = Peer(node, way, stream, token, profiles=profiles)
    try:
        yield made
    finally:
        made.close()
        made.leave()
