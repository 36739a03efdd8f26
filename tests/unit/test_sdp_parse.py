"""The grammar: what real peers write is understood, all else refused by line and field."""

import pytest
from tests.unit.offers import ALL, captured

from sealcast.errors import Bug, RemoteError
from sealcast.sdp import (
    Candidate,
    Fingerprint,
    FormatParameters,
    Group,
    IcePwd,
    Msid,
    Origin,
    Other,
    RtpMap,
    Session,
    Ssrc,
    SsrcGroup,
    Way,
    limits,
    parse,
)

SMALL = """v=0
o=- 1 2 IN IP4 192.0.2.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=rtpmap:111 opus/48000/2
"""


@pytest.mark.parametrize("name", ALL)
def test_a_real_offer_is_the_same_after_parse_and_build(name: str) -> None:
    session = parse(captured(name))
    assert parse(session.to_text()) == session


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("chromium")])
def test_chromiums_offers_are_rebuilt_to_the_letter(name: str) -> None:
    assert parse(captured(name)).to_text() == captured(name)


def test_bytes_and_text_are_the_same() -> None:
    assert parse(SMALL) == parse(SMALL.encode())


def test_lines_may_end_in_crlf_or_lf() -> None:
    assert parse(SMALL) == parse(SMALL.replace("\n", "\r\n"))


def test_attributes_are_typed() -> None:
    session = parse(captured("chromium-publish"))
    audio, video = session.media
    assert session.first(Group) == Group("BUNDLE", ("0", "1"))
    assert audio.all(RtpMap)[0] == RtpMap(111, "opus", 48000, 2)
    assert audio.way is Way.SENDONLY
    assert audio.has("rtcp-mux")
    fmtp = next(entry for entry in video.all(FormatParameters) if entry.payload_type == 108)
    assert fmtp.get("profile-level-id") == "42e01f"
    assert fmtp.get("packetization-mode") == "1"
    assert audio.all(Candidate)[0].address == "127.0.0.1"
    assert audio.all(Candidate)[0].extensions[0] == ("generation", "0")
    assert len(audio.all(Fingerprint)[0].value) == 95
    assert video.all(SsrcGroup)[0].semantics == "FID"
    assert {source.attribute for source in video.all(Ssrc)} == {"cname", "msid"}


def test_what_is_not_understood_is_kept_whole() -> None:
    session = parse(SMALL + "a=x-new:some: value\na=x-flag\n")
    assert session.media[0].all(Other) == (Other("x-new", "some: value"), Other("x-flag"))
    assert "a=x-new:some: value\r\na=x-flag\r\n" in session.to_text()


def test_firefoxs_braces_are_an_msid() -> None:
    msid = parse(captured("firefox-publish")).media[0].first(Msid)
    assert msid is not None
    assert msid.stream.startswith("{")


def test_a_password_has_no_repr() -> None:
    session = parse(captured("chromium-publish"))
    password = session.media[0].first(IcePwd)
    assert password is not None
    assert password.value.reveal().decode() not in repr(session)


MALFORMED = [
    ("", "Line 1"),
    ("hello", "Line 1"),
    ("v=1\n", "Line 1, v="),
    ("o=- 1 2 IN IP4 0.0.0.0\n", "Line 1, o="),
    ("v=0\ns=-\nt=0 0\n", "lacks one of o=, s= and t="),
    (SMALL.replace("t=0 0\n", ""), "lacks one of"),
    (SMALL.replace("o=- 1 2 IN", "o=- 1 IN"), "Line 2, o="),
    (SMALL.replace("s=-\n", "s=-\ns=-\n"), "Line 4, s=: this field stands twice"),
    (SMALL.replace("t=0 0", "x=0 0"), "Line 4, x=: this field may not stand here"),
    (SMALL + "o=- 1 2 IN IP4 0.0.0.0\n", "Line 10, o="),
    (SMALL.replace("m=audio 9", "m=audio 99999"), "Line 6, m=: 99999 is not between 0 and 65535"),
    (SMALL.replace("m=audio 9", "m=audio ٩"), "Line 6, m=: '\\u0669' is not a number"),
    (SMALL.replace("m=audio 9", "m=audio -9"), "Line 6, m=: '-9' is not a number"),
    (SMALL.replace(" 111\nc", "\nc"), "Line 6, m=: at least 4 values"),
    (SMALL.replace("a=mid:0", "a=mid"), "Line 8, a=mid: this attribute needs a value"),
    (SMALL.replace("a=mid:0", "a=mid:0\na=mid:1"), "Line 9, a=mid: this attribute stands twice"),
    (SMALL.replace("a=mid:0", f"a=mid:{'x' * 17}"), "Line 8, a=mid: a mid has at most 16"),
    (SMALL.replace("48000", "48k"), "Line 9, a=rtpmap: '48k' is not a number"),
    (SMALL.replace("111 opus", "128 opus"), "Line 9, a=rtpmap: 128 is not between 0 and 127"),
    (SMALL + "a=rtcp-mux:yes\n", "Line 10, a=rtcp-mux: this attribute has no value"),
    (SMALL + "a=ice-pwd:short\n", "Line 10, a=ice-pwd: 5 characters are not between 22 and 256"),
    (SMALL + "a=ice-ufrag:a b c d\n", "Line 10, a=ice-ufrag: only letters"),
    (SMALL + "a=setup:both\n", "Line 10, a=setup: 'both' is not a role"),
    (SMALL + "a=fingerprint:sha-256 AB:CD\n", "a digest of sha-256 has 32 bytes, not 2"),
    (SMALL + "a=fingerprint:sha-256 xyz\n", "Line 10, a=fingerprint: the digest is not"),
    (SMALL + "a=candidate:1 1 udp 1 192.0.2.1 9 host\n", "Line 10, a=candidate: at least 8"),
    (SMALL + "a=candidate:1 1 udp 1 192.0.2.1 9 type host\n", "'typ' must stand where"),
    (SMALL + "a=ssrc:4294967296 cname:x\n", "Line 10, a=ssrc: 4294967296 is not between"),
    (SMALL + "a=extmap:0 urn:x\n", "Line 10, a=extmap: 0 is not between 1 and 4351"),
    (SMALL + "a=\x1b[31m:x\n", "Line 10 has a control character"),
    (SMALL.replace("s=-", "s=\x00"), "Line 3 has a control character"),
    (SMALL.replace("s=-", "s=-\ra=x"), "Line 3 has a control character"),
    (SMALL.replace("s=-\n", "s=-\n\n"), "Line 4 is not a letter, '=' and a value"),
]


@pytest.mark.parametrize(("text", "detail"), MALFORMED)
def test_a_malformed_description_is_refused_with_line_field_and_reason(
    text: str, detail: str
) -> None:
    with pytest.raises(RemoteError) as refused:
        parse(text)
    assert refused.value.code == "SDP.MALFORMED"
    assert detail in refused.value.detail


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        parse(b"v=0\r\n\xff")
    assert (refused.value.code, refused.value.detail) == ("SDP.MALFORMED", "Byte 5 is not UTF-8.")


TOO_LARGE = [
    "v=0\n" + "a=x\n" * (limits.BYTES // 4),
    "v=0\n" + "a=\n" * limits.LINES,
    SMALL + "a=x:" + "y" * limits.LINE_CHARACTERS,
    SMALL + "m=audio 9 RTP/AVP 0\n" * limits.SECTIONS,
]


@pytest.mark.parametrize("text", TOO_LARGE, ids=["bytes", "lines", "line", "sections"])
def test_a_description_beyond_a_limit_is_refused(text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        parse(text)
    assert refused.value.code == "SDP.TOO_LARGE"


def test_an_error_repeats_only_a_short_escaped_piece_of_the_input() -> None:
    with pytest.raises(RemoteError) as refused:
        parse(SMALL.replace("m=audio 9", f"m=audio {'<script>' * 100}"))
    assert len(refused.value.detail) < 120


def test_a_value_that_would_break_out_of_its_line_is_never_written() -> None:
    session = Session(Origin("-", "1", "1"), attributes=(Other("x", "1\r\na=setup:active"),))
    with pytest.raises(Bug):
        session.to_text()
