"""Renewing: what whoever shows a certificate gets next, and when they should ask.

Does: says whether a certificate may be renewed and as what (same name, profile, side, hosts and
length of life; the key may be another), and in which window of time its holder should ask.

Does not: prove that the holder has the key; a handshake with that certificate did. Does not sign
(`sealcast.identity.authority`).

The caller must still: take `Presented` from the handshake and from nowhere else.

Specs: RFC 9773 §4.2 (a window of time, and in it a moment by chance).
"""

import datetime
from dataclasses import dataclass

from cryptography import x509

from sealcast.errors import RemoteError
from sealcast.identity import certificates
from sealcast.identity.renewal_time import WINDOW_BEGINS
from sealcast.identity.store import IssuedRow


@dataclass(frozen=True, slots=True)
class Presented:
    """The certificate that a handshake proved: its serial (hexadecimal) and its SHA-256
    (`AB:CD:…`). A serial alone may be another authority's.
    """

    serial: str
    sha256: str

    @staticmethod
    def of(leaf_pem: bytes) -> "Presented":
        """The first certificate of a chain."""
        leaf = x509.load_pem_x509_certificate(leaf_pem)
        return Presented(f"{leaf.serial_number:x}", certificates.fingerprint(leaf))

    @property
    def key(self) -> str:
        """The serial as the store writes it: lower case, no leading zeros."""
        return self.serial.lower().lstrip("0")


@dataclass(frozen=True, slots=True)
class Window:
    """When to ask for the next certificate: at a moment by chance between the two."""

    begins: datetime.datetime
    ends: datetime.datetime


def check_renewable(
    row: IssuedRow | None, presented: Presented, now: datetime.datetime
) -> IssuedRow:
    """`row` itself, what the store has under the serial, if its holder may have another one.

    IDENTITY.RENEW_UNKNOWN, IDENTITY.RENEW_REVOKED, IDENTITY.RENEW_EXPIRED.
    """
    if row is None or Presented.of(row.pem).sha256 != presented.sha256.upper():
        raise RemoteError("IDENTITY.RENEW_UNKNOWN")
    return _alive(row, now)


def check_same_holder(row: IssuedRow | None, shown: IssuedRow, now: datetime.datetime) -> IssuedRow:
    """`row` itself if it is another certificate of whoever holds `shown`: a server's certificate
    cannot be shown by a client, so a node shows the one that it has as a client. The refusals of
    `check_renewable`.
    """
    if row is None or (row.name, row.profile) != (shown.name, shown.profile):
        raise RemoteError("IDENTITY.RENEW_UNKNOWN", f"It is not one of {shown.name!r}.")
    return _alive(row, now)


def _alive(row: IssuedRow, now: datetime.datetime) -> IssuedRow:
    if row.revoked_unix is not None:
        raise RemoteError("IDENTITY.RENEW_REVOKED", f"It is the one of {row.name!r}.")
    at = int(now.timestamp())
    if at >= row.not_after_unix:
        raise RemoteError("IDENTITY.RENEW_EXPIRED", f"It ended {at - row.not_after_unix} s ago.")
    return row


def lifetime_again(row: IssuedRow, issuer_ends_unix: int) -> datetime.timedelta | None:
    """How long the next one lives: as long as this one, or None (as its profile says) for one that
    the end of its issuer cut short.
    """
    if row.not_after_unix >= issuer_ends_unix:
        return None
    return datetime.timedelta(seconds=row.not_after_unix - row.issued_unix)


def window(row: IssuedRow, at: datetime.datetime) -> Window:
    """When the holder of `row` should ask: `at` is the latest moment, two thirds of its life or
    earlier when its authority is rolled (`sealcast.identity.renewal_time`).
    """
    issued = datetime.datetime.fromtimestamp(row.issued_unix, datetime.UTC)
    life = datetime.timedelta(seconds=row.not_after_unix - row.issued_unix)
    return Window(min(issued + life * WINDOW_BEGINS, at), at)
