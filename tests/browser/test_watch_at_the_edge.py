"""A browser watches at one node what a publisher sends to another."""

from __future__ import annotations

from pathlib import Path

from tests.interop.two_nodes import EDGE, ENCODER, STREAM, enrolled, origin_node, pull, wait_live

from sealcast.testing.evidence import wait_for_frames
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import running_node
from sealcast.testing.requirement import require


def test_a_browser_at_the_edge_sees_a_publisher_that_sends_key_frames_only_when_asked(
    tmp_path: Path, open_chromium: OpenChromium
) -> None:
    """By WHIP to the origin. Each of two viewers, one after the other, needs a key frame: the edge
    asks the origin for it, and that its publisher.
    """
    require("core", "aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    with origin_node(tmp_path) as origin:
        files, trust = enrolled(origin, tmp_path / "edge-1", EDGE)
        with (
            running_node(tmp_path / "edge", settings=pull(origin, files, trust)) as edge,
            aiortc_peer(origin.authority, origin.client(ENCODER)) as publisher,
        ):
            publisher.publish(origin.url("whip", STREAM, door="secure"), "")
            wait_live(edge)
            for _ in range(2):
                wait_for_frames(open_chromium(edge, edge.page("watch", STREAM)))
            assert origin.leg(role="node", state="live")["counters"]["packets_out"] > 0
            assert len(origin.legs(role="node")) == 1, "one copy, however many watch at the edge"
            assert len(edge.legs(role="delivery", state="live")) == 2
