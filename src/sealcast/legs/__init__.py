"""Legs: what a node knows of every hop between two ends.

Does: keeps for each leg its role, both identities and how each was proved, its stages with their
times, its seal, its counters and its end; living ones, the last thousand that ended or failed, and
a few of the strangers who knocked. Sums of what all of them carried.

Does not: carry packets, decide, or keep a key or an ICE password.

The caller must still: feed it (`Ledger.apply`) with the events of the relay and the front, close
what `apply` hands back, and say when the leg of a TLS connection is over.
"""

from sealcast.legs.ledger import Ledger
from sealcast.legs.leg import Counters, Leg, LegState, PeerCandidate
from sealcast.legs.seal import Seal
from sealcast.legs.stage import Outcome, Stage, StageRecord, next_outcome
from sealcast.legs.totals import Totals

__all__ = [
    "Counters",
    "Ledger",
    "Leg",
    "LegState",
    "Outcome",
    "PeerCandidate",
    "Seal",
    "Stage",
    "StageRecord",
    "Totals",
    "next_outcome",
]
