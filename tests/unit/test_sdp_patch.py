"""Trickle ICE and ICE restarts over HTTP."""

import pytest
from tests.unit.offers import Entropy, captured

from sealcast.errors import RemoteError
from sealcast.sdp import (
    Fragment,
    IceCredentials,
    Restart,
    SessionState,
    Trickle,
    build_fragment,
    decide_patch,
    limits,
    parse_fragment,
    read_offer,
)
from sealcast.sdp.answer import host_candidates
from sealcast.secret import Secret

STATE = SessionState(etag='"g1"', remote_ufrag="EsAw")
# RFC 9725 §4.3.2, figure 4, with its candidates.
TRICKLE = """a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw
a=candidate:2154773085 1 tcp 1518214911 198.51.100.2 9 typ host tcptype active generation 0 ufrag EsAw
a=end-of-candidates
"""  # noqa: E501 - as the RFC has it
RESTART = """a=ice-options:trickle ice2
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:ysXw
a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k
a=candidate:1387637174 1 udp 2122260223 2001:db8::1 61764 typ host generation 0 ufrag EsAw
a=candidate:3471623853 1 udp 2122194687 4a0f.local 61765 typ host
"""


def test_a_trickle_of_the_present_generation_brings_its_udp_addresses() -> None:
    decision = decide_patch(parse_fragment(TRICKLE), '"g1"', STATE)
    assert decision == Trickle(("192.0.2.1:61764", "198.51.100.2:61765"), ended=True)


def test_new_credentials_with_a_star_restart_ice() -> None:
    decision = decide_patch(parse_fragment(RESTART), "*", STATE)
    assert decision == Restart(
        IceCredentials("ysXw", Secret("vw5LmwG4y/e6dPP/zAP9Gp5k")), ("[2001:db8::1]:61764",)
    )


def test_a_star_without_new_credentials_is_a_trickle() -> None:
    assert isinstance(decide_patch(parse_fragment(TRICKLE), "*", STATE), Trickle)


REFUSED = [
    ("HTTP.PRECONDITION_REQUIRED", TRICKLE, None),
    ("HTTP.PRECONDITION_REQUIRED", TRICKLE, " "),
    ("HTTP.PRECONDITION_FAILED", TRICKLE, '"g0"'),
    ("HTTP.PRECONDITION_FAILED", TRICKLE, 'W/"g1"'),
    ("HTTP.PRECONDITION_FAILED", RESTART, '"g1"'),
    ("SDP.MALFORMED", "a=end-of-candidates\n", "*"),
]


@pytest.mark.parametrize(("code", "text", "if_match"), REFUSED)
def test_a_patch_for_another_generation_changes_nothing(
    code: str, text: str, if_match: str | None
) -> None:
    with pytest.raises(RemoteError) as refused:
        decide_patch(parse_fragment(text), if_match, STATE)
    assert refused.value.code == code


def test_if_match_may_list_several_tags() -> None:
    assert isinstance(decide_patch(parse_fragment(TRICKLE), '"g0", "g1"', STATE), Trickle)


MALFORMED = [
    "",
    "v=0\n",
    "a=ice-ufrag:abcd\n",
    f"a=ice-pwd:{'x' * 24}\n",
    TRICKLE + "m=video 9 UDP/TLS/RTP/SAVPF 96\na=ice-ufrag:other\n",
    "a=candidate:1 1 udp\n",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_fragment_is_refused(text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        parse_fragment(text)
    assert refused.value.code == "SDP.MALFORMED"


def test_a_huge_fragment_is_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        parse_fragment(b"a" * (limits.FRAGMENT_BYTES + 1))
    assert refused.value.code == "SDP.TOO_LARGE"


def test_candidates_beyond_the_limit_are_ignored() -> None:
    line = "a=candidate:1 1 udp 1 192.0.2.1 9000 typ host\n"
    fragment = parse_fragment(line * (limits.CANDIDATES + 5))
    assert len(fragment.candidates) == limits.CANDIDATES


def test_the_answer_to_a_restart_reads_back_as_what_was_meant() -> None:
    credentials = IceCredentials.draw(Entropy())
    candidates = host_candidates(("192.0.2.7:8443", "[2001:db8::7]:8443"))
    tagged = read_offer(captured("chromium-publish")).tagged
    text = build_fragment(credentials, candidates, tagged)
    assert parse_fragment(text) == Fragment(credentials, candidates, ended=True)
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" in text


def test_drawn_credentials_are_long_enough_and_of_the_right_alphabet() -> None:
    drawn = IceCredentials.draw(Entropy())
    assert (len(drawn.ufrag), len(drawn.pwd)) == (8, 32)
    assert drawn.pwd.reveal().decode() not in repr(drawn)
