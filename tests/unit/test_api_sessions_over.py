"""What a session's holder is told once its leg is over."""

from __future__ import annotations

import json
from functools import partial

import httpx
from tests.unit.application import FRAGMENT, Node, behind_the_gate, problem

from sealcast.identity import Verb


async def failed_viewer(node: Node) -> tuple[str, str]:
    """The address and the token of a viewer whose path was never found."""
    await node.publish()
    token = node.token(Verb.WATCH)
    where: str = (await node.watch(token=token)).headers["location"]
    leg = node.relay.named("add_leg")[-1][1]["id"]
    path = {"type": "leg_stage", "leg": leg, "stage": "path", "code": "ICE.TIMEOUT"}
    closed = {"type": "leg_closed", "leg": leg, "code": "ICE.TIMEOUT", "detail": "30 s"}
    node.board.take_in(json.dumps([{**path, "outcome": "failed"}, closed]).encode())
    return where, token


@behind_the_gate
async def test_the_holder_of_a_failed_leg_reads_the_nodes_reason(node: Node) -> None:
    where, token = await failed_viewer(node)
    answer = await node.ask("GET", f"{where}/leg", token=token)
    assert answer.status_code == 200
    leg = answer.json()
    assert leg["state"] == "failed"
    assert leg["stage"] == "path"
    assert leg["end"]["code"] == "ICE.TIMEOUT"
    assert leg["end"]["remedy"]


@behind_the_gate
async def test_nobody_else_reads_it(node: Node) -> None:
    where, _ = await failed_viewer(node)
    problem(await node.ask("GET", f"{where}/leg"), 401, "TOKEN.MISSING")
    other = node.token(Verb.WATCH, subject="somebody else")
    problem(await node.ask("GET", f"{where}/leg", token=other), 403, "IDENTITY.NOT_ALLOWED")


@behind_the_gate
async def test_a_session_that_is_over_cannot_be_changed_or_ended(node: Node) -> None:
    where, token = await failed_viewer(node)

    async def patch(media_type: str) -> httpx.Response:
        return await node.ask("PATCH", where, "x", token=token, media_type=media_type)

    problem(await node.ask("DELETE", where, token=token), 404, "HTTP.NOT_FOUND")
    problem(await patch(FRAGMENT), 404, "HTTP.NOT_FOUND")
    problem(await patch("text/plain"), 404, "HTTP.NOT_FOUND")
    assert node.board.refused["delivery", "HTTP.NOT_FOUND"] == 3


@behind_the_gate
async def test_a_viewer_who_left_reads_how_it_ended(node: Node) -> None:
    await node.publish()
    token = node.token(Verb.WATCH)
    where = (await node.watch(token=token)).headers["location"]
    assert (await node.ask("DELETE", where, token=token)).status_code == 200
    leg = (await node.ask("GET", f"{where}/leg", token=token)).json()
    assert (leg["state"], leg["end"]["code"]) == ("ended", "LEG.DELETED")


@partial(behind_the_gate, kept=3)
async def test_it_is_remembered_no_longer_than_the_ledger_remembers_the_leg(node: Node) -> None:
    where, token = await failed_viewer(node)
    for _ in range(3):
        left = (await node.watch(token=token)).headers["location"]
        assert (await node.ask("GET", f"{where}/leg", token=token)).status_code == 200
        assert (await node.ask("DELETE", left, token=token)).status_code == 200
    problem(await node.ask("GET", f"{where}/leg", token=token), 404, "HTTP.NOT_FOUND")
    assert len(node.sessions._over) == 3
