"""Doors whose certificates and trust bundles change while they are open.

Does: asks each door's sources once a round whether they have another pair or bundle, and swaps it
at the door: running connections stay, the next handshake sees the new one, tickets of before resume
nothing. What cannot be used is refused by its code, said once, counted, and tried again: the door
keeps what it had.

Does not: know where pairs come from (`certificate_sources`) or judge them (the front).

The caller must still: call `round` again and again, in a thread: sources may block.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from sealcast.errors import SealcastError
from sealcast.node.certificate_sources import Source, first_certificate
from sealcast.node.doors import OpenDoor
from sealcast.node.ports import FrontPort, native_refusal
from sealcast.node.state_folder import KeyPair

AGAIN: Final = datetime.timedelta(seconds=10)
"""What was refused is tried again this much later: the clock, or the other half, may come."""
_log = structlog.get_logger()


Offer = tuple[KeyPair, bytes | None]
"""A pair, and a trust bundle where the door asks for certificates."""


@dataclass(slots=True)
class Kept:
    """A door, and what it works with: what its sources have now may have been refused."""

    door: OpenDoor
    pair: KeyPair
    roots: bytes | None
    refused: Offer | None = None
    """What its sources had when it was last refused; None while it works with that."""
    refused_at: datetime.datetime | None = None
    told: tuple[str, str] | None = None
    """Code and detail of the last warning, which is not said twice."""

    def offered(self) -> Offer:
        """What its sources have."""
        bundle = self.door.bundle
        return self.door.pair.current(), None if bundle is None else bundle.current()

    def sources(self) -> list[Source[KeyPair] | Source[bytes]]:
        bundle = self.door.bundle
        return [self.door.pair] if bundle is None else [self.door.pair, bundle]


class DoorKeeper:
    """All doors of a node."""

    def __init__(self, front: FrontPort) -> None:
        self._front = front
        self._kept: list[Kept] = []
        self.swaps: Counter[str] = Counter()
        """Swaps that were done, by door."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Pairs and bundles that were refused, by door and code."""

    def keep(self, doors: Sequence[OpenDoor]) -> None:
        """These were opened with what their sources have now."""
        for door in doors:
            roots = None if door.bundle is None else door.bundle.current()
            self._kept.append(Kept(door, door.pair.current(), roots))
            self.swaps[door.plan.name] = 0

    def doors(self) -> tuple[Kept, ...]:
        """All of them, as they are now."""
        return tuple(self._kept)

    def pairs(self) -> dict[str, KeyPair]:
        """What each door shows."""
        return {kept.door.plan.name: kept.pair for kept in self._kept}

    def bundles(self) -> dict[str, bytes]:
        """Whose client certificates each door admits that asks for one."""
        return {kept.door.plan.name: kept.roots for kept in self._kept if kept.roots is not None}

    def round(self, now: datetime.datetime) -> None:
        """Looks at every source once, and swaps what is another one than the door works with."""
        looks: dict[int, SealcastError | bool] = {}
        for kept in self._kept:
            for source in kept.sources():
                # Doors share sources; each is asked once.
                if id(source) not in looks:
                    looks[id(source)] = _look(source, now)
                outcome = looks[id(source)]
                if isinstance(outcome, SealcastError):
                    self._refuse(kept, outcome)
                elif outcome:
                    kept.told = None
            # By what there is and not by who told: a source may stand behind another one, which
            # then was told in its place.
            self._consider(kept, kept.offered(), now)

    def _consider(self, kept: Kept, offer: Offer, now: datetime.datetime) -> None:
        if offer == (kept.pair, kept.roots):
            kept.refused = None
            return
        at = kept.refused_at
        waits = offer == kept.refused and at is not None and at <= now < at + AGAIN
        if not waits:
            self._offer(kept, offer, now)

    def _offer(self, kept: Kept, offer: Offer, now: datetime.datetime) -> None:
        """Swaps in what the sources have: both, or the one of the two that can be used."""
        pair, roots = offer
        refusal = self._swap(kept, pair, roots)
        if refusal is None:
            kept.refused = kept.told = None
            return
        kept.refused, kept.refused_at = offer, now
        self._refuse(kept, refusal)
        both = pair != kept.pair and roots != kept.roots
        if both and self._swap(kept, pair, kept.roots) is not None:
            self._swap(kept, kept.pair, roots)

    def _swap(self, kept: Kept, pair: KeyPair, roots: bytes | None) -> SealcastError | None:
        name = kept.door.plan.name
        try:
            self._front.swap(name, pair.chain_pem, pair.key_pem, roots)
        except Exception as error:
            refusal = native_refusal(error)
            if refusal is None:
                raise
            return refusal
        if pair != kept.pair:
            _log.info("door shows another certificate", door=name, **_until(pair))
        if roots != kept.roots:
            _log.info("door has another trust bundle", door=name)
        kept.pair, kept.roots = pair, roots
        self.swaps[name] += 1
        return None

    def _refuse(self, kept: Kept, refusal: SealcastError) -> None:
        if kept.told == (refusal.code, refusal.detail):
            return
        kept.told = (refusal.code, refusal.detail)
        name = kept.door.plan.name
        self.refusals[name, refusal.code] += 1
        _log.warning("door keeps what it had", door=name, code=refusal.code, detail=refusal.detail)


def _look(source: Source[KeyPair] | Source[bytes], now: datetime.datetime) -> SealcastError | bool:
    try:
        return source.look(now)
    except SealcastError as error:
        return error


def _until(pair: KeyPair) -> dict[str, str]:
    """For the log. BoringSSL reads some certificates that `cryptography` does not."""
    try:
        leaf = first_certificate(pair.chain_pem)
    except SealcastError:
        return {}
    return {"until": f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}"}
