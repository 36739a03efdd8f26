"""Peers that stop in the middle of a handshake: one is gone, one only falls silent in DTLS.

Both began with the first test of the run, because 20 s pass before the node gives up.
"""

from __future__ import annotations

from sealcast.testing.node_process import Node

from .conftest import Unfinished
from .counters import ENDED_LEGS, Counters
from .ledger import assert_failed, leg_from

GIVEN_UP_WITHIN_S = 35.0
"""RFC 7675 §5.1 gives consent 30 s."""


def test_a_peer_that_vanishes_in_the_handshake_ends_by_its_silence(
    attacked: Node, counters: Counters, vanished: Unfinished
) -> None:
    leg = leg_from(attacked, vanished.remote, timeout_s=GIVEN_UP_WITHIN_S)
    assert_failed(leg, "ICE.CONSENT_LOST", stage="handshake", says="has not answered a check for")
    assert counters.total(ENDED_LEGS, role="ingest", code="ICE.CONSENT_LOST") == 1
    assert leg["ended_unix"] - leg["started_unix"] < GIVEN_UP_WITHIN_S


def test_a_peer_that_falls_silent_in_dtls_ends_by_the_time_it_has(
    attacked: Node, counters: Counters, stalled: Unfinished
) -> None:
    leg = leg_from(attacked, stalled.remote, timeout_s=GIVEN_UP_WITHIN_S)
    assert_failed(leg, "DTLS.TIMEOUT")
    assert counters.total(ENDED_LEGS, role="ingest", code="DTLS.TIMEOUT") == 1
