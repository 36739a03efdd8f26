"""Starts and stops the parts of a node, in order.

    start   state folder → authority → relay → private socket → front → application → doors
    stop    new work refused → demuxers and legs → doors → application → relay

Does: carries the events of relay and front into the switchboard for as long as the node runs.

Does not: print or catch signals (`sealcast.cli.serve`), or know pages; those come as routes.

The caller must still: run it in an event loop, and `stop` what was started, also half.
"""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from sealcast import wire
from sealcast.errors import LocalError, SealcastError
from sealcast.identity.accounts import ACCOUNTS_FILE, Accounts
from sealcast.identity.names import SCHEME
from sealcast.identity.reserve import SHARE_OF_A_START, Reserve, with_reserve
from sealcast.identity.revocation import Revocations
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Ledger
from sealcast.node import limits
from sealcast.node.acme_at_work import AcmeAtWork, begin_acme
from sealcast.node.api.app import AppParts, build
from sealcast.node.application_server import ApplicationServer, PrivateSocket
from sealcast.node.certificate_sources import FixedBundle, Source, ThrowAwayPair
from sealcast.node.config import Config, Policy, Pull
from sealcast.node.config_words import ACME
from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.doors import INGEST_TS, ROLES, Sources, open_doors, plans, usable
from sealcast.node.kept_pair import KeptPair
from sealcast.node.knocks import Knocks
from sealcast.node.measure import Measure
from sealcast.node.own_authority import OwnBundle, OwnPair, OwnRoots, node_name, open_authority
from sealcast.node.permission import Permissions
from sealcast.node.ports import native_refusal
from sealcast.node.pull import Paths, Pulls
from sealcast.node.pull.ends import EndMaker, EndSources
from sealcast.node.reserve_watch import ReserveWatch
from sealcast.node.revocation_watch import RevocationWatch
from sealcast.node.sessions import Sessions
from sealcast.node.spiffe_at_work import SpiffeAtWork, begin_spiffe
from sealcast.node.state_folder import KeyPair, StateFolder, open_state_folder
from sealcast.node.switchboard import Switchboard
from sealcast.node.trust_expiry import TrustExpiry
from sealcast.node.trust_watch import TrustWatch
from sealcast.node.ts_ingest import TsIngest
from sealcast.policy import load
from sealcast.streams import Hub, HubLimits

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from sealcast._core import Front, Relay
    from sealcast.identity.authority import Authority

_log = structlog.get_logger()


@dataclass(slots=True)
class _Parts:
    """What runs, filled in as it starts."""

    relay: Relay | None = None
    private: PrivateSocket | None = None
    front: Front | None = None
    application: ApplicationServer | None = None
    switchboard: Switchboard | None = None
    measure: Measure | None = None
    ts_ingest: TsIngest | None = None
    pulls: Pulls | None = None
    acme: AcmeAtWork | None = None
    revocation_watch: RevocationWatch | None = None
    spiffe: SpiffeAtWork | None = None
    store_held: sqlite3.Connection | None = None
    """Keeps the files beside the authority's store in being (`Store.hold`)."""
    knocks: Knocks = field(default_factory=Knocks)
    descriptors: list[int] = field(default_factory=list)
    rounds: list[asyncio.Task[None]] = field(default_factory=list)
    """What is done again and again."""


class Node:
    """One running server."""

    def __init__(self, config: Config, *, more_routes: Sequence[BaseRoute] = ()) -> None:
        self.config = config
        self.addresses: dict[str, list[str]] = {}
        """Where each door listens, once started; `media` are the UDP addresses."""
        self.state: StateFolder | None = None
        self._more_routes = tuple(more_routes)
        self._parts = _Parts()
        self._graces_s = {
            plan.name: plan.policy.identities.expired_grace_s for plan in plans(config)
        }

    @property
    def switchboard(self) -> Switchboard:
        """Hub, ledger and relay; only while the node runs."""
        if self._parts.switchboard is None:
            raise LocalError("NODE.STOPPING", "The node does not run.")
        return self._parts.switchboard

    async def refresh_counters(self) -> None:
        """Bring the ledger's counters up to date."""
        if self._parts.measure is not None and self._parts.ts_ingest is not None:
            await self._parts.measure.refresh()
            self._parts.ts_ingest.count()

    async def start(self) -> None:
        """Start everything; when this returns the doors are open. Raises `SealcastError`."""
        try:
            await self._start()
        except Exception as error:
            await self.stop()
            refusal = native_refusal(error)
            if refusal is None or refusal is error:
                raise
            raise refusal from error

    async def _start(self) -> None:
        # Imported here so that `sealcast config` works before the native module is built.
        from sealcast._core import RELAY_LEGS, RELAY_TRACKS, Front, MediaIdentity, Relay

        config, parts = self.config, self._parts
        _name_exceptions(config)
        now = datetime.datetime.now(datetime.UTC)
        self.state = state = open_state_folder(config, now)
        authority = await asyncio.to_thread(open_authority, config)
        if authority is not None:
            parts.store_held = await asyncio.to_thread(_held, authority)
        sources = await asyncio.to_thread(_sources, config, state, authority, now)
        own_roots = None if authority is None else OwnRoots(authority, now)

        parts.relay = relay = Relay(binds=usable(config.media.bind))
        hub = Hub(HubLimits(tracks=RELAY_TRACKS, grace_s=config.node.publisher_grace_s))
        parts.switchboard = board = Switchboard(relay, hub, Ledger(door_roles=ROLES))
        sessions = Sessions(
            board,
            ingest=load(config.policy.ingest),
            delivery=load(config.policy.delivery),
            node=load(config.policy.node),
            make_identity=MediaIdentity.generate,
            most=RELAY_LEGS,
            advertise=config.media.advertise,
            us=_us(config, authority),
        )
        paths = Paths()
        parts.pulls = pulls = Pulls(
            board,
            policy=load(config.policy.node),
            make_identity=MediaIdentity.generate,
            paths=paths,
            trust_domain=config.node.trust_domain,
        )
        taken = await asyncio.to_thread(_pull_ends, config, authority, now)
        parts.measure = measure = Measure(board)
        permissions = Permissions(config, state.verifier, own_roots)

        parts.private = private = PrivateSocket()
        secret = secrets.token_hex(32)
        parts.front = front = Front(app_socket=str(private.path), secret=secret)
        parts.acme = await begin_acme(config, state.path, front, sources.pair, now)
        parts.spiffe = spiffe = await asyncio.to_thread(begin_spiffe, config)
        acme: dict[str, Source[KeyPair]] = {} if parts.acme is None else {ACME: parts.acme.pair}
        sources = replace(
            sources, pairs_by_word={**acme, **spiffe.pairs}, bundles_by_word=spiffe.bundles
        )
        parts.ts_ingest = ts_ingest = TsIngest(
            board,
            front,
            permissions,
            load(config.policy.ingest),
            local=Identity(config.node.names[0], Proof.CERTIFICATE),
        )
        keeper = DoorKeeper(front)
        application = build(
            AppParts(
                switchboard=board,
                sessions=sessions,
                measure=measure,
                permissions=permissions,
                front=front,
                secret=secret,
                accounts=Accounts(state.path / ACCOUNTS_FILE),
                ts_ingest=ts_ingest,
                doors=keeper,
                authority=authority,
                paths=paths,
                pulls=pulls,
                secure_port=_first_port(config.doors.secure.bind),
                cors_origins=config.cors.origins,
                ice_servers=config.media.ice_servers,
                more_routes=self._more_routes,
            )
        )
        parts.application = ApplicationServer(application, private)
        await parts.application.start()
        self._watch(relay.fileno(), lambda: board.take_in(relay.drain_events()))
        self._watch(front.fileno(), lambda: self._take_in_front(front, board, ts_ingest))
        parts.rounds.append(asyncio.create_task(self._sweep(board, parts.knocks)))
        watch = None
        if authority is not None:
            source = Revocations(authority.store)
            parts.revocation_watch = watch = RevocationWatch(source, front, board)
            # Nobody may come in before it is known who must not.
            await watch.round()
        parts.rounds.append(asyncio.create_task(_end_expired(board)))
        if watch is not None:
            parts.rounds.append(asyncio.create_task(_end_revoked(watch)))
        # Last: whoever finds a door open finds everything behind it.
        opened = open_doors(front, config, sources)
        self.addresses = {door.plan.name: door.addresses for door in opened}
        keeper.keep(opened)
        trust = TrustWatch(keeper, board.certified)
        trust.round()
        reserve = None if authority is None else ReserveWatch(Reserve(authority.folder))
        parts.rounds.append(asyncio.create_task(_keep(keeper, trust, own_roots, reserve)))
        if parts.acme is not None and parts.acme.addresses:
            self.addresses["http-01"] = parts.acme.addresses
        self.addresses["media"] = relay.local_addresses()
        pulls.begin(taken)

    async def stop(self) -> None:
        """Stop everything that was started, in order; more than once does no harm."""
        parts, self._parts = self._parts, _Parts()
        parts.knocks.tell(math.inf)
        for task in parts.rounds:
            task.cancel()
        if parts.pulls is not None:
            parts.pulls.stop()
        if parts.revocation_watch is not None:
            await parts.revocation_watch.stop()
        if parts.switchboard is not None:
            parts.switchboard.end_all("NODE.STOPPING")
        if parts.ts_ingest is not None:
            await asyncio.to_thread(parts.ts_ingest.join, limits.STOP_S)
        # Answers to what was just ended, and the peers' close_notify, get a moment to leave.
        await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()
        for descriptor in parts.descriptors:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        if parts.acme is not None:
            await parts.acme.stop()
        if parts.spiffe is not None:
            await asyncio.to_thread(parts.spiffe.stop)
        if parts.front is not None:
            await asyncio.to_thread(parts.front.stop)
        if parts.application is not None:
            await parts.application.stop()
        if parts.private is not None:
            parts.private.close()
        if parts.relay is not None:
            await asyncio.to_thread(parts.relay.stop)
        if parts.store_held is not None:
            parts.store_held.close()

    # ---- events of the native side -----------------------------------------------------------

    def _watch(self, descriptor: int, drain: Callable[[], None]) -> None:
        def readable() -> None:
            try:
                drain()
            except Exception as error:
                # The loop goes on watching: the next events are other legs'.
                _log.error("bug in an event", error=repr(error))

        # A descriptor of our own: the native side may close its while the loop still watches.
        own = os.dup(descriptor)
        self._parts.descriptors.append(own)
        asyncio.get_running_loop().add_reader(own, readable)

    def _take_in_front(self, front: Front, board: Switchboard, ts_ingest: TsIngest) -> None:
        events, unknown = wire.decode_front_events(front.drain_events())
        board.unknown_events += unknown
        for event in events:
            try:
                board.ledger.apply(event, time.time())
                match event:
                    case wire.ConnectionOpened() if event.door == INGEST_TS:
                        ts_ingest.opened(event)
                    case wire.ConnectionOpened():
                        self._opened(front, board, event)
                    case wire.ConnectionClosed():
                        board.certified.remove(("connection", event.connection))
                        ts_ingest.closed(event)
                    case wire.BodyEnded():
                        ts_ingest.body_ended(event)
                    case wire.HandshakeFailed():
                        self._parts.knocks.failed(event, time.monotonic())
                    case _:
                        pass
            except Exception as error:
                # The events behind it belong to other connections.
                _log.error("bug in an event", event_type=type(event).__name__, error=repr(error))

    def _opened(self, front: Front, board: Switchboard, event: wire.ConnectionOpened) -> None:
        """Somebody with a certificate came to an HTTPS door: the connection ends with it."""
        connection = event.connection
        board.certified.add(
            ("connection", connection),
            event.facts.peer,
            door=event.door,
            grace_s=self._graces_s[event.door],
            end=lambda verdict: front.close_connection(connection, verdict.code),
            about={"connection": connection, "door": event.door},
        )

    async def _sweep(self, board: Switchboard, knocks: Knocks) -> None:
        """What is done from time to time, whether anything happens or not."""
        measured = time.monotonic()
        while True:
            await asyncio.sleep(limits.SWEEP_S)
            now = time.monotonic()
            try:
                board.sweep()
                knocks.tell(now)
                if now - measured >= limits.MEASURE_UNASKED_S:
                    measured = now
                    await self.refresh_counters()
            except Exception as error:
                # The next round may find things mended; without rounds viewers would wait for ever.
                _log.error("bug in the sweep", error=repr(error))


async def _end_revoked(watch: RevocationWatch) -> None:
    """What was opened with a certificate that is revoked."""
    while True:
        await asyncio.sleep(limits.REVOKED_S)
        try:
            await watch.try_round()
        except Exception as error:
            _log.error("bug while ending what is revoked", error=repr(error))


async def _end_expired(board: Switchboard) -> None:
    """What was opened with a certificate that has expired; on time, however long another process
    holds the store.
    """
    while True:
        await asyncio.sleep(limits.REVOKED_S)
        try:
            board.certified.tick(time.time())
        except Exception as error:
            _log.error("bug while ending what has expired", error=repr(error))


async def _keep(
    keeper: DoorKeeper,
    trust: TrustWatch,
    own_roots: OwnRoots | None,
    reserve: ReserveWatch | None,
) -> None:
    """The doors' certificates and whom they trust, for as long as the node runs."""
    expiry, looked = TrustExpiry(keeper), -math.inf
    while True:
        try:
            now = datetime.datetime.now(datetime.UTC)
            await asyncio.to_thread(keeper.round, now)
            trust.round()
            if own_roots is not None:
                with suppress(SealcastError):  # the doors' own bundle says it
                    await asyncio.to_thread(own_roots.look, now)
            if time.monotonic() - looked >= limits.EXPIRY_S:
                looked = time.monotonic()
                expiry.warn(now)
                if reserve is not None:
                    await asyncio.to_thread(reserve.round)
        except Exception as error:
            # The next round may go well; without rounds certificates would end.
            _log.error("bug while keeping the doors", error=repr(error))
        await asyncio.sleep(limits.CERTIFICATES_S)


def _held(authority: Authority) -> sqlite3.Connection:
    return with_reserve(authority.folder, authority.store.hold, SHARE_OF_A_START)


def _first_port(binds: Sequence[str]) -> int | None:
    """The port of a door, if it is one that is known beforehand."""
    port = int(binds[0].rpartition(":")[2]) if binds else 0
    return port or None


def _sources(
    config: Config, state: StateFolder, authority: Authority | None, now: datetime.datetime
) -> Sources:
    """What the doors show and trust that name no files of their own. Blocks."""
    if authority is None:
        bundle = FixedBundle(ThrowAwayPair.name, state.authority.root_pem)
        return Sources(ThrowAwayPair(state, config.node.names, now), bundle)
    pair = OwnPair(authority, config.node.names, now, KeptPair(state.path))
    return Sources(pair, OwnBundle(authority, now))


def _pull_ends(
    config: Config, authority: Authority | None, now: datetime.datetime
) -> list[tuple[Pull, EndSources]]:
    """What each pull shows and trusts. Blocks."""
    maker = EndMaker(config, authority)
    return [(pull, maker.of(pull, now)) for pull in config.pull]


def _us(config: Config, authority: Authority | None) -> Identity:
    """Who the doors' certificate says that we are."""
    name = config.node.names[0]
    if authority is not None:
        name = f"{SCHEME}{authority.trust_domain}/{node_name(name)}"
    return Identity(name, Proof.CERTIFICATE)


def _name_exceptions(config: Config) -> None:
    """What the operator allowed beyond the standard is said aloud at each start."""
    standard = load("standard")
    for role in Policy.__struct_fields__:
        policy = load(getattr(config.policy, role))
        if more := policy.admits_beyond(standard):
            _log.warning("more than standard is admitted", role=role, policy=policy.name, more=more)
        elif policy.name == "compatible":
            _log.info("compatible admits no more than standard yet", role=role)
    for name, rule in config.streams.items():
        if rule.public:
            _log.warning("anybody may watch", stream=name)
