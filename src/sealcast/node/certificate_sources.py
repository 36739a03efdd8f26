"""Where doors get what they show and what they trust.

Does: says what such a source is (`Source`): it has something now, and tells when it has another.
Has the simplest one, the state folder's throw-away authority. The others have files of their own:
`own_authority`, `certificate_files`.

Does not: swap anything at a door (`sealcast.node.door_keeping`), or judge whether a key fits its
certificate: the front does, with BoringSSL, when it is given a pair.

Sources are asked, they do not call: one loop asks all of them once a second, and a source needs no
thread and no callback of its own.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity.profiles import backdated
from sealcast.identity.renewal_time import WINDOW_BEGINS, WINDOW_ENDS
from sealcast.node.state_folder import KeyPair, StateFolder

_T = TypeVar("_T", covariant=True)


class Source(Protocol[_T]):
    """Where a pair (`Source[KeyPair]`) or a trust bundle (`Source[bytes]`, PEM) comes from."""

    @property
    def name(self) -> str:
        """What it is, for people, as in "the throw-away authority"."""

    def current(self) -> _T:
        """What it has: the same until a `look` told of another."""

    def look(self, now: datetime.datetime) -> bool:
        """Whether there is another one since the last look.

        It may block for a moment, so it is called in a thread, by one caller. A `SealcastError`
        says that there is another one that cannot be used; what `current` gives stays.
        """


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a certificate holds, and when the next one is due."""

    not_before: datetime.datetime
    not_after: datetime.datetime
    renew_at: datetime.datetime

    @staticmethod
    def of(chain_pem: bytes) -> Lifetime:
        """Of the first certificate in a chain. It is due at a moment by chance in the window in
        which agents renew (`sealcast.identity.renewing`): at two thirds of its life at the latest,
        and nodes that started together do not renew together.

        IDENTITY.CERTIFICATE_MALFORMED.
        """
        leaf = first_certificate(chain_pem)
        begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        # Certificates begin a little before their issue, for slow clocks.
        issued = begin + backdated() if begin + backdated() < end else begin
        share = random.uniform(WINDOW_BEGINS, WINDOW_ENDS)  # noqa: S311 - no secret hangs on it
        return Lifetime(begin, end, issued + (end - issued) * share)


def first_certificate(chain_pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM text; IDENTITY.CERTIFICATE_MALFORMED."""
    try:
        return x509.load_pem_x509_certificate(chain_pem)
    except ValueError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", "It is not PEM.") from error


class ThrowAwayPair:
    """A server certificate of the state folder's throw-away authority."""

    name = "the throw-away authority"

    def __init__(self, state: StateFolder, names: Sequence[str], now: datetime.datetime) -> None:
        self._state = state
        self._names = tuple(names)
        self._pair = state.server(self._names, now)
        self._lifetime = Lifetime.of(self._pair.chain_pem)

    def current(self) -> KeyPair:
        return self._pair

    def look(self, now: datetime.datetime) -> bool:
        """The state folder makes another one when two thirds of the old one's life are over."""
        if now < self._lifetime.renew_at:
            return False
        try:
            pair = self._state.server(self._names, now)
        except OSError as error:
            raise LocalError(
                "IDENTITY.NOT_WRITTEN", f"{self._state.path}: {error.strerror}."
            ) from error
        self._lifetime = Lifetime.of(pair.chain_pem)
        changed = pair.chain_pem != self._pair.chain_pem
        self._pair = pair
        return changed


class FixedBundle:
    """Authorities that do not change while the node runs."""

    def __init__(self, name: str, roots_pem: bytes) -> None:
        self.name = name
        self._roots_pem = roots_pem

    def current(self) -> bytes:
        return self._roots_pem

    def look(self, now: datetime.datetime) -> bool:
        return False
