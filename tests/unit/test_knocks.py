"""Lines in the log for handshakes that failed: few, and none is lost."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog

from sealcast.node.knocks import Knocks
from sealcast.node.limits import KNOCKS_TOLD_S
from sealcast.wire import HandshakeFailed


def failed(code: str, door: str = "public") -> HandshakeFailed:
    return HandshakeFailed(door=door, peer="192.0.2.9:4000", code=code, detail="evidence")


def counted(lines: list[MutableMapping[str, Any]]) -> list[tuple[str, int, str]]:
    return [(line["door"], line["at_least"], line["codes"]) for line in lines]


def test_the_first_failure_is_told_at_once() -> None:
    with structlog.testing.capture_logs() as lines:
        Knocks().failed(failed("TLS.NO_CLIENT_CERTIFICATE"), 0.0)
    assert counted(lines) == [("public", 1, "TLS.NO_CLIENT_CERTIFICATE 1")]


def test_a_flood_is_one_line_a_minute_with_its_count() -> None:
    knocks = Knocks()
    with structlog.testing.capture_logs() as lines:
        for number in range(1200):
            knocks.failed(failed("TLS.NOT_TLS" if number % 3 else "TLS.PLAIN_HTTP"), number * 0.05)
        knocks.tell(KNOCKS_TOLD_S)
        knocks.tell(KNOCKS_TOLD_S + 1)
    assert counted(lines) == [
        ("public", 1, "TLS.PLAIN_HTTP 1"),
        ("public", 1199, "TLS.NOT_TLS 800, TLS.PLAIN_HTTP 399"),
    ]


def test_each_door_has_lines_of_its_own() -> None:
    knocks = Knocks()
    with structlog.testing.capture_logs() as lines:
        for door in ("public", "secure", "public"):
            knocks.failed(failed("TLS.NOT_TLS", door), 0.0)
    assert [line["door"] for line in lines] == ["public", "secure"]


def test_no_line_names_an_address_or_repeats_a_peers_words() -> None:
    with structlog.testing.capture_logs() as lines:
        Knocks().failed(failed("TLS.NOT_TLS"), 0.0)
    assert "192.0.2.9" not in str(lines)
    assert "evidence" not in str(lines)
