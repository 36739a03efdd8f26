"""Legs: what a node knows of every hop between two ends.

Does: keeps for each leg its role, both identities and how each was proved, its stages with their
times, its seal, its counters and its end; living ones and the last thousand that ended or failed.

Does not: carry packets, decide, or keep a key or an ICE password.

The caller must still: feed it (`Ledger.apply`) with the events of the relay and the front, and
close what `apply` hands back.
"""

from sealcast.legs.ledger import Ledger
from sealcast.legs.leg import Counters, Leg, LegState
from sealcast.legs.seal import Seal
from sealcast.legs.stage import Outcome, Stage, StageRecord, next_outcome

__all__ = [
    "Counters",
    "Ledger",
    "Leg",
    "LegState",
    "Outcome",
    "Seal",
    "Stage",
    "StageRecord",
    "next_outcome",
]
