"""What doors show and trust, and when it ends: told before somebody notices at night.

Does: reads the ends of the doors' own certificates and of the authorities in their trust bundles,
for metrics, and warns of those that end soon, once a day each.

Does not: renew. Authorities in a bundle are mostly somebody else's: nobody here would know.

The caller must still: call `warn` now and then.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography import x509

from sealcast.node.door_keeping import DoorKeeper

AUTHORITY_ENDS_SOON: Final = datetime.timedelta(days=30)
"""An authority in a bundle: as long as it may take to get another one and hand it out."""
SHARE_OF_OWN: Final = 1 / 5
"""A door's own certificate, when this much of its life is left: its renewal was due at a third."""
TOLD_AGAIN: Final = datetime.timedelta(days=1)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate at a door: what it shows (`role` is `shown`) or trusts (`trusted`)."""

    door: str
    role: str
    name: str
    serial: str
    not_before: datetime.datetime
    not_after: datetime.datetime

    def ends_soon(self, now: datetime.datetime) -> bool:
        """Whether somebody has to act."""
        if self.role == "trusted":
            return self.not_after - now < AUTHORITY_ENDS_SOON
        return self.not_after - now < (self.not_after - self.not_before) * SHARE_OF_OWN


class TrustExpiry:
    """All doors of a node."""

    def __init__(self, keeper: DoorKeeper) -> None:
        self._keeper = keeper
        self._parsed: dict[bytes, tuple[x509.Certificate, ...]] = {}
        self._told: dict[tuple[str, str, str], datetime.datetime] = {}

    def certificates(self) -> Iterator[Shown]:
        """The first certificate that each door shows, and every authority that it trusts, as far as
        `cryptography` reads them too.
        """
        pems = {}
        for door, pair in self._keeper.pairs().items():
            pems[pair.chain_pem] = self._read(pair.chain_pem)
            for leaf in pems[pair.chain_pem][:1]:
                yield _shown(door, "shown", leaf)
        for door, bundle in self._keeper.bundles().items():
            pems[bundle] = self._read(bundle)
            for authority in pems[bundle]:
                yield _shown(door, "trusted", authority)
        self._parsed = pems

    def warn(self, now: datetime.datetime) -> None:
        """Says which of them end soon; each once a day."""
        for each in self.certificates():
            key = (each.door, each.role, each.serial)
            told = self._told.get(key)
            if not each.ends_soon(now) or (told is not None and told <= now < told + TOLD_AGAIN):
                continue
            self._told[key] = now
            what = (
                "the certificate of a door ends soon"
                if each.role == "shown"
                else "an authority that a door trusts ends soon"
            )
            until = f"{each.not_after:%Y-%m-%d %H:%M:%SZ}"
            _log.warning(what, door=each.door, name=each.name, serial=each.serial, until=until)

    def _read(self, pem: bytes) -> tuple[x509.Certificate, ...]:
        return self._parsed.get(pem) or certificates_of(pem)


def certificates_of(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All in a text that BoringSSL has read; none if `cryptography` does not read it."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return ()


def _shown(door: str, role: str, certificate: x509.Certificate) -> Shown:
    return Shown(
        door=door,
        role=role,
        name=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
