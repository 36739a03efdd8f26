"""Pulls: each asks its origin, holds the leg, has it proved anew in time, and asks again.

    offer ─▶ origin proved ─▶ answer ─▶ admitted ─▶ leg in the relay ─▶ media ─▶ … ─▶ over ─┐
      ▲                                    │ no                                              │
      └──────── later, by chance ◀─────────┴────────────────────────────────────────────────┘

While it lasts, a leg stands on two certificates: the origin's, here, and ours, there. When ours is
renewed, or the origin's should have been, one request over a new connection shows both anew, and
the leg stands on these. Media does not notice: its keys hang from neither (docs/decisions/0026).

Does: publishes into the hub as any other way in does, as the origin's identity; lists every leg,
and of refusals that repeat themselves the first.

Does not: stop trying. The caller must still: `begin` it after the relay's events are taken in, and
`stop` it.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from sealcast import wire
from sealcast.agent.https import Address
from sealcast.client.offer import agreed_tracks, build_offer
from sealcast.codes import lookup
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.keying import dtls_srtp
from sealcast.keying.agreement import UNPROVED
from sealcast.node import limits
from sealcast.node.config import Pull
from sealcast.node.ports import LegIdentity, native_refusal
from sealcast.node.pull.ends import Ends, EndSources
from sealcast.node.pull.leg import leg_spec, shapes_of
from sealcast.node.pull.origin import Answered, Origin, Proved
from sealcast.node.pull.paths import Paths
from sealcast.node.pull.patience import Patience
from sealcast.node.pull.progress import Progress
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Channel, Policy, Role, admit
from sealcast.sdp import IceCredentials, read_offer

WAY: Final = "pull"
_HASH: Final = "sha-256"
_SOON: Final = frozenset({"STREAM.ABSENT", "STREAM.NOT_READY"})
"""The origin works, and waits for its publisher as we do."""
_UNKNOWN: Final = "TLS.SERVER_UNKNOWN_CA"
_log = structlog.get_logger()
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Held:
    """A leg that was answered."""

    leg: int
    answered: Answered
    ends: Ends
    origin: Proved
    begun: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    patient_until: float = 0.0
    """After a renewal that failed, none is tried before this; by the monotonic clock."""
    seen_until: float = 0.0
    """The origin's certificate of now is not asked for again before this."""


class Pulls:
    """All pulls of a node."""

    def __init__(
        self,
        board: Switchboard,
        *,
        policy: Policy,
        make_identity: Callable[[], LegIdentity],
        paths: Paths,
        trust_domain: str,
    ) -> None:
        self.board = board
        self.policy = policy
        self.make_identity = make_identity
        self.paths = paths
        self._trust_domain = trust_domain
        self._pulls: list[_Pulling] = []
        self._tasks: list[asyncio.Task[None]] = []
        # Of its own: origins that do not answer hold up nothing else that the node does in threads.
        self._threads = ThreadPoolExecutor(limits.PULL_THREADS, "pulls")
        board.when_over(self._over)

    def begin(self, pulls: Sequence[tuple[Pull, EndSources]]) -> None:
        """From now on the node takes these."""
        for settings, sources in pulls:
            address = Address.of(settings.from_)
            origin = Origin(address, self._trust_domain, self.policy)
            self._pulls.append(one := _Pulling(self, settings, origin, sources))
            self._tasks.append(asyncio.create_task(one.run(), name=f"pull {one.stream}"))

    def stop(self) -> None:
        """No more asking. Legs end with the relay's others."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def apart(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """What blocks, beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(work, *arguments))

    def to_json(self) -> list[dict[str, object]]:
        """As `GET /api/legs` shows them beside the legs."""
        return [one.to_json() for one in self._pulls]

    def _over(self, leg: int) -> None:
        self.paths.over(leg)
        for one in self._pulls:
            one.leg_over(leg)


class _Pulling:
    """One stream from one origin."""

    def __init__(
        self, all_of_them: Pulls, settings: Pull, origin: Origin, sources: EndSources
    ) -> None:
        self.stream = settings.as_ or settings.stream
        self.progress = Progress()
        self._remote = settings.stream
        self._of = all_of_them
        self._board = all_of_them.board
        self._origin = origin
        self._sources = sources
        self._patience = Patience()
        self._held: _Held | None = None
        self._told: set[str] = set()
        """Codes of refusals that were said aloud, since it last went well."""

    def to_json(self) -> dict[str, object]:
        return {
            "stream": self.stream,
            "of": self._remote,
            "from": str(self._origin.address),
            **self.progress.to_json(),
        }

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            most_s = limits.PULL_AGAIN_MOST_S
            try:
                held = self._held = await self._ask()
                await self._hold(held)
                self._ended(held)
            except SealcastError as error:
                self._refused(error)
                if error.code in _SOON:
                    most_s = limits.PULL_ABSENT_AGAIN_S
            except Exception as error:
                _log.error("bug in a pull", stream=self.stream, error=repr(error))
            self._held = None
            self.progress.state = "waiting"
            await asyncio.sleep(self._patience.next(most_s))
            self.progress.state = "asking"

    def leg_over(self, leg: int) -> None:
        """Some leg is over; it may be ours."""
        if self._held is not None and self._held.leg == leg:
            self._held.over.set()

    # ---- asking ------------------------------------------------------------------------------

    async def _ask(self) -> _Held:
        began = time.perf_counter()
        self.progress.tries += 1
        self._check_free()
        await self._of.apart(self._look)
        ends = await self._of.apart(self._sources.now)
        identity = self._of.make_identity()
        credentials = IceCredentials.draw(secrets.token_bytes)
        offer = build_offer(credentials, identity.fingerprint(_HASH)).to_text()
        answered = await self._of.apart(
            self._origin.ask, self._remote, offer, ends, self._of.paths.own
        )
        try:
            return self._start(answered, ends, identity, credentials, began)
        except SealcastError:
            await self._of.apart(self._origin.leave, answered, ends)
            raise

    def _check_free(self) -> None:
        """An encoder that publishes here has the stream; the origin need not be asked."""
        known = self._board.hub.get(self.stream)
        publisher = None if known is None else known.publisher
        if publisher is not None and publisher.proved and publisher.way != WAY:
            raise RemoteError("STREAM.TAKEN", f"{self.stream!r} is published at this node.")

    def _look(self) -> None:
        try:
            self._sources.look(datetime.datetime.now(datetime.UTC))
        except SealcastError as error:
            # What was there stays; whether that still does, the origin says.
            self._say("the certificate for a pull cannot be renewed", error)

    def _start(
        self,
        answered: Answered,
        ends: Ends,
        identity: LegIdentity,
        credentials: IceCredentials,
        began: float,
    ) -> _Held:
        """From an answer to a leg that runs."""
        board, facts = self._board, answered.origin.facts
        path = self._of.paths.read(answered.path)
        answer = read_offer(answered.sdp)
        channel = Channel(facts.version, answered.origin.identity, roles=frozenset({Role.NODE}))
        grant = admit(dtls_srtp.claim(answer), channel, Role.NODE, self._of.policy)
        if grant.dtls is None:
            raise LocalError("POLICY.OUTSIDE_GRANT", "The grant is not for a media leg.")
        agreed = agreed_tracks(answer)
        leg = board.ledger.new_id()
        publication = board.hub.publish(
            self.stream, leg=leg, identity=grant.peer, way=WAY, shapes=shapes_of(agreed)
        )
        try:
            board.make_tracks(publication)
            tracks = [track.id for track in publication.tracks]
            spec = leg_spec(leg, answer, agreed, tracks, grant.dtls, credentials)
            board.relay.add_leg(wire.encode(spec), identity)
        except BaseException as error:
            board.carry_out(board.hub.leave(leg, time.monotonic()))
            refusal = native_refusal(error) if isinstance(error, Exception) else None
            raise refusal or error from error
        board.register(leg, lambda code: board.relay.close_leg(leg, code))
        board.ledger.open(
            leg,
            grant=grant,
            way=WAY,
            stream=self.stream,
            local=ends.us,
            now=time.time(),
            signalling_ms=(time.perf_counter() - began) * 1000,
        )
        held = self._held = _Held(leg, answered, ends, answered.origin, time.monotonic())
        self._stands(held, answered.origin)
        board.stir(self.stream)
        self.progress.leg = leg
        for taker in self._of.paths.begin(self.stream, leg, path):
            board.end(taker, "PULL.PATH_CHANGED")
        _log.info(
            "pull answered",
            stream=self.stream,
            leg=leg,
            origin=grant.peer.name,
            at=str(self._origin.address),
        )
        return held

    # ---- holding -----------------------------------------------------------------------------

    async def _hold(self, held: _Held) -> None:
        """Until the leg is over."""
        while True:
            try:
                async with asyncio.timeout(limits.PULL_LOOK_S):
                    await held.over.wait()
                return
            except TimeoutError:
                pass
            self._see_live(held)
            await self._renew_if_due(held)

    def _see_live(self, held: _Held) -> None:
        known = self._board.ledger.get(held.leg)
        if known is not None and known.state == "live" and self.progress.state != "live":
            self.progress.state, self.progress.tries = "live", 0
            self.progress.code = self.progress.detail = ""
            self._told.clear()
            _log.info("pull live", stream=self.stream, leg=held.leg)

    async def _renew_if_due(self, held: _Held) -> None:
        """Has both ends proved anew where one has a newer certificate, or should have."""
        now = time.monotonic()
        await self._of.apart(self._look)
        ends = held.ends
        newer = self._sources.pair.current() != ends.pair
        newer |= self._sources.bundle.current() != ends.roots_pem
        left_s, due = _left(held.origin, time.time())
        if now < held.patient_until or not (newer or (due and now >= held.seen_until)):
            return
        try:
            ends = await self._of.apart(self._sources.now)
            origin = await self._of.apart(self._origin.renew, held.answered, ends)
        except SealcastError as error:
            # The leg stands as it did, until one of the two certificates ends.
            held.patient_until = now + _pause(min(left_s, _until(held.ends)))
            self._board.count_refusal(Role.NODE, error.code)
            self._say("a pull is not renewed yet", error)
            if error.code == _UNKNOWN and self._sources.bundle.current() != held.ends.roots_pem:
                # The authority that vouched for the origin was taken away.
                self._board.end(held.leg, "IDENTITY.NO_LONGER_TRUSTED", error.detail)
            return
        if held.over.is_set():
            return
        # An origin that has not renewed its own is asked again, the sooner the less is left.
        held.seen_until = now + _pause(left_s)
        is_news = newer or origin.facts.peer != held.origin.facts.peer
        held.ends, held.origin = ends, origin
        self._told.clear()
        self._stands(held, origin)
        if is_news:
            self.progress.renewals += 1
            until = f"{ends.until:%Y-%m-%d %H:%M:%SZ}"
            _log.info("pull renewed", stream=self.stream, leg=held.leg, until=until)

    def _stands(self, held: _Held, origin: Proved) -> None:
        grace_s = self._of.policy.identities.expired_grace_s
        self._board.stands_on(held.leg, origin.facts.peer, WAY, grace_s)

    # ---- the end, and refusals ---------------------------------------------------------------

    def _ended(self, held: _Held) -> None:
        """The board's line says why; here it counts for the next question."""
        known = self._board.ledger.get(held.leg)
        progress = self.progress
        progress.leg = None
        if known is not None and known.code is not None:
            progress.code, progress.detail = known.code, known.detail or ""
        if time.monotonic() - held.begun >= limits.PULL_STEADY_S:
            self._patience.begin_anew()

    def _refused(self, error: SealcastError) -> None:
        progress, again = self.progress, error.code in self._told
        progress.code, progress.detail, progress.leg = error.code, error.detail, None
        self._board.count_refusal(Role.NODE, error.code)
        if again:
            return
        self._say("pull refused", error)
        if error.code not in _SOON:
            self._board.list_refusal(
                Role.NODE,
                error,
                way=WAY,
                stream=self.stream,
                peer=UNPROVED,
                peer_address=str(self._origin.address),
            )

    def _say(self, what: str, error: SealcastError) -> None:
        """Each code once, until it goes well."""
        if error.code in self._told:
            return
        self._told.add(error.code)
        _log.warning(
            what,
            stream=self.stream,
            at=str(self._origin.address),
            code=error.code,
            meaning=lookup(error.code).sentence,
            detail=error.detail,
        )


def _left(origin: Proved, now: float) -> tuple[float, bool]:
    """Seconds to the end of the origin's certificate, and whether it should have another by now."""
    peer = origin.facts.peer
    if peer is None:
        return 0.0, False
    left_s = max(0.0, peer.not_after_unix - now)
    life_s = peer.not_after_unix - peer.not_before_unix
    return left_s, left_s < life_s * limits.PULL_RENEW_SHARE


def _pause(left_s: float) -> float:
    """The less is left, the sooner it is tried again."""
    return min(max(limits.PULL_LOOK_S, left_s / 4), limits.PULL_AGAIN_MOST_S)


def _until(ends: Ends) -> float:
    return max(0.0, (ends.until - datetime.datetime.now(datetime.UTC)).total_seconds())
