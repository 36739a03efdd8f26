"""Who is logged in: sessions of administrators, in memory.

Does: makes a session's secret (256 bits) when password and code were right, finds whose it is, ends
it: by logging out, after 15 minutes without a request, after eight hours, when its account is
removed or reset, at the latest when the node stops.

Does not: bind a session to an address: people change networks, and one address is many people's. It
is bound to the door where it was made; its cookie cannot leave the origin (`__Host-`, Secure,
HttpOnly, SameSite=Strict), and TLS is what keeps it secret on the way.

Only digests are kept, so finding one compares nothing that could be learnt byte by byte.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Final

from sealcast.identity.accounts import LoggedIn

IDLE_S: Final = 15 * 60
LONGEST_S: Final = 8 * 3600
PER_ACCOUNT: Final = 8
"""More than that, and the oldest ends: nobody keeps so many browsers."""


@dataclass(frozen=True, slots=True)
class AdminSession:
    """Somebody who is logged in. Times only grow; their origin does not matter."""

    account: str
    epoch: str
    door: str
    began: float
    used: float

    def ends(self) -> float:
        """When it ends if nothing more is asked."""
        return min(self.used + IDLE_S, self.began + LONGEST_S)


class AdminSessions:
    """All of a node."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, AdminSession] = {}

    def __len__(self) -> int:
        return len(self._by_digest)

    def open(self, who: LoggedIn, door: str, now: float) -> str:
        """A new session; its secret leaves here and is not kept."""
        self._drop_ended(now)
        of_account = [
            digest for digest, session in self._by_digest.items() if session.account == who.name
        ]
        for digest in of_account[: max(0, len(of_account) - PER_ACCOUNT + 1)]:
            del self._by_digest[digest]
        secret = secrets.token_urlsafe(32)
        self._by_digest[_digest(secret)] = AdminSession(who.name, who.epoch, door, now, now)
        return secret

    def find(self, secret: str, door: str, now: float) -> AdminSession | None:
        """Whose it is, and one more use of it; None when it is over or never was.

        The caller compares the epoch with the account's of now.
        """
        digest = _digest(secret)
        session = self._by_digest.get(digest)
        if session is None or session.door != door:
            return None
        if session.ends() <= now:
            del self._by_digest[digest]
            return None
        session = replace(session, used=now)
        self._by_digest[digest] = session
        return session

    def close(self, secret: str) -> AdminSession | None:
        """Ends it; whose it was."""
        return self._by_digest.pop(_digest(secret), None)

    def _drop_ended(self, now: float) -> None:
        ended = [digest for digest, known in self._by_digest.items() if known.ends() <= now]
        for digest in ended:
            del self._by_digest[digest]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
