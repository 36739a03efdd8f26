"""What an authority tells everybody: its roots, and what was revoked, ready to be handed out.

Does: makes both anew when the store changed, and from time to time, because lists and roots also
begin and end by the clock. Whoever asks in between costs nothing.

Does not: speak HTTP (`sealcast.node.api.identity`).

The caller must still: call `look` from one thread at a time; it reads the store, and may open a key
and write a list. What it gave before stays good until it gives something else.
"""

import datetime
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sealcast.errors import LocalError, SealcastError
from sealcast.identity.authority import Authority
from sealcast.identity.profiles import Side
from sealcast.identity.standing import in_force
from sealcast.identity.store_version import StoreVersion, Version

AGAIN: Final = datetime.timedelta(seconds=5)
"""Looked at after this time at the latest: what begins or ends by the clock is no older than that,
and what failed is tried again."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is said: the trusted roots (PEM), and lists (DER) by the serials and names of those who
    issued them, or why one cannot be made.
    """

    bundle_pem: bytes
    lists: Mapping[str, bytes | SealcastError]

    def list_of(self, issuer: str) -> bytes:
        """As `Authority.crl`."""
        found = self.lists.get(issuer)
        if found is None:
            raise LocalError("IDENTITY.NO_ISSUER", f"It was {issuer[:60]!r}.")
        if isinstance(found, SealcastError):
            raise found
        return found


class Published:
    """Of one authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._version = StoreVersion(authority.store)
        self._made: tuple[Version, datetime.datetime] | None = None
        self._words: Words | None = None

    def look(self, now: datetime.datetime) -> Words:
        """What is said now. IDENTITY.STORE_*; then what was said before is the newest there is."""
        with self._authority.store.telling():
            # Before the rows: what is committed after this line is seen by the next look.
            version = self._version.now()
        if self._words is not None and self._made is not None:
            before, at = self._made
            if version == before and at <= now < at + AGAIN:
                return self._words
        words = self._read(now)
        self._words, self._made = words, (version, now)
        return words

    def _read(self, now: datetime.datetime) -> Words:
        authority, store = self._authority, self._authority.store
        roots, issuers = store.roots(), store.issuers()
        lists: dict[str, bytes | SealcastError] = {}
        for serial in [*(row.serial for row in roots), *(row.serial for row in issuers)]:
            try:
                lists[serial] = authority.crl(serial, now)
            except SealcastError as error:
                if error.code != "IDENTITY.NO_ISSUER":
                    lists[serial] = error
        # Where all of a kind are over, as in an old backup, the rest is said all the same.
        named = {}
        with suppress(LocalError):
            named["root"] = in_force(roots, now).serial
        for side in Side:
            with suppress(LocalError):
                named[side.value] = authority.issuer(side, now).serial
        lists |= {name: lists[serial] for name, serial in named.items() if serial in lists}
        return Words(authority.bundle_pem(now), lists)
