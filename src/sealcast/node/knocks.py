"""Failed handshakes in the log: one line at the first, then one a minute and door with a count.

Does: adds up between two lines what the front told of peers who did not get past the handshake.
The ledger keeps the newest of them one by one; the metrics count all.

Does not: see those that the front only counted, because more came than it tells of: so a line
says `at_least`. Does not name addresses; they are in the ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import structlog

from sealcast.node import limits
from sealcast.wire import HandshakeFailed

_log = structlog.get_logger()


@dataclass(slots=True)
class _Door:
    told_at: float = float("-inf")
    untold: Counter[str] = field(default_factory=Counter)
    """By code, since the last line."""


class Knocks:
    """What is still to be said of each door. `now` only grows; its origin does not matter."""

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}

    def failed(self, event: HandshakeFailed, now: float) -> None:
        """One more; the first after a quiet minute is told at once."""
        door = self._doors.setdefault(event.door, _Door())
        door.untold[event.code] += 1
        self._tell(event.door, door, now)

    def tell(self, now: float) -> None:
        """Say what has become due."""
        for name, door in self._doors.items():
            self._tell(name, door, now)

    @staticmethod
    def _tell(name: str, door: _Door, now: float) -> None:
        if not door.untold or now - door.told_at < limits.KNOCKS_TOLD_S:
            return
        codes = ", ".join(f"{code} {number}" for code, number in door.untold.most_common())
        _log.info("handshakes failed", door=name, at_least=door.untold.total(), codes=codes)
        door.untold.clear()
        door.told_at = now
