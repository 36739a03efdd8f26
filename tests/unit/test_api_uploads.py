"""Uploads: who may put a transport stream, what is refused before a byte was read, and what the
uploader is told when it is over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from tests.unit.application import NAMED_ORIGIN, OWN_ORIGIN, STREAM, Node, problem
from tests.unit.native_stand_ins import ANYBODY, ENCODER, VIEWER
from tests.unit.transport_streams import transport_stream

from sealcast.identity import Verb
from sealcast.legs import LegState, Stage
from sealcast.node import limits
from sealcast.wire import BodyEnded

UPLOAD = f"/upload/{STREAM}"
TICKET = 7


class Uploader:
    """Somebody at a node who puts streams; tickets count up."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ticket = TICKET - 1

    async def put(self, path: str = UPLOAD, method: str = "PUT", **more: Any) -> httpx.Response:
        """The head of a request with a body; the body waits."""
        self.ticket += 1
        self.node.front.bodies[self.ticket] = None
        more.setdefault("connection", ENCODER)
        return await self.node.ask(method, path, x_sealcast_body=str(self.ticket), **more)

    async def send(self, data: bytes, code: str = "TLS.PEER_CLOSED", detail: str = "") -> None:
        """All of the body, then its end, as the front tells it."""
        end = self.node.front.bodies[self.ticket]
        assert end is not None
        await asyncio.to_thread(end.sendall, data)
        end.close()
        assert self.node.ts_ingest is not None
        event = BodyEnded(ticket=self.ticket, code=code, detail=detail, bytes_in=len(data))
        self.node.board.ledger.apply(event, time.time())
        self.node.ts_ingest.body_ended(event)

    async def told(self) -> tuple[int, str, dict[str, Any]]:
        """What the client of the last one is told: status, media type, document."""
        async with asyncio.timeout(20):
            while self.ticket not in self.node.front.answered:  # noqa: ASYNC110 - not ours to signal
                await asyncio.sleep(0.01)
        return self.node.front.answered[self.ticket]

    @property
    def was_taken(self) -> bool:
        return self.node.front.bodies[self.ticket] is not None


def uploading(
    check: Callable[[Uploader], Awaitable[None]], policy: str = "standard"
) -> Callable[[], None]:
    """A test on a fresh node, in an event loop of its own."""

    def run() -> None:
        async def once() -> None:
            node = Node(ingest=policy)
            async with node.client:
                await check(Uploader(node))
                node.board.end_all("NODE.STOPPING")
                assert node.ts_ingest is not None
                await asyncio.to_thread(node.ts_ingest.join, 5.0)
                for end in node.front.bodies.values():
                    if end is not None:
                        end.close()

        asyncio.run(once())

    run.__name__ = check.__name__
    return run


@uploading
async def test_a_certificate_puts_its_stream_and_the_leg_says_who_and_over_what(
    up: Uploader,
) -> None:
    answer = await up.put(content_type="video/mp2t")
    assert (answer.status_code, answer.headers["x-sealcast-body"]) == (202, str(TICKET))
    [leg] = up.node.board.ledger.living()
    assert (leg.role, leg.way, leg.stream) == ("ingest", "mpegts-https", STREAM)
    assert leg.peer.name == "spiffe://sealcast.internal/encoder/venue-1"
    assert (leg.local.name, leg.local.proved) == ("node.example", True)
    assert leg.seal is not None
    assert (leg.seal.version, leg.seal.keying) == ("1.3", "tls")
    assert leg.path_remote == "192.0.2.9:5555"
    assert leg.record(Stage.HANDSHAKE).ended_ms == 4.0
    await up.send(transport_stream(seconds=1))
    status, media_type, told = await up.told()
    assert (status, media_type) == (200, "application/json")
    assert told["code"] == "STREAM.ENDED"
    assert (told["leg"], told["stream"]) == (leg.id, STREAM)
    assert told["video_frames"] == 30
    [leg] = list(up.node.board.ledger)
    assert (leg.state, leg.code) == (LegState.ENDED, "STREAM.ENDED")
    assert leg.counters.bytes_in == told["bytes"]
    assert up.node.front.closed == [], "the connection stays"


@uploading
async def test_post_and_a_token_at_the_public_door_do_as_well(up: Uploader) -> None:
    token = up.node.token(Verb.PUBLISH, subject="ann")
    answer = await up.put(method="POST", connection=ANYBODY, token=token)
    assert answer.status_code == 202, answer.text
    [leg] = up.node.board.ledger.living()
    assert (leg.peer.proof, leg.peer.name) == ("token", "ann")


PUBLISH = "<a token to publish>"
WATCH = "<a token to watch>"
REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "nobody known": ({"connection": ANYBODY}, 401, "TOKEN.MISSING"),
    "a token to watch": ({"connection": ANYBODY, "token": WATCH}, 403, "TOKEN.WRONG_VERB"),
    "a token that is none": ({"connection": ANYBODY, "token": "x"}, 401, "TOKEN.MALFORMED"),
    "another stream": ({"path": "/upload/certificates-only"}, 403, "IDENTITY.NOT_ALLOWED"),
    "a viewer's certificate": ({"connection": VIEWER}, 403, "IDENTITY.NOT_ALLOWED"),
    "no name of a stream": ({"path": "/upload/a//b"}, 400, "STREAM.BAD_NAME"),
    "another media type": ({"media_type": "video/mp4"}, 415, "HTTP.WRONG_TYPE"),
    "a form": ({"media_type": "application/x-www-form-urlencoded"}, 415, "HTTP.WRONG_TYPE"),
    "a content coding": ({"content_encoding": "gzip"}, 415, "HTTP.WRONG_TYPE"),
    "a part of it": ({"content_range": "bytes 0-99/200"}, 400, "HTTP.MALFORMED"),
    "a page of anybody's": ({"origin": "https://evil.example"}, 403, "HTTP.FORBIDDEN_ORIGIN"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_be_is_refused_by_its_head_and_counted_once(what: str) -> None:
    more, status, code = REFUSED[what]

    @uploading
    async def check(up: Uploader) -> None:
        sent = dict(more)
        if sent.get("token") == WATCH:
            sent["token"] = up.node.token(Verb.WATCH)
        problem(await up.put(**sent), status, code)
        assert not up.was_taken
        assert up.node.board.refused == Counter({("ingest", code): 1})
        assert up.node.board.ledger.living() == []

    check()


def test_under_strict_a_token_does_not_publish_and_the_leg_says_so() -> None:
    async def check(up: Uploader) -> None:
        token = up.node.token(Verb.PUBLISH, subject="ann")
        told = problem(
            await up.put(connection=ANYBODY, token=token), 403, "POLICY.IDENTITY_REFUSED"
        )
        assert "certificate; token came" in told["detail"]
        assert not up.was_taken
        [leg] = list(up.node.board.ledger)
        assert (leg.state, leg.code) == (LegState.FAILED, "POLICY.IDENTITY_REFUSED")
        assert leg.way == "mpegts-https"
        assert (await up.put()).status_code == 202, "a certificate does"

    uploading(check, "strict")()


@uploading
async def test_other_methods_are_answered_with_those_that_there_are(up: Uploader) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await up.node.ask(method, UPLOAD, connection=ENCODER)
        problem(answer, 405, "HTTP.METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "PUT, POST, OPTIONS"
    answer = await up.node.ask("OPTIONS", UPLOAD, connection=ENCODER)
    assert (answer.status_code, answer.headers["accept"]) == (204, "video/mp2t")


@uploading
async def test_a_request_without_a_body_is_told_so(up: Uploader) -> None:
    for ticket in ({}, {"x_sealcast_body": "x"}):
        answer = await up.node.ask("PUT", UPLOAD, connection=ENCODER, **ticket)
        problem(answer, 400, "HTTP.MALFORMED")


@uploading
async def test_pages_of_our_own_and_of_named_origins_may_upload(up: Uploader) -> None:
    for origin in (OWN_ORIGIN, NAMED_ORIGIN):
        assert (await up.put(origin=origin)).status_code == 202


VERDICTS = {
    "nothing": (b"", "TS.NO_VIDEO"),
    "garbage": (b"RTSP/1.0 200 OK\r\n" * 200, "TS.GARBAGE"),
    "no programme": ((b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000, "TS.NO_VIDEO"),
    "half a packet at the end": (None, "TS.TRUNCATED"),
}


@pytest.mark.parametrize("what", VERDICTS)
def test_the_demuxers_verdict_is_the_answer(what: str) -> None:
    data, code = VERDICTS[what]

    @uploading
    async def check(up: Uploader) -> None:
        await up.put()
        await up.send(transport_stream(seconds=1)[:-100] if data is None else data)
        status, media_type, told = await up.told()
        assert (status, media_type) == (400, "application/problem+json")
        assert (told["code"], told["status"]) == (code, 400)
        assert told["title"]
        assert told["remedy"]
        [leg] = list(up.node.board.ledger)
        assert (leg.state, leg.code) == (LegState.FAILED, code)
        assert up.node.board.ended == Counter({("ingest", code): 1})

    check()


@uploading
async def test_a_body_that_stalled_is_not_said_to_have_ended(up: Uploader) -> None:
    await up.put()
    await up.send(transport_stream(seconds=1), "FRONT.BODY_STALLED", "no progress for 30s")
    status, _, told = await up.told()
    assert (status, told["code"], told["detail"]) == (
        408,
        "FRONT.BODY_STALLED",
        "no progress for 30s",
    )
    [leg] = list(up.node.board.ledger)
    assert (leg.state, leg.code) == (LegState.FAILED, "FRONT.BODY_STALLED")


@uploading
async def test_an_uploader_whose_tcp_broke_off_ended_its_stream_with_the_fronts_evidence(
    up: Uploader,
) -> None:
    await up.put()
    await up.send(transport_stream(seconds=1), "FRONT.BODY_BROKEN", "connection reset")
    await up.told()
    [leg] = list(up.node.board.ledger)
    assert (leg.state, leg.code, leg.detail) == (
        LegState.ENDED,
        "STREAM.ENDED",
        "connection reset",
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("IDENTITY.REVOKED", 403),
        ("IDENTITY.EXPIRED", 403),
        ("STREAM.TAKEN_OVER", 409),
        ("LEG.CLOSED_BY_OPERATOR", 403),
        ("NODE.STOPPING", 503),
    ],
)
def test_whoever_is_ended_by_the_node_is_told_why(code: str, status: int) -> None:
    @uploading
    async def check(up: Uploader) -> None:
        await up.put()
        [leg] = up.node.board.ledger.living()
        up.node.board.end(leg.id, code)
        answered, _, told = await up.told()
        assert (answered, told["code"]) == (status, code)
        assert up.node.front.closed == [], "the body ends, not the connection"

    check()


@uploading
async def test_another_identity_does_not_get_a_stream_that_is_on_the_air(up: Uploader) -> None:
    await up.put()
    end = up.node.front.bodies[up.ticket]
    assert end is not None
    await asyncio.to_thread(end.sendall, transport_stream(seconds=1))
    async with asyncio.timeout(20):
        while up.node.board.hub.get(STREAM) is None:  # noqa: ASYNC110 - not ours to signal
            await asyncio.sleep(0.01)
    token = up.node.token(Verb.PUBLISH, subject="somebody-else")
    problem(await up.put(connection=ANYBODY, token=token), 409, "STREAM.TAKEN")
    assert not up.was_taken


@uploading
async def test_one_identity_has_so_many_uploads_of_one_stream_and_no_more(up: Uploader) -> None:
    for _ in range(limits.UPLOADS_OF_ONE):
        assert (await up.put()).status_code == 202
    answer = await up.put()
    problem(answer, 503, "HTTP.TOO_MANY")
    assert answer.headers["retry-after"]
    assert not up.was_taken
    # Somebody else's are counted apart.
    token = up.node.token(Verb.PUBLISH, subject="ann")
    assert (await up.put(connection=ANYBODY, token=token)).status_code == 202


@uploading
async def test_a_client_that_left_before_its_body_was_taken_leaves_a_leg_with_its_seal(
    up: Uploader,
) -> None:
    answer = await up.node.ask("PUT", UPLOAD, connection=ENCODER, x_sealcast_body="4711")
    problem(answer, 400, "TS.GONE")
    assert up.node.board.ledger.living() == []
    [leg] = list(up.node.board.ledger)
    assert (leg.state, leg.code) == (LegState.FAILED, "TS.GONE")
    assert leg.seal is not None


@uploading
async def test_nothing_is_taken_while_the_node_stops(up: Uploader) -> None:
    up.node.board.stopping = True
    problem(await up.put(), 503, "NODE.STOPPING")
    assert not up.was_taken
