"""A viewer's page when the certificate of its publisher is revoked: it says so in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.inspection import inspect_page
from tests.interop.own_authority import node_with_own_authority, revoke

from sealcast.codes import CODES
from sealcast.testing.browsers import wait_for_value
from sealcast.testing.evidence import wait_for_frames
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

CODE = "STREAM.PUBLISHER_REVOKED"
WAITING = "Waiting for the stream to come back"
# Every code that the page shows from now on, and everything that it says to those who listen.
NOTE = """
(globalThis.codes = [], globalThis.said = [], new MutationObserver(() => {
  const code = document.querySelector('.failure-code')?.textContent;
  if (code) globalThis.codes.push(code);
}).observe(document.getElementById('failure'), { childList: true, subtree: true }),
new MutationObserver(() => globalThis.said.push(document.getElementById('announce').textContent))
  .observe(document.getElementById('announce'), { childList: true }), null)
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("revoked")) as running:
        yield running


def test_the_page_of_a_viewer_says_until_pictures_flow_again_that_the_publisher_was_revoked(
    node: Node, open_chromium: OpenChromium
) -> None:
    require("aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    stream, name = "lost", "encoder/lost"
    with aiortc_peer(node.authority, node.client(name)) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        tab = open_chromium(node, node.page("watch", stream))
        wait_for_frames(tab)
        tab.evaluate(NOTE)
        tries: list[int] = []
        tab.page.on(
            "response",
            lambda answer: tries.append(answer.status) if "/whep/" in answer.url else None,
        )
        revoke(node, name)
        wait_for_value(
            tab,
            f"document.querySelector('.failure-code')?.textContent === '{CODE}'",
            what="the page says why",
        )
        tab.page.get_by_role("button", name="Try again").focus()
        # The page tries again by itself, and the node says each time that the stream is not there.
        wait_for(lambda: tab.evaluate("1") and tries.count(409) >= 2, what="it tries again, twice")
        shown = tab.evaluate("document.body.innerText")
        assert CODES[CODE].sentence in shown
        assert CODES[CODE].remedy in shown
        assert WAITING in shown
        assert set(tab.evaluate("globalThis.codes")) == {CODE}
        said = tab.evaluate("globalThis.said")
        assert len([words for words in said if CODES[CODE].sentence in words]) == 1
        assert len(said) == len(set(said)), "nothing is said twice"
        assert tab.evaluate("document.activeElement.textContent") == "Try again"
        inspect_page(tab, "publisher-revoked")
    over = node.leg(stream=stream, role="delivery", state="failed")
    assert over["end"]["code"] == CODE
    with aiortc_peer(node.authority, node.client(name)) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        wait_for_frames(tab)
        assert tab.evaluate("document.getElementById('failure').hidden")
        assert tab.evaluate("document.activeElement.id") == "picture", "the keyboard has not gone"


def test_when_the_node_itself_goes_the_page_says_that_first_and_then_the_reason_again(
    node: Node, open_chromium: OpenChromium
) -> None:
    """What people can act on is never hidden behind a reason of before."""
    require("aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    stream, name = "away", "encoder/away"
    code = "document.querySelector('.failure-code')?.textContent"
    with aiortc_peer(node.authority, node.client(name)) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        tab = open_chromium(node, node.page("watch", stream))
        wait_for_frames(tab)
        revoke(node, name)
        wait_for_value(tab, f"{code} === '{CODE}'", what="the page says why")
    tab.page.route("**/whep/**", lambda route: route.abort("connectionrefused"))
    wait_for_value(tab, f"{code} === 'PAGE.NODE_UNREACHABLE'", what="the node is away")
    tab.page.unroute("**/whep/**")
    wait_for_value(tab, f"{code} === '{CODE}'", what="the reason again")
