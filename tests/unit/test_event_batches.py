"""Events come in batches of many legs: one that cannot be worked off takes no other with it."""

import msgspec
import pytest
from tests.unit.application import Node

from sealcast import wire
from sealcast.legs import Ledger


def test_an_event_behind_one_that_fails_is_still_worked_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node()
    apply, over = Ledger.apply, []

    def fail_once(ledger: Ledger, event: wire.RelayEvent | wire.FrontEvent, now: float) -> object:
        if isinstance(event, wire.LegPath):
            raise RuntimeError("a fault of our own")
        return apply(ledger, event, now)

    monkeypatch.setattr(Ledger, "apply", fail_once)
    monkeypatch.setattr(node.board, "over", lambda *told: over.append(told))
    batch = [
        wire.LegPath(leg=1, local="127.0.0.1:1", remote="127.0.0.1:2"),
        wire.LegClosed(leg=2, code="ICE.CONSENT_LOST", detail="gone"),
    ]
    node.board.take_in(msgspec.json.encode(batch))
    assert over == [(2, "ICE.CONSENT_LOST", "gone")]
