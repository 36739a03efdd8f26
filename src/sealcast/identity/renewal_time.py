"""When a certificate is to be renewed.

At two thirds of its life; its holder takes a moment by chance in the window that ends there.
Earlier when what it hangs from is rolled: in the first half of the time that is left, each
certificate at a moment of its own, which its serial (a random number) chooses; at once when a key
was stolen. The second half is for those who were away.

    a new issuing authority:   since |--renew--|---------| until
    a new root, twice:         made  |--renew--|---------| since    (brings the bundle with both)
                               since |--renew--|---------| until    (brings the new chain)

Does not: renew, or wait with chance for others; a holder adds its own (RFC 9773 §4.2 in spirit).
"""

import datetime
from collections.abc import Sequence
from typing import Final

from sealcast.identity.revocation import Reason
from sealcast.identity.store import IssuedRow, IssuerRow, RootRow

WINDOW_BEGINS: Final = 0.6
WINDOW_ENDS: Final = 2 / 3
"""Shares of a life. Whoever keeps to the window has a third of the life left to try in."""


def renew_at(
    row: IssuedRow, issuers: Sequence[IssuerRow], roots: Sequence[RootRow]
) -> datetime.datetime:
    """The moment, which may be over. `issuers` and `roots` stand in the store's order: the newest
    first.
    """
    moments = [row.issued_unix + round((row.not_after_unix - row.issued_unix) * WINDOW_ENDS)]
    for issuer in issuers:
        if issuer.serial == row.issuer and issuer.until_unix is not None:
            begin = _successor_since(issuer, issuers)
            stolen = issuer.why == Reason.CA_COMPROMISE
            moments.append(begin if stolen else _within(begin, issuer.until_unix, row.serial))
    moments += [
        _within(root.made_unix, root.since_unix, row.serial)
        for root in roots
        if row.issued_unix <= root.made_unix < root.since_unix
    ]
    return datetime.datetime.fromtimestamp(min(moments), datetime.UTC)


def _successor_since(issuer: IssuerRow, issuers: Sequence[IssuerRow]) -> int:
    """From when the next one of its side issues; that moment of its own if there is none."""
    of_side = [row for row in issuers if row.side is issuer.side]
    newer = of_side[: of_side.index(issuer)]
    # One that was ended before its beginning never issues.
    begun = (
        row.since_unix for row in newer if row.until_unix is None or row.until_unix > row.since_unix
    )
    return min(begun, default=issuer.since_unix)


def _within(begin: int, end: int, serial: str) -> int:
    """A moment in the first half of the time from `begin` to `end`."""
    share = int(serial, 16) % 1024 / 1024
    return begin + int((end - begin) / 2 * share)
