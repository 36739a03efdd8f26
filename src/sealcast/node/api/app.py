"""The application: every route, behind the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from sealcast.errors import SealcastError
from sealcast.identity.accounts import Accounts
from sealcast.identity.authority import Authority
from sealcast.node.api.access import Access
from sealcast.node.api.admin import AdminApi, Logins
from sealcast.node.api.cors import Cors
from sealcast.node.api.door_metrics import DoorMetrics
from sealcast.node.api.doors import DoorsApi
from sealcast.node.api.front_only import FrontOnly
from sealcast.node.api.identities import IdentitiesApi
from sealcast.node.api.identity import IdentityApi
from sealcast.node.api.media import MediaApi
from sealcast.node.api.metrics import Metrics
from sealcast.node.api.origin import OriginOnlyReads
from sealcast.node.api.refusals import Refusals
from sealcast.node.api.state import StateApi
from sealcast.node.api.uploads import UploadsApi
from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.measure import Measure
from sealcast.node.permission import Permissions
from sealcast.node.ports import FrontPort
from sealcast.node.pull import Paths, Pulls
from sealcast.node.sessions import Sessions
from sealcast.node.switchboard import Switchboard
from sealcast.node.ts_ingest import TsIngest


@dataclass(frozen=True, slots=True)
class AppParts:
    """What the routes need."""

    switchboard: Switchboard
    sessions: Sessions
    measure: Measure
    permissions: Permissions
    front: FrontPort
    secret: str
    accounts: Accounts
    ts_ingest: TsIngest | None = None
    doors: DoorKeeper | None = None
    authority: Authority | None = None
    """The node's own; None with the throw-away one. Its store blocks: call it in a thread."""
    secure_port: int | None = None
    """Where renewals come in, if it is known beforehand."""
    paths: Paths = field(default_factory=Paths)
    """Over which nodes streams come here."""
    pulls: Pulls | None = None
    cors_origins: Sequence[str] = ()
    ice_servers: Sequence[str] = ()
    more_routes: Sequence[BaseRoute] = ()


def build(parts: AppParts) -> ASGIApp:
    """The ASGI application that the front proxies to."""
    logins = Logins(parts.accounts)
    access = Access(parts.permissions, logins)
    refusals = Refusals(parts.switchboard)
    cors = Cors(parts.cors_origins)
    media = MediaApi(
        sessions=parts.sessions,
        switchboard=parts.switchboard,
        measure=parts.measure,
        access=access,
        refusals=refusals,
        cors=cors,
        paths=parts.paths,
        ice_servers=parts.ice_servers,
    )
    state = StateApi(
        switchboard=parts.switchboard,
        measure=parts.measure,
        ts_ingest=parts.ts_ingest,
        pulls=parts.pulls,
        access=access,
        permissions=parts.permissions,
        metrics=Metrics(
            parts.switchboard,
            parts.measure,
            parts.front,
            parts.authority,
            None if parts.doors is None else DoorMetrics(parts.doors),
        ),
    )
    own: Sequence[BaseRoute] = ()
    if parts.authority is not None:
        own = IdentityApi(parts.authority, secure_port=parts.secure_port).routes()
    uploads = (
        []
        if parts.ts_ingest is None
        else UploadsApi(parts.ts_ingest, access, refusals, cors).routes()
    )
    doors = [] if parts.doors is None else DoorsApi(parts.doors, access).routes()
    app = Starlette(
        routes=[
            *media.routes(),
            *uploads,
            *state.routes(),
            *AdminApi(logins).routes(),
            *IdentitiesApi(parts.authority, parts.switchboard, access).routes(),
            *own,
            *doors,
            *parts.more_routes,
        ],
        exception_handlers={
            SealcastError: refusals.answer,
            HTTPException: refusals.answer,
            Exception: refusals.answer,
        },
    )
    return FrontOnly(OriginOnlyReads(app, refusals), parts.front, parts.secret, refusals)
