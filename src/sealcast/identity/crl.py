"""Revocation lists: for those who cannot ask the authority itself, such as a CDN's servers.

Does: makes a list (version 2) that is complete for its issuer. Each issuing authority has its own;
a root has one that names the issuing authorities that were rolled out of use.

Does not: use extensions beside its number and its issuer's key identifier: a list without an
issuing distribution point covers everything of its issuer (RFC 5280 §5.2.5), and every verifier
reads that. Does not put its address into certificates
(`docs/decisions/0020-no-distribution-points.md`).

Specs: RFC 5280 §5.
"""

import datetime
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sealcast.identity.certificates import Signer
from sealcast.identity.keys import digest_for
from sealcast.identity.profiles import backdated, list_fresh, list_lifetime
from sealcast.identity.revocation import LISTED_AFTER_ITS_END_S, Reason
from sealcast.identity.store import CrlRow, IssuerRow, Store, Writing


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One line of a list. `serial` is in hex."""

    serial: str
    at_unix: int
    reason: str


def newest(
    store: Store, issuer: IssuerRow, signer: Callable[[], Signer], now: datetime.datetime
) -> bytes:
    """The list of an issuing authority as DER: the last one while it says everything and is not a
    day old, else a new one. The key is asked for only then.
    """
    last = store.crl(issuer.serial, int(now.timestamp()))
    if last is not None and _is_fresh(last, digest(_entries(store, issuer, now)), now):
        return last.der
    opened, at = signer(), int(now.timestamp())
    with store.writing() as transaction:
        # Again, now that nobody else writes: what was revoked meanwhile is in it.
        entries = _entries(store, issuer, now)
        row = CrlRow(
            issuer=issuer.serial,
            number=(number := transaction.next_crl_number(issuer.serial, at)),
            made_unix=at,
            next_unix=at + int(list_lifetime().total_seconds()),
            lists=digest(entries),
            der=make_list(entries, opened, number, now - backdated(), now + list_lifetime()),
        )
        transaction.add_crl(row, only=True)
    return row.der


def sign_root_list(
    transaction: Writing,
    root: Signer,
    entries: Sequence[Entry],
    made: datetime.datetime,
    next_update: datetime.datetime,
) -> None:
    """A root's list, to be published from `made` on. It is signed while the root's key is there:
    `made` may lie ahead, and the list is good until the issuing authorities end.
    """
    serial, at = f"{root.certificate.serial_number:x}", int(made.timestamp())
    number = transaction.next_crl_number(serial, at)
    der = make_list(entries, root, number, made - backdated(), next_update)
    row = CrlRow(serial, number, at, int(next_update.timestamp()), digest(entries), der)
    transaction.add_crl(row, only=False)


def make_list(
    entries: Sequence[Entry],
    signer: Signer,
    number: int,
    made: datetime.datetime,
    next_update: datetime.datetime,
) -> bytes:
    """The list as DER. `made` is its thisUpdate; the next comes before `next_update`."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(made)
        .next_update(next_update)
        # §5.2.1, §5.2.3: both MUST be there.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False
        )
        .add_extension(x509.CRLNumber(number), False)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(_revoked(entry))
    signed = builder.sign(signer.key, digest_for(signer.key))
    return signed.public_bytes(serialization.Encoding.DER)


def digest(entries: Sequence[Entry]) -> bytes:
    """What tells whether a list still says the same."""
    return hashlib.sha256(repr(entries).encode()).digest()


def pem(der: bytes) -> bytes:
    """A list as PEM, which files of several hold."""
    return x509.load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)


def _entries(store: Store, issuer: IssuerRow, now: datetime.datetime) -> list[Entry]:
    after = int(now.timestamp()) - LISTED_AFTER_ITS_END_S
    return sorted(
        Entry(row.serial, row.revoked_unix or 0, row.revoked_why or Reason.UNSPECIFIED.value)
        for row in store.revoked(after)
        if row.issuer == issuer.serial
    )


def _is_fresh(last: CrlRow, lists: bytes, now: datetime.datetime) -> bool:
    age = now.timestamp() - last.made_unix
    return last.lists == lists and age < list_fresh().total_seconds()


def _revoked(entry: Entry) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(entry.serial, 16))
        .revocation_date(datetime.datetime.fromtimestamp(entry.at_unix, datetime.UTC))
    )
    # §5.3.1: left out rather than "unspecified".
    if entry.reason != Reason.UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(entry.reason)), False)
    return builder.build()
