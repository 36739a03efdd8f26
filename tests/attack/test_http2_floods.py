"""Clients of HTTP/2 that take all and give nothing: answers that nobody drinks, requests that are
reset as fast as they are made.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack

from sealcast.testing.node_process import Client, Node

from . import frames
from .counters import ENDED_CONNECTIONS, Counters
from .exchange import ask

# As many requests as a connection may have open, on more connections than would take every one of
# the 1,024 places at the application.
STREAMS = 128
CONNECTIONS = 9
FLOOD = "FRONT.HTTP2_FLOOD"
PATHS = ("/", "/static/style.css")


def others_are_served(node: Node, admin: Client) -> None:
    """An administrator and a stranger get what they ask for, the stranger from the same address as
    the attack.
    """
    legs = ask(node, "GET", "/api/legs", client=admin)
    assert legs.status == 200, legs.body
    for path in PATHS:
        page = ask(node, "GET", path)
        assert page.status == 200, page.body
        assert page.body


def test_clients_without_a_window_do_not_keep_others_from_the_application(
    attacked: Node, admin: Client, counters: Counters
) -> None:
    busy = counters.total(ENDED_CONNECTIONS, code="FRONT.APP_BUSY")
    with ExitStack() as stack:
        thirsty = [
            stack.enter_context(frames.Connection(attacked, window=0)) for _ in range(CONNECTIONS)
        ]
        for connection in thirsty:
            for number in range(STREAMS):
                path = PATHS[number % len(PATHS)]
                connection.send(frames.get(2 * number + 1, path))
        for connection in thirsty:
            connection.wait_for_heads(STREAMS)
        # Every answer has begun, and none of them is taken.
        others_are_served(attacked, admin)
    assert counters.total(ENDED_CONNECTIONS, code="FRONT.APP_BUSY") == busy


def test_a_rapid_reset_ends_its_connection_and_leaves_the_node_responsive(
    attacked: Node, admin: Client, counters: Counters
) -> None:
    with (
        counters.rise(ENDED_CONNECTIONS, code=FLOOD),
        frames.Connection(attacked, window=65_535) as attacker,
    ):
        try:
            for number in range(20_000):
                stream = 2 * number + 1
                attacker.send(frames.get(stream, "/") + frames.cancel(stream))
        except (ssl.SSLError, ConnectionError):
            pass  # The node need not read what comes after its last word.
        attacker.wait_for_end()
    others_are_served(attacked, admin)
