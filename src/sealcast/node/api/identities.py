"""`GET /api/identities`: every identity of the node's own authority, its legs, its days left.

Does: joins what the authority's store says with the legs of the ledger, by SPIFFE ID; of an end
that has none but revoked certificates, the newest of them and why. For administrators.

Does not: change anything, or know identities of other authorities; their legs are in `/api/legs`.
A node without an authority of its own answers with empty lists and no trust domain.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import defaultdict
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.identity.due import Kind, Lasting, everything, newest, revoked
from sealcast.keying.agreement import Proof
from sealcast.node.api.access import Access
from sealcast.node.switchboard import Switchboard

if TYPE_CHECKING:
    from sealcast.identity.authority import Authority
    from sealcast.identity.store import IssuedRow
    from sealcast.legs import Leg

_DAY_S = 86400


class IdentitiesApi:
    """The handler, with what it needs."""

    def __init__(
        self, authority: Authority | None, switchboard: Switchboard, access: Access
    ) -> None:
        self._authority = authority
        self._board = switchboard
        self._access = access

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/identities", self._identities, methods=["GET"])]

    async def _identities(self, request: Request) -> Response:
        self._access.administrator(request)
        told = _NONE if self._authority is None else await self._told(self._authority)
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def _told(self, authority: Authority) -> dict[str, object]:
        now = datetime.datetime.now(datetime.UTC)
        authorities, ends = await asyncio.to_thread(_read, authority, now)
        legs: defaultdict[str, list[Leg]] = defaultdict(list)
        for leg in self._board.ledger.living():
            if leg.peer.proof is Proof.CERTIFICATE:
                legs[leg.peer.name].append(leg)
        return {
            "trust_domain": authority.trust_domain,
            "authorities": [_time(one, now) for one in authorities],
            "identities": [
                {**_time(one, now), **_row(row), **_legs(legs[row.uri])} for one, row in ends
            ],
        }


_NONE: dict[str, object] = {"trust_domain": None, "authorities": [], "identities": []}


def _read(
    authority: Authority, now: datetime.datetime
) -> tuple[list[Lasting], list[tuple[Lasting, IssuedRow]]]:
    """The authorities; the ends, by name."""
    # The rows first: what is issued in between is missing from both. What is revoked in between is
    # missing from the second and in the third.
    rows = {row.serial: row for row in newest(authority).values()}
    lasting = everything(authority, now)
    ends = [(one, rows[one.serial]) for one in lasting if one.serial in rows]
    ends += [(_over(row), row) for row in revoked(authority)]
    ends.sort(key=lambda end: (end[0].name, end[0].side))
    return [one for one in lasting if one.kind is not Kind.END], ends


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


def _row(row: IssuedRow) -> dict[str, object]:
    return {
        "uri": row.uri,
        "profile": row.profile,
        "hosts": row.hosts,
        "issued_unix": row.issued_unix,
        "issued_by": row.issued_by,
        "revoked_unix": row.revoked_unix,
        "revoked_why": row.revoked_why,
    }


def _time(one: Lasting, now: datetime.datetime) -> dict[str, object]:
    left_s = one.left_s(now)
    return {
        "kind": one.kind,
        "name": one.name,
        "side": one.side,
        "serial": one.serial,
        "not_after_unix": one.not_after_unix,
        "renew_unix": one.renew_unix,
        "left_s": left_s,
        "days_left": round(left_s / _DAY_S, 2),
        "due": one.is_due(datetime.timedelta(seconds=one.warn_s), now),
    }


def _legs(legs: list[Leg]) -> dict[str, object]:
    return {
        "legs": [
            {"id": leg.id, "role": leg.role, "way": leg.way, "stream": leg.stream} for leg in legs
        ]
    }
