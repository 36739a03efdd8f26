"""Two who want to publish one stream."""

from __future__ import annotations

import itertools
import socket

from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from .conftest import Join, Tokens
from .control import FPS, running
from .counters import ENDED_LEGS, REFUSALS, Counters
from .exchange import TIMEOUT_S, Answer, post_offer, tls_context
from .ledger import leg_from
from .peer import Frame, Offer, Peer

LONGEST_GAP_S = 1.0
"""Far above one frame's 20 ms, and far below what a viewer who had to join again would take; a busy
machine stays between.
"""


def test_another_identity_is_told_that_the_stream_is_taken(
    attacked: Node, tokens: Tokens, counters: Counters
) -> None:
    stranger = tokens("publish", "control")
    with counters.rise(REFUSALS, role="ingest", code="STREAM.TAKEN"):
        answer = post_offer(
            attacked, "/whip/control", stranger, Offer("whip", "AB:" * 31 + "AB").text
        )
        problem = answer.problem(409, "STREAM.TAKEN")
    holder = attacked.leg(stream="control", role="ingest", state="live")["peer"]["name"]
    assert holder not in problem["detail"], "who holds it is not a stranger's business"


def test_another_identity_does_not_get_a_stream_by_a_certificate_either(
    attacked: Node, counters: Counters
) -> None:
    """`encoder/control` maps to the stream, and a token holds it."""
    context = tls_context(attacked, attacked.client("encoder/control"))
    with (
        counters.rise(REFUSALS, role="ingest", code="STREAM.TAKEN"),
        socket.create_connection((attacked.address, attacked.ts_port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=attacked.address) as connection,
    ):
        remote = "{}:{}".format(*connection.getsockname())
        assert connection.recv(1) == b""
    assert leg_from(attacked, remote)["end"]["code"] == "STREAM.TAKEN"


def test_one_who_asks_and_never_connects_keeps_nobody_out(
    attacked: Node, tokens: Tokens, join: Join, counters: Counters
) -> None:
    stream = "squatted"
    squatting = tokens("publish", stream)

    def ask() -> Answer:
        offer = Offer("whip", "AB:" * 31 + "AB").text
        return post_offer(attacked, f"/whip/{stream}", squatting, offer)

    assert ask().status == 201
    with counters.rise(ENDED_LEGS, role="ingest", code="STREAM.YIELDED"):
        encoder = join("whip", stream).connect()
    with running(encoder, sends=True):
        attacked.leg(stream=stream, role="ingest", state="live")
        ask().problem(409, "STREAM.TAKEN")


def test_the_same_identity_takes_over_and_its_viewer_sees_no_gap(
    attacked: Node, tokens: Tokens, join: Join, counters: Counters
) -> None:
    stream = "takeover"
    token = tokens("publish", stream)
    older = join("whip", stream, token=token).connect()
    with running(older, sends=True):
        viewer = join("whep", stream).connect()
        with running(viewer, sends=False):
            wait_for(lambda: len(viewer.frames) > FPS, what="a second of the older publisher")
            newer = join("whip", stream, token=token).connect()
            with (
                counters.rise(ENDED_LEGS, role="ingest", code="STREAM.TAKEN_OVER"),
                running(newer, sends=True),
            ):
                wait_for(
                    lambda: sum(frame.sender == newer.name for frame in viewer.frames) > FPS,
                    what="a second of the newer publisher",
                )
            seen = tuple(viewer.frames)
    leg = leg_from(attacked, older.remote)
    assert leg["state"] == "ended"
    assert leg["end"]["code"] == "STREAM.TAKEN_OVER"
    assert [leg["state"] for leg in attacked.legs(stream=stream, role="delivery")] == ["live"]
    assert_without_a_gap(seen, older, newer)


def assert_without_a_gap(seen: tuple[Frame, ...], older: Peer, newer: Peer) -> None:
    assert len({frame.ssrc for frame in seen}) == 1
    senders = [name for name, _ in itertools.groupby(frame.sender for frame in seen)]
    assert senders == [older.name, newer.name], "the picture changes hands once"
    for name in senders:
        numbers = [frame.number for frame in seen if frame.sender == name]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no frame is lost"
    assert next(frame.number for frame in seen if frame.sender == newer.name) == 1, (
        "it begins with the newer one's first key frame"
    )
    for one, other in itertools.pairwise(seen):
        assert other.sequence == one.sequence + 1 & 0xFFFF, "no gap in the packets' numbers"
        assert 0 < (other.timestamp - one.timestamp & 0xFFFFFFFF) < 90_000, "time goes on"
    gap = max(other.at - one.at for one, other in itertools.pairwise(seen))
    assert gap < LONGEST_GAP_S, f"{gap:.2f} s without a frame"
