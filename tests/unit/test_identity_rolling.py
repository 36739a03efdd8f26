"""Rolling: who issues when, who is trusted until when, who is told, and the rehearsal."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied, request

from sealcast.errors import SealcastError
from sealcast.identity import certificates, keys_at_rest
from sealcast.identity.authority import THE_NODE, Authority, Wanted
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import Reason, Revocations
from sealcast.identity.rolling import Keys, Plan, Roll, plan, roll
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
NODE = Wanted("node/one", "node", side=Side.SERVER, hosts=(f"one.{DOMAIN}",))
DAY, HOUR, SECOND = (datetime.timedelta(**{unit: 1}) for unit in ("days", "hours", "seconds"))
WEEK = 7 * DAY
KEYS = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))


@pytest.fixture(autouse=True)
def _cheap_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each roll seals two or three keys: the cost of that is not what is tried here.
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    monkeypatch.setattr(keys_at_rest, "SCRYPT_P", 1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def rolled(authority: Authority, wanted: Roll, now: datetime.datetime = NOW) -> Plan:
    return roll(authority, wanted, KEYS, now, who="ada")


def refused(authority: Authority, wanted: Roll, keys: Keys = KEYS) -> str:
    with pytest.raises(SealcastError) as told:
        roll(authority, wanted, keys, NOW, who="ada")
    return told.value.code


def certified(authority: Authority, wanted: Wanted, now: datetime.datetime) -> bytes:
    return authority.issue(wanted, now, who="ada").chain_pem


def holds(chain_pem: bytes, roots_pem: bytes, now: datetime.datetime) -> bool:
    """Whether a verifier of servers that trusts these roots takes the chain of `NODE`."""
    leaf, *between = x509.load_pem_x509_certificates(chain_pem)
    store = Store(x509.load_pem_x509_certificates(roots_pem))
    verifier = (
        PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(f"one.{DOMAIN}"))
    )
    try:
        verifier.verify(leaf, between)
    except x509.verification.VerificationError:
        return False
    return True


def told(authority: Authority, now: datetime.datetime) -> set[tuple[str, str, str]]:
    found = Revocations(authority.store, now.timestamp).poll()
    assert found is not None
    return {(one.authority_key, one.serial, one.reason) for one in found}


# ---- issuing authorities ------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
def test_after_a_roll_the_new_authority_of_each_side_issues(
    authority: Authority, side: Side
) -> None:
    old = authority.issuer(side, NOW)
    rolled(authority, Roll(WEEK))
    new = authority.issuer(side, NOW)
    assert new.serial != old.serial
    assert new.since_unix == int(NOW.timestamp())
    wanted = WANTED if side is Side.CLIENT else NODE
    leaf, issuing = x509.load_pem_x509_certificates(certified(authority, wanted, NOW))
    assert f"{issuing.serial_number:x}" == new.serial
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.root_pem(NOW)))


@pytest.mark.parametrize("side", list(Side))
def test_the_new_authority_is_as_bound_as_the_old_one_and_has_its_own_name_and_key(
    authority: Authority, side: Side
) -> None:
    before = x509.load_pem_x509_certificate(authority.issuer(side, NOW).pem)
    networks = authority.issuer(side, NOW).networks
    rolled(authority, Roll(WEEK))
    after = x509.load_pem_x509_certificate(authority.issuer(side, NOW).pem)
    own = (x509.SubjectKeyIdentifier.oid,)
    extensions = [
        {one.oid: one.value for one in certificate.extensions if one.oid not in own}
        for certificate in (before, after)
    ]
    assert extensions[0] == extensions[1]
    assert authority.issuer(side, NOW).networks == networks
    assert before.subject != after.subject
    assert before.public_key() != after.public_key()


def test_what_the_old_authority_issued_is_trusted_through_the_overlap_and_no_longer(
    authority: Authority,
) -> None:
    old = {side: authority.issuer(side, NOW) for side in Side}
    root_key = certificates.key_id(authority.root_pem(NOW))
    rolled(authority, Roll(WEEK))
    assert told(authority, NOW + WEEK - SECOND) == set()
    assert told(authority, NOW + WEEK) == {
        (root_key, issuer.serial, "superseded") for issuer in old.values()
    }


def test_a_node_is_told_when_the_overlap_is_over_although_nothing_is_written(
    authority: Authority,
) -> None:
    moment = NOW
    revocations = Revocations(authority.store, lambda: moment.timestamp())
    rolled(authority, Roll(WEEK))
    assert revocations.poll() == ()
    moment = NOW + WEEK
    assert len(revocations.poll() or ()) == 2


def test_everybody_is_to_renew_in_the_first_half_of_the_overlap_each_at_its_own_moment(
    authority: Authority,
) -> None:
    serials = [authority.issue(WANTED, NOW, who="ada").serial for _ in range(8)]
    assert {authority.renew_by(serial, NOW) for serial in serials} == {NOW + 60 * DAY}
    rolled(authority, Roll(WEEK), NOW + DAY)
    moments = {authority.renew_by(serial, NOW + DAY) for serial in serials}
    assert all(NOW + DAY <= moment <= NOW + DAY + WEEK / 2 for moment in moments)
    assert len(moments) > 4
    new = authority.issue(WANTED, NOW + DAY, who="ada").serial
    assert authority.renew_by(new, NOW + DAY) == NOW + DAY + 60 * DAY, "the new ones need not"


def test_after_a_theft_everybody_is_to_renew_now(authority: Authority) -> None:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    rolled(authority, Roll(HOUR, compromised=True))
    assert authority.renew_by(serial, NOW) == NOW
    assert {reason for _, _, reason in told(authority, NOW + HOUR)} == {"cACompromise"}


def test_what_is_overdue_is_due_now_and_what_is_unknown_is_refused(authority: Authority) -> None:
    serial = authority.issue(WANTED, NOW, who="ada").serial
    late = NOW + 70 * DAY
    assert authority.renew_by(serial, late) == late
    with pytest.raises(SealcastError) as unknown:
        authority.renew_by("abc", NOW)
    assert unknown.value.code == "IDENTITY.UNKNOWN"


def test_a_theft_during_a_planned_roll_shortens_it_and_nothing_lengthens_it(
    authority: Authority,
) -> None:
    first = authority.issuer(Side.CLIENT, NOW).serial
    rolled(authority, Roll(WEEK))
    rolled(authority, Roll(HOUR, compromised=True), NOW + DAY)
    rolled(authority, Roll(WEEK), NOW + DAY + SECOND)
    ends = {row.serial: row.until_unix for row in authority.store.issuers(Side.CLIENT)}
    assert ends[first] == int((NOW + DAY + HOUR).timestamp())


def test_the_roots_lists_name_the_old_authority_from_its_end_on(authority: Authority) -> None:
    old = {authority.issuer(side, NOW).serial for side in Side}
    rolled(authority, Roll(WEEK))

    def listed(now: datetime.datetime) -> set[str]:
        made = x509.load_der_x509_crl(authority.crl("root", now))
        assert made.next_update_utc is not None
        assert made.last_update_utc < now < made.next_update_utc
        return {f"{entry.serial_number:x}" for entry in made}

    assert listed(NOW + WEEK - SECOND) == set()
    assert listed(NOW + WEEK) == old
    rolled(authority, Roll(WEEK), NOW + 30 * DAY)
    assert listed(NOW + 30 * DAY) == old
    assert len(listed(NOW + 37 * DAY)) == 4


def test_each_authority_has_a_list_of_its_own_through_the_overlap(authority: Authority) -> None:
    old = authority.issue(WANTED, NOW, who="ada")
    rolled(authority, Roll(WEEK))
    authority.issue(WANTED, NOW, who="ada")
    authority.revoke(ENCODER, Reason.SUPERSEDED, NOW, who="ada")
    issuers = authority.store.issuers(Side.CLIENT)
    listed = {
        issuer.serial: [
            f"{one.serial_number:x}"
            for one in x509.load_der_x509_crl(authority.crl(issuer.serial, NOW))
        ]
        for issuer in issuers
    }
    assert listed[issuers[1].serial] == [old.serial]
    assert len(listed[issuers[0].serial]) == 1
    assert len(authority.crls(NOW)) == 5
    assert len(authority.crls(NOW + WEEK)) == 3


# ---- the root's key -----------------------------------------------------------------------------


def test_without_the_roots_key_nothing_is_rolled_and_the_attempt_is_noted(
    authority: Authority,
) -> None:
    shutil.rmtree(authority.folder / "root")
    before = authority.store.issuers()
    assert refused(authority, Roll(WEEK)) == "IDENTITY.ROOT_KEY_MISSING"
    assert authority.store.issuers() == before
    last = authority.store.journal()[-1]
    assert (last.action, last.outcome) == ("roll", "IDENTITY.ROOT_KEY_MISSING")


def test_the_roots_key_may_be_brought_from_elsewhere(authority: Authority, tmp_path: Path) -> None:
    stick = tmp_path / "stick.pem"
    (authority.folder / "root/root-key.pem").rename(stick)
    roll(authority, Roll(WEEK), dataclasses.replace(KEYS, root_key=stick), NOW, who="ada")
    assert len(authority.store.issuers(Side.CLIENT)) == 2


def test_a_key_that_is_not_the_roots_or_a_wrong_passphrase_is_refused(
    authority: Authority,
) -> None:
    other = authority.folder / authority.issuer(Side.CLIENT, NOW).key_file
    foreign = dataclasses.replace(KEYS, root_key=other)
    assert refused(authority, Roll(WEEK), foreign) == "TLS.KEY_MISMATCH"
    wrong = Secret("not the passphrase")
    assert refused(authority, Roll(WEEK), Keys(wrong, KEYS.root_passphrase)) == (
        "IDENTITY.PASSPHRASE_WRONG"
    )
    assert refused(authority, Roll(WEEK), Keys(KEYS.passphrase, wrong)) == (
        "IDENTITY.PASSPHRASE_WRONG"
    )
    assert len(authority.store.issuers()) == 2


def test_the_new_keys_are_sealed_under_the_authoritys_passphrase_and_private(
    authority: Authority,
) -> None:
    rolled(authority, Roll(WEEK, root=True))
    reopened = Authority.open(authority.folder, lambda: Secret(PASSPHRASE))
    assert reopened.issue(WANTED, NOW + WEEK, who="ada").serial
    for path in (*authority.folder.glob("root/*"), *authority.folder.glob("issuing/*")):
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()


# ---- a new root ---------------------------------------------------------------------------------


def test_a_new_root_is_trusted_at_once_and_issues_after_half_of_the_overlap(
    authority: Authority,
) -> None:
    old = authority.root_pem(NOW)
    rolled(authority, Roll(WEEK, root=True))
    both = authority.bundle_pem(NOW)
    assert len(x509.load_pem_x509_certificates(both)) == 2
    assert old in both
    early, late = NOW + WEEK / 2 - SECOND, NOW + WEEK / 2
    assert authority.root_pem(early) == old
    assert authority.root_pem(late) != old
    assert holds(certified(authority, NODE, early), old, early)
    below_new = certified(authority, NODE, late)
    assert not holds(below_new, old, late)
    assert holds(below_new, both, late)


def test_with_the_bundle_of_the_first_half_nobody_meets_a_chain_that_it_cannot_follow(
    authority: Authority,
) -> None:
    """At every hour of the roll, for one who renewed when told to."""
    rolled(authority, Roll(WEEK, root=True))
    bundle = authority.bundle_pem(NOW + HOUR)
    for hour in range(0, 7 * 24 + 24, 6):
        at = NOW + hour * HOUR
        assert holds(certified(authority, NODE, at), bundle, at), at


def test_at_the_end_the_old_root_leaves_the_bundle_and_its_authorities_are_told(
    authority: Authority,
) -> None:
    old = authority.root_pem(NOW)
    rolled(authority, Roll(WEEK, root=True))
    end = NOW + WEEK
    assert old in authority.bundle_pem(end - SECOND)
    assert authority.bundle_pem(end) == authority.root_pem(end) != old
    assert {key for key, _, _ in told(authority, end)} == {certificates.key_id(old)}
    assert len(told(authority, end)) == 2


def test_a_new_root_makes_everybody_renew_twice_for_the_bundle_and_for_the_chain(
    authority: Authority,
) -> None:
    serial, at = authority.issue(WANTED, NOW, who="ada").serial, NOW + DAY
    rolled(authority, Roll(WEEK, root=True), at)
    first = authority.renew_by(serial, at)
    assert at <= first <= at + WEEK / 4
    second_serial = authority.issue(WANTED, first + SECOND, who="ada").serial
    second = authority.renew_by(second_serial, first + SECOND)
    assert at + WEEK / 2 <= second <= at + WEEK * 3 / 4
    third = authority.issue(WANTED, second, who="ada").serial
    assert authority.renew_by(third, second) == second.replace(microsecond=0) + 60 * DAY


def test_what_the_old_authority_issues_meanwhile_ends_with_it(authority: Authority) -> None:
    rolled(authority, Roll(WEEK, root=True))
    issued = authority.issue(WANTED, NOW, who="ada")
    assert issued.not_after_unix == int((NOW + WEEK).timestamp())


def test_the_old_roots_key_is_not_needed_for_a_new_root(authority: Authority) -> None:
    shutil.rmtree(authority.folder / "root")
    rolled(authority, Roll(WEEK, root=True))
    assert [path.name for path in (authority.folder / "root").iterdir()] == ["root-key-2.pem"]


def test_the_new_roots_key_signs_the_next_issuing_authorities(authority: Authority) -> None:
    rolled(authority, Roll(WEEK, root=True))
    later = NOW + 30 * DAY
    rolled(authority, Roll(WEEK), later)
    assert holds(certified(authority, NODE, later), authority.bundle_pem(later), later)


def test_while_a_new_root_is_announced_only_the_root_can_be_rolled_again(
    authority: Authority,
) -> None:
    rolled(authority, Roll(WEEK, root=True))
    assert refused(authority, Roll(WEEK)) == "IDENTITY.ROLL_UNDER_WAY"
    stolen = NOW + HOUR
    announced = authority.store.roots()[0]
    rolled(authority, Roll(HOUR, compromised=True, root=True), stolen)
    assert announced.pem not in authority.bundle_pem(stolen), "it never begins"
    for minute in (0, 29, 30, 61, 60 * 24 * 5):
        at = stolen + minute * HOUR / 60
        assert holds(certified(authority, NODE, at), authority.bundle_pem(at), at), minute


def test_the_file_of_the_authority_has_the_bundle(authority: Authority) -> None:
    rolled(authority, Roll(WEEK, root=True))
    assert (authority.folder / "authority.pem").read_bytes() == authority.bundle_pem(NOW)


def test_an_overlap_in_which_nobody_could_renew_is_refused(authority: Authority) -> None:
    assert refused(authority, Roll(SECOND)) == "IDENTITY.OVERLAP_TOO_SHORT"


# ---- the rehearsal ------------------------------------------------------------------------------


def enrolled(authority: Authority, name: str, now: datetime.datetime = NOW) -> str:
    wanted = Wanted(name, "encoder")
    token = authority.make_token(wanted, now, who="ada").reveal().decode()
    return authority.enrol(request(), token, wanted, now, who=name).serial


@pytest.mark.parametrize(
    "wanted",
    [Roll(WEEK), Roll(HOUR, compromised=True), Roll(WEEK, root=True)],
)
def test_a_rehearsal_changes_no_byte_and_needs_no_key(authority: Authority, wanted: Roll) -> None:
    certified(authority, WANTED, NOW)
    shutil.rmtree(authority.folder / "root")
    locked = Authority.open(authority.folder, lambda: pytest.fail("no key is needed"))

    def content() -> dict[str, bytes]:
        return {
            str(path.relative_to(authority.folder)): path.read_bytes()
            for path in authority.folder.rglob("*")
            if path.is_file()
        }

    before = content()
    plan(locked, wanted, NOW)
    assert content() == before


def test_a_rehearsal_says_what_the_roll_then_does(authority: Authority) -> None:
    for number in range(5):
        enrolled(authority, f"encoder/venue-{number}")
    certified(authority, NODE, NOW)
    for wanted in (Roll(WEEK), Roll(WEEK, root=True)):
        folder = authority.folder.with_name(f"copy-{wanted.root}")
        shutil.copytree(authority.folder, folder)
        copy = Authority.open(folder, lambda: Secret(PASSPHRASE))
        at = NOW + DAY
        meant = plan(copy, wanted, at)
        assert rolled(copy, wanted, at) == meant
        assert len(meant.holders) == 5
        for holder in meant.holders:
            assert holder.renew_unix == int(copy.renew_by(holder.serial, at).timestamp())


def test_those_at_risk_come_first_the_late_and_those_that_people_brought(
    authority: Authority,
) -> None:
    long_ago = NOW - 61 * DAY
    authority = copied(authority.folder.with_name("older"), NOW - 100 * DAY)
    enrolled(authority, "encoder/late", long_ago)
    enrolled(authority, "encoder/alive")
    authority.issue(Wanted("encoder/by-hand", "encoder"), NOW, who="ada")
    authority.issue(NODE, NOW, who=THE_NODE)
    meant = plan(authority, Roll(HOUR), NOW)
    assert [(one.name, one.late, one.by_hand) for one in meant.holders] == [
        ("encoder/late", True, False),
        ("encoder/by-hand", False, True),
        ("encoder/alive", False, False),
        ("node/one", False, False),
    ]
    assert [one.name for one in meant.at_risk] == ["encoder/late", "encoder/by-hand"]


def test_only_the_newest_living_certificate_of_an_end_counts(authority: Authority) -> None:
    authority.issue(WANTED, NOW, who="ada")
    newest = authority.issue(WANTED, NOW, who="ada").serial
    authority.issue(Wanted("encoder/lost", "encoder"), NOW, who="ada")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, NOW, who="ada")
    authority.issue(Wanted("viewer/vera", "viewer"), NOW, who="ada")
    meant = plan(authority, Roll(WEEK), NOW)
    assert [one.serial for one in meant.holders] == [newest]
    assert meant.others == 1, "a viewer's eight hours are over before"
