"""The origin door: a CDN reads what viewers read, whatever its certificate calls itself."""

from __future__ import annotations

import pytest
from tests.unit.application import STREAM, Node, behind_the_gate, offer, problem
from tests.unit.native_stand_ins import ADMIN, ANYBODY, CDN

from sealcast.identity import Verb
from sealcast.node.api.origin import is_read


@behind_the_gate
async def test_a_cdn_reads_what_viewers_read(node: Node) -> None:
    for path in ("/health", "/api/streams"):
        assert (await node.ask("GET", path, connection=CDN)).status_code == 200


@behind_the_gate
async def test_nothing_else_is_answered_there(node: Node) -> None:
    for method, path in (
        ("GET", "/api/legs"),
        ("GET", "/metrics"),
        ("GET", "/publish/x"),
        ("GET", "/sessions/x/leg"),
        ("GET", "/whep/x"),
        ("POST", "/health"),
        ("DELETE", "/watch/x"),
        ("OPTIONS", "/whep/x"),
    ):
        answer = await node.ask(method, path, connection=CDN)
        problem(answer, 403, "HTTP.NOT_AT_THIS_DOOR")
    watching = await node.post(
        f"/whep/{STREAM}", offer("recvonly"), node.token(Verb.WATCH), connection=CDN
    )
    problem(watching, 403, "HTTP.NOT_AT_THIS_DOOR")
    assert node.board.refused == {("origin", "HTTP.NOT_AT_THIS_DOOR"): 9}


@behind_the_gate
async def test_a_name_in_the_cdns_certificate_is_not_believed(node: Node) -> None:
    """The door's bundle may hold anybody's authority, which may write any name."""
    await node.publish("venue/hidden")
    seen = {
        caller: [
            row["stream"]
            for row in (await node.ask("GET", "/api/streams", connection=caller)).json()["streams"]
        ]
        for caller in (ADMIN, CDN, ANYBODY)
    }
    assert seen == {ADMIN: ["venue/hidden"], CDN: [], ANYBODY: []}


@behind_the_gate
async def test_a_token_that_the_cdn_hands_on_counts(node: Node) -> None:
    await node.publish("venue/hidden")
    token = node.token(Verb.ADMIN, "*")
    answer = await node.ask("GET", "/api/streams", connection=CDN, token=token)
    assert [row["stream"] for row in answer.json()["streams"]] == ["venue/hidden"]


@pytest.mark.parametrize(
    ("kind", "method", "path", "read"),
    [
        ("http", "GET", "/watch/a/b", True),
        ("http", "HEAD", "/static/style.css", True),
        ("http", "GET", "/", True),
        ("http", "GET", "/watch", False),
        ("http", "GET", "/staticky", False),
        ("http", "GET", "//health", False),
        ("http", "get", "/health", False),
        ("websocket", "GET", "/watch/a", False),
    ],
)
def test_what_counts_as_a_read(kind: str, method: str, path: str, read: bool) -> None:
    assert is_read({"type": kind, "method": method, "path": path}) is read
