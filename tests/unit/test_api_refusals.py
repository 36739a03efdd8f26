"""Every request that is refused adds one to one counter, under its role and code."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from tests.unit.application import (
    FRAGMENT,
    NAMED_ORIGIN,
    STREAM,
    Node,
    behind_the_gate,
    offer,
    problem,
)
from tests.unit.native_stand_ins import ENCODER

from sealcast.identity import Verb
from sealcast.node import limits

SDP = "application/sdp"
BEARER_IN_VAIN = "Basic dXNlcjpwYXNz"

# Method, path, what is sent along; role and code. PUBLISH, WATCH stand for good tokens.
PUBLISH, WATCH = "<publish>", "<watch>"
REFUSED: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "no token to publish": ("POST", f"/whip/{STREAM}", {}, "ingest", "TOKEN.MISSING"),
    "no token to watch": ("POST", f"/whep/{STREAM}", {}, "delivery", "TOKEN.MISSING"),
    "a header that is no bearer token": (
        "POST",
        f"/whep/{STREAM}",
        {"authorization": BEARER_IN_VAIN},
        "delivery",
        "TOKEN.MALFORMED",
    ),
    "a token for the other verb": (
        "POST",
        f"/whip/{STREAM}",
        {"token": WATCH},
        "ingest",
        "TOKEN.WRONG_VERB",
    ),
    "another type of body": (
        "POST",
        f"/whip/{STREAM}",
        {"token": PUBLISH, "media_type": "text/plain"},
        "ingest",
        "HTTP.WRONG_TYPE",
    ),
    "a body that is too large": (
        "POST",
        f"/whip/{STREAM}",
        {"token": PUBLISH, "body": "x" * (limits.SDP_BYTES + 1)},
        "ingest",
        "HTTP.TOO_LARGE",
    ),
    "an offer that cannot be read": (
        "POST",
        f"/whip/{STREAM}",
        {"token": PUBLISH, "body": "hello"},
        "ingest",
        "SDP.MALFORMED",
    ),
    "a stream that is not there": (
        "POST",
        f"/whep/{STREAM}",
        {"token": WATCH, "body": offer("recvonly")},
        "delivery",
        "STREAM.ABSENT",
    ),
    "a name that no stream can have": (
        "POST",
        "/whip/.hidden",
        {"token": PUBLISH},
        "ingest",
        "STREAM.BAD_NAME",
    ),
    "an encoder that may not publish there": (
        "POST",
        "/whip/elsewhere",
        {"connection": ENCODER},
        "ingest",
        "IDENTITY.NOT_ALLOWED",
    ),
    "a page of a strange origin": (
        "POST",
        f"/whep/{STREAM}",
        {"token": WATCH, "origin": "https://evil.example"},
        "delivery",
        "HTTP.FORBIDDEN_ORIGIN",
    ),
    "a page of a named origin without a token": (
        "POST",
        f"/whep/{STREAM}",
        {"origin": NAMED_ORIGIN},
        "delivery",
        "TOKEN.MISSING",
    ),
    "a method that an endpoint does not take": (
        "PUT",
        f"/whip/{STREAM}",
        {},
        "ingest",
        "HTTP.METHOD_NOT_ALLOWED",
    ),
    "a session that nobody knows": (
        "DELETE",
        "/sessions/guessed",
        {"token": WATCH},
        "signalling",
        "HTTP.NOT_FOUND",
    ),
    "a leg of a session that nobody knows": (
        "GET",
        "/sessions/guessed/leg",
        {"token": WATCH},
        "signalling",
        "HTTP.NOT_FOUND",
    ),
    "legs for nobody": ("GET", "/api/legs", {}, "admin", "TOKEN.MISSING"),
    "legs for a viewer": ("GET", "/api/legs", {"token": WATCH}, "admin", "TOKEN.WRONG_VERB"),
    "metrics for an encoder": (
        "GET",
        "/metrics",
        {"connection": ENCODER},
        "admin",
        "IDENTITY.NOT_ALLOWED",
    ),
    "a method that the metrics do not take": (
        "POST",
        "/metrics",
        {},
        "admin",
        "HTTP.METHOD_NOT_ALLOWED",
    ),
    "an address that is not there": ("GET", "/wp-admin", {}, "signalling", "HTTP.NOT_FOUND"),
    "a request that did not come through a door": (
        "GET",
        "/health",
        {"secret": "0" * 48},
        "signalling",
        "HTTP.NOT_THE_FRONT",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_one_is_counted_for(what: str) -> None:
    method, path, sent, role, code = REFUSED[what]
    stream = path.split("/", 2)[-1] if path.startswith("/wh") else STREAM

    async def once() -> None:
        node = Node()
        known = {PUBLISH: Verb.PUBLISH, WATCH: Verb.WATCH}
        token = known.get(sent.get("token", ""))
        more = {"media_type": SDP, **sent, "token": token and node.token(token, stream)}
        async with node.client:
            answer = await node.ask(method, path, more.pop("body", "v=0\r\n"), **more)
        assert answer.json()["code"] == code, answer.text
        assert node.board.refused == Counter({(role, code): 1})

    asyncio.run(once())


async def on_air(node: Node) -> tuple[str, str, str]:
    """A viewer's session: its address, its tag, its token. Nothing was refused so far."""
    await node.publish()
    token = node.token(Verb.WATCH)
    answer = await node.watch(token=token)
    assert answer.status_code == 201
    assert not node.board.refused
    return answer.headers["location"], answer.headers["etag"], token


UPDATES: dict[str, tuple[dict[str, Any], str]] = {
    "without If-Match": ({"media_type": FRAGMENT}, "HTTP.PRECONDITION_REQUIRED"),
    "with a stale tag": ({"media_type": FRAGMENT, "if_match": '"old"'}, "HTTP.PRECONDITION_FAILED"),
    "of another type": ({"media_type": SDP}, "HTTP.WRONG_TYPE"),
    "that is too large": ({"media_type": FRAGMENT, "body": "x" * 20_000}, "HTTP.TOO_LARGE"),
    "that cannot be read": (
        {"media_type": FRAGMENT, "if_match": "*", "body": "hello"},
        "SDP.MALFORMED",
    ),
    "without a token": ({"media_type": FRAGMENT, "token": None}, "TOKEN.MISSING"),
}


@pytest.mark.parametrize("what", UPDATES)
def test_an_update_of_a_session_is_counted_with_the_sessions_role(what: str) -> None:
    sent, code = UPDATES[what]
    ufrag = f"a=ice-ufrag:peer\r\na=ice-pwd:{'p' * 24}\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\n"

    async def once() -> None:
        node = Node()
        async with node.client:
            where, _, token = await on_air(node)
            more = {"token": token, **sent}
            await node.ask("PATCH", where, more.pop("body", ufrag), **more)
        assert node.board.refused == Counter({("delivery", code): 1})

    asyncio.run(once())


@behind_the_gate
async def test_a_refused_offer_is_listed_once_and_counted_once(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    await node.post(f"/whip/{STREAM}", offer("recvonly"), token)
    assert node.board.refused == Counter({("ingest", "SDP.NO_MEDIA"): 1})
    [leg] = node.board.ledger
    assert leg.code == "SDP.NO_MEDIA"


@behind_the_gate
async def test_a_bug_is_counted_and_its_log_line_bears_the_name_of_the_answer(node: Node) -> None:
    import structlog

    def broken(leg: int) -> bytes:
        raise ZeroDivisionError("the inside")

    node.relay.leg_snapshot = broken  # type: ignore[method-assign]
    where, _, token = await on_air(node)
    with structlog.testing.capture_logs() as lines:
        answer = await node.ask("GET", f"{where}/leg", token=token)
    document = problem(answer, 500, "HTTP.INTERNAL")
    assert node.board.refused == Counter({("delivery", "HTTP.INTERNAL"): 1})
    [line] = lines
    assert line["instance"] == document["instance"]
    assert "test_api_refusals.py" in line["place"]
    assert where.rpartition("/")[2] not in json.dumps(line), "who knows it may end the session"
