"""WHIP and WHEP over HTTP: every status, asked of the application behind a stand-in front."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Coroutine
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.application import (
    FINGERPRINT,
    FRAGMENT,
    NAMED_ORIGIN,
    OWN_ORIGIN,
    SECRET,
    STREAM,
    Node,
    behind_the_gate,
    offer,
    problem,
)
from tests.unit.native_stand_ins import ADMIN, ANYBODY, ENCODER, VIEWER

from sealcast.codes import PROBLEM_TYPE
from sealcast.identity import TokenIssuer, TokenKey, Verb
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs.ledger import CANDIDATES_KEPT
from sealcast.node import limits, switchboard
from sealcast.node.api import access
from sealcast.streams import TrackShape

# ---- the gate ----------------------------------------------------------------------------------


@behind_the_gate
async def test_a_request_without_the_fronts_secret_gets_nowhere(node: Node) -> None:
    for secret in ("", "0" * 48, SECRET[:-1], SECRET + "0"):
        problem(await node.ask("GET", "/health", secret=secret), 403, "HTTP.NOT_THE_FRONT")


@behind_the_gate
async def test_a_request_of_a_connection_that_is_gone_gets_nowhere(node: Node) -> None:
    for connection in ("99", "", "-1", "x"):
        answer = await node.ask("GET", "/health", connection=connection)
        problem(answer, 403, "HTTP.NOT_THE_FRONT")


@behind_the_gate
async def test_an_unknown_address_is_a_problem_document(node: Node) -> None:
    problem(await node.ask("GET", "/nowhere"), 404, "HTTP.NOT_FOUND")
    problem(await node.ask("POST", "/health"), 405, "HTTP.METHOD_NOT_ALLOWED")


@behind_the_gate
async def test_health_is_told_to_everybody(node: Node) -> None:
    assert (await node.ask("GET", "/health")).json() == {"status": "ok"}
    node.board.stopping = True
    assert (await node.ask("GET", "/health")).status_code == 503


# ---- WHIP: POST --------------------------------------------------------------------------------


@behind_the_gate
async def test_a_publisher_gets_an_answer_a_location_and_a_strong_etag(node: Node) -> None:
    answer = await node.publish()
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["location"].startswith("/sessions/")
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["accept-patch"] == FRAGMENT
    assert answer.headers["link"] == '<stun:stun.example:3478>; rel="ice-server"'
    assert "a=recvonly" in answer.text
    assert "a=setup:passive" in answer.text
    assert "192.0.2.1 8443 typ host" in answer.text
    [(_, spec)] = node.relay.named("add_leg")
    assert spec["side"] == "server"
    assert spec["dtls"]["srtp_profiles"][0] == "AEAD_AES_128_GCM"
    assert [section["codec"] for section in spec["receive"]] == ["H264", "opus"]
    assert len(node.relay.named("add_track")) == 2
    [leg] = node.board.ledger.living()
    assert leg.peer.proof is Proof.TOKEN


@behind_the_gate
async def test_a_publisher_without_token_is_asked_for_one(node: Node) -> None:
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"))
    problem(answer, 401, "TOKEN.MISSING")
    assert answer.headers["www-authenticate"] == 'Bearer realm="sealcast"'
    assert not list(node.board.ledger), "a stranger makes no entry in the ledger"


@behind_the_gate
async def test_each_wrong_token_has_its_own_code(node: Node) -> None:
    foreign = TokenIssuer(TokenKey.generate()).issue(STREAM, Verb.PUBLISH, 60, now=time.time())
    for token, status, code in (
        (node.token(Verb.PUBLISH, age_s=7200), 401, "TOKEN.EXPIRED"),
        (node.token(Verb.PUBLISH, age_s=-600), 401, "TOKEN.NOT_YET_VALID"),
        (foreign, 401, "TOKEN.WRONG_SIGNATURE"),
        ("not-a-token", 401, "TOKEN.MALFORMED"),
        (node.token(Verb.WATCH), 403, "TOKEN.WRONG_VERB"),
        (node.token(Verb.PUBLISH, "venue/other"), 403, "TOKEN.WRONG_STREAM"),
    ):
        answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), token)
        document = problem(answer, status, code)
        assert token not in json.dumps(document)
        if status == 401:
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@behind_the_gate
async def test_another_scheme_than_bearer_is_refused(node: Node) -> None:
    for header in ("Basic dTpw", "Bearer", "Bearer  "):
        answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), authorization=header)
        problem(answer, 401, "TOKEN.MALFORMED")


@behind_the_gate
async def test_an_encoder_publishes_by_certificate(node: Node) -> None:
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), connection=ENCODER)
    assert answer.status_code == 201
    [leg] = node.board.ledger.living()
    assert leg.peer == Identity("spiffe://sealcast.internal/encoder/venue-1", Proof.CERTIFICATE)
    # Without a row in the table an encoder publishes the stream of its own name, and no other.
    own = await node.post("/whip/venue-1", offer("sendonly"), connection=ENCODER)
    assert own.status_code == 201
    other = await node.post("/whip/venue-2", offer("sendonly"), connection=ENCODER)
    problem(other, 403, "IDENTITY.NOT_ALLOWED")


@behind_the_gate
async def test_a_token_does_not_publish_where_only_certificates_may(node: Node) -> None:
    token = node.token(Verb.PUBLISH, "certificates-only")
    answer = await node.post("/whip/certificates-only", offer("sendonly"), token)
    problem(answer, 403, "IDENTITY.NOT_ALLOWED")


@behind_the_gate
async def test_a_body_of_another_type_is_refused(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    for media_type in (None, "text/plain", "application/json"):
        answer = await node.post(f"/whip/{STREAM}", "{}", token, media_type=media_type)
        problem(answer, 415, "HTTP.WRONG_TYPE")
    typed = await node.post(
        f"/whip/{STREAM}", offer("sendonly"), token, media_type="Application/SDP; charset=utf-8"
    )
    assert typed.status_code == 201


@behind_the_gate
async def test_a_huge_body_is_refused_before_it_is_read(node: Node) -> None:
    body = b"v=0\r\n" + b"a=x\r\n" * limits.SDP_BYTES
    answer = await node.post(f"/whip/{STREAM}", body, node.token(Verb.PUBLISH))
    problem(answer, 413, "HTTP.TOO_LARGE")


@behind_the_gate
async def test_a_huge_body_of_unstated_length_is_refused_while_it_comes(node: Node) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 100 * limits.SDP_BYTES:
            sent += 4096
            yield b"a" * 4096

    headers = {
        "x-sealcast-connection": "1",
        "x-sealcast-secret": SECRET,
        "content-type": "application/sdp",
        "authorization": f"Bearer {node.token(Verb.PUBLISH)}",
    }
    answer = await node.client.post(f"/whip/{STREAM}", content=endless(), headers=headers)
    problem(answer, 413, "HTTP.TOO_LARGE")


@behind_the_gate
async def test_each_offer_that_cannot_be_has_its_own_code(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    for body, status, code in (
        ("hello", 400, "SDP.MALFORMED"),
        ("", 400, "SDP.MALFORMED"),
        (offer("sendonly", profile="RTP/AVP"), 400, "SDP.PLAINTEXT_MEDIA"),
        (offer("sendonly", fingerprint=""), 400, "SDP.NO_FINGERPRINT"),
        (
            offer("sendonly", fingerprint="sha-1 " + ":".join(["AB"] * 20)),
            400,
            "SDP.WEAK_FINGERPRINT",
        ),
        (offer("sendonly").replace("a=rtcp-mux\r\n", ""), 400, "SDP.NO_RTCP_MUX"),
        (offer("recvonly"), 400, "SDP.NO_MEDIA"),
        (offer("sendonly").replace("H264/90000", "H266/90000"), 406, "SDP.NO_COMMON_CODEC"),
    ):
        problem(await node.post(f"/whip/{STREAM}", body, token), status, code)
    assert not node.relay.calls, "nothing was begun for any of them"
    assert {leg.code for leg in node.board.ledger} >= {"SDP.MALFORMED", "SDP.NO_COMMON_CODEC"}


@behind_the_gate
async def test_names_that_no_stream_can_have_are_refused(node: Node) -> None:
    for name in ("..", "a//b", ".hidden", "a b", "x" * 300):
        answer = await node.post(f"/whip/{name}", offer("sendonly"), node.token(Verb.PUBLISH))
        assert answer.status_code in (400, 404), name
        assert answer.headers["content-type"] == PROBLEM_TYPE


@behind_the_gate
async def test_a_second_publisher_of_another_identity_is_refused(node: Node) -> None:
    await node.publish()
    secure(node, 1)
    answer = await node.post(
        f"/whip/{STREAM}", offer("sendonly"), node.token(Verb.PUBLISH, subject="somebody else")
    )
    document = problem(answer, 409, "STREAM.TAKEN")
    assert document["detail"] == f"The publisher of {STREAM!r} is connected."
    assert "token-" not in answer.text, "the holder's name is not told to a stranger"


@behind_the_gate
async def test_a_publisher_that_never_connects_does_not_keep_the_encoder_out(node: Node) -> None:
    squatting = node.token(Verb.PUBLISH, subject="squatter")
    asked = await node.publish(token=squatting)
    await node.publish(token=node.token(Verb.PUBLISH, subject="encoder"))
    squatter, encoder = (call[1]["id"] for call in node.relay.named("add_leg"))
    assert node.relay.named("close_leg") == [("close_leg", squatter, "STREAM.YIELDED")]
    told = (await node.ask("GET", f"{asked.headers['location']}/leg", token=squatting)).json()
    assert (told["state"], told["end"]["code"]) == ("failed", "STREAM.YIELDED")
    secure(node, encoder)
    again = await node.post(f"/whip/{STREAM}", offer("sendonly"), squatting)
    problem(again, 409, "STREAM.TAKEN")


def secure(node: Node, leg: int) -> None:
    """The handshake of `leg` is over, as its grant admits."""
    seal = {
        "version": "1.3",
        "group": "X25519MLKEM768",
        "srtp_profile": "AEAD_AES_128_GCM",
        "peer_fingerprint": FINGERPRINT,
    }
    node.board.take_in(json.dumps([{"type": "leg_sealed", "leg": leg, "seal": seal}]).encode())


@behind_the_gate
async def test_the_same_identity_takes_over_when_its_picture_is_live(node: Node) -> None:
    token = node.token(Verb.PUBLISH, subject="camera 1")
    first = await node.publish(token=token)
    second = await node.publish(token=token)
    assert first.headers["location"] != second.headers["location"]
    old, new = (call[1]["id"] for call in node.relay.named("add_leg"))
    assert not node.relay.named("close_leg")
    track = node.relay.named("add_track")[0][1]
    live = {"type": "track_live", "track": track, "source": new}
    node.board.take_in(json.dumps([live]).encode())
    assert node.relay.named("close_leg") == [("close_leg", old, "STREAM.TAKEN_OVER")]
    gone = await node.ask("DELETE", first.headers["location"], token=token)
    problem(gone, 404, "HTTP.NOT_FOUND")
    assert (await node.ask("DELETE", second.headers["location"], token=token)).status_code == 200


@partial(behind_the_gate, most=2)
async def test_what_the_relay_could_not_carry_is_refused_before_the_answer(node: Node) -> None:
    await node.publish()
    await node.watch()
    for answer in (await node.watch(), await node.post("/whip/other", "", _any(node, "other"))):
        document = problem(answer, 503, "HTTP.TOO_MANY")
        assert document["detail"] == "The limit is 2 sessions."
        assert int(answer.headers["retry-after"]) > 0
    assert len(node.relay.named("add_leg")) == 2


@partial(behind_the_gate, most=1)
async def test_a_leg_that_the_relay_has_not_been_told_to_close_keeps_its_place(node: Node) -> None:
    token = _any(node)
    created = await node.publish(token=token)
    node.relay.busy = True
    assert (await node.ask("DELETE", created.headers["location"], token=token)).status_code == 200
    problem(await node.post(f"/whip/{STREAM}", offer("sendonly"), token), 503, "HTTP.TOO_MANY")
    node.relay.busy = False
    node.board.sweep()
    assert node.relay.named("close_leg") == [("close_leg", 1, "LEG.DELETED")]
    await node.publish(token=token)


def _any(node: Node, stream: str = STREAM) -> str:
    return node.token(Verb.PUBLISH, stream)


@behind_the_gate
async def test_a_relay_that_is_full_leaves_no_half_a_session(node: Node) -> None:
    node.relay.refuse = "RELAY.BUSY"
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), node.token(Verb.PUBLISH))
    problem(answer, 503, "RELAY.BUSY")
    assert answer.headers["retry-after"]
    assert len(node.sessions) == 0
    assert not node.board.ledger.living()
    node.relay.refuse = None
    await node.publish()


@behind_the_gate
async def test_a_node_that_stops_takes_no_new_session(node: Node) -> None:
    node.board.stopping = True
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), node.token(Verb.PUBLISH))
    assert answer.json()["code"] == "NODE.STOPPING"
    assert answer.headers["retry-after"]


# ---- WHEP: POST --------------------------------------------------------------------------------


@behind_the_gate
async def test_a_viewer_gets_the_stream_as_it_is(node: Node) -> None:
    await node.publish()
    answer = await node.watch()
    assert answer.status_code == 201
    assert "a=sendonly" in answer.text
    spec = node.relay.named("add_leg")[1][1]
    assert [section["codec"] for section in spec["send"]] == ["H264", "opus"]
    assert spec["send"][0]["rtx_payload_type"] == 103


@behind_the_gate
async def test_an_absent_stream_is_409_and_when_to_ask_again(node: Node) -> None:
    answer = await node.watch()
    problem(answer, 409, "STREAM.ABSENT")
    assert int(answer.headers["retry-after"]) >= 1


@behind_the_gate
async def test_a_viewer_who_cannot_decode_gets_406_and_why(node: Node) -> None:
    await node.publish()
    answer = await node.post(
        f"/whep/{STREAM}", offer("recvonly", video="VP8"), node.token(Verb.WATCH)
    )
    assert "VP8" in problem(answer, 406, "SDP.NO_COMMON_CODEC")["detail"]


def begin_ts(node: Node, **described: Any) -> int:
    """A TS publisher whose first parameter sets are not there yet."""
    who = Identity("spiffe://sealcast.internal/encoder/venue-1", Proof.CERTIFICATE)
    publication = node.board.hub.publish(
        STREAM,
        leg=node.board.ledger.new_id(),
        identity=who,
        way="mpegts",
        shapes=[TrackShape("video", "H264", 90_000)],
    )
    [track] = publication.tracks
    if described:
        node.board.hub.describe(track.id, **described)
    return track.id


@behind_the_gate
async def test_a_viewer_waits_for_the_first_parameter_sets(node: Node) -> None:
    track = begin_ts(node)

    async def soon() -> None:
        while STREAM not in node.board._stirred:  # noqa: ASYNC110 - nobody tells of a wait
            await asyncio.sleep(0)
        node.board.hub.describe(track, profile_level_id="42c01f")
        node.board.stir(STREAM)

    answer, _ = await asyncio.wait_for(asyncio.gather(node.watch(), soon()), 10)
    assert answer.status_code == 201, answer.text


@behind_the_gate
async def test_a_viewer_waits_so_long_and_not_for_ever(node: Node) -> None:
    begin_ts(node)
    waited: list[float] = []
    now = 1000.0

    async def wait_for(stirring: Coroutine[Any, Any, object], left: float) -> None:
        nonlocal now
        stirring.close()
        waited.append(left)
        now += left
        raise TimeoutError

    clock = SimpleNamespace(monotonic=lambda: now, time=time.time)
    waiting = SimpleNamespace(Event=asyncio.Event, wait_for=wait_for)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switchboard, "time", clock)
        patch.setattr(switchboard, "asyncio", waiting)
        answer = await node.watch()
    problem(answer, 503, "STREAM.NOT_READY")
    assert answer.headers["retry-after"]
    assert waited == [limits.READY_WAIT_S]


@behind_the_gate
async def test_a_stream_with_b_frames_is_406_with_the_encoders_option(node: Node) -> None:
    begin_ts(node, profile_level_id="4d401f", has_b_frames=True)
    document = problem(await node.watch(), 406, "STREAM.B_FRAMES")
    assert "bf" in document["remedy"], "the encoder option to add"


@behind_the_gate
async def test_a_public_stream_admits_anybody_and_the_ledger_shows_unproved(node: Node) -> None:
    await node.publish("open")
    answer = await node.post("/whep/open", offer("recvonly"))
    assert answer.status_code == 201
    viewer = node.board.ledger.living()[-1]
    assert viewer.peer.proof is Proof.UNPROVED
    assert [note.code for note in viewer.notes] == ["NOTE.UNPROVED_PEER"]


@behind_the_gate
async def test_a_stream_that_is_not_public_asks_a_viewer_for_a_token(node: Node) -> None:
    await node.publish()
    problem(await node.post(f"/whep/{STREAM}", offer("recvonly")), 401, "TOKEN.MISSING")


@behind_the_gate
async def test_a_viewers_certificate_watches_and_an_encoders_does_not(node: Node) -> None:
    await node.publish()
    watching = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=VIEWER)
    assert watching.status_code == 201
    encoder = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=ENCODER)
    problem(encoder, 403, "IDENTITY.NOT_ALLOWED")


# ---- sessions: PATCH ---------------------------------------------------------------------------

CANDIDATE = "a=candidate:1 1 udp 2122260223 198.51.100.7 50000 typ host\r\n"
TRICKLE = (
    f"a=ice-ufrag:peer\r\na=ice-pwd:{'p' * 24}\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\n{CANDIDATE}"
)
RESTART = TRICKLE.replace("peer", "peer2").replace("p" * 24, "q" * 24)


async def patched(node: Node, body: str, **headers: Any) -> httpx.Response:
    token = node.token(Verb.PUBLISH, subject="camera 1")
    created = await node.publish(token=token)
    if headers.get("if_match") == "current":
        headers["if_match"] = created.headers["etag"]
    headers.setdefault("media_type", FRAGMENT)
    return await node.ask("PATCH", created.headers["location"], body, token=token, **headers)


@behind_the_gate
async def test_trickled_candidates_are_204(node: Node) -> None:
    answer = await patched(node, TRICKLE, if_match="current")
    assert answer.status_code == 204
    assert not answer.content
    assert not node.relay.named("restart_ice")


@behind_the_gate
async def test_an_ice_restart_is_200_with_a_fragment_and_a_new_etag(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    created = await node.publish(token=token)
    where = created.headers["location"]

    async def patch(body: str, if_match: str) -> httpx.Response:
        return await node.ask(
            "PATCH", where, body, token=token, media_type=FRAGMENT, if_match=if_match
        )

    answer = await patch(RESTART, "*")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FRAGMENT
    assert answer.headers["etag"] not in ("", created.headers["etag"])
    assert "a=ice-ufrag:" in answer.text
    assert "a=candidate:" in answer.text
    [restart] = node.relay.named("restart_ice")
    assert restart[4:] == ("peer2", "q" * 24)
    assert f"a=ice-ufrag:{restart[2]}\r\n" in answer.text
    # The old generation is over; the new one takes candidates.
    problem(await patch(TRICKLE, created.headers["etag"]), 412, "HTTP.PRECONDITION_FAILED")
    assert (await patch(RESTART, answer.headers["etag"])).status_code == 204


@behind_the_gate
async def test_a_restart_that_the_relay_refuses_is_not_answered_as_done(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    created = await node.publish(token=token)
    where, etag = created.headers["location"], created.headers["etag"]

    async def patch(body: str, if_match: str) -> httpx.Response:
        return await node.ask(
            "PATCH", where, body, token=token, media_type=FRAGMENT, if_match=if_match
        )

    for code, status in (
        ("RELAY.BUSY", 503),
        ("RELAY.NO_ANSWER", 503),
        ("RELAY.UFRAG_TAKEN", 503),
        ("RELAY.UNKNOWN_LEG", 404),
    ):
        node.relay.refuse = code
        answer = await patch(RESTART, "*")
        problem(answer, status, code)
        assert ("retry-after" in answer.headers) == (status == 503), code
    node.relay.refuse = None
    # The session is as it was: its generation still takes candidates.
    assert (await patch(TRICKLE, etag)).status_code == 204
    assert (await patch(RESTART, "*")).status_code == 200


@behind_the_gate
async def test_of_two_restarts_at_once_of_one_generation_the_later_is_412(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    created = await node.publish(token=token)
    began, may_end = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        began.set()
        assert may_end.wait(10)

    node.relay.restart_ice = slow  # type: ignore[method-assign, assignment]

    async def patch(body: str, if_match: str) -> httpx.Response:
        where = created.headers["location"]
        return await node.ask(
            "PATCH", where, body, token=token, media_type=FRAGMENT, if_match=if_match
        )

    first = asyncio.create_task(patch(RESTART, "*"))
    await asyncio.to_thread(began.wait, 10)
    late = await patch(TRICKLE, created.headers["etag"])
    problem(late, 412, "HTTP.PRECONDITION_FAILED")
    may_end.set()
    assert (await first).status_code == 200


@behind_the_gate
async def test_a_peers_candidates_are_listed_and_nothing_is_sent_to_them(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    host = "a=candidate:1 1 udp 2122260223 {} {} typ host\r\n"
    body = offer("sendonly").replace("a=rtcp-mux\r\n", host.format("x.local", 9) + "a=rtcp-mux\r\n")
    created = await node.post(f"/whip/{STREAM}", body, token)
    where, etag = created.headers["location"], created.headers["etag"]

    async def listed() -> list[tuple[str, int]]:
        [leg] = (await node.ask("GET", "/api/legs", connection=ADMIN)).json()["legs"]
        assert {told["type"] for told in leg["candidates"]} == {"host"}
        return [(told["address"], told["port"]) for told in leg["candidates"]]

    async def patch(body: str, if_match: str) -> int:
        answer = await node.ask(
            "PATCH", where, body, token=token, media_type=FRAGMENT, if_match=if_match
        )
        return answer.status_code

    assert await listed() == [("x.local", 9)]
    assert await patch(TRICKLE, etag) == 204
    assert await listed() == [("x.local", 9), ("198.51.100.7", 50000)]
    for port in range(1, 100, 20):
        many = "".join(host.format("192.0.2.1", port + number) for number in range(20))
        assert await patch(TRICKLE.replace(CANDIDATE, many), etag) == 204
    assert len(await listed()) == CANDIDATES_KEPT
    assert await patch(RESTART, "*") == 200
    assert await listed() == [("198.51.100.7", 50000)], "of the new generation"
    assert {call[0] for call in node.relay.calls} == {"add_track", "add_leg", "restart_ice"}


@behind_the_gate
async def test_a_patch_without_if_match_is_428(node: Node) -> None:
    problem(await patched(node, TRICKLE), 428, "HTTP.PRECONDITION_REQUIRED")


@behind_the_gate
async def test_a_patch_for_an_older_generation_is_412(node: Node) -> None:
    answer = await patched(node, TRICKLE, if_match='"stale"')
    problem(answer, 412, "HTTP.PRECONDITION_FAILED")


@behind_the_gate
async def test_a_patch_of_another_type_is_415(node: Node) -> None:
    answer = await patched(node, TRICKLE, if_match="current", media_type="application/sdp")
    problem(answer, 415, "HTTP.WRONG_TYPE")


@behind_the_gate
async def test_a_patch_that_cannot_be_read_is_400(node: Node) -> None:
    for body in ("hello", "a=ice-ufrag:only\r\n", "a=candidate:x\r\n"):
        problem(await patched(Node(), body, if_match="current"), 400, "SDP.MALFORMED")


@behind_the_gate
async def test_a_patch_that_is_too_long_is_413(node: Node) -> None:
    body = TRICKLE + CANDIDATE * 1000
    problem(await patched(node, body, if_match="current"), 413, "HTTP.TOO_LARGE")


@behind_the_gate
async def test_only_who_opened_a_session_changes_it(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    where = (await node.publish(token=token)).headers["location"]
    problem(await node.ask("DELETE", where), 401, "TOKEN.MISSING")
    other = node.token(Verb.PUBLISH, subject="somebody else")
    problem(await node.ask("DELETE", where, token=other), 403, "IDENTITY.NOT_ALLOWED")
    watching = node.token(Verb.WATCH)
    problem(await node.ask("DELETE", where, token=watching), 403, "TOKEN.WRONG_VERB")
    assert (await node.ask("DELETE", where, token=token)).status_code == 200


@behind_the_gate
async def test_a_session_of_a_certificate_is_changed_by_nobody_else(node: Node) -> None:
    """Whoever learnt its address has another certificate, a token, or nothing."""
    await node.publish()
    watching = await node.post(f"/whep/{STREAM}", offer("recvonly"), connection=VIEWER)
    where = watching.headers["location"]
    others: tuple[dict[str, Any], ...] = (
        {"connection": ENCODER},
        {"connection": ADMIN},
        {"connection": ANYBODY},
        {"connection": ANYBODY, "token": node.token(Verb.WATCH)},
    )
    for other in others:
        for method in ("PATCH", "DELETE"):
            answer = await node.ask(method, where, FRAGMENT, media_type=FRAGMENT, **other)
            problem(answer, 403, "IDENTITY.NOT_ALLOWED")
        problem(await node.ask("GET", f"{where}/leg", **other), 403, "IDENTITY.NOT_ALLOWED")
    assert (await node.ask("DELETE", where, connection=VIEWER)).status_code == 200


@behind_the_gate
async def test_a_token_that_expired_meanwhile_still_ends_its_session(node: Node) -> None:
    now = time.time()
    token = TokenIssuer(node.key).issue(STREAM, Verb.PUBLISH, 60, now=now)
    where = (await node.publish(token=token)).headers["location"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(access, "time", SimpleNamespace(time=lambda: now + 61))
        late = await node.post(f"/whip/{STREAM}", offer("sendonly"), token)
        problem(late, 401, "TOKEN.EXPIRED")
        assert (await node.ask("DELETE", where, token=token)).status_code == 200


# ---- sessions: DELETE, leg ---------------------------------------------------------------------


@behind_the_gate
async def test_delete_ends_the_leg_once(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    where = (await node.publish(token=token)).headers["location"]
    [leg] = [call[1]["id"] for call in node.relay.named("add_leg")]
    assert (await node.ask("DELETE", where, token=token)).status_code == 200
    assert node.relay.named("close_leg") == [("close_leg", leg, "LEG.DELETED")]
    over = node.board.ledger.get(leg)
    assert over is not None
    assert over.code == "LEG.DELETED"
    problem(await node.ask("DELETE", where, token=token), 404, "HTTP.NOT_FOUND")


@behind_the_gate
async def test_a_leg_that_the_relay_closed_has_no_session_left(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    where = (await node.publish(token=token)).headers["location"]
    [leg] = [call[1]["id"] for call in node.relay.named("add_leg")]
    closed = {"type": "leg_closed", "leg": leg, "code": "ICE.TIMEOUT", "detail": "30 s"}
    node.board.take_in(json.dumps([closed]).encode())
    problem(await node.ask("DELETE", where, token=token), 404, "HTTP.NOT_FOUND")
    assert node.board.ended["ingest", "ICE.TIMEOUT"] == 1


@behind_the_gate
async def test_a_viewer_sees_its_own_leg(node: Node) -> None:
    await node.publish()
    token = node.token(Verb.WATCH)
    where = (await node.watch(token=token)).headers["location"]
    leg = (await node.ask("GET", f"{where}/leg", token=token)).json()
    assert (leg["role"], leg["stream"]) == ("delivery", STREAM)
    assert leg["counters"]["packets_out"] == 7
    assert leg["counters"]["lost"] == 2
    problem(await node.ask("GET", f"{where}/leg"), 401, "TOKEN.MISSING")


# ---- methods and CORS --------------------------------------------------------------------------


@behind_the_gate
async def test_get_head_and_put_on_an_endpoint_are_405(node: Node) -> None:
    for path in (f"/whip/{STREAM}", f"/whep/{STREAM}"):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            answer = await node.ask(method, path)
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST, OPTIONS"
            if method != "HEAD":
                problem(answer, 405, "HTTP.METHOD_NOT_ALLOWED")


@behind_the_gate
async def test_options_says_what_an_endpoint_takes(node: Node) -> None:
    answer = await node.ask("OPTIONS", f"/whip/{STREAM}")
    assert answer.status_code == 204
    assert answer.headers["accept-post"] == "application/sdp"
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert "access-control-allow-origin" not in answer.headers


@behind_the_gate
async def test_a_preflight_of_a_named_origin_is_granted(node: Node) -> None:
    answer = await node.ask(
        "OPTIONS",
        f"/whep/{STREAM}",
        origin=NAMED_ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type",
    )
    assert answer.headers["access-control-allow-origin"] == NAMED_ORIGIN
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    session = await node.ask("OPTIONS", "/sessions/x", origin=NAMED_ORIGIN)
    assert "PATCH" in session.headers["access-control-allow-methods"]
    assert session.headers["accept-patch"] == FRAGMENT


@behind_the_gate
async def test_a_page_of_a_named_origin_reads_answers_and_refusals(node: Node) -> None:
    granted = await node.publish(origin=NAMED_ORIGIN)
    assert granted.headers["access-control-allow-origin"] == NAMED_ORIGIN
    assert "location" in granted.headers["access-control-expose-headers"]
    refused = await node.post(f"/whip/{STREAM}", "x", origin=NAMED_ORIGIN)
    problem(refused, 401, "TOKEN.MISSING")
    assert refused.headers["access-control-allow-origin"] == NAMED_ORIGIN


@behind_the_gate
async def test_a_page_of_another_origin_is_refused(node: Node) -> None:
    for origin in ("https://evil.example", "null", NAMED_ORIGIN + ".evil.example"):
        answer = await node.post(
            f"/whip/{STREAM}", offer("sendonly"), node.token(Verb.PUBLISH), origin=origin
        )
        problem(answer, 403, "HTTP.FORBIDDEN_ORIGIN")
        assert "access-control-allow-origin" not in answer.headers
    assert not node.relay.calls


@behind_the_gate
async def test_a_page_of_the_nodes_own_origin_needs_no_naming(node: Node) -> None:
    await node.publish(origin=OWN_ORIGIN)


# ---- legs, streams, metrics --------------------------------------------------------------------


@behind_the_gate
async def test_legs_are_for_an_admin_token_or_certificate(node: Node) -> None:
    await node.publish()
    problem(await node.ask("GET", "/api/legs"), 401, "TOKEN.MISSING")
    problem(
        await node.ask("GET", "/api/legs", token=node.token(Verb.WATCH)), 403, "TOKEN.WRONG_VERB"
    )
    problem(await node.ask("GET", "/api/legs", connection=ENCODER), 403, "IDENTITY.NOT_ALLOWED")
    for admitted in ({"token": node.token(Verb.ADMIN, "*")}, {"connection": ADMIN}):
        answer = await node.ask("GET", "/api/legs", **admitted)
        [leg] = answer.json()["legs"]
        assert leg["role"] == "ingest"


@behind_the_gate
async def test_streams_are_listed_to_everybody_only_where_public(node: Node) -> None:
    await node.publish()
    await node.publish("open")
    listed = (await node.ask("GET", "/api/streams")).json()["streams"]
    assert [stream["stream"] for stream in listed] == ["open"]
    everything = (await node.ask("GET", "/api/streams", connection=ADMIN)).json()["streams"]
    assert [stream["stream"] for stream in everything] == ["open", STREAM]
    assert [track["codec"] for track in everything[0]["tracks"]] == ["H264", "opus"]


@behind_the_gate
async def test_metrics_count_by_cause_and_are_for_administrators(node: Node) -> None:
    await node.publish()
    secure(node, 1)
    await node.post(f"/whip/{STREAM}", "hello", node.token(Verb.PUBLISH, subject="x"))
    problem(await node.ask("GET", "/metrics"), 401, "TOKEN.MISSING")
    text = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    assert 'sealcast_refusals_total{code="STREAM.TAKEN",role="ingest"} 1.0' in text
    assert 'sealcast_connections_ended_total{code="TLS.PLAIN_HTTP",door="public"} 4.0' in text
    assert 'sealcast_packets_dropped_total{code="PACKET.UNKNOWN_KIND"} 3.0' in text
    assert 'sealcast_legs{role="ingest",stage="signalling",state="opening"} 1.0' in text


@behind_the_gate
async def test_every_metric_is_explained_and_named_by_the_conventions(node: Node) -> None:
    await node.publish()
    page = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    families = list(text_string_to_metric_families(page))
    assert len(families) > 15
    for family in families:
        assert re.fullmatch(r"sealcast(_[a-z]+)+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


@behind_the_gate
async def test_packets_per_system_call_can_be_read(node: Node) -> None:
    page = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    for line in (
        'sealcast_udp_datagrams_total{direction="in"} 640.0',
        'sealcast_udp_calls_total{direction="in"} 20.0',
        'sealcast_udp_datagrams_total{direction="out"} 3000.0',
        'sealcast_udp_calls_total{direction="out"} 50.0',
    ):
        assert line in page.splitlines()


@behind_the_gate
async def test_handshake_failures_are_by_door_and_code(node: Node) -> None:
    page = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    failures = [line for line in page.splitlines() if "handshake_failures_total{" in line]
    name = "sealcast_tls_handshake_failures_total"
    assert failures == [f'{name}{{code="TLS.PLAIN_HTTP",door="public"}} 4.0']
    assert 'sealcast_connections_ended_total{code="TLS.PEER_CLOSED",door="public"} 9.0' in page


@behind_the_gate
async def test_a_bug_is_said_to_be_one_and_tells_nothing_of_the_inside(node: Node) -> None:
    def broken() -> bytes:
        raise ZeroDivisionError("the inside")

    node.relay.snapshot = broken  # type: ignore[method-assign]
    answer = await node.ask("GET", "/api/legs", connection=ADMIN)
    problem(answer, 500, "HTTP.INTERNAL")
    assert "inside" not in answer.text


@behind_the_gate
async def test_a_leg_sealed_outside_its_grant_is_closed(node: Node) -> None:
    await node.publish()
    [leg] = [call[1]["id"] for call in node.relay.named("add_leg")]
    seal = {"version": "1.0", "srtp_profile": "NULL", "peer_fingerprint": "sha-256 00"}
    node.board.take_in(json.dumps([{"type": "leg_sealed", "leg": leg, "seal": seal}]).encode())
    assert node.relay.named("close_leg") == [("close_leg", leg, "POLICY.OUTSIDE_GRANT")]


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    import structlog

    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
