"""How fast logins may be tried: by address and by account, before anything is computed.

Does: gives every address, and every account, a bucket of attempts that fills slowly. An address
from which an account was entered before does not draw from the account's bucket: strangers who
empty it hold up strangers, not the administrator at her desk.

Does not: lock anything. An empty bucket fills again, so there is no state that somebody else could
put an account into for good; and the door `secure` and `sealcast admin` are not counted here.

Memory is bounded without forgetting: accounts and addresses share fixed tables by a keyed hash, so
no flood of names empties a bucket's past. Two that fall together share a bucket.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from sealcast.node.tries import site_of

ATTEMPTS: Final = 10
"""Of one address (an IPv6 one counts by its /64), at once."""
ACCOUNT_ATTEMPTS: Final = 20
"""Of all strangers at one account, at once."""
REFILL_S: Final = 10.0
"""One more attempt after so many seconds, for either."""
_ADDRESSES: Final = 16384
_ACCOUNTS: Final = 4096
_KNOWN: Final = 1024
_KNOWN_S: Final = 30 * 24 * 3600.0


class _Buckets:
    def __init__(self, number: int, size: int) -> None:
        self._size = size
        self._full_at = [0.0] * number
        """When each will be full again: all there is to know of one."""

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next attempt; 0: now."""
        return max(0.0, self._full_at[self._place(key)] - now - (self._size - 1) * REFILL_S)

    def take(self, key: str, now: float) -> None:
        place = self._place(key)
        self._full_at[place] = max(self._full_at[place], now) + REFILL_S

    def refill(self, key: str) -> None:
        self._full_at[self._place(key)] = 0.0

    def _place(self, key: str) -> int:
        # Python's hash of text is keyed anew in each process, so nobody can aim at a place.
        return hash(key) % len(self._full_at)


class LoginPace:
    """The pace of one node. `now` only grows; its origin does not matter."""

    def __init__(self) -> None:
        self._addresses = _Buckets(_ADDRESSES, ATTEMPTS)
        self._accounts = _Buckets(_ACCOUNTS, ACCOUNT_ATTEMPTS)
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def attempt(self, account: str, address: str, now: float) -> int:
        """Counts an attempt and answers 0; or, without counting it, the whole seconds to wait."""
        place, stranger = site_of(address), not self.knows(account, address, now)
        wait = self._addresses.wait(place, now)
        if stranger:
            wait = max(wait, self._accounts.wait(account, now))
        if wait > 0:
            return math.ceil(wait)
        self._addresses.take(place, now)
        if stranger:
            self._accounts.take(account, now)
        return 0

    def knows(self, account: str, address: str, now: float) -> bool:
        """Whether the account was entered from this address before."""
        return self._known.get((account, site_of(address)), -math.inf) >= now - _KNOWN_S

    def succeeded(self, account: str, address: str, now: float) -> None:
        """The attempt was good: the address begins anew, and is no stranger to the account."""
        place = site_of(address)
        self._addresses.refill(place)
        self._known[account, place] = now
        self._known.move_to_end((account, place))
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
