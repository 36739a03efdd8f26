"""Revocation lists: what stands in them, when there is a new one, and who needs no key for it."""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.founded import ENCODER, NOW, PASSPHRASE, copied

from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.profiles import Side, list_fresh, list_lifetime
from sealcast.identity.revocation import LISTED_AFTER_ITS_END_S, Reason
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def listed(
    authority: Authority, now: datetime.datetime = NOW, issuer: str = "client"
) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(authority.crl(issuer, now))


def number(of: x509.CertificateRevocationList) -> int:
    return of.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def serials(of: x509.CertificateRevocationList) -> list[str]:
    return sorted(f"{entry.serial_number:x}" for entry in of)


def issued_and_revoked(authority: Authority, reason: Reason = Reason.KEY_COMPROMISE) -> str:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    authority.revoke(ENCODER, reason, NOW, who="ada", serial=serial)
    return serial


def test_a_list_names_what_its_issuer_revoked_when_and_why(authority: Authority) -> None:
    serial = issued_and_revoked(authority)
    authority.issue(WANTED, NOW, who="ada")
    made = listed(authority)
    (entry,) = made
    assert f"{entry.serial_number:x}" == serial
    assert entry.revocation_date_utc == NOW
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    assert serials(listed(authority, issuer="server")) == [], "the other side's is another list"


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.CA_COMPROMISE])
def test_each_reason_has_its_code_and_none_is_written_as_unspecified(
    authority: Authority, reason: Reason
) -> None:
    issued_and_revoked(authority, reason)
    (entry,) = listed(authority)
    codes = [extension.value for extension in entry.extensions]
    assert codes == ([] if reason is Reason.UNSPECIFIED else [x509.CRLReason(codes[0].reason)])
    assert [code.reason.value for code in codes] == [reason.value] * len(codes)


@pytest.mark.parametrize("side", list(Side))
def test_a_list_is_signed_by_its_issuer_and_says_so(authority: Authority, side: Side) -> None:
    made = listed(authority, issuer=side)
    issuer = x509.load_pem_x509_certificate(authority.issuer(side, NOW).pem)
    key = issuer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert made.is_signature_valid(key)
    assert made.issuer == issuer.subject
    own = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    names = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own.key_identifier == names.digest
    assert {extension.oid for extension in made.extensions} == {
        x509.AuthorityKeyIdentifier.oid,
        x509.CRLNumber.oid,
    }
    assert made.next_update_utc == NOW + list_lifetime()
    assert made.last_update_utc < NOW


def test_nothing_changed_is_the_same_list_and_no_key_is_opened(authority: Authority) -> None:
    issued_and_revoked(authority)
    first = authority.crl("client", NOW)
    locked = Authority.open(authority.folder, lambda: pytest.fail("the passphrase was asked for"))
    assert locked.crl("client", NOW + list_fresh() - SECOND) == first


def test_a_revocation_makes_a_new_list_with_a_greater_number(authority: Authority) -> None:
    before = listed(authority)
    serial = issued_and_revoked(authority)
    after = listed(authority)
    assert (serials(before), serials(after)) == ([], [serial])
    assert number(after) > number(before)


def test_a_day_later_there_is_a_new_list_even_if_nothing_changed(authority: Authority) -> None:
    first = listed(authority)
    second = listed(authority, NOW + list_fresh())
    assert number(second) > number(first)
    assert second.next_update_utc == NOW + list_fresh() + list_lifetime()


def test_a_clock_that_jumps_back_still_gets_a_list_that_is_valid_then(
    authority: Authority,
) -> None:
    first = listed(authority)
    yesterday = NOW - datetime.timedelta(days=1)
    made = listed(authority, yesterday)
    assert number(made) > number(first)
    assert made.next_update_utc is not None
    assert made.last_update_utc < yesterday < made.next_update_utc


def test_what_has_expired_leaves_the_list_after_it_was_named_once_more(
    authority: Authority,
) -> None:
    """RFC 5280 §3.3."""
    serial = issued_and_revoked(authority)
    end = datetime.datetime.fromtimestamp(authority.store.issued()[0].not_after_unix, datetime.UTC)
    last = end + datetime.timedelta(seconds=LISTED_AFTER_ITS_END_S)
    assert serials(listed(authority, last - SECOND)) == [serial]
    assert serials(listed(authority, last)) == []
    assert list_fresh().total_seconds() < LISTED_AFTER_ITS_END_S


def test_the_root_signed_its_list_when_the_authority_was_founded(authority: Authority) -> None:
    made = listed(authority, issuer="root")
    root = x509.load_pem_x509_certificate(authority.root_pem(NOW))
    assert made.issuer == root.subject
    issuing = authority.issuer(Side.CLIENT, NOW)
    assert made.next_update_utc is not None
    assert int(made.next_update_utc.timestamp()) >= issuing.not_after_unix


def test_an_issuer_is_also_found_by_its_serial_and_a_stranger_is_not(
    authority: Authority,
) -> None:
    by_serial = authority.crl(authority.issuer(Side.CLIENT, NOW).serial, NOW)
    assert by_serial == authority.crl("client", NOW)
    for stranger in ("abc", "", "clients", "../store.sqlite"):
        with pytest.raises(SealcastError) as told:
            authority.crl(stranger, NOW)
        assert told.value.code == "IDENTITY.NO_ISSUER"


def test_all_lists_are_those_of_the_roots_and_the_issuing_authorities(
    authority: Authority,
) -> None:
    assert set(authority.crls(NOW)) == {
        authority.crl(which, NOW) for which in ("root", "client", "server")
    }


def test_a_locked_key_makes_no_list_and_spoils_none(authority: Authority) -> None:
    locked = Authority.open(authority.folder, lambda: Secret("not the passphrase"))
    with pytest.raises(SealcastError) as told:
        locked.crl("client", NOW)
    assert told.value.code == "IDENTITY.PASSPHRASE_WRONG"
    unlocked = Authority.open(authority.folder, lambda: Secret(PASSPHRASE))
    assert serials(listed(unlocked)) == []


def test_the_store_itself_takes_no_list_with_an_old_number(authority: Authority) -> None:
    listed(authority)
    connection = sqlite3.connect(authority.store.file)
    try:
        for statement in (
            "INSERT INTO crls SELECT issuer, number - 1, made_at, next_at, lists, der FROM crls",
            "UPDATE crls SET number = number + 1",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
    finally:
        connection.close()
