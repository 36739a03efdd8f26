"""What is due: the last third of a life, the question's own days, authorities in good time."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied

from sealcast.errors import SealcastError
from sealcast.identity import keys_at_rest
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.due import Kind, due, everything, of_bundle
from sealcast.identity.profiles import issuing_lifetime
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
NODE = Wanted("node/one", "node", hosts=(f"one.{DOMAIN}",))
DAY, HOUR = datetime.timedelta(days=1), datetime.timedelta(hours=1)
FORTNIGHT = 14 * DAY


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def names(
    authority: Authority, now: datetime.datetime, within: datetime.timedelta = FORTNIGHT
) -> list[tuple[str, str]]:
    return [(one.kind.value, one.name) for one in due(everything(authority, now), within, now)]


def test_of_a_fresh_authority_nothing_is_due(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    authority.issue(NODE, NOW, who="ada")
    authority.issue(Wanted("viewer/vera", "viewer"), NOW, who="ada")
    assert names(authority, NOW) == []
    assert names(authority, NOW, 3650 * DAY) == [
        ("issuer", DOMAIN),
        ("issuer", DOMAIN),
        ("root", DOMAIN),
    ], "an end that has just renewed is not due, however far one looks"


@pytest.mark.parametrize(
    ("wanted", "life", "first"),
    [
        (WANTED, 90 * DAY, 76 * DAY),  # the question's fortnight
        (NODE, 24 * HOUR, 16 * HOUR),  # two thirds of its life
    ],
)
def test_an_end_is_due_when_it_should_have_renewed_and_some_time_after_its_end(
    authority: Authority,
    wanted: Wanted,
    life: datetime.timedelta,
    first: datetime.timedelta,
) -> None:
    authority.issue(wanted, NOW, who="ada")
    minute = datetime.timedelta(minutes=1)
    shown = life - first
    for after, expected in (
        (first - minute, False),
        (first, True),
        (life - minute, True),
        (life + shown - minute, True),
        (life + shown, False),
    ):
        assert (("end", wanted.name) in names(authority, NOW + after)) is expected, after


def test_what_was_renewed_or_revoked_is_not_due(authority: Authority) -> None:
    late = NOW + 80 * DAY
    authority.issue(WANTED, NOW, who="ada")
    authority.issue(Wanted("encoder/lost", "encoder"), NOW, who="ada")
    assert len(names(authority, late)) == 2
    authority.issue(WANTED, late, who="ada")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, late, who="ada")
    assert names(authority, late) == []


def test_an_issuing_authority_is_due_while_a_whole_life_of_an_encoder_is_left(
    authority: Authority,
) -> None:
    end = NOW + issuing_lifetime()
    assert names(authority, end - 91 * DAY) == []
    assert names(authority, end - 90 * DAY) == [("issuer", DOMAIN)] * 2


def test_what_is_being_rolled_is_not_due(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    late = NOW + issuing_lifetime() - 30 * DAY
    assert len(names(authority, late)) == 2
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    roll(authority, Roll(7 * DAY), keys, late, who="ada")
    assert names(authority, late) == []


def test_who_has_not_renewed_since_a_roll_is_due(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    authority.issue(WANTED, NOW, who="ada")
    authority.issue(Wanted("encoder/away", "encoder"), NOW, who="ada")
    roll(authority, Roll(7 * DAY), Keys(Secret(PASSPHRASE), Secret(PASSPHRASE)), NOW, who="ada")
    authority.issue(WANTED, NOW, who="ada")
    (away,) = due(everything(authority, NOW), FORTNIGHT, NOW)
    assert (away.name, away.not_after_unix) == ("encoder/away", int((NOW + 7 * DAY).timestamp()))


def test_a_bundle_of_others_is_due_when_asked(authority: Authority) -> None:
    bundle = of_bundle(authority.bundle_pem(NOW), "cdn.pem")
    assert [(one.kind, one.not_after_unix > 0) for one in bundle] == [(Kind.BUNDLE, True)]
    assert due(bundle, FORTNIGHT, NOW) == []
    end = datetime.datetime.fromtimestamp(bundle[0].not_after_unix, datetime.UTC)
    assert due(bundle, FORTNIGHT, end - FORTNIGHT) == bundle
    with pytest.raises(SealcastError) as refused:
        of_bundle(b"nothing", "cdn.pem")
    assert refused.value.code == "IDENTITY.CERTIFICATE_MALFORMED"


def test_what_ends_first_stands_first(authority: Authority) -> None:
    for name, hours in (("encoder/b", 2), ("encoder/a", 3), ("encoder/c", 1)):
        wanted = Wanted(name, "encoder", lifetime=datetime.timedelta(hours=hours))
        authority.issue(wanted, NOW, who="ada")
    soon = NOW + datetime.timedelta(minutes=125)
    assert [name for _, name in names(authority, soon)] == ["encoder/b", "encoder/a"]


def test_a_door_that_trusts_what_expired_long_ago_is_due_today(authority: Authority) -> None:
    bundle = of_bundle(authority.bundle_pem(NOW), "cdn.pem")
    end = datetime.datetime.fromtimestamp(bundle[0].not_after_unix, datetime.UTC)
    assert due(bundle, FORTNIGHT, end + 40 * DAY) == bundle
    assert bundle[0].holder == "cdn.pem"
