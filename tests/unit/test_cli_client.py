"""The viewer in Python: its offer, what it reads out of an answer, the file that it writes."""

from __future__ import annotations

import asyncio
import io
import secrets
from pathlib import Path
from typing import Any

import av
import pytest
from tests.unit.transport_streams import transport_stream

from sealcast.cli.watch import end_of
from sealcast.client.offer import AgreedTrack, agreed_tracks, build_offer
from sealcast.client.saving import Saving
from sealcast.client.whep import Frame
from sealcast.delivery import whep
from sealcast.errors import RemoteError
from sealcast.keying import dtls_srtp
from sealcast.keying.agreement import Identity, Proof
from sealcast.policy import Channel, Role, admit, load
from sealcast.sdp import Fingerprint, IceCredentials, LocalTransport, read_offer
from sealcast.secret import Secret
from sealcast.streams import Track, TrackShape
from sealcast.wire import CodecName

CREDENTIALS = IceCredentials("viewerufrag", Secret("v" * 24))
DIGEST = ":".join(["AB"] * 32)


def answered(video: CodecName, profile: str | None = None) -> str:
    """A node's answer to our own offer."""
    offer = read_offer(build_offer(CREDENTIALS, DIGEST).to_text())
    channel = Channel("1.3", Identity("x", Proof.TOKEN))
    grant = admit(dtls_srtp.claim(offer), channel, Role.DELIVERY, load("standard"))
    assert grant.dtls is not None
    tracks = (
        Track(1, TrackShape("video", video, 90_000, profile_level_id=profile)),
        Track(2, TrackShape("audio", "opus", 48_000, channels=2)),
    )
    answer = whep.answer_offer(
        offer,
        tracks,
        leg=1,
        dtls=grant.dtls,
        transport=LocalTransport(
            IceCredentials("nodeufrag", Secret("n" * 24)),
            Fingerprint("sha-256", DIGEST),
            ("127.0.0.1:9",),
        ),
        entropy=secrets.token_bytes,
    )
    return answer.answer_sdp


@pytest.mark.parametrize(
    ("video", "profile"),
    [
        ("H264", "42c01f"),
        ("H264", "4d401f"),
        ("H264", "64001e"),
        ("VP8", None),
        ("VP9", None),
        ("AV1", None),
    ],
)
def test_our_offer_takes_every_stream_that_the_node_carries(
    video: CodecName, profile: str | None
) -> None:
    picture, sound = agreed_tracks(read_offer(answered(video, profile)))
    assert (picture.kind, picture.codec, picture.clock_rate) == ("video", video, 90_000)
    assert (sound.kind, sound.codec, sound.channels) == ("audio", "opus", 2)
    assert picture.spec.rtx_payload_type is not None
    assert len(picture.spec.ssrcs) == 1
    assert picture.spec.nack
    assert picture.spec.pli
    assert picture.spec.extensions == {"mid": 1}


def test_we_act_in_dtls_where_the_node_waits() -> None:
    answer = read_offer(answered("VP8"))
    assert dtls_srtp.claim(answer).role == "active"


def test_an_answer_that_sends_nothing_is_refused() -> None:
    text = answered("VP8").replace("a=sendonly", "a=inactive")
    with pytest.raises(RemoteError, match=r"SDP\.NO_MEDIA"):
        agreed_tracks(read_offer(text))


def frames_of(seconds: float, *, burst_s: float) -> list[Frame]:
    """Frames as a tap gives them: random origins, and the first `burst_s` of picture at once."""
    frames = []
    made = io.BytesIO(transport_stream(seconds=seconds, audio="libopus"))
    with av.open(made, "r") as container:
        packets: Any = container.demux(video=0, audio=0)
        first: dict[str, float] = {}
        for packet in packets:
            if not packet.size or packet.pts is None:
                continue
            kind = packet.stream.type
            at = float(packet.pts * packet.time_base)
            shown = at - first.setdefault(kind, at)
            rate, origin = (90_000, 5_000_000) if kind == "video" else (48_000, 77)
            late = max(shown, burst_s)
            if kind == "audio" and shown < burst_s:
                # A viewer is given no old sound.
                continue
            frames.append(
                Frame(
                    kind,
                    "H264" if kind == "video" else "opus",
                    bytes(packet),
                    origin + round(shown * rate),
                    packet.is_keyframe,
                    10**12 + round(late * 1e9),
                )
            )
    return sorted(frames, key=lambda frame: frame.arrived_ns)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_saved_file_plays_and_keeps_picture_and_sound_together(
    tmp_path: Path, suffix: str
) -> None:
    spec: Any = None
    tracks = (
        AgreedTrack(1, "video", "H264", 90_000, 1, spec),
        AgreedTrack(2, "audio", "opus", 48_000, 2, spec),
    )
    file = tmp_path / f"saved.{suffix}"
    with Saving(file, tracks) as saving:
        for frame in frames_of(3.0, burst_s=1.0):
            saving.write(frame)
    assert saving.frames["video"] == 90
    with av.open(str(file)) as container:
        pictures = list(container.decode(video=0))
        container.seek(0)
        sounds = list(container.decode(audio=0))
    assert len(pictures) == 90
    assert (pictures[0].width, pictures[0].height) == (64, 48)
    # The sound began a second after the picture's first frame, and stands there.
    assert pictures[0].time is not None
    assert sounds[0].time is not None
    assert 0.9 < sounds[0].time - pictures[0].time < 1.1


class ToldLeg:
    """A viewer whose node says this of its leg."""

    def __init__(self, told: dict[str, Any] | Exception | None) -> None:
        self._told = told

    async def leg(self) -> dict[str, Any] | None:
        if isinstance(self._told, Exception):
            raise self._told
        return self._told


END = {"code": "STREAM.CODEC_CHANGED", "sentence": "The codec changed.", "detail": None}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"end": END}, "STREAM.CODEC_CHANGED: The codec changed."),
        ({"end": {**END, "detail": "To VP8."}}, "STREAM.CODEC_CHANGED: The codec changed. To VP8."),
        ({"end": None}, None),
        (None, None),
        (ConnectionResetError(), None),
    ],
)
def test_a_viewer_whose_leg_ended_is_told_the_nodes_reason(told: Any, reason: str | None) -> None:
    viewer: Any = ToldLeg(told)
    assert asyncio.run(end_of(viewer)) == reason


def test_a_file_without_a_key_frame_is_not_begun(tmp_path: Path) -> None:
    spec: Any = None
    file = tmp_path / "none.mkv"
    with Saving(file, (AgreedTrack(1, "video", "H264", 90_000, 1, spec),)) as saving:
        saving.write(Frame("video", "H264", b"\x00\x00\x01\x41\x9a", 0, False, 0))
    assert not file.exists()
