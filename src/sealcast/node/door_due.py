"""What of the doors ends soon: what they show from files, ACME and SPIFFE, and whom they trust.

Does: makes of reports about doors (`sealcast.node.door_report`) the rows of what is due, each with
its kind and with the doors that hold it; says which doors could not be told.

Does not: repeat what the node's own authority issued to its doors; that authority's own rows have
it (`sealcast.identity.due.everything`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from sealcast.identity.due import Kind, Lasting
from sealcast.node.door_report import Certificate, DoorReport

_KINDS: Final = {"file": Kind.FILE, "acme": Kind.ACME, "spiffe": Kind.SPIFFE}


def of_doors(reports: Sequence[DoorReport], own_roots: Sequence[str] = ()) -> list[Lasting]:
    """A row for each certificate that an open door shows or trusts, but for what has a serial of
    `own_roots`.
    """
    held: defaultdict[tuple[Kind, Certificate, str], list[str]] = defaultdict(list)
    for door in reports:
        if not door.open:
            continue
        if door.shows is not None and door.shows_kind in _KINDS:
            held[_KINDS[door.shows_kind], door.shows, door.shows_from].append(door.door)
        for each in door.authorities:
            if each.serial not in own_roots:
                held[Kind.BUNDLE, each, door.authorities_from].append(door.door)
    return [_row(kind, one, _holder(doors, where)) for (kind, one, where), doors in held.items()]


def untold(reports: Sequence[DoorReport]) -> Iterator[str]:
    """Why something of an open door is missing from the rows, a sentence each."""
    for door in reports:
        if not door.open:
            continue
        if door.shows is None and door.shows_kind == "file":
            yield f"door {door.door}: {' '.join(door.complaints)}"
        elif door.shows is None and door.shows_kind == "spiffe":
            yield f"door {door.door}: what SPIFFE gave it only the running node knows: --running"
        elif door.authorities_from == "spiffe" and not door.authorities:
            yield f"door {door.door}: whom it trusts only the running node knows: --running"
        elif door.client_certificate != "none" and not door.authorities and door.complaints:
            yield f"door {door.door}: {' '.join(door.complaints)}"


def _holder(doors: Sequence[str], where: str) -> str:
    return f"{'door' if len(doors) == 1 else 'doors'} {', '.join(doors)}, from {where}"


def _row(kind: Kind, one: Certificate, holder: str) -> Lasting:
    life_s = one.until_unix - one.since_unix
    return Lasting(
        kind=kind,
        name=one.name,
        side="" if kind is Kind.BUNDLE else "server",
        serial=one.serial,
        not_before_unix=one.since_unix,
        not_after_unix=one.until_unix,
        # What is renewed is renewed at two thirds; nobody here renews a bundle.
        warn_s=life_s if kind is Kind.BUNDLE else life_s // 3,
        holder=holder,
    )
