"""Which authorities issue, and which are trusted, at a moment.

An authority that is rolled has a successor, and for a while both are trusted:

    made_unix      since_unix                     until_unix
    | trusted      | trusted, and issues          | trusted no more

A new root is trusted before anything is issued below it, so that everybody knows it by then. Who
issues is the newest of those whose time has begun.
"""

import datetime
from collections.abc import Sequence
from typing import TypeVar

from sealcast.errors import LocalError
from sealcast.identity.store import IssuerRow, RootRow

Standing = TypeVar("Standing", IssuerRow, RootRow)


def trusted(rows: Sequence[Standing], now: datetime.datetime) -> list[Standing]:
    """Those that are not over yet, the newest first; `rows` have that order."""
    at = now.timestamp()
    return [row for row in rows if row.until_unix is None or at < row.until_unix]


def in_force(rows: Sequence[Standing], now: datetime.datetime) -> Standing:
    """The one that issues, or below which is issued; IDENTITY.AUTHORITY_EXPIRED if all are over."""
    left = trusted(rows, now)
    for row in left:
        # By a clock that stands before the founding the first one is as good as ever.
        if row.since_unix <= now.timestamp() or row is left[-1]:
            return row
    raise LocalError("IDENTITY.AUTHORITY_EXPIRED", "All of its kind were rolled out of use.")
