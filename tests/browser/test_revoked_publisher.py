"""A viewer's page when the certificate of its publisher is revoked: it says so in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.test_administration import picture
from tests.interop.own_authority import node_with_own_authority, revoke

from sealcast.codes import CODES
from sealcast.testing.browsers import wait_for_value
from sealcast.testing.evidence import wait_for_frames
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require

CODE = "STREAM.PUBLISHER_REVOKED"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("revoked")) as running:
        yield running


def test_the_page_of_a_viewer_says_that_the_publisher_was_revoked(
    node: Node, open_chromium: OpenChromium
) -> None:
    require("aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    stream, name = "lost", "encoder/lost"
    with aiortc_peer(node.authority, node.client(name)) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        tab = open_chromium(node, node.page("watch", stream))
        wait_for_frames(tab)
        revoke(node, name)
        # In one look: the page tries again by itself, and then says that the stream is not there.
        shown = wait_for_value(
            tab,
            f"document.querySelector('.failure-code')?.textContent === '{CODE}'"
            " && document.body.innerText",
            what="the page says why",
        )
        assert CODES[CODE].sentence in shown
        assert CODES[CODE].remedy in shown
        picture(tab, "publisher-revoked")
    over = node.leg(stream=stream, role="delivery", state="failed")
    assert over["end"]["code"] == CODE
