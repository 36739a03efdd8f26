"""WHEP: a viewer gets the stream as it is, or hears why not."""

import re

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from tests.unit.offers import TRANSPORT, VIEWERS, Entropy, captured, granted

from sealcast.delivery import whep
from sealcast.errors import RemoteError
from sealcast.sdp import (
    Candidate,
    ExtMap,
    FormatParameters,
    Group,
    Msid,
    RtcpFeedback,
    RtpMap,
    Ssrc,
    SsrcGroup,
    Way,
    parse,
    read_offer,
)
from sealcast.streams import Track, TrackShape
from sealcast.wire import CodecName, SendSpec

CHROMIUM = captured("chromium-watch")
AUDIO = Track(2, TrackShape("audio", "opus", 48_000, 2))


def video(codec: CodecName = "H264", profile: str | None = "42c01f") -> Track:
    return Track(1, TrackShape("video", codec, 90_000, 0, profile if codec == "H264" else None))


def answered(text: str, *tracks: Track) -> whep.WhepAnswer:
    offer = read_offer(text)
    return whep.answer_offer(
        offer,
        tracks,
        leg=9,
        dtls=granted(offer),
        transport=TRANSPORT,
        entropy=Entropy(),
    )


def refusal(text: str, *tracks: Track) -> RemoteError:
    with pytest.raises(RemoteError) as refused:
        answered(text, *tracks)
    return refused.value


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
@pytest.mark.parametrize("name", ["chromium-watch", "firefox-watch"])
def test_a_browser_gets_the_streams_own_codec(name: str, codec: CodecName) -> None:
    answer = answered(captured(name), video(codec), AUDIO)
    sent = {spec.kind: spec for spec in answer.leg_spec.send}
    assert sent["video"].codec == codec
    assert parse(answer.answer_sdp) == answer.answer
    offered = read_offer(captured(name)).session.media
    for ours, theirs in zip(answer.answer.media, offered, strict=True):
        assert (ours.mid, ours.way) == (theirs.mid, Way.SENDONLY)
        assert set(ours.formats) <= set(theirs.formats)
        assert {(e.id, e.uri) for e in ours.all(ExtMap)} <= {
            (e.id, e.uri) for e in theirs.all(ExtMap)
        }


H264 = [
    # The stream's SPS, the type that Chromium and aiortc get, what the answer calls it.
    ("chromium-watch", "42c01f", 108, "42c01f"),
    ("chromium-watch", "42e02a", 108, "42e02a"),
    ("chromium-watch", "42001f", 102, "42001f"),
    ("chromium-watch", "4d4028", 116, "4d4028"),
    ("chromium-watch", "640028", 41, "f4001f"),
    ("aiortc-watch", "42c01f", 101, "42c01f"),
]


@pytest.mark.parametrize(("name", "sps", "payload_type", "answer_id"), H264)
def test_h264_goes_out_under_the_type_whose_profile_fits(
    name: str, sps: str, payload_type: int, answer_id: str
) -> None:
    answer = answered(captured(name), video("H264", sps))
    (spec,) = answer.leg_spec.send
    assert spec.payload_type == payload_type
    section = next(media for media in answer.answer.media if media.kind == "video")
    fmtp = section.all(FormatParameters)[0]
    assert (fmtp.get("profile-level-id"), fmtp.get("packetization-mode")) == (answer_id, "1")


def test_the_leg_is_what_the_answer_says() -> None:
    answer = answered(CHROMIUM, video(), AUDIO)
    first, second = answer.leg_spec.send
    section = answer.answer.media[0]
    assert answer.tracks == (1, 2)
    assert (answer.leg_spec.id, answer.leg_spec.side, answer.leg_spec.receive) == (9, "server", ())
    assert first == SendSpec(
        track=1,
        mid="0",
        kind="video",
        codec="H264",
        payload_type=108,
        rtx_payload_type=109,
        clock_rate=90_000,
        ssrc=first.ssrc,
        rtx_ssrc=first.rtx_ssrc,
        cname=first.cname,
        extensions=first.extensions,
        nack=True,
        pli=True,
    )
    assert first.extensions.keys() == {"mid", "twcc"}
    assert section.first(SsrcGroup) == SsrcGroup("FID", (first.ssrc, first.rtx_ssrc or 0))
    assert section.all(Ssrc) == (
        Ssrc(first.ssrc, "cname", first.cname),
        Ssrc(first.rtx_ssrc or 0, "cname", first.cname),
    )
    assert section.all(RtpMap) == (RtpMap(108, "H264", 90_000), RtpMap(109, "rtx", 90_000))
    assert [f.kind for f in section.all(RtcpFeedback)] == ["nack", "nack pli", "transport-cc"]
    assert (second.codec, second.rtx_ssrc, second.cname) == ("opus", None, first.cname)
    assert len({first.ssrc, first.rtx_ssrc, second.ssrc}) == 3


def test_picture_and_sound_are_one_stream_to_the_browser() -> None:
    media = answered(CHROMIUM, video(), AUDIO).answer.media
    assert {msid.stream for section in media for msid in section.all(Msid)} == {"sealcast"}
    assert len({msid.track for section in media for msid in section.all(Msid)}) == 2


def test_nothing_links_two_viewers() -> None:
    offer = read_offer(CHROMIUM)
    entropy = Entropy()
    first, second = (
        whep.answer_offer(
            offer, [AUDIO], leg=1, dtls=granted(offer), transport=TRANSPORT, entropy=entropy
        ).leg_spec.send[0]
        for _ in range(2)
    )
    assert first.ssrc != second.ssrc
    assert first.cname != second.cname


def test_stereo_is_announced_only_where_the_stream_has_it() -> None:
    mono = Track(2, TrackShape("audio", "opus", 48_000, 1))
    assert "sprop-stereo=1" in answered(CHROMIUM, AUDIO).answer_sdp
    assert "sprop-stereo" not in answered(CHROMIUM, mono).answer_sdp


def test_without_nack_there_is_no_retransmission() -> None:
    text = re.sub(r"a=rtcp-fb:\d+ nack( pli)?\r\n", "", CHROMIUM)
    (spec,) = answered(text, video()).leg_spec.send
    assert (spec.nack, spec.pli, spec.rtx_ssrc, spec.rtx_payload_type) == (False, False, None, None)


@pytest.mark.parametrize("name", VIEWERS)
def test_a_stream_without_sound_leaves_the_audio_section_unused(name: str) -> None:
    codec: CodecName = "VP8"
    answer = answered(captured(name), video(codec))
    assert [spec.kind for spec in answer.leg_spec.send] == ["video"]
    by_kind = {media.kind: media for media in answer.answer.media}
    assert by_kind["audio"].way is Way.INACTIVE
    assert by_kind["video"].way is Way.SENDONLY


def test_the_section_that_carries_the_transport_stays_even_if_it_is_unused() -> None:
    answer = answered(CHROMIUM, AUDIO)
    unused, audio = answer.answer.media
    assert (unused.kind, unused.way, unused.port) == ("video", Way.INACTIVE, 8443)
    assert answer.answer.first(Group) == Group("BUNDLE", ("0", "1"))
    assert unused.all(Candidate)
    assert audio.way is Way.SENDONLY


def test_a_viewer_who_wants_no_sound_gets_none() -> None:
    answer = answered(captured("chromium-watch-video-only"), video(), AUDIO)
    assert answer.tracks == (1,)


REFUSED = [
    (
        captured("firefox-watch"),
        video(),
        "The stream's video is H264 constrained baseline at level 3.1; the offer has VP8, VP9, AV1",
    ),
    (
        captured("aiortc-watch"),
        video("H264", "640028"),
        "The stream's video is H264 high at level 4.0; the offer has H264 baseline at level 3.1, "
        "constrained baseline at level 3.1.",
    ),
    (
        CHROMIUM.replace("packetization-mode=1", "packetization-mode=0"),
        video(),
        "the offer has H264 without packetization-mode 1.",
    ),
    (
        CHROMIUM.replace("level-asymmetry-allowed=1;", ""),
        video("H264", "42e028"),
        "the offer has lower levels only, without level-asymmetry-allowed.",
    ),
    (captured("aiortc-watch"), video("AV1"), "The stream's video is AV1; the offer has VP8, H264"),
    (
        CHROMIUM.replace("opus/48000", "speex/48000"),
        AUDIO,
        "The stream's audio is opus; the offer has speex",
    ),
]


@pytest.mark.parametrize(("text", "track", "detail"), REFUSED)
def test_a_viewer_who_cannot_decode_the_stream_is_told_why(
    text: str, track: Track, detail: str
) -> None:
    error = refusal(text, track)
    assert (error.code, error.http_status) == ("SDP.NO_COMMON_CODEC", 406)
    assert detail in error.detail


def test_a_level_is_held_against_no_one_who_states_none() -> None:
    text = re.sub(r"level-asymmetry-allowed=1;|;profile-level-id=\w+", "", CHROMIUM)
    assert answered(text, video("H264", "42e028")).leg_spec.send[0].codec == "H264"


def test_a_publishers_offer_is_no_viewers() -> None:
    error = refusal(captured("chromium-publish"), video(), AUDIO)
    assert error.code == "SDP.NO_MEDIA"
    assert "The stream has video and audio" in error.detail


async def applied(tracks: tuple[Track, ...]) -> list[tuple[str, str | None]]:
    """What aiortc makes of our answer to its own offer."""
    peer = RTCPeerConnection()
    try:
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        answer = answered(peer.localDescription.sdp, *tracks)
        await peer.setRemoteDescription(RTCSessionDescription(answer.answer_sdp, "answer"))
        return [(entry.kind, entry.currentDirection) for entry in peer.getTransceivers()]
    finally:
        await peer.close()


@pytest.mark.parametrize("tracks", [(video(), AUDIO), (video("VP8"), AUDIO)])
def test_aiortc_takes_the_answer(tracks: tuple[Track, ...]) -> None:
    import asyncio

    directions = asyncio.run(applied(tracks))
    assert directions == [("audio", "recvonly"), ("video", "recvonly")]
