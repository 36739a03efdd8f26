"""Whatever comes in: it is parsed, or refused with a code. Never anything else.

Real offers are the seeds. They are mutated whole (lines dropped, doubled, swapped, spliced from
another peer's offer) and byte by byte, and each step behind the parser sees what got through.
"""

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.offers import ALL, TRANSPORT, Entropy, captured

from sealcast.codes import CODES
from sealcast.delivery import whep
from sealcast.errors import RemoteError
from sealcast.identity import TokenKey, TokenVerifier
from sealcast.ingest import whip
from sealcast.keying import Identity, Proof, dtls_srtp
from sealcast.policy import Channel, Role, admit, load
from sealcast.sdp import Session, parse, parse_fragment, read_offer
from sealcast.sdp.attributes import GRAMMAR, Candidate, parse_attribute
from sealcast.sdp.patch import SessionState, decide_patch, probeable
from sealcast.streams import Track, TrackShape

SEEDS = [captured(name).encode() for name in ALL]
STANDARD = load("standard")
CHANNEL = Channel("1.3", Identity("somebody", Proof.TOKEN))
TRACKS = (
    Track(1, TrackShape("video", "H264", 90_000, 0, "42c01f")),
    Track(2, TrackShape("audio", "opus", 48_000, 2)),
)


@st.composite
def mutated_bytes(draw: st.DrawFn) -> bytes:
    """A real offer with a few bytes changed, cut out, doubled or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                del data[at : at + draw(st.integers(1, 200))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case _:
                data[at:at] = draw(st.binary(max_size=12))
    return bytes(data)


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    """A real offer with lines dropped, doubled, swapped, or taken from another peer's."""
    lines = draw(st.sampled_from(SEEDS)).split(b"\r\n")[:-1]
    others = draw(st.sampled_from(SEEDS)).split(b"\r\n")[:-1]
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                del lines[at : at + 1]
            case 1:
                lines[at:at] = lines[at : at + draw(st.integers(1, 20))]
            case 2:
                lines[at:at] = [draw(st.sampled_from(others))]
            case _ if lines:
                to = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[to] = lines[to], lines[at]
    return b"\r\n".join([*lines, b""])


@st.composite
def mutated_values(draw: st.DrawFn) -> bytes:
    """A real offer with the value of one attribute made up: the grammar's own edges."""
    lines = draw(st.sampled_from(SEEDS)).decode().split("\r\n")[:-1]
    at = draw(st.integers(0, len(lines) - 1))
    numbers = st.sampled_from(["0", "-1", "1e9", "00", "4294967296", "٣", "127", "65536", ""])
    word = st.one_of(numbers, st.text(max_size=6), st.sampled_from(sorted(GRAMMAR)))
    words = lines[at].split(" ")
    words[draw(st.integers(0, len(words) - 1))] = draw(word)
    lines[at] = " ".join(words)
    return "\r\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


HOSTILE = st.one_of(mutated_bytes(), mutated_lines(), mutated_values(), st.binary(max_size=300))


def refused_with_a_code(call: Callable[[], object]) -> object:
    """What `call` returns, or None if it refused as the contract says."""
    try:
        return call()
    except RemoteError as error:
        refusal = error
    assert 400 <= CODES[refusal.code].http_status < 500
    assert len(refusal.detail) < 400
    assert refusal.detail.isprintable()
    return None


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
@example(b"")
@example(b"v=0\n")
@example("v=0\no=- 1 1 IN IP4 0\ns=\u2028\nt=0 0\n".encode())
def test_a_description_is_parsed_or_refused_and_survives_a_round_trip(data: bytes) -> None:
    session = refused_with_a_code(lambda: parse(data))
    if isinstance(session, Session):
        text = session.to_text()
        again = parse(text)
        assert again == session
        assert again.to_text() == text


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_a_publishers_offer_is_answered_or_refused(data: bytes) -> None:
    def answer() -> whip.WhipAnswer:
        offer = read_offer(data)
        dtls = admit(dtls_srtp.claim(offer), CHANNEL, Role.INGEST, STANDARD).dtls
        assert dtls is not None
        choice = whip.choose(offer)
        tracks = range(len(choice.shapes))
        return whip.answer_offer(choice, leg=1, tracks=tracks, dtls=dtls, transport=TRANSPORT)

    answered = refused_with_a_code(answer)
    if isinstance(answered, whip.WhipAnswer):
        offer = read_offer(data)
        again = parse(answered.answer_sdp)
        assert [m.kind for m in again.media] == [m.kind for m in offer.session.media]
        assert [m.mid for m in again.media] == [m.mid for m in offer.session.media]
        assert answered.leg_spec.receive
        assert answered.leg_spec.dtls.fingerprints


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_a_viewers_offer_is_answered_or_refused(data: bytes) -> None:
    def answer() -> whep.WhepAnswer:
        offer = read_offer(data)
        dtls = admit(dtls_srtp.claim(offer), CHANNEL, Role.DELIVERY, STANDARD).dtls
        assert dtls is not None
        return whep.answer_offer(
            offer, TRACKS, leg=1, dtls=dtls, transport=TRANSPORT, entropy=Entropy()
        )

    answered = refused_with_a_code(answer)
    if isinstance(answered, whep.WhepAnswer):
        again = parse(answered.answer_sdp)
        offered = read_offer(data).session.media
        for ours, theirs in zip(again.media, offered, strict=True):
            assert (ours.kind, ours.protocol) == (theirs.kind, theirs.protocol)
            assert set(ours.formats) <= set(theirs.formats)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(HOSTILE, st.text(max_size=300).map(lambda text: f"a={text}\n".encode())),
    st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["*", '"g"'])),
)
def test_a_fragment_is_taken_or_refused(data: bytes, if_match: str | None) -> None:
    state = SessionState('"g"', "abcd")
    refused_with_a_code(lambda: decide_patch(parse_fragment(data), if_match, state))


@pytest.mark.parametrize("name", sorted(GRAMMAR))
@settings(max_examples=150, deadline=None)
@given(value=st.one_of(st.text(max_size=60), st.from_regex(r"[0-9 ./:a-z=;-]{0,40}")))
def test_an_attributes_grammar_refuses_by_value_error_only(name: str, value: str) -> None:
    try:
        attribute = parse_attribute(f"{name}:{value}")
    except ValueError:
        return
    rendered = attribute.render()
    assert rendered is not None
    assert parse_attribute(f"{attribute.name}:{rendered}") == attribute


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.ip_addresses().map(str),
        st.sampled_from(["::ffff:192.0.2.1", "fe80::1%eth0", "a.local", "٣.1.1.1"]),
        st.from_regex(r"[0-9a-f.:%]{1,20}", fullmatch=True),
    ),
    st.integers(-1, 70_000),
)
def test_a_candidate_is_probed_at_a_literal_address_and_a_port_or_not_at_all(
    address: str, port: int
) -> None:
    try:
        candidate = parse_attribute(f"candidate:1 1 UDP 5 {address} {port} typ host")
    except ValueError:
        return
    assert isinstance(candidate, Candidate)
    for told in probeable([candidate, candidate]):
        host, _, number = told.rpartition(":")
        assert str(ip_address(host.strip("[]"))) == host.strip("[]")
        assert told.startswith("[") == (":" in host)
        assert 1 <= int(number) <= 65_535
    assert len(probeable([candidate, candidate])) <= 1


def test_an_offer_cut_off_at_any_byte_is_parsed_or_refused() -> None:
    data = captured("firefox-publish").encode()
    for end in range(len(data)):
        refused_with_a_code(lambda end=end: read_offer(data[:end]))  # type: ignore[misc]


def test_an_offer_with_any_byte_flipped_is_parsed_or_refused() -> None:
    data = captured("ffmpeg9-publish").encode()
    for at in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            refused_with_a_code(lambda changed=changed: read_offer(changed))  # type: ignore[misc]


KEY = TokenVerifier(TokenKey.generate())


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"),
    )
)
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        KEY.verify(text, "a", "watch", 1.8e9)
    assert CODES[refused.value.code].http_status == 401
