"""Offers captured from real peers, and what tests need around them.

`*.sdp` are what the peers' own WebRTC stacks made, unchanged, on addresses reserved for
documentation: Chromium 156 and Firefox 153 (getUserMedia with fake devices, one peer connection,
bundle policy max-bundle), aiortc 1.16 (one audio and one video transceiver), FFmpeg 9.0 (the whip
muxer, H264 and Opus, with and without `-whip_flags dtls_active`). "publish" offers are sendonly,
"watch" offers recvonly; "trickle" was taken before candidates were gathered.
"""

import hashlib
from pathlib import Path
from typing import Final

from sealcast.keying import Identity, Proof, dtls_srtp
from sealcast.policy import Channel, Role, admit, load
from sealcast.sdp import Fingerprint, IceCredentials, LocalTransport, Offer
from sealcast.secret import Secret
from sealcast.wire import DtlsSpec

HERE: Final = Path(__file__).parent
PUBLISHERS: Final = (
    "aiortc-publish",
    "chromium-publish",
    "chromium-publish-trickle",
    "chromium-simulcast",
    "ffmpeg9-publish",
    "ffmpeg9-publish-active",
    "firefox-publish",
)
VIEWERS: Final = ("aiortc-watch", "chromium-watch", "firefox-watch")
ALL: Final = tuple(sorted(path.stem for path in HERE.glob("*.sdp")))

TRANSPORT: Final = LocalTransport(
    credentials=IceCredentials("localUfrag", Secret("localPasswordOf24Characters")),
    fingerprint=Fingerprint("sha-256", ":".join(["AB"] * 32)),
    addresses=("192.0.2.7:8443", "[2001:db8::7]:8443"),
)


def captured(name: str) -> str:
    """The text of a captured offer, with its line ends."""
    return (HERE / f"{name}.sdp").read_bytes().decode()


def granted(offer: Offer, policy: str = "standard") -> DtlsSpec:
    """What policy makes of an offer whose sender showed a token over TLS 1.3."""
    channel = Channel("1.3", Identity("somebody", Proof.TOKEN))
    dtls = admit(dtls_srtp.claim(offer), channel, Role.DELIVERY, load(policy)).dtls
    assert dtls is not None
    return dtls


class Entropy:
    """Bytes that are different each time and the same in every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.sha512(str(self._drawn).encode()).digest()[:count]
