"""Offers: real ones are read as they are meant; what cannot be carried has its own code."""

import re

import pytest
from tests.unit.offers import PUBLISHERS, VIEWERS, captured

from sealcast.errors import RemoteError
from sealcast.sdp import Way, read_offer

CHROMIUM = captured("chromium-publish")


def without(text: str, pattern: str) -> str:
    return re.sub(rf"(?m)^{pattern}\r\n", "", text)


@pytest.mark.parametrize("name", [*PUBLISHERS, *VIEWERS])
def test_a_real_offer_is_read(name: str) -> None:
    offer = read_offer(captured(name))
    assert {section.kind for section in offer.sections} == {"audio", "video"}
    way = Way.SENDONLY if name in PUBLISHERS else Way.RECVONLY
    assert {section.way for section in offer.sections} == {way}
    assert all(section.codecs for section in offer.sections)


def test_codecs_come_in_the_offers_order_with_feedback_and_rtx() -> None:
    (video,) = read_offer(CHROMIUM).of_kind("video")
    first = video.codecs[0]
    assert (first.name, first.payload_type, first.rtx) == ("VP8", 96, 97)
    assert {"nack", "nack pli", "transport-cc", "ccm fir"} <= first.feedback
    assert [codec.payload_type for codec in video.codecs if codec.name == "H264"] == [
        102,
        104,
        108,
        114,
        116,
        39,
    ]


def test_repair_sources_are_not_media_sources() -> None:
    (video,) = read_offer(captured("firefox-publish")).of_kind("video")
    assert video.media_ssrcs == (3232113458,)


def test_a_bundle_only_section_with_port_0_is_active() -> None:
    offer = read_offer(captured("firefox-publish"))
    assert offer.session.media[1].port == 0
    assert len(offer.sections) == 2


def test_extensions_of_one_direction_are_not_taken() -> None:
    (audio,) = read_offer(captured("firefox-publish")).of_kind("audio")
    assert dict(audio.known_extensions()).keys() == {"mid", "twcc"}


def test_an_extension_id_beyond_the_one_byte_form_is_not_taken() -> None:
    offer = read_offer(
        CHROMIUM.replace("extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "extmap:15 urn:x")
    )
    assert "mid" not in dict(offer.sections[0].known_extensions())


def test_ice_credentials_of_the_session_serve_all_sections() -> None:
    text = without(CHROMIUM, "a=ice-(ufrag|pwd):.*").replace(
        "t=0 0\r\n", f"t=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 22}\r\n"
    )
    assert read_offer(text).credentials.ufrag == "abcd"


def test_a_single_section_needs_no_bundle_and_no_mid() -> None:
    text = captured("chromium-watch-video-only")
    assert read_offer(without(text, "a=(group:BUNDLE 0|mid:0)")).tagged.mid == ""


REFUSED = [
    ("SDP.DATA_CHANNEL", captured("chromium-data-channel")),
    ("SDP.PLAINTEXT_MEDIA", CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP")),
    ("SDP.PLAINTEXT_MEDIA", CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVPF", 1)),
    ("SDP.PLAINTEXT_MEDIA", CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "TCP/XYZ", 1)),
    ("SDP.NO_MEDIA", "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"),
    ("SDP.NO_MEDIA", re.sub(r"m=(audio|video) \d+", r"m=\1 0", CHROMIUM)),
    ("SDP.NO_BUNDLE", without(CHROMIUM, "a=group:BUNDLE.*")),
    ("SDP.NO_BUNDLE", CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0")),
    ("SDP.MALFORMED", CHROMIUM.replace("a=mid:1", "a=mid:0")),
    ("SDP.NO_RTCP_MUX", without(CHROMIUM, "a=rtcp-mux")),
    ("SDP.NO_ICE", without(CHROMIUM, "a=ice-ufrag:.*")),
    ("SDP.NO_ICE", without(CHROMIUM, "a=ice-pwd:.*")),
    ("SDP.NO_ICE", CHROMIUM.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")),
]


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_an_offer_that_cannot_be_carried_has_a_code_of_its_own(code: str, text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        read_offer(text)
    assert refused.value.code == code


def test_a_section_that_the_offerer_switched_off_is_not_judged() -> None:
    text = captured("chromium-data-channel").replace("m=application 9", "m=application 0")
    assert len(read_offer(text).sections) == 1
