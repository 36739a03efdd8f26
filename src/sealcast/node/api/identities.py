"""`GET /api/identities`: every identity of the node's own authority, its legs, its days left.

Does: joins what the authority's store says with the legs of the ledger, by SPIFFE ID; of an end
that has none but revoked certificates, the newest of them and why. For administrators, who may ask
for some of them:

    name=TEXT    part of the name, or a pattern of it: encoder/venue-*, viewer/**
    state=STATE  valid, due, expired or revoked; may be repeated
    legs=live    that have a leg now

`total` says how many there are in all. The authorities are always there.

Does not: change anything, or know identities of other authorities; their legs are in `/api/legs`.
A node without an authority of its own answers with empty lists and no trust domain.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import RemoteError
from sealcast.identity.due import Lasting
from sealcast.identity.ends import End, State, authorities_and_ends
from sealcast.identity.ends import state as judged
from sealcast.keying.agreement import Proof
from sealcast.node.api.access import Access
from sealcast.node.switchboard import Switchboard
from sealcast.permission import finder

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
        wanted = _Wanted.of(request.query_params)
        told = _NONE if self._authority is None else await self._told(self._authority, wanted)
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def _told(self, authority: Authority, wanted: _Wanted) -> dict[str, object]:
        now = datetime.datetime.now(datetime.UTC)
        authorities, ends = await asyncio.to_thread(authorities_and_ends, authority, now)
        legs: defaultdict[str, list[Leg]] = defaultdict(list)
        for leg in self._board.ledger.living():
            if leg.peer.proof is Proof.CERTIFICATE:
                legs[leg.peer.name].append(leg)
        return {
            "trust_domain": authority.trust_domain,
            "authorities": [{**_time(one, now), "state": judged(one, now)} for one in authorities],
            "total": len(ends),
            "identities": [
                {
                    **_time(end.lasting, now),
                    "state": end.state(now),
                    **_row(end.row),
                    **_legs(legs[end.row.uri]),
                }
                for end in ends
                if wanted.fits(end, bool(legs[end.row.uri]), now)
            ],
        }


_NONE: dict[str, object] = {
    "trust_domain": None,
    "authorities": [],
    "total": 0,
    "identities": [],
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a question asks for."""

    name: Callable[[str], bool]
    states: frozenset[State]
    """Any, if there is none."""
    live: bool

    @staticmethod
    def of(query: QueryParams) -> _Wanted:
        """HTTP.MALFORMED, also for a word that is none: a monitor whose filter is not understood
        would be told that all is well.
        """
        for key in query:
            if key not in ("name", "state", "legs"):
                raise RemoteError("HTTP.MALFORMED", f"{key[:40]!r} is not name, state or legs.")
        if len(query.getlist("name")) > 1 or len(query.getlist("legs")) > 1:
            raise RemoteError("HTTP.MALFORMED", "name and legs are given once.")
        try:
            name = finder(query.get("name", ""))
        except ValueError as error:
            raise RemoteError("HTTP.MALFORMED", f"name: {error}.") from None
        states = query.getlist("state")
        for state in states:
            if state not in frozenset(State):
                raise RemoteError(
                    "HTTP.MALFORMED", f"state is {', '.join(State)}; it was {state[:40]!r}."
                )
        if query.get("legs", "live") != "live":
            raise RemoteError("HTTP.MALFORMED", "legs is live.")
        return _Wanted(name, frozenset(map(State, states)), "legs" in query)

    def fits(self, end: End, has_legs: bool, now: datetime.datetime) -> bool:
        return (
            self.name(end.lasting.name)
            and (not self.states or end.state(now) in self.states)
            and (has_legs or not self.live)
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
