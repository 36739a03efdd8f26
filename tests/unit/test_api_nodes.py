"""What another node may do here, and how its leg comes to stand on a newer certificate."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
from tests.unit.application import (
    H264,
    STREAM,
    US,
    Check,
    Node,
    behind_the_gate,
    offer,
    problem,
)
from tests.unit.native_stand_ins import ENCODER, VIEWER

from sealcast.identity import Verb
from sealcast.legs import Leg
from sealcast.node.pull import NODE_HEADER, PATH_HEADER
from sealcast.policy import Role

EDGE, RENEWED, OTHER = 20, 21, 22
"""Connections: an edge's, the same edge's with its newer certificate, another edge's."""
RULES = """
[[permissions]]
who = ["node/edge-1"]
may = ["watch", "publish", "admin"]
streams = ["venue/*"]
doors = ["secure"]
[[permissions]]
who = ["token", "viewer/**"]
may = ["publish", "watch"]
streams = ["**"]
"""


def shown(name: str, serial: str, until: int = 4_000_000_000) -> dict[str, Any]:
    return {
        "san_uris": [f"spiffe://sealcast.internal/{name}"],
        "not_before_unix": 1,
        "not_after_unix": until,
        "chain": [f"155e:{serial}"],
    }


def among_nodes(check: Check) -> Any:
    async def run(node: Node) -> None:
        node.front.shown = {
            EDGE: shown("node/edge-1", "a1"),
            RENEWED: shown("node/edge-1", "a2", until=4_000_000_600),
            OTHER: shown("node/edge-2", "b1"),
        }
        await node.publish()
        (leg,) = node.board.ledger.living()
        node.board.hub.describe(1, profile_level_id=H264)
        node.board.hub.secured(leg.id)
        await check(node)

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return behind_the_gate(run, rules=RULES)


async def take(node: Node, connection: int = EDGE, stream: str = STREAM, **more: Any) -> Any:
    return await node.post(f"/whep/{stream}", offer("recvonly"), connection=connection, **more)


def node_leg(node: Node) -> Leg:
    (leg,) = [leg for leg in node.board.ledger.living() if leg.role is Role.NODE]
    return leg


@among_nodes
async def test_a_node_that_a_rule_names_watches_by_a_leg_of_its_own_role(node: Node) -> None:
    answer = await take(node)
    assert answer.status_code == 201, answer.text
    leg = node_leg(node)
    assert (leg.way, leg.peer.name) == ("whep", "spiffe://sealcast.internal/node/edge-1")
    assert (leg.local.name, leg.local.proof) == (US, "certificate")
    assert answer.headers[PATH_HEADER] == node.paths.own


@among_nodes
async def test_a_node_without_a_rule_is_refused_and_counted_as_a_node(node: Node) -> None:
    for connection, stream in ((OTHER, STREAM), (EDGE, "other/talk")):
        problem(await take(node, connection, stream), 403, "IDENTITY.NOT_ALLOWED")


@among_nodes
async def test_no_rule_lets_a_node_publish_or_administer(node: Node) -> None:
    sent = await node.post("/whip/venue/other", offer("sendonly"), connection=EDGE)
    told = problem(sent, 403, "IDENTITY.NOT_ALLOWED")
    assert "the profile node may watch, and no more" in told["detail"]
    legs = await node.ask("GET", "/api/legs", connection=EDGE)
    problem(legs, 403, "IDENTITY.NOT_ALLOWED")


@among_nodes
async def test_an_encoders_certificate_is_no_nodes(node: Node) -> None:
    problem(await take(node, ENCODER), 403, "IDENTITY.NOT_ALLOWED")


@among_nodes
async def test_viewers_are_told_nothing_of_the_nodes_behind(node: Node) -> None:
    answer = await take(node, VIEWER, **{NODE_HEADER.replace("-", "_"): node.paths.own})
    assert answer.status_code == 201, "a viewer says nothing about nodes, whatever it sends"
    assert PATH_HEADER not in answer.headers


@among_nodes
async def test_a_node_that_would_get_its_own_stream_is_refused(node: Node) -> None:
    far, asks = "f" * 32, partial(take, node)
    node.paths.begin(STREAM, 99, (far,))
    for name in (node.paths.own, far):
        problem(await asks(sealcast_node=name), 409, "PULL.LOOP")
    assert node.board.refused[Role.NODE.value, "PULL.LOOP"] == 2
    assert not [leg for leg in node.board.ledger.living() if leg.role is Role.NODE]
    answer = await asks(sealcast_node="e" * 32)
    assert answer.headers[PATH_HEADER] == f"{node.paths.own}, {far}"


# ---- a newer certificate -------------------------------------------------------------------------


async def renew(node: Node, answer: httpx.Response, connection: int, **more: Any) -> httpx.Response:
    path = f"{answer.headers['location']}/renewal"
    return await node.ask("POST", path, connection=connection, **more)


@among_nodes
async def test_a_leg_stands_on_the_newest_certificate_that_its_holder_showed(node: Node) -> None:
    answer = await take(node)
    assert (await renew(node, answer, RENEWED)).status_code == 204
    node.board.certified.set_revoked({"155e:a1": "superseded"})
    node.board.certified.tick(4_000_000_100)
    leg = node_leg(node)
    node.board.certified.set_revoked({"155e:a2": "keyCompromise"})
    over = node.board.ledger.get(leg.id)
    assert over is not None
    assert over.code == "IDENTITY.REVOKED"


@among_nodes
async def test_nobody_elses_certificate_moves_a_leg(node: Node) -> None:
    answer = await take(node)
    problem(await renew(node, answer, OTHER), 403, "IDENTITY.NOT_ALLOWED")
    problem(await renew(node, answer, VIEWER), 403, "IDENTITY.NOT_ALLOWED")
    node.board.certified.set_revoked({"155e:a1": "keyCompromise"})
    assert not [leg for leg in node.board.ledger.living() if leg.role is Role.NODE]
    problem(await renew(node, answer, RENEWED), 404, "HTTP.NOT_FOUND")


@among_nodes
async def test_a_revoked_certificate_shown_for_a_leg_ends_it(node: Node) -> None:
    answer = await take(node)
    leg = node_leg(node)
    node.board.certified.set_revoked({"155e:a2": "keyCompromise"})
    await renew(node, answer, RENEWED)
    over = node.board.ledger.get(leg.id)
    assert over is not None
    assert over.code == "IDENTITY.REVOKED"


@among_nodes
async def test_a_session_by_token_has_no_certificate_to_renew(node: Node) -> None:
    answer = await node.watch()
    token = node.token(Verb.WATCH)
    told = problem(await renew(node, answer, VIEWER, token=token), 403, "IDENTITY.NOT_ALLOWED")
    assert "somebody else" in told["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_renewal_is_a_post(method: str) -> None:
    async def check(node: Node) -> None:
        problem(await node.ask(method, "/sessions/x/renewal"), 405, "HTTP.METHOD_NOT_ALLOWED")

    behind_the_gate(check)()
