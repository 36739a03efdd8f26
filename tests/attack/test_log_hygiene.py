"""What the node said during all of these tests."""

from __future__ import annotations

import re

from sealcast.testing.node_process import Node
from sealcast.testing.secrets_seen import SecretsSeen

from .exchange import ask

LONGEST_LINE = 1000


def test_no_secret_of_the_run_stands_in_the_log(attacked: Node, secrets_seen: SecretsSeen) -> None:
    """Tokens, ICE passwords of both ends, addresses of sessions, private keys."""
    secrets_seen.add_keys_in(attacked.folder)
    assert len(secrets_seen) > 20, "the run had secrets"
    assert secrets_seen.found_in(attacked.output()) == []


def test_no_bad_input_of_the_run_left_a_traceback(attacked: Node) -> None:
    log = attacked.output()
    assert "Traceback" not in log
    assert "panicked at" not in log
    assert "bug in" not in log
    assert re.search(r"\[(error|critical)", log) is None


def test_no_line_of_the_log_was_written_by_a_peer(attacked: Node) -> None:
    """Bytes of a peer in a log line are bounded, and cannot begin a line of their own."""
    log = attacked.output()
    assert max(map(len, log.splitlines())) < LONGEST_LINE
    assert "\x1b" not in log, "a terminal that shows the log obeys no peer"


def test_a_control_sequence_of_a_peer_does_not_reach_the_log(attacked: Node) -> None:
    ask(attacked, "POST", "/whip/%1b%5b31mred%0a2026-01-01%20forged%20line", token="x")
    log = attacked.output()
    assert "\x1b" not in log
    assert not any(line.startswith("2026-01-01 forged") for line in log.splitlines())
