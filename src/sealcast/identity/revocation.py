"""What is no longer trusted, before its time is over.

Does: names the reasons; tells a running node what is revoked, leaves and issuing authorities, as
soon as any process has written it down.

Does not: revoke (`sealcast.identity.authority`), make lists for others (`sealcast.identity.crl`),
end connections; that is the doors'.

The caller must still: poll, and keep the last answer while nothing changes or the store cannot be
read.

Specs: RFC 5280 §5.3.1.
"""

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealcast.identity import certificates
from sealcast.identity.store import Store
from sealcast.identity.store_version import StoreVersion, Version

LISTED_AFTER_ITS_END_S: Final = 7 * 24 * 3600
"""How long a revoked certificate is still told after it has expired, and one that has expired is
still revoked: clocks differ, and a list has to name it once after its end (RFC 5280 §3.3)."""


class Reason(StrEnum):
    """Why a certificate is revoked, as RFC 5280 §5.3.1 calls it. Nothing is put on hold: what is
    revoked stays so.
    """

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    CA_COMPROMISE = "cACompromise"
    """Of an issuing authority only."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that must not be accepted.

    `authority_key` is its issuer's subject key identifier as hex (its own authority key
    identifier), `serial` lower hex without leading zeros. Of an issuing authority that was rolled
    out of use, the issuer is a root, and `name` says which side it issued for.
    """

    authority_key: str
    serial: str
    name: str
    reason: str
    at_unix: int


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


class Revocations:
    """What is revoked, read again when the store changed. Threads may share one.

    A poll without news reads a page of shared memory (`StoreVersion`). `clock` gives the seconds
    since 1970: an issuing authority that was rolled comes to its end without a commit.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = _now) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._watched = StoreVersion(store)
        self._version: Version | None = None
        self._next_end: int | None = None
        self._last: tuple[Revoked, ...] | None = None
        self._keys: dict[str, str] = {}

    def poll(self) -> tuple[Revoked, ...] | None:
        """Everything that is revoked now; None if that is as at the last poll.

        IDENTITY.STORE_DAMAGED, IDENTITY.STORE_LOCKED; then the next poll tells everything.
        """
        with self._lock, self._store.telling():
            try:
                now = int(self._clock())
                # Before the rows: what is committed after this line is seen by the next poll.
                version = self._watched.now()
                due = self._next_end is not None and self._next_end <= now
                if self._last is not None and version == self._version and not due:
                    return None
                found = self._read(now)
            except BaseException:
                self._close()
                raise
            self._version = version
            if found == self._last:
                return None
            self._last = found
            return found

    def close(self) -> None:
        """Closes the connection; another poll would open it again and tell everything."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._watched.close()
        self._version = self._last = None

    def _read(self, now: int) -> tuple[Revoked, ...]:
        # In this order: a roll in between adds authorities, and each row here has its own there.
        revoked = self._store.revoked(now - LISTED_AFTER_ITS_END_S)
        issuers = self._store.issuers()
        roots = {row.serial: row.pem for row in self._store.roots()}
        keys = self._keys
        for issuer in issuers:
            if issuer.serial not in keys:
                keys[issuer.serial] = certificates.key_id(issuer.pem)
                keys.setdefault(issuer.root, certificates.key_id(roots[issuer.root]))
        ends = [issuer.until_unix for issuer in issuers if issuer.until_unix is not None]
        self._next_end = min((end for end in ends if end > now), default=None)
        leaves = (
            Revoked(
                keys[row.issuer],
                row.serial,
                row.name,
                row.revoked_why or Reason.UNSPECIFIED,
                row.revoked_unix or 0,
            )
            for row in revoked
        )
        authorities = (
            Revoked(
                keys[row.root],
                row.serial,
                f"the issuing authority for {row.side}s",
                row.why or Reason.UNSPECIFIED,
                row.until_unix,
            )
            for row in issuers
            if row.until_unix is not None and row.until_unix <= now
        )
        return (*authorities, *leaves)
