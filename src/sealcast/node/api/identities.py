"""`GET /api/identities`: every identity of the node's own authority, its legs, its days left.

Does: joins what the authority's store says with the legs of the ledger, by SPIFFE ID. For
administrators.

Does not: change anything, or know identities of other authorities; their legs are in `/api/legs`.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import defaultdict
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.identity.due import Kind, Lasting, everything, newest
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

    def __init__(self, authority: Authority, switchboard: Switchboard, access: Access) -> None:
        self._authority = authority
        self._board = switchboard
        self._access = access

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/identities", self._identities, methods=["GET"])]

    async def _identities(self, request: Request) -> Response:
        self._access.administrator(request)
        now = datetime.datetime.now(datetime.UTC)
        lasting, rows = await asyncio.to_thread(self._read, now)
        legs: defaultdict[str, list[Leg]] = defaultdict(list)
        for leg in self._board.ledger.living():
            if leg.peer.proof is Proof.CERTIFICATE:
                legs[leg.peer.name].append(leg)
        ends = [one for one in lasting if one.kind is Kind.END]
        told = {
            "trust_domain": self._authority.trust_domain,
            "authorities": [_time(one, now) for one in lasting if one.kind is not Kind.END],
            "identities": [
                {**_row(row := rows[one.serial]), **_time(one, now), **_legs(legs[row.uri])}
                for one in ends
            ],
        }
        return JSONResponse(told, headers={"cache-control": "no-store"})

    def _read(self, now: datetime.datetime) -> tuple[list[Lasting], dict[str, IssuedRow]]:
        # The rows first: what is issued in between is missing from both.
        rows = {row.serial: row for row in newest(self._authority).values()}
        lasting = everything(self._authority, now)
        return [one for one in lasting if one.kind is not Kind.END or one.serial in rows], rows


def _row(row: IssuedRow) -> dict[str, object]:
    return {
        "uri": row.uri,
        "profile": row.profile,
        "hosts": row.hosts,
        "issued_unix": row.issued_unix,
        "issued_by": row.issued_by,
    }


def _time(one: Lasting, now: datetime.datetime) -> dict[str, object]:
    return {
        "kind": one.kind,
        "name": one.name,
        "side": one.side,
        "serial": one.serial,
        "not_after_unix": one.not_after_unix,
        "renew_unix": one.renew_unix,
        "days_left": round(one.left_s(now) / _DAY_S, 2),
        "due": one.is_due(datetime.timedelta(seconds=one.warn_s), now),
    }


def _legs(legs: list[Leg]) -> dict[str, object]:
    return {
        "legs": [
            {"id": leg.id, "role": leg.role, "way": leg.way, "stream": leg.stream} for leg in legs
        ]
    }
