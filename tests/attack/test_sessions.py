"""What may be done to a session, by whom, and with which version of it in hand."""

from __future__ import annotations

import pytest

from sealcast.testing.node_process import Node

from .conftest import Join, Tokens
from .counters import REFUSALS, Counters
from .exchange import SDP, Answer, Headers, ask
from .peer import Peer

FRAGMENT = "application/trickle-ice-sdpfrag"
FRAGMENT_BYTES = 16 * 1024
ROLE = "delivery"


@pytest.fixture
def viewer(join: Join) -> Peer:
    """A viewer who has been answered and who has not begun yet."""
    joined = join("whep", "control")
    joined.signal()
    return joined


def patch(
    viewer: Peer,
    body: str,
    *,
    if_match: str | None,
    token: str | None = None,
    media_type: str = FRAGMENT,
) -> Answer:
    headers: Headers = [("content-type", media_type)]
    if if_match is not None:
        headers = [*headers, ("if-match", if_match)]
    return ask(
        viewer.node,
        "PATCH",
        viewer.known.path,
        token=viewer.token if token is None else token,
        headers=headers,
        body=body.encode(),
    )


def trickle(viewer: Peer, ufrag: str | None = None) -> str:
    host, port = viewer.address
    return (
        f"a=ice-ufrag:{ufrag or viewer.offer.ufrag}\r\na=ice-pwd:{viewer.offer.pwd}\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\na=end-of-candidates\r\n"
    )


def test_a_good_trickle_update_is_taken(viewer: Peer) -> None:
    """The measure for all that follows."""
    answer = patch(viewer, trickle(viewer), if_match=viewer.known.etag)
    assert answer.status == 204


# If-Match, given the present tag; status and code.
PRECONDITIONS: dict[str, tuple[str | None, int, str]] = {
    "no If-Match": (None, 428, "HTTP.PRECONDITION_REQUIRED"),
    "an empty If-Match": (" ", 428, "HTTP.PRECONDITION_REQUIRED"),
    "a stale tag": ('"0123456789abcdef"', 412, "HTTP.PRECONDITION_FAILED"),
    "a weak tag": ("W/{tag}", 412, "HTTP.PRECONDITION_FAILED"),
    "a tag without quotes": ("{bare}", 412, "HTTP.PRECONDITION_FAILED"),
}


@pytest.mark.parametrize("what", PRECONDITIONS)
def test_an_update_is_refused_with(viewer: Peer, counters: Counters, what: str) -> None:
    given, status, code = PRECONDITIONS[what]
    tag = viewer.known.etag
    if given is not None:
        given = given.format(tag=tag, bare=tag.strip('"'))
    with counters.rise(REFUSALS, role=ROLE, code=code):
        patch(viewer, trickle(viewer), if_match=given).problem(status, code)


def test_after_an_ice_restart_the_old_tag_is_stale(viewer: Peer, counters: Counters) -> None:
    old = viewer.known.etag
    restarted = patch(viewer, trickle(viewer, ufrag="restarted"), if_match="*")
    assert restarted.status == 200
    assert restarted.headers["etag"] != old
    with counters.rise(REFUSALS, role=ROLE, code="HTTP.PRECONDITION_FAILED"):
        late = patch(viewer, trickle(viewer), if_match=old)
        late.problem(412, "HTTP.PRECONDITION_FAILED")


def test_candidates_of_another_ice_generation_are_refused(viewer: Peer, counters: Counters) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="HTTP.PRECONDITION_FAILED"):
        answer = patch(viewer, trickle(viewer, ufrag="foreign0"), if_match=viewer.known.etag)
        answer.problem(412, "HTTP.PRECONDITION_FAILED")


@pytest.mark.parametrize("media_type", [SDP, "text/plain", "application/json"])
def test_an_update_of_another_type_is_refused(
    viewer: Peer, counters: Counters, media_type: str
) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="HTTP.WRONG_TYPE"):
        answer = patch(viewer, trickle(viewer), if_match=viewer.known.etag, media_type=media_type)
        assert FRAGMENT in answer.problem(415, "HTTP.WRONG_TYPE")["detail"]


def test_a_malformed_update_is_refused(viewer: Peer, counters: Counters) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="SDP.MALFORMED"):
        answer = patch(viewer, "a=candidate:what?\r\nnonsense", if_match=viewer.known.etag)
        answer.problem(400, "SDP.MALFORMED")


def test_a_huge_update_is_refused(viewer: Peer, counters: Counters) -> None:
    body = trickle(viewer) + "a=x\r\n" * FRAGMENT_BYTES
    with counters.rise(REFUSALS, role=ROLE, code="HTTP.TOO_LARGE"):
        answer = patch(viewer, body, if_match=viewer.known.etag)
        assert str(FRAGMENT_BYTES) in answer.problem(413, "HTTP.TOO_LARGE")["detail"]


def test_a_restart_without_credentials_is_refused(viewer: Peer, counters: Counters) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="SDP.MALFORMED"):
        answer = patch(viewer, "a=end-of-candidates\r\n", if_match="*")
        answer.problem(400, "SDP.MALFORMED")


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "GET"])
def test_a_session_is_not_in_the_hands_of_another_viewer(
    attacked: Node, viewer: Peer, tokens: Tokens, counters: Counters, method: str
) -> None:
    """Both hold good tokens for the same stream."""
    other = tokens("watch", "control")
    path = viewer.known.path + ("/leg" if method == "GET" else "")
    with counters.rise(REFUSALS, role=ROLE, code="IDENTITY.NOT_ALLOWED"):
        answer = ask(
            attacked,
            method,
            path,
            token=other,
            headers=[("content-type", FRAGMENT), ("if-match", viewer.known.etag)],
            body=trickle(viewer).encode() if method == "PATCH" else None,
        )
        answer.problem(403, "IDENTITY.NOT_ALLOWED")
    assert patch(viewer, trickle(viewer), if_match=viewer.known.etag).status == 204


def test_a_session_is_not_ended_without_a_token(
    attacked: Node, viewer: Peer, counters: Counters
) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="TOKEN.MISSING"):
        ask(attacked, "DELETE", viewer.known.path).problem(401, "TOKEN.MISSING")
    assert patch(viewer, trickle(viewer), if_match=viewer.known.etag).status == 204


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_guessed_session_is_not_there(
    attacked: Node, tokens: Tokens, counters: Counters, method: str
) -> None:
    # Nobody knows what role it would have had.
    with counters.rise(REFUSALS, role="signalling", code="HTTP.NOT_FOUND"):
        answer = ask(
            attacked,
            method,
            "/sessions/guessed",
            token=tokens("watch", "control"),
            headers=[("content-type", FRAGMENT), ("if-match", "*")],
        )
        answer.problem(404, "HTTP.NOT_FOUND")


def test_a_deleted_session_is_gone(attacked: Node, viewer: Peer) -> None:
    first = ask(attacked, "DELETE", viewer.known.path, token=viewer.token)
    assert first.status == 200
    again = ask(attacked, "DELETE", viewer.known.path, token=viewer.token)
    again.problem(404, "HTTP.NOT_FOUND")


def test_a_page_of_a_strange_origin_is_refused(
    attacked: Node, tokens: Tokens, counters: Counters
) -> None:
    with counters.rise(REFUSALS, role=ROLE, code="HTTP.FORBIDDEN_ORIGIN"):
        answer = ask(
            attacked,
            "POST",
            "/whep/control",
            token=tokens("watch", "control"),
            headers=[("content-type", SDP), ("origin", "https://evil.example")],
            body=b"v=0\r\n",
        )
        answer.problem(403, "HTTP.FORBIDDEN_ORIGIN")
    assert "access-control-allow-origin" not in answer.headers
