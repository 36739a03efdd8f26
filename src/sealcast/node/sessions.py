"""WHIP and WHEP sessions: from an offer that came to a leg that runs.

Does: asks policy, hub, `ingest.whip` and `delivery.whep` in order, carries their values out, keeps
what a PATCH or DELETE needs to know; remembers whose a session was that is over, for as long as the
ledger has its leg.

Does not: read HTTP; who is calling was found out before (`sealcast.node.api.access`). Does not
count refusals; whoever answers them does (`sealcast.node.api.refusals`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sealcast import wire
from sealcast.delivery import whep
from sealcast.errors import RemoteError, SealcastError
from sealcast.identity import Verb
from sealcast.ingest import whip
from sealcast.keying import dtls_srtp
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import PeerCandidate
from sealcast.node import limits
from sealcast.node.ports import LegIdentity, native_refusal
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Channel, Policy, Role, admit
from sealcast.sdp import (
    Candidate,
    Fingerprint,
    IceCredentials,
    LocalTransport,
    Offer,
    Restart,
    Session,
    SessionState,
    decide_patch,
    parse_fragment,
    read_offer,
    restart_answer,
)

_HASH = "sha-256"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as far as it was proved, and over what."""

    identity: Identity
    tls_version: str | None
    address: str | None
    public: bool = False
    """The stream is open to all, and this caller proved nothing."""
    certificate: wire.PeerCertificate | None = None
    """What proved it, if that was a certificate: a leg that it opens ends with it."""
    roles: frozenset[Role] | None = None
    """What that certificate is good for at most."""
    door: str = ""
    """Through which it came."""
    role: Role = Role.DELIVERY
    """Of a leg that it opens: NODE for another node that watches."""


@dataclass(frozen=True, slots=True)
class Held:
    """Whose a session is, and for which leg. `id` cannot be guessed."""

    id: str
    leg: int
    stream: str
    verb: Verb
    identity: Identity
    created_unix: float


@dataclass(frozen=True, slots=True)
class MediaSession:
    """What stands behind a session's address."""

    held: Held
    etag: str
    remote_ufrag: str
    answer: Session


@dataclass(frozen=True, slots=True)
class Restarted:
    """An ICE restart that was done: the fragment to answer, and the session as it is now."""

    fragment: str
    session: MediaSession


class Sessions:
    """All WHIP and WHEP sessions of a node."""

    def __init__(
        self,
        switchboard: Switchboard,
        *,
        ingest: Policy,
        delivery: Policy,
        node: Policy,
        make_identity: Callable[[], LegIdentity],
        most: int,
        advertise: Sequence[str] = (),
        us: Identity | None = None,
    ) -> None:
        """`most` is how many legs the relay carries, `us` how the doors' certificate names us."""
        self._board = switchboard
        self._most = most
        self._ingest = ingest
        self._policies = {Role.INGEST: ingest, Role.DELIVERY: delivery, Role.NODE: node}
        self._us = us
        self._make_identity = make_identity
        self._advertise = tuple(advertise)
        self._by_id: dict[str, MediaSession] = {}
        self._by_leg: dict[int, str] = {}
        self._over: OrderedDict[str, Held] = OrderedDict()
        switchboard.when_over(self._forget)

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, session_id: str) -> MediaSession:
        """The session at an address; HTTP.NOT_FOUND when it is over or never was."""
        session = self._by_id.get(session_id)
        if session is None:
            raise RemoteError("HTTP.NOT_FOUND", "The session is over, or never was.")
        return session

    def holder(self, session_id: str) -> Held | None:
        """Whose the session at an address is or was; None when the ledger has forgotten its leg."""
        session = self._by_id.get(session_id)
        return self._over.get(session_id) if session is None else session.held

    # ---- POST --------------------------------------------------------------------------------

    def publish(self, stream: str, body: bytes, caller: Caller) -> MediaSession:
        """A publisher's offer. Raises `SealcastError`; a refusal is in the ledger then."""
        began = time.perf_counter()
        try:
            self._check_room()
            board = self._board
            board.hub.may_publish(stream, caller.identity)
            offer = read_offer(body)
            grant = admit(dtls_srtp.claim(offer), _channel(caller), Role.INGEST, self._ingest)
            known = board.hub.get(stream)
            choice = whip.choose(
                offer,
                present={t.kind: t.codec for t in known.tracks} if known is not None else None,
            )
            leg = board.ledger.new_id()
            identity, transport = self._transport()
            publication = board.hub.publish(
                stream, leg=leg, identity=grant.peer, way=whip.WAY, shapes=choice.shapes
            )
            try:
                board.make_tracks(publication)
                assert grant.dtls is not None, "the claim was DTLS's"  # noqa: S101
                answer = whip.answer_offer(
                    choice,
                    leg=leg,
                    tracks=[track.id for track in publication.tracks],
                    dtls=grant.dtls,
                    transport=transport,
                )
                self._start(leg, answer.leg_spec, identity)
            except BaseException:
                board.carry_out(board.hub.leave(leg, time.monotonic()))
                raise
        except SealcastError as error:
            self._refuse(Role.INGEST, error, whip.WAY, stream, caller)
            raise
        board.ledger.open(
            leg,
            grant=grant,
            way=whip.WAY,
            stream=stream,
            local=Identity(str(transport.fingerprint.value), Proof.FINGERPRINT),
            now=time.time(),
            signalling_ms=(time.perf_counter() - began) * 1000,
        )
        board.stir(stream)
        session = self._remember(leg, stream, Verb.PUBLISH, caller, offer, answer.answer)
        self._stands_on(session, caller)
        return session

    async def watch(self, stream: str, body: bytes, caller: Caller) -> MediaSession:
        """A viewer's offer. Waits a little for a stream that has just begun."""
        began = time.perf_counter()
        try:
            self._check_room()
            board = self._board
            offer = read_offer(body)
            policy = self._policies[caller.role]
            grant = admit(dtls_srtp.claim(offer), _channel(caller), caller.role, policy)
            tracks = await board.watchable(stream, limits.READY_WAIT_S)
            self._check_room()  # others came while this one waited
            leg = board.ledger.new_id()
            identity, transport = self._transport()
            assert grant.dtls is not None, "the claim was DTLS's"  # noqa: S101
            answer = whep.answer_offer(
                offer,
                tracks,
                leg=leg,
                dtls=grant.dtls,
                transport=transport,
                entropy=secrets.token_bytes,
            )
            board.hub.join(stream, leg=leg, identity=grant.peer, way=whep.WAY, tracks=answer.tracks)
            try:
                self._start(leg, answer.leg_spec, identity)
            except BaseException:
                board.carry_out(board.hub.leave(leg, time.monotonic()))
                raise
        except SealcastError as error:
            self._refuse(caller.role, error, whep.WAY, stream, caller)
            raise
        board.ledger.open(
            leg,
            grant=grant,
            way=whep.WAY,
            stream=stream,
            local=self._local(caller, transport),
            now=time.time(),
            signalling_ms=(time.perf_counter() - began) * 1000,
        )
        session = self._remember(leg, stream, Verb.WATCH, caller, offer, answer.answer)
        self._stands_on(session, caller)
        return session

    # ---- a newer certificate -----------------------------------------------------------------

    def renewed(self, session: MediaSession, caller: Caller) -> None:
        """The holder of a session showed a certificate: its leg stands on this one from now on, not
        on the one that opened it. Media goes on as it was.

        The caller must have found out that it is the holder, and may still do what it does.
        IDENTITY.NOT_ALLOWED without a certificate.
        """
        if caller.certificate is None:
            raise RemoteError("IDENTITY.NOT_ALLOWED", "The session was not opened by certificate.")
        self._stands_on(session, caller)

    # ---- PATCH, DELETE -----------------------------------------------------------------------

    async def patch(
        self, session: MediaSession, body: bytes, if_match: str | None
    ) -> Restarted | None:
        """Trickled candidates (None: nothing to answer), or an ICE restart that the relay has done.

        Candidates are kept in the ledger and not probed: on a server leg, paths arise from the
        peer's own authenticated checks.
        """
        state = SessionState(session.etag, session.remote_ufrag)
        fragment = parse_fragment(body)
        decision = decide_patch(fragment, if_match, state)
        ledger, leg = self._board.ledger, session.held.leg
        if not isinstance(decision, Restart):
            ledger.told_candidates(leg, _told(fragment.candidates))
            return None
        credentials = IceCredentials.draw(secrets.token_bytes)
        renewed = replace(session, etag=_etag(), remote_ufrag=decision.credentials.ufrag)
        # From here on another PATCH of the old generation is refused.
        self._by_id[session.held.id] = renewed
        try:
            await self._restart(leg, credentials, decision.credentials)
        except BaseException:
            # The leg is as it was, and so is its session, unless that ended meanwhile.
            if self._by_id.get(session.held.id) is renewed:
                self._by_id[session.held.id] = session
            raise
        ledger.told_candidates(leg, _told(fragment.candidates), anew=True)
        transport = LocalTransport(credentials, Fingerprint(_HASH, ""), self._addresses())
        return Restarted(restart_answer(session.answer, transport), renewed)

    def delete(self, session: MediaSession) -> None:
        """The peer ends its session."""
        self._board.end(session.held.leg, "LEG.DELETED")

    # ---- inside ------------------------------------------------------------------------------

    def _local(self, caller: Caller, transport: LocalTransport) -> Identity:
        """What we are to a caller: to another node, who our certificate says; else the fingerprint
        of the answer.
        """
        if caller.role is Role.NODE and self._us is not None:
            return self._us
        return Identity(str(transport.fingerprint.value), Proof.FINGERPRINT)

    def _stands_on(self, session: MediaSession, caller: Caller) -> None:
        grace_s = self._policies[caller.role].identities.expired_grace_s
        self._board.stands_on(session.held.leg, caller.certificate, caller.door, grace_s)

    async def _restart(self, leg: int, local: IceCredentials, remote: IceCredentials) -> None:
        """Raises what the relay refuses; its answer must not hold up the event loop."""
        try:
            await asyncio.to_thread(
                self._board.relay.restart_ice,
                leg,
                local.ufrag,
                local.pwd.reveal().decode("ascii"),
                remote.ufrag,
                remote.pwd.reveal().decode("ascii"),
            )
        except Exception as error:
            raise native_refusal(error) or error from error

    def _check_room(self) -> None:
        if self._board.stopping:
            raise RemoteError("NODE.STOPPING")
        # What the relay has not been told to close yet still has its place there. So it never has
        # to refuse a leg after the answer.
        if len(self._by_id) + self._board.owed >= self._most:
            raise RemoteError("HTTP.TOO_MANY", f"The limit is {self._most} sessions.")

    def _transport(self) -> tuple[LegIdentity, LocalTransport]:
        """A fresh certificate and fresh credentials: nothing links two legs."""
        identity = self._make_identity()
        transport = LocalTransport(
            credentials=IceCredentials.draw(secrets.token_bytes),
            fingerprint=Fingerprint(_HASH, identity.fingerprint(_HASH)),
            addresses=self._addresses(),
        )
        return identity, transport

    def _addresses(self) -> tuple[str, ...]:
        local = self._board.relay.local_addresses()
        if not self._advertise:
            return tuple(local)
        # A 1:1 NAT keeps the port.
        ports = dict.fromkeys(address.rpartition(":")[2] for address in local)
        return tuple(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for address in self._advertise
            for port in ports
        )

    def _start(self, leg: int, spec: wire.LegSpec, identity: LegIdentity) -> None:
        relay = self._board.relay
        try:
            relay.add_leg(wire.encode(spec), identity)
        except Exception as error:
            raise native_refusal(error) or error from error
        self._board.register(leg, lambda code: relay.close_leg(leg, code))

    def _remember(
        self, leg: int, stream: str, verb: Verb, caller: Caller, offer: Offer, answer: Session
    ) -> MediaSession:
        held = Held(
            id=secrets.token_urlsafe(24),
            leg=leg,
            stream=stream,
            verb=verb,
            identity=caller.identity,
            created_unix=time.time(),
        )
        session = MediaSession(held, _etag(), offer.credentials.ufrag, answer)
        self._board.ledger.told_candidates(leg, _told(offer.candidates))
        self._by_id[held.id] = session
        self._by_leg[leg] = held.id
        return session

    def _forget(self, leg: int) -> None:
        session_id = self._by_leg.pop(leg, None)
        if session_id is None:
            return
        self._over[session_id] = self._by_id.pop(session_id).held
        # In the order in which the ledger forgets: that of their ends.
        while self._over:
            oldest = next(iter(self._over.values()))
            if self._board.ledger.get(oldest.leg) is not None:
                break
            del self._over[oldest.id]

    def _refuse(
        self, role: Role, error: SealcastError, way: str, stream: str, caller: Caller
    ) -> None:
        # A viewer who asks again and again for a stream that is not there is no failed leg.
        if caller.identity.proved and error.code not in _COMMON:
            self._board.list_refusal(
                role,
                error,
                way=way,
                stream=stream,
                peer=caller.identity,
                peer_address=caller.address,
            )


_COMMON = frozenset({"STREAM.ABSENT", "STREAM.NOT_READY", "STREAM.BAD_NAME", "NODE.STOPPING"})


def _channel(caller: Caller) -> Channel:
    return Channel(
        tls_version=caller.tls_version,
        peer=caller.identity,
        public=caller.public,
        roles=caller.roles,
    )


def _told(candidates: Sequence[Candidate]) -> Iterator[PeerCandidate]:
    for told in candidates:
        yield PeerCandidate(told.type, told.transport, told.address, told.port)


def _etag() -> str:
    return f'"{secrets.token_hex(8)}"'
