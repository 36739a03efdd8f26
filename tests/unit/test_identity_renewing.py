"""Renewing: who may, what stays, and when."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.unit.founded import ENCODER, NOW, copied, request

from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.enrolling import enrol_with_token
from sealcast.identity.issued import Issued
from sealcast.identity.keys import generate
from sealcast.identity.profiles import Side
from sealcast.identity.renewing import Presented, Window, check_renewable, lifetime_again, window
from sealcast.identity.requests import key_of_request
from sealcast.identity.revocation import Reason
from sealcast.identity.throw_away import ThrowAwayAuthority

MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)
WANTED = Wanted(ENCODER, "encoder")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def shown(issued: Issued) -> Presented:
    return Presented.of(issued.chain_pem)


def refused(authority: Authority, presented: Presented, now: datetime.datetime = NOW) -> str:
    with pytest.raises(SealcastError) as refusal:
        authority.renew(request(), presented, now, who="test")
    assert "-----" not in str(refusal.value)
    return refusal.value.code


def test_name_profile_side_hosts_and_length_stay_and_the_key_may_change(
    authority: Authority,
) -> None:
    wanted = Wanted("node/one", "node", hosts=("one.venue.example", "127.0.0.1"), lifetime=MINUTE)
    held = authority.issue(wanted, NOW, who="ada")
    key = generate("p384")
    later = NOW + MINUTE / 2
    done = authority.renew(request(key), shown(held), later, who="renewal")
    new, old = authority.store.issued("node/one")
    assert new.serial == done.serial != old.serial
    assert (new.profile, new.side, new.hosts) == (old.profile, old.side, old.hosts)
    assert new.not_after_unix == int((later + MINUTE).timestamp())
    assert new.issued_by == "renewal"
    leaf = x509.load_pem_x509_certificate(done.chain_pem)
    assert leaf.public_key() == key.public_key()
    assert [entry.action for entry in authority.store.journal()[-2:]] == ["issue", "renew"]


def test_a_serial_is_read_as_the_handshake_writes_it(authority: Authority) -> None:
    held = authority.issue(WANTED, NOW, who="ada")
    presented = shown(held)
    written = Presented(f"0{presented.serial.upper()}", presented.sha256)
    assert authority.renew(request(), written, NOW, who="renewal").serial != held.serial


def test_a_certificate_of_another_authority_is_not_renewed_even_with_a_serial_of_ours(
    authority: Authority,
) -> None:
    held = authority.issue(WANTED, NOW, who="ada")
    foreign = ThrowAwayAuthority.create("venue.example", NOW).issue_client(ENCODER, NOW)
    assert refused(authority, shown(foreign)) == "IDENTITY.RENEW_UNKNOWN"
    forged = Presented(shown(held).serial, shown(foreign).sha256)
    assert refused(authority, forged) == "IDENTITY.RENEW_UNKNOWN"


def test_an_expired_certificate_is_not_renewed_and_told_so(authority: Authority) -> None:
    held = authority.issue(replace(WANTED, lifetime=MINUTE), NOW, who="ada")
    assert refused(authority, shown(held), NOW + MINUTE) == "IDENTITY.RENEW_EXPIRED"
    (row,) = authority.store.issued(ENCODER)
    last = authority.store.journal()[-1]
    assert (last.action, last.name, last.outcome) == ("renew", ENCODER, "IDENTITY.RENEW_EXPIRED")
    assert row.serial == held.serial


def test_a_revoked_certificate_is_not_renewed(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    (row,) = authority.store.issued(ENCODER)
    revoked = replace(row, revoked_unix=1, revoked_why="lost")
    with pytest.raises(SealcastError) as refusal:
        check_renewable(revoked, Presented.of(row.pem), NOW)
    assert refusal.value.code == "IDENTITY.RENEW_REVOKED"


def test_what_is_revoked_while_its_renewal_is_made_gets_nothing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look and the signature, as by an operator in another process."""
    held = authority.issue(WANTED, NOW, who="ada")

    def revoked_meanwhile(*words: Any, **named: Any) -> Any:
        authority.revoke(ENCODER, Reason.KEY_COMPROMISE, NOW, who="ada")
        return key_of_request(*words, **named)

    monkeypatch.setattr("sealcast.identity.authority.key_of_request", revoked_meanwhile)
    assert refused(authority, shown(held)) == "IDENTITY.RENEW_REVOKED"
    (row,) = authority.store.issued(ENCODER)
    assert row.serial == held.serial
    assert row.revoked_unix is not None


def test_the_holder_of_a_name_renews_its_other_certificates_and_nobody_elses(
    authority: Authority,
) -> None:
    hosts = ("one.venue.example",)
    client = authority.issue(Wanted("node/one", "node", side=Side.CLIENT), NOW, who="ada")
    server = authority.issue(Wanted("node/one", "node", hosts=hosts), NOW, who="ada")
    other = authority.issue(Wanted("node/two", "node", hosts=hosts), NOW, who="ada")
    authority.renew(request(), shown(client), NOW, who="x", serial=server.serial)
    assert authority.store.issued("node/one")[0].hosts == hosts
    for serial in (other.serial, "abc"):
        with pytest.raises(SealcastError) as refusal:
            authority.renew(request(), shown(client), NOW, who="x", serial=serial)
        assert refusal.value.code == "IDENTITY.RENEW_UNKNOWN"
    authority.revoke("node/one", Reason.SUPERSEDED, NOW, who="ada", serial=server.serial)
    with pytest.raises(SealcastError) as refusal:
        authority.renewal_window(shown(client), NOW, server.serial)
    assert refusal.value.code == "IDENTITY.RENEW_REVOKED"


def test_a_request_for_another_name_does_not_come_through_a_renewal(authority: Authority) -> None:
    held = authority.issue(WANTED, NOW, who="ada")
    with pytest.raises(SealcastError) as refusal:
        authority.renew(request(subject="encoder/other"), shown(held), NOW, who="renewal")
    assert refusal.value.code == "IDENTITY.REQUEST_NAME"


def test_what_its_issuer_cut_short_is_renewed_for_the_profiles_whole_life(
    authority: Authority,
) -> None:
    issuer = x509.load_pem_x509_certificate(authority.issuer(Side.CLIENT, NOW).pem)
    late = issuer.not_valid_after_utc - 5 * DAY
    held = authority.issue(WANTED, late, who="ada")
    assert held.not_after_unix == int(issuer.not_valid_after_utc.timestamp())
    (row,) = authority.store.issued(ENCODER)
    assert lifetime_again(row, row.not_after_unix) is None
    assert lifetime_again(row, row.not_after_unix + 1) == 5 * DAY


def test_the_window_ends_at_two_thirds_of_the_life_since_issuing(authority: Authority) -> None:
    """Not since notBefore, which lies five minutes back: a certificate of a minute would be due at
    once.
    """
    held = authority.issue(replace(WANTED, lifetime=MINUTE), NOW, who="ada")
    found = authority.renewal_window(shown(held), NOW)
    assert found.begins == NOW + datetime.timedelta(seconds=36)
    assert found.ends == NOW + datetime.timedelta(seconds=40)


def test_what_a_roll_orders_is_the_latest_moment(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    (row,) = authority.store.issued(ENCODER)
    ordered = NOW + 3 * DAY
    assert window(row, ordered) == Window(ordered, ordered)
    usual = authority.renewal_window(Presented.of(row.pem), NOW)
    assert usual == Window(NOW + 54 * DAY, NOW + 60 * DAY)


def test_a_token_says_itself_what_it_is_for(authority: Authority) -> None:
    hosts = ("one.venue.example",)
    wanted = Wanted("node/one", "node", hosts=hosts)
    token = authority.make_token(wanted, NOW, who="ada").reveal().decode()
    with pytest.raises(SealcastError) as refusal:
        enrol_with_token(authority, request(), token, NOW, who="x", name="node/two")
    assert refusal.value.code == "IDENTITY.TOKEN_OTHER"
    assert enrol_with_token(authority, request(), token, NOW, who="x", name="node/one").serial
    (row,) = authority.store.issued("node/one")
    assert row.hosts == hosts


def test_a_guessed_token_leaves_no_trace_in_the_journal(authority: Authority) -> None:
    before = authority.store.journal()
    with pytest.raises(SealcastError) as refusal:
        enrol_with_token(authority, request(), "x" * 43, NOW, who="stranger")
    assert refusal.value.code == "IDENTITY.TOKEN_UNKNOWN"
    assert authority.store.journal() == before
