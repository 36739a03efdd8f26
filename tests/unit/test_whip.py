"""WHIP: what a publisher's offer is answered, and the leg that comes of it."""

import msgspec
import pytest
from tests.unit.offers import PUBLISHERS, TRANSPORT, captured, granted

from sealcast import wire
from sealcast.errors import RemoteError
from sealcast.ingest import whip
from sealcast.keying import dtls_srtp
from sealcast.sdp import (
    Candidate,
    Direction,
    ExtMap,
    Flag,
    FormatParameters,
    Group,
    IceOptions,
    Media,
    RtcpFeedback,
    RtpMap,
    Setup,
    Way,
    parse,
    read_offer,
)
from sealcast.wire import CodecName, Kind

CHROMIUM = captured("chromium-publish")


def answered(text: str, present: dict[Kind, CodecName] | None = None) -> whip.WhipAnswer:
    offer = read_offer(text)
    choice = whip.choose(offer, present=present)
    tracks = list(range(11, 11 + len(choice.shapes)))
    return whip.answer_offer(choice, leg=7, tracks=tracks, dtls=granted(offer), transport=TRANSPORT)


def chosen(text: str, kind: Kind, present: dict[Kind, CodecName] | None = None) -> str:
    (shape,) = (s for s in whip.choose(read_offer(text), present=present).shapes if s.kind == kind)
    return shape.codec


def of_kind(answer: whip.WhipAnswer, kind: str) -> Media:
    return next(media for media in answer.answer.media if media.kind == kind)


@pytest.mark.parametrize("name", PUBLISHERS)
def test_every_real_publisher_gets_an_answer_that_fits_its_offer(name: str) -> None:
    offer = read_offer(captured(name))
    answer = answered(captured(name))
    again = parse(answer.answer_sdp)
    assert again == answer.answer
    assert [m.kind for m in again.media] == [m.kind for m in offer.session.media]
    assert [m.mid for m in again.media] == [m.mid for m in offer.session.media]
    for ours, theirs in zip(again.media, offer.session.media, strict=True):
        assert ours.way is Way.RECVONLY
        assert set(ours.formats) <= set(theirs.formats)
        assert {(e.id, e.uri) for e in ours.all(ExtMap)} <= {
            (e.id, e.uri) for e in theirs.all(ExtMap)
        }
        assert {f.kind for f in ours.all(RtcpFeedback)} <= {
            f.kind for f in theirs.all(RtcpFeedback)
        }
        assert ours.has("rtcp-mux")


EXPECTED = {
    "aiortc-publish": "H264",
    "chromium-publish": "H264",
    "chromium-publish-trickle": "H264",
    "chromium-simulcast": "H264",
    "ffmpeg9-publish": "H264",
    "ffmpeg9-publish-active": "H264",
    "firefox-publish": "VP8",
}


@pytest.mark.parametrize("name", PUBLISHERS)
def test_h264_comes_first_and_then_the_offers_own_order(name: str) -> None:
    assert chosen(captured(name), "video") == EXPECTED[name]
    assert chosen(captured(name), "audio") == "opus"


def test_constrained_baseline_is_taken_before_other_profiles() -> None:
    (video, _) = sorted(
        whip.choose(read_offer(CHROMIUM)).shapes, key=lambda shape: shape.kind, reverse=True
    )
    assert video.profile_level_id == "42e01f"


def test_a_publisher_that_comes_back_keeps_the_codec_of_the_stream() -> None:
    assert chosen(CHROMIUM, "video", {"video": "VP9"}) == "VP9"
    assert chosen(captured("ffmpeg9-publish"), "video", {"video": "VP9"}) == "H264"


def test_h264_without_packetization_mode_1_is_not_taken() -> None:
    text = CHROMIUM.replace("packetization-mode=1", "packetization-mode=0")
    assert chosen(text, "video") == "VP8"


def test_a_profile_that_few_decode_is_not_taken() -> None:
    text = captured("firefox-publish").replace("VP8/90000", "VP10/90000")
    text = text.replace("a=fmtp:121 max-fs=12288", "a=fmtp:121 profile-id=2;max-fs=12288")
    assert chosen(text, "video") == "AV1"


def test_the_leg_is_what_the_answer_says() -> None:
    answer = answered(CHROMIUM)
    spec = answer.leg_spec
    audio, video = spec.receive
    assert (spec.id, spec.side, spec.send) == (7, "server", ())
    assert (spec.ice.local_ufrag, spec.ice.remote_ufrag) == ("localUfrag", "Kx8L")
    assert spec.ice.remote_candidates == (
        "127.0.0.1:47199",
        "192.0.2.2:47996",
        "[::1]:42001",
        "[fd00::2]:39627",
    )
    assert spec.dtls.role == "passive"
    assert video == wire.ReceiveSpec(
        track=12,
        mid="1",
        kind="video",
        codec="H264",
        payload_type=108,
        rtx_payload_type=109,
        clock_rate=90_000,
        ssrcs=video.ssrcs,
        extensions={"twcc": 3, "mid": 4},
        nack=True,
        pli=True,
        twcc=True,
    )
    assert len(video.ssrcs) == 1
    assert (audio.track, audio.codec, audio.payload_type, audio.rtx_payload_type) == (
        11,
        "opus",
        111,
        None,
    )
    assert audio.twcc
    assert not audio.nack


def test_the_leg_goes_down_as_json_of_the_contract() -> None:
    decoded = msgspec.json.decode(wire.encode(answered(CHROMIUM).leg_spec))
    assert set(decoded) == {"id", "side", "ice", "dtls", "receive", "send", "own_binds"}
    assert decoded["dtls"]["fingerprints"][0]["algorithm"] == "sha-256"
    assert decoded["receive"][0]["rtx_payload_type"] is None


def test_the_answer_carries_one_transport_for_all_sections() -> None:
    answer = answered(CHROMIUM)
    audio, video = answer.answer.media
    assert answer.answer.first(Group) == Group("BUNDLE", ("0", "1"))
    assert answer.answer.first(IceOptions) == IceOptions(("trickle", "ice2"))
    assert answer.answer.has("extmap-allow-mixed")
    assert not answer.answer.has("ice-lite")
    assert [candidate.address for candidate in audio.all(Candidate)] == [
        "192.0.2.7",
        "2001:db8::7",
    ]
    first, second = audio.all(Candidate)
    assert first.priority > second.priority
    assert audio.has("end-of-candidates")
    assert video.all(Candidate) == ()
    assert (audio.port, audio.other) == (8443, (("c", "IN IP4 192.0.2.7"),))
    for media in (audio, video):
        assert media.first(Setup) == Setup("passive")


def test_a_passive_offer_is_answered_actively() -> None:
    answer = answered(captured("ffmpeg9-publish"))
    assert answer.leg_spec.dtls.role == "active"
    assert {media.first(Setup) for media in answer.answer.media} == {Setup("active")}


def test_h264_and_opus_parameters() -> None:
    audio, video = answered(CHROMIUM).answer.media
    assert video.all(FormatParameters)[0].parameters == (
        ("level-asymmetry-allowed", "1"),
        ("packetization-mode", "1"),
        ("profile-level-id", "42e01f"),
    )
    assert video.all(RtpMap)[1] == RtpMap(109, "rtx", 90_000)
    assert video.all(FormatParameters)[1].get("apt") == "108"
    assert audio.all(FormatParameters)[0].get("stereo") == "1"
    assert audio.all(RtpMap) == (RtpMap(111, "opus", 48_000, 2),)


def test_feedback_that_was_not_offered_is_not_answered() -> None:
    video = of_kind(answered(captured("ffmpeg9-publish")), "video")
    assert [feedback.kind for feedback in video.all(RtcpFeedback)] == ["nack"]
    assert video.all(ExtMap) == ()


def test_transport_wide_feedback_needs_both_of_its_halves() -> None:
    text = CHROMIUM.replace("transport-wide-cc-extensions-01", "something-else")
    answer = answered(text)
    assert not any(spec.twcc for spec in answer.leg_spec.receive)
    assert "transport-cc" not in answer.answer_sdp
    text = CHROMIUM.replace(" transport-cc", " x-cc")
    assert all("twcc" not in spec.extensions for spec in answered(text).leg_spec.receive)


def test_simulcast_is_answered_with_one_layer() -> None:
    answer = answered(captured("chromium-simulcast"))
    assert "a=rid" not in answer.answer_sdp
    assert "a=simulcast" not in answer.answer_sdp
    assert len(answer.leg_spec.receive) == 2


def doubled(direction: str) -> str:
    """Chromium's offer with a second video section of that direction."""
    head, _, video = CHROMIUM.partition("m=video")
    second = f"m=video{video}".replace("a=mid:1", "a=mid:2").replace("sendonly", direction)
    return head.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + f"m=video{video}" + second


def test_two_pictures_in_one_offer_are_refused_as_a_whole() -> None:
    with pytest.raises(RemoteError) as refused:
        whip.choose(read_offer(doubled("sendonly")))
    assert (refused.value.code, refused.value.http_status) == ("SDP.SEVERAL_TRACKS", 422)


def test_a_section_that_sends_nothing_is_rejected_with_port_0() -> None:
    answer = answered(doubled("recvonly"))
    assert [media.port for media in answer.answer.media] == [8443, 8443, 0]
    assert answer.answer.first(Group) == Group("BUNDLE", ("0", "1"))
    assert answer.answer.media[2].first(Direction) == Direction(Way.INACTIVE)
    assert len(answer.leg_spec.receive) == 2


def test_a_payload_type_that_rtcp_would_be_mistaken_for_is_not_taken() -> None:
    text = CHROMIUM.replace("a=rtpmap:111 ", "a=rtpmap:72 ").replace("SAVPF 111", "SAVPF 72")
    with pytest.raises(RemoteError) as refused:
        whip.choose(read_offer(text))
    assert refused.value.code == "SDP.NO_COMMON_CODEC"


def test_a_lone_section_without_a_name_still_makes_a_leg() -> None:
    text = captured("chromium-watch-video-only").replace("recvonly", "sendonly")
    text = text.replace("a=mid:0\r\n", "").replace("a=group:BUNDLE 0\r\n", "")
    answer = answered(text)
    assert answer.leg_spec.receive[0].mid == "0"
    assert answer.answer.media[0].mid == ""
    assert answer.answer.first(Group) is None


def test_the_section_that_carries_the_transport_is_never_rejected() -> None:
    text = CHROMIUM.replace("a=sendonly", "a=recvonly", 1)
    answer = answered(text)
    audio, video = answer.answer.media
    assert (audio.port, audio.way, video.way) == (8443, Way.INACTIVE, Way.RECVONLY)
    assert answer.answer.first(Group) == Group("BUNDLE", ("0", "1"))
    assert len(audio.all(Candidate)) == 2
    assert [spec.kind for spec in answer.leg_spec.receive] == ["video"]


def test_flags_of_a_section_are_repeated() -> None:
    audio, _ = answered(captured("firefox-publish")).answer.media
    assert Flag("extmap-allow-mixed") in audio.attributes


def test_an_offer_that_sends_nothing_is_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        whip.choose(read_offer(captured("chromium-watch")))
    assert refused.value.code == "SDP.NO_MEDIA"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [("opus/48000/2", "speex/48000", "speex"), ("opus/48000/2", "opus/24000/2", "opus")],
)
def test_an_offer_without_a_codec_that_is_carried_is_refused(
    old: str, new: str, detail: str
) -> None:
    with pytest.raises(RemoteError) as refused:
        whip.choose(read_offer(CHROMIUM.replace(old, new)))
    assert (refused.value.code, refused.value.http_status) == ("SDP.NO_COMMON_CODEC", 406)
    assert detail in refused.value.detail
    assert "received are Opus" in refused.value.detail


def test_a_strict_policy_leaves_ffmpegs_only_profile_out() -> None:
    offer = read_offer(captured("ffmpeg9-publish"))
    assert "AES128_CM_SHA1_80" in granted(offer, "standard").srtp_profiles
    assert "AES128_CM_SHA1_80" not in granted(offer, "strict").srtp_profiles
    assert dtls_srtp.claim(offer).role == "active"
