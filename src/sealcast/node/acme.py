"""A door's certificate from a public authority, by ACME.

Does: orders the first certificate, and the next one when the authority suggests (ARI) or at two
thirds of the old one's life; keeps it over restarts. What fails is tried again, later each time and
never before the authority's own bound; the old certificate stays meanwhile, and before there is one
the door shows what it would show without ACME.

Does not: swap anything at a door (`sealcast.node.door_keeping`).

Orders take seconds and wait for the network, so each runs in a thread of its own, one at a time.

Nothing here needs the library for ACME, which comes with ``sealcast[acme]``; `acme_orders` does.
"""

from __future__ import annotations

import datetime
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from cryptography import x509

from sealcast.errors import RemoteError, SealcastError
from sealcast.node.acme_store import AcmeStore
from sealcast.node.certificate_sources import Lifetime, Source, first_certificate
from sealcast.node.state_folder import KeyPair

FIRST_WAIT: Final = datetime.timedelta(minutes=1)
PAUSE: Final = datetime.timedelta(hours=1)
"""Least time between two certificates, where they live long enough for it."""
LONGEST_WAIT: Final = datetime.timedelta(hours=6)
"""Beyond it nothing is gained, and a week's bound on failures is not met."""

_log = structlog.get_logger()


class RateLimited(RemoteError):  # noqa: N818 - named for what happened
    """ACME.RATE_LIMITED; `wait` is what the authority asked for, if it said."""

    def __init__(self, detail: str, wait: datetime.timedelta | None) -> None:
        super().__init__("ACME.RATE_LIMITED", detail)
        self.wait = wait


class OrdersPort(Protocol):
    """What an authority is asked; see `sealcast.node.acme_orders.Orders`."""

    def order(self, names: Sequence[str], replaces: bytes | None = None) -> KeyPair: ...

    def renewal(self, chain_pem: bytes) -> tuple[datetime.datetime | None, datetime.datetime]: ...


@dataclass(slots=True)
class _Outcome:
    """What a thread found out; one of the first three."""

    pair: KeyPair | None = None
    failure: SealcastError | None = None
    renew_at: datetime.datetime | None = None
    ask_at: datetime.datetime | None = None


class AcmePair:
    """The certificate of an ACME authority for a door's names; until there is one, another
    source's.
    """

    def __init__(
        self,
        orders: OrdersPort,
        store: AcmeStore,
        names: Sequence[str],
        stand_in: Source[KeyPair],
        now: datetime.datetime,
    ) -> None:
        """IDENTITY.KEY_EXPOSED if others may read what was kept."""
        self._orders, self._store, self._names = orders, store, tuple(names)
        self._stand_in = stand_in
        self._failures = 0
        self._not_before = self._ask_at = now
        self._thread: threading.Thread | None = None
        self._outcome: _Outcome | None = None
        self._pair = store.pair()
        self._renew_at = self._due(now)

    @property
    def name(self) -> str:
        return f"ACME for {', '.join(self._names)}"

    def current(self) -> KeyPair:
        return self._stand_in.current() if self._pair is None else self._pair

    def look(self, now: datetime.datetime) -> bool:
        """Takes in what the thread found out, and begins another one when something is due."""
        changed = self._pair is None and self._stand_in.look(now)
        if self._thread is not None:
            if self._thread.is_alive():
                return changed
            self._thread = None
            return self._take_in(now) or changed
        if now >= self._not_before and (now >= self._renew_at or now >= self._ask_at):
            arguments = (self._pair, now >= self._renew_at)
            # A daemon: a node that stops does not wait for somebody else's answer.
            self._thread = threading.Thread(
                target=self._work, args=arguments, name="acme", daemon=True
            )
            self._thread.start()
        return changed

    def _work(self, pair: KeyPair | None, is_due: bool) -> None:
        """In the thread: asks when to renew, or orders."""
        try:
            if pair is None or is_due:
                before = None if pair is None else pair.chain_pem
                self._outcome = _Outcome(pair=self._orders.order(self._names, before))
            else:
                renew_at, ask_at = self._orders.renewal(pair.chain_pem)
                self._outcome = _Outcome(renew_at=renew_at, ask_at=ask_at)
        except SealcastError as failure:
            self._outcome = _Outcome(failure=failure)

    def _take_in(self, now: datetime.datetime) -> bool:
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            # A bug of ours ended the thread, with its traceback in the log.
            outcome = _Outcome(failure=SealcastError("ACME.UNREACHABLE", "The order broke off."))
        if outcome.failure is not None:
            self._wait(outcome.failure, now)
            raise outcome.failure
        self._failures = 0
        if outcome.pair is None:
            if outcome.renew_at is not None:
                self._renew_at = outcome.renew_at
            self._ask_at = outcome.ask_at or now + LONGEST_WAIT
            return False
        self._store.keep(outcome.pair)
        self._pair = outcome.pair
        self._renew_at = self._due(now)
        # What the authority suggests for the new one is asked for soon: it may be early. But one
        # that always says "now", or a clock that is wrong, does not make order after order.
        life = Lifetime.of(outcome.pair.chain_pem)
        self._ask_at = self._not_before = now + min(PAUSE, (life.not_after - life.not_before) / 3)
        _log.info("certificate by ACME", names=self._names)
        return True

    def _wait(self, failure: SealcastError, now: datetime.datetime) -> None:
        wait = min(FIRST_WAIT * 2**self._failures, LONGEST_WAIT)
        self._failures = min(self._failures + 1, 32)
        # Later by up to a quarter: nodes that failed together do not come back together.
        wait *= 1 + random.random() / 4  # noqa: S311 - no secret hangs on it
        if isinstance(failure, RateLimited) and failure.wait is not None:
            wait = max(wait, failure.wait)
        self._not_before = now + wait

    def _due(self, now: datetime.datetime) -> datetime.datetime:
        """When the next one is to be ordered, as far as we know."""
        if self._pair is None or not _names_in(self._pair.chain_pem).issuperset(self._names):
            return now
        return Lifetime.of(self._pair.chain_pem).renew_at


def _names_in(chain_pem: bytes) -> set[str]:
    leaf = first_certificate(chain_pem)
    try:
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return set(held.value.get_values_for_type(x509.DNSName))
