"""What the switchboard takes back on the native side does not stay there, and no bug is hidden."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs
from tests.unit.native_stand_ins import FakeRelay

from sealcast.errors import LocalError
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Ledger
from sealcast.node.switchboard import Switchboard
from sealcast.streams import Hub, TrackShape


@pytest.fixture
def board() -> Switchboard:
    structlog.reset_defaults()
    return Switchboard(FakeRelay(), Hub(), Ledger())


def relay_of(board: Switchboard) -> FakeRelay:
    assert isinstance(board.relay, FakeRelay)
    return board.relay


def refusing(code: str) -> LocalError:
    return LocalError(code, "as a test asked")


def closed_with(board: Switchboard, error: Exception) -> list[str]:
    """What the log says of a leg whose closing raises `error`."""

    def close(_code: str) -> None:
        raise error

    board.register(1, close)
    with capture_logs() as lines:
        board.end(1, "LEG.DELETED")
    return [f"{line['log_level']}: {line['event']}" for line in lines]


def test_a_bug_while_closing_is_told_and_the_leg_is_over_all_the_same(board: Switchboard) -> None:
    over: list[int] = []
    board.when_over(over.append)
    assert closed_with(board, ZeroDivisionError()) == ["error: bug while closing"]
    assert over == [1]


def test_a_refusal_that_nobody_expects_is_told(board: Switchboard) -> None:
    assert closed_with(board, refusing("RELAY.BAD_SPEC")) == ["error: not closed"]


def test_a_relay_that_has_stopped_has_nothing_left_to_close(board: Switchboard) -> None:
    assert closed_with(board, refusing("RELAY.STOPPED")) == []
    assert board.owed == 0


def test_what_a_busy_relay_did_not_hear_it_is_told_again_until_it_does(board: Switchboard) -> None:
    relay = relay_of(board)
    shape = TrackShape("audio", "opus", 48_000, channels=2)
    who = Identity("alice", Proof.TOKEN)
    publication = board.hub.publish("a", leg=1, identity=who, way="whip", shapes=[shape])
    board.make_tracks(publication)
    board.register(1, lambda code: relay.close_leg(1, code))
    relay.busy = True
    board.end(1, "LEG.DELETED")
    assert board.owed == 2
    board.sweep()
    assert board.owed == 2
    assert not relay.named("close_leg")
    relay.busy = False
    board.sweep()
    assert board.owed == 0
    assert relay.named("close_leg") == [("close_leg", 1, "LEG.DELETED")]
    assert relay.named("remove_track") == [("remove_track", publication.tracks[0].id)]
