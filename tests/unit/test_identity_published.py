"""What an authority tells everybody, as the store and the clock change."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.founded import ENCODER, NOW, PASSPHRASE, copied

from sealcast.errors import LocalError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.profiles import Side
from sealcast.identity.published import AGAIN, Published
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret

DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def test_it_says_what_the_authority_says(authority: Authority) -> None:
    words = Published(authority).look(NOW)
    assert words.bundle_pem == authority.bundle_pem(NOW)
    for issuer in ("root", *Side, authority.issuer(Side.CLIENT, NOW).serial):
        assert words.list_of(issuer) == authority.crl(issuer, NOW)
    with pytest.raises(LocalError) as refused:
        words.list_of("abc")
    assert refused.value.code == "IDENTITY.NO_ISSUER"


def test_it_says_the_same_until_something_changed(authority: Authority) -> None:
    published = Published(authority)
    published.look(NOW)
    settled = published.look(NOW)
    assert published.look(NOW) is settled, "nothing was read"
    authority.issue(Wanted(ENCODER, "encoder"), NOW, who="ada")
    authority.revoke(ENCODER, Reason.KEY_COMPROMISE, NOW, who="ada")
    (entry,) = x509.load_der_x509_crl(published.look(NOW).list_of("client"))
    assert f"{entry.serial_number:x}" == authority.store.issued()[0].serial


def test_a_list_is_made_anew_each_day_although_nothing_was_revoked(authority: Authority) -> None:
    published = Published(authority)
    first, second, back = (
        x509.load_der_x509_crl(published.look(at).list_of("client"))
        for at in (NOW, NOW + DAY, NOW - DAY)
    )
    assert first.next_update_utc is not None
    assert second.next_update_utc == first.next_update_utc + DAY
    assert back.last_update_utc < first.last_update_utc, "for the clock of then"


def test_roots_and_lists_follow_a_roll_by_the_clock_alone(authority: Authority) -> None:
    published = Published(authority)
    (old,) = x509.load_pem_x509_certificates(published.look(NOW).bundle_pem)
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    roll(authority, Roll(2 * HOUR, root=True), keys, NOW, who="ada")
    both = x509.load_pem_x509_certificates(published.look(NOW).bundle_pem)
    assert old in both
    assert len(both) == 2
    before, after = (published.look(at) for at in (NOW + HOUR - AGAIN, NOW + HOUR))
    assert before.list_of("root") != after.list_of("root"), "the new root's turn has come"
    assert before.list_of("client") != after.list_of("client")
    over = x509.load_pem_x509_certificates(published.look(NOW + 2 * HOUR).bundle_pem)
    assert [root for root in both if root in over] == [root for root in both if root != old]


def test_roots_are_told_although_nothing_issues_any_more(authority: Authority) -> None:
    with authority.store.writing() as transaction:
        for side in Side:
            serial = authority.issuer(side, NOW).serial
            transaction.end_issuer(serial, int(NOW.timestamp()), Reason.SUPERSEDED)
    words = Published(authority).look(NOW)
    assert words.bundle_pem == authority.bundle_pem(NOW) != b""
    assert words.list_of("root")
    with pytest.raises(LocalError) as refused:
        words.list_of("client")
    assert refused.value.code == "IDENTITY.NO_ISSUER"


def test_a_list_that_cannot_be_made_is_said_for_itself_and_made_later(tmp_path: Path) -> None:
    copied(tmp_path / "authority")
    file = tmp_path / "passphrase"

    def unlock() -> Secret:
        if not file.exists():
            raise LocalError("IDENTITY.PASSPHRASE_MISSING")
        return Secret(PASSPHRASE)

    authority = Authority.open(tmp_path / "authority", unlock)
    published = Published(authority)
    words = published.look(NOW)
    assert words.bundle_pem == authority.bundle_pem(NOW)
    assert x509.load_der_x509_crl(words.list_of("root")) is not None
    with pytest.raises(LocalError) as refused:
        words.list_of("client")
    assert refused.value.code == "IDENTITY.PASSPHRASE_MISSING"
    file.touch()
    assert published.look(NOW + AGAIN).list_of("client")
