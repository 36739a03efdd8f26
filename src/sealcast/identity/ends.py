"""Every end of an authority: the certificate that counts of it, and how that stands.

Does: joins what lasts with the rows of the store; of an end that has none but revoked certificates,
takes the newest of them. Says in one word how each stands.

Does not: know who is connected.
"""

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sealcast.identity.authority import Authority
from sealcast.identity.due import Kind, Lasting, everything, newest, revoked
from sealcast.identity.store import IssuedRow


class State(StrEnum):
    """How a certificate stands; the first of these that is true."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    DUE = "due"
    """In the last third of its life: its holder should have renewed it."""
    VALID = "valid"


@dataclass(frozen=True, slots=True)
class End:
    """An end, by the certificate that counts of it."""

    lasting: Lasting
    row: IssuedRow

    def state(self, now: datetime.datetime) -> State:
        return State.REVOKED if self.row.revoked_unix is not None else state(self.lasting, now)


def state(lasting: Lasting, now: datetime.datetime) -> State:
    """How something that was not revoked stands."""
    if lasting.left_s(now) <= 0:
        return State.EXPIRED
    within = datetime.timedelta(seconds=lasting.warn_s)
    return State.DUE if lasting.is_due(within, now) else State.VALID


def authorities_and_ends(
    authority: Authority, now: datetime.datetime
) -> tuple[list[Lasting], list[End]]:
    """The roots and issuing authorities that are in force; the ends, by name."""
    # The rows first: what is issued in between is missing from both. What is revoked in between is
    # missing from the second and in the third.
    rows = {row.serial: row for row in newest(authority).values()}
    lasting = everything(authority, now)
    ends = [End(one, rows[one.serial]) for one in lasting if one.serial in rows]
    ends += [End(_over(row), row) for row in revoked(authority)]
    ends.sort(key=lambda end: (end.lasting.name, end.lasting.side))
    return [one for one in lasting if one.kind is not Kind.END], ends


def in_state(
    authority: Authority, states: Collection[State], now: datetime.datetime
) -> list[IssuedRow]:
    """The certificates that count of the ends that stand so, by name."""
    _, ends = authorities_and_ends(authority, now)
    return [end.row for end in ends if end.state(now) in states]


def _over(row: IssuedRow) -> Lasting:
    """What was revoked is not due: nobody is to renew it."""
    return Lasting(
        kind=Kind.END,
        name=row.name,
        side=row.side,
        serial=row.serial,
        not_before_unix=row.not_before_unix,
        not_after_unix=row.not_after_unix,
        warn_s=0,
    )
