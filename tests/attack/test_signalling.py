"""Offers that cannot be taken: malformed, huge, in clear, without proof of who sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from sealcast.testing.node_process import Node

from .conftest import Tokens
from .counters import REFUSALS, Counters
from .dtls import Certificate
from .exchange import SDP, ask, post_offer
from .peer import VP8, Offer, Way

ROLES: dict[Way, str] = {"whip": "ingest", "whep": "delivery"}
SDP_BYTES = 64 * 1024
SHA_1 = "AB:" * 19 + "AB"


@pytest.fixture(scope="module")
def fingerprint() -> str:
    return Certificate.make().fingerprint


def without(line: str) -> Callable[[str], str]:
    """The offer without the lines that begin so."""

    def change(text: str) -> str:
        kept = [kept for kept in text.splitlines(True) if not kept.startswith(line)]
        assert len(kept) < text.count("\n"), f"there is a line {line}"
        return "".join(kept)

    return change


def replacing(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def appending(*lines: str) -> Callable[[str], str]:
    return lambda text: text + "".join(f"{line}\r\n" for line in lines)


def with_data_channel(text: str) -> str:
    both = replacing("a=group:BUNDLE 0", "a=group:BUNDLE 0 1")(text)
    return appending(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=sctp-port:5000",
    )(both)


def with_weak_fingerprint(text: str) -> str:
    return appending(f"a=fingerprint:sha-1 {SHA_1}")(without("a=fingerprint")(text))


# What is done to a good offer; status and code of the answer; what its detail says.
OFFERS: dict[str, tuple[Callable[[str], str | bytes], int, str, str]] = {
    "nothing at all": (lambda _: "", 400, "SDP.MALFORMED", ""),
    "a text that is no SDP": (lambda _: '{"sdp": "v=0"}', 400, "SDP.MALFORMED", ""),
    "bytes that are no text": (lambda _: b"v=0\r\n\xff\xfe\x00", 400, "SDP.MALFORMED", ""),
    "half of an offer": (lambda text: text[: len(text) // 2], 400, "SDP.", ""),
    "an m= line of one word": (
        replacing(f"m=video 9 UDP/TLS/RTP/SAVPF {VP8}", "m=video"),
        400,
        "SDP.MALFORMED",
        "",
    ),
    "a port that is none": (replacing("m=video 9 ", "m=video 99999 "), 400, "SDP.MALFORMED", ""),
    "a line without =": (replacing("s=-", "nonsense"), 400, "SDP.MALFORMED", ""),
    "a NUL in a line": (replacing("a=mid:0", "a=mid:0\0"), 400, "SDP.MALFORMED", ""),
    "more lines than are read": (appending(*["a=x"] * 5000), 413, "SDP.TOO_LARGE", ""),
    "more sections than are read": (
        appending(*["m=audio 0 UDP/TLS/RTP/SAVPF 111"] * 50),
        413,
        "SDP.TOO_LARGE",
        "",
    ),
    "media in clear": (
        replacing("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        400,
        "SDP.PLAINTEXT_MEDIA",
        "RTP/AVP",
    ),
    "media in clear with feedback": (
        replacing("UDP/TLS/RTP/SAVPF", "RTP/AVPF"),
        400,
        "SDP.PLAINTEXT_MEDIA",
        "RTP/AVPF",
    ),
    "no fingerprint": (without("a=fingerprint"), 400, "SDP.NO_FINGERPRINT", "missing"),
    "a fingerprint of SHA-1": (with_weak_fingerprint, 400, "SDP.WEAK_FINGERPRINT", "sha-1"),
    "a fingerprint that is none": (
        lambda text: appending("a=fingerprint:sha-256 hello")(without("a=fingerprint")(text)),
        400,
        "SDP.MALFORMED",
        "",
    ),
    "a data channel": (with_data_channel, 400, "SDP.DATA_CHANNEL", "application"),
    "no ICE password": (without("a=ice-pwd"), 400, "SDP.NO_ICE", "a=ice-pwd"),
    "an ICE password of three letters": (
        lambda text: appending("a=ice-pwd:abc")(without("a=ice-pwd")(text)),
        400,
        "SDP.",
        "",
    ),
    "RTCP on a port of its own": (without("a=rtcp-mux"), 400, "SDP.NO_RTCP_MUX", "video"),
    "no media": (lambda text: text[: text.index("m=")], 400, "SDP.NO_MEDIA", ""),
    "a role that cannot be answered": (
        replacing("a=setup:actpass", "a=setup:holdconn"),
        400,
        "SDP.BAD_SETUP",
        "holdconn",
    ),
    "a codec that nobody has": (
        replacing("VP8/90000", "X-NONE/90000"),
        406,
        "SDP.NO_COMMON_CODEC",
        "X-NONE",
    ),
}


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("what", OFFERS)
def test_an_offer_is_refused_that_has(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str, way: Way, what: str
) -> None:
    change, status, code, says = OFFERS[what]
    # Only a viewer's offer for a stream that is there gets as far as its codecs.
    stream = "control" if way == "whep" else "bad-offers"
    token = tokens("publish" if way == "whip" else "watch", stream)
    legs = {leg["id"] for leg in attacked.legs()}
    before = counters.total(REFUSALS, role=ROLES[way])
    answer = post_offer(attacked, f"/{way}/{stream}", token, change(Offer(way, fingerprint).text))
    if code.endswith("."):  # where the cut falls decides which
        code = str(answer.problem(status, _code_of(answer.body))["code"])
        assert code.startswith("SDP.")
    problem = answer.problem(status, code)
    assert says in problem.get("detail", ""), problem
    assert counters.total(REFUSALS, role=ROLES[way]) == before + 1
    (failed,) = [leg for leg in attacked.legs() if leg["id"] not in legs]
    assert failed["state"] == "failed"
    assert failed["stage"] == "signalling"
    assert failed["end"]["code"] == code
    assert failed["peer"]["proof"] == "token", "who was refused is known"


def _code_of(body: bytes) -> str:
    return str(json.loads(body)["code"])


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(0, total, 8192):
        yield b"a=x:" + b"y" * 8186 + b"\r\n"


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("length", ["stated", "unstated"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(
    attacked: Node, tokens: Tokens, counters: Counters, way: Way, length: str
) -> None:
    token = tokens("publish" if way == "whip" else "watch", "control")
    body = chunks(4 * SDP_BYTES)
    with counters.rise(REFUSALS, role=ROLES[way], code="HTTP.TOO_LARGE"):
        answer = ask(
            attacked,
            "POST",
            f"/{way}/control",
            token=token,
            headers=[("content-type", SDP)],
            body=body if length == "unstated" else b"".join(body),
        )
        assert str(SDP_BYTES) in answer.problem(413, "HTTP.TOO_LARGE")["detail"]


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("given", ["application/json", "application/sdp-more", ""])
def test_a_body_of_another_type_is_refused(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str, way: Way, given: str
) -> None:
    token = tokens("publish" if way == "whip" else "watch", "control")
    with counters.rise(REFUSALS, role=ROLES[way], code="HTTP.WRONG_TYPE"):
        answer = ask(
            attacked,
            "POST",
            f"/{way}/control",
            token=token,
            headers=[("content-type", given)] if given else [],
            body=Offer(way, fingerprint).text.encode(),
        )
        assert SDP in answer.problem(415, "HTTP.WRONG_TYPE")["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_an_endpoint_takes_posts_only(
    attacked: Node, tokens: Tokens, counters: Counters, method: str
) -> None:
    with counters.rise(REFUSALS, role="ingest", code="HTTP.METHOD_NOT_ALLOWED"):
        answer = ask(attacked, method, "/whip/control", token=tokens("publish", "control"))
        answer.problem(405, "HTTP.METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_a_viewer_of_nothing_is_told_when_to_ask_again(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str
) -> None:
    with counters.rise(REFUSALS, role="delivery", code="STREAM.ABSENT"):
        token = tokens("watch", "absent")
        answer = post_offer(attacked, "/whep/absent", token, Offer("whep", fingerprint).text)
        answer.problem(409, "STREAM.ABSENT")
    assert int(answer.headers["retry-after"]) > 0
    assert attacked.legs(stream="absent") == [], "whoever asks again and again fills no ledger"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a//b", "%00", "x" * 300, "spa%20ce", ".x"])
def test_a_name_that_no_stream_can_have_is_refused(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str, name: str
) -> None:
    with counters.rise(REFUSALS, role="ingest", code="STREAM.BAD_NAME"):
        answer = post_offer(
            attacked, f"/whip/{name}", tokens("publish", "any"), Offer("whip", fingerprint).text
        )
        answer.problem(400, "STREAM.BAD_NAME")
