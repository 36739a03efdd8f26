"""How often strangers may be refused: a budget for each of them, in bounded memory.

Does: counts refusals by whom they met (an address, a certificate). A budget that is used up fills
again slowly. IPv6 addresses count by their /64: one host has all of it.

Does not: count successes, or know what was tried. When more strangers come than are remembered, the
one who was quiet for longest is forgotten, with what was held against them.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError

_SITE_BITS: Final = 64


@dataclass(slots=True)
class _Budget:
    left: float
    at: float


class Tries:
    """`burst` refusals at once, `per_minute` more as time goes by, for each of `most` strangers."""

    def __init__(self, *, burst: int, per_minute: float, most: int) -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._most = most
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def check(self, whom: str, now: float) -> None:
        """IDENTITY.TOO_MANY_TRIES when nothing is left. `now` only grows; its origin does not
        matter.
        """
        if (budget := self._filled(whom, now)) is not None and budget.left < 1:
            seconds = math.ceil((1 - budget.left) / self._per_second)
            raise RemoteError("IDENTITY.TOO_MANY_TRIES", f"The next one may come in {seconds} s.")

    def refused(self, whom: str, now: float) -> None:
        """One more refusal."""
        budget = self._filled(whom, now)
        if budget is None:
            budget = self._budgets[whom] = _Budget(self._burst, now)
        budget.left = max(0.0, budget.left - 1)
        self._budgets.move_to_end(whom)
        if len(self._budgets) > self._most:
            self._budgets.popitem(last=False)

    def _filled(self, whom: str, now: float) -> _Budget | None:
        budget = self._budgets.get(whom)
        if budget is not None:
            budget.left = min(self._burst, budget.left + (now - budget.at) * self._per_second)
            budget.at = now
        return budget


def site_of(peer: str) -> str:
    """Whom an address and port (`192.0.2.9:5555`, `[2001:db8::1]:5555`) count for."""
    host = peer.rpartition(":")[0].strip("[]").partition("%")[0] or peer
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _SITE_BITS), strict=False))
    return str(address)
