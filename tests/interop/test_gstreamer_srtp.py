"""Media between our SRTP contexts and GStreamer's srtpenc and srtpdec, under keys of our handshake.

GStreamer has no part in the handshake: its half of the keys is revealed to it, as an application
that keys GStreamer by itself would do.
"""

from __future__ import annotations

import itertools
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

require("core", "gstreamer")
from tests.unit.dtls_link import link  # noqa: E402 - needs the core

from sealcast.dtls import DtlsPolicy, KeyMaterialRevealed, RevealedKeys  # noqa: E402
from sealcast.srtp import SrtpReceiver, SrtpSender  # noqa: E402

CIPHERS = {"AEAD_AES_128_GCM": "aes-128-gcm", "AEAD_AES_256_GCM": "aes-256-gcm"}
FRAMES = 50
FRAME = 160
PATIENCE_S = 30.0
SSRC = 0xCAFE


def keyed(profile: str) -> tuple[SrtpSender, SrtpReceiver, RevealedKeys]:
    """A handshake: one end's contexts, the other end's keys."""
    policy = DtlsPolicy(srtp_profiles=(profile,))
    pair = link(policy, policy).settle()
    with pytest.warns(KeyMaterialRevealed):
        theirs = pair.agreed("server").keys.reveal()
    sender, receiver = pair.agreed("client").keys.contexts()
    return sender, receiver, theirs


@contextmanager
def gst(*pipeline: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which("gst-launch-1.0")
    assert program is not None
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-q", *pipeline], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("profile", CIPHERS)
def test_what_srtpenc_protects_our_receiver_opens(tmp_path: Path, profile: str) -> None:
    _, receiver, theirs = keyed(profile)
    key = theirs.send_key.reveal() + theirs.send_salt.reveal()
    cipher = CIPHERS[profile]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        port = ours.getsockname()[1]
        with gst(
            *("audiotestsrc", f"num-buffers={FRAMES}", f"samplesperbuffer={FRAME}"),
            *("!", "audio/x-raw,rate=8000,channels=1", "!", "mulawenc"),
            *("!", "rtppcmupay", f"ssrc={SSRC}", "!", "srtpenc", f"key={key.hex()}"),
            *(f"rtp-cipher={cipher}", f"rtcp-cipher={cipher}", "rtp-auth=null", "rtcp-auth=null"),
            *("!", "udpsink", "host=127.0.0.1", f"port={port}", "sync=false"),
            log=tmp_path / "log",
        ):
            opened: list[bytes] = []
            give_up = time.monotonic() + PATIENCE_S
            while len(opened) < FRAMES and time.monotonic() < give_up:
                if select.select([ours], [], [], 0.1)[0]:
                    opened.append(receiver.unprotect(ours.recv(2048)))
    assert len(opened) == FRAMES, (tmp_path / "log").read_text()
    for earlier, later in itertools.pairwise(opened):
        first, second = (struct.unpack_from("!BBHII", packet) for packet in (earlier, later))
        assert (first[1] & 0x7F, first[4]) == (0, SSRC)
        assert (second[2] - first[2]) % 65536 == 1


@pytest.mark.parametrize("profile", CIPHERS)
def test_what_our_sender_protects_srtpdec_opens(tmp_path: Path, profile: str) -> None:
    sender, _, theirs = keyed(profile)
    key = theirs.receive_key.reveal() + theirs.receive_salt.reveal()
    cipher, sound = CIPHERS[profile], tmp_path / "sound"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    caps = ",".join(
        (
            "application/x-srtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0",
            f"ssrc=(uint){SSRC},srtp-key=(buffer){key.hex()}",
            f"srtp-cipher=(string){cipher},srtp-auth=(string)null",
            f"srtcp-cipher=(string){cipher},srtcp-auth=(string)null",
        )
    )
    frames = [bytes([number]) * FRAME for number in range(FRAMES)]
    packets = [
        sender.protect(struct.pack("!BBHII", 0x80, 0, number, number * FRAME, SSRC) + frame)
        for number, frame in enumerate(frames)
    ]
    with (
        gst(
            *("udpsrc", "address=127.0.0.1", f"port={port}", f"caps={caps}"),
            *("!", "srtpdec", "!", "rtppcmudepay", "!", "filesink", f"location={sound}"),
            "buffer-mode=unbuffered",
            log=tmp_path / "log",
        ),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
    ):

        def arrived() -> bool:
            """Sends all again: what srtpdec has opened before is a replay to it."""
            for packet in packets:
                ours.sendto(packet, ("127.0.0.1", port))
            return sound.exists() and sound.stat().st_size >= FRAMES * FRAME

        wait_for(
            arrived,
            what="srtpdec has opened every frame",
            timeout_s=PATIENCE_S,
            explain=lambda: (tmp_path / "log").read_text(),
        )
    # It may begin to listen in the middle of a round, so the order is not ours to say.
    heard = sound.read_bytes()
    assert sorted(heard[at : at + FRAME] for at in range(0, len(heard), FRAME)) == frames
