"""A node's own authority: what it is opened with, and the certificates of its doors."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from structlog.testing import capture_logs
from tests.unit.founded import DOMAIN, NOW, PASSPHRASE, copied

from sealcast.errors import LocalError
from sealcast.identity.authority import Authority
from sealcast.identity.certificates import fingerprint
from sealcast.identity.private_files import write_private
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.node import config
from sealcast.node.own_authority import OwnPair, OwnRoots, node_name, open_authority
from sealcast.secret import Secret

HOUR = datetime.timedelta(hours=1)
NAMES = ("node.venue.example", "127.0.0.1")


def configuration(folder: Path, *, domain: str = DOMAIN, passphrase_file: str) -> config.Config:
    return config.loads(
        f"""
        [node]
        trust_domain = "{domain}"
        [identity]
        authority = "{folder}"
        passphrase_file = "{passphrase_file}"
        """
    )


def opened(folder: Path, passphrase: Path | str) -> Authority:
    authority = open_authority(configuration(folder, passphrase_file=str(passphrase)))
    assert authority is not None
    return authority


def serial(pair: OwnPair) -> int:
    return x509.load_pem_x509_certificate(pair.current().chain_pem).serial_number


def test_no_authority_is_opened_where_none_is_named() -> None:
    assert open_authority(config.Config()) is None


def test_an_authority_of_another_trust_domain_is_refused_with_both_names(tmp_path: Path) -> None:
    copied(tmp_path / "authority")
    other = configuration(tmp_path / "authority", domain="other.example", passphrase_file="")
    with pytest.raises(LocalError) as refused:
        open_authority(other)
    assert refused.value.code == "CONFIG.BAD_VALUE"
    assert "'other.example'" in refused.value.detail
    assert f"'{DOMAIN}'" in refused.value.detail


def test_a_folder_without_an_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as refused:
        opened(tmp_path / "nowhere", "")
    assert refused.value.code == "IDENTITY.NO_AUTHORITY"
    assert str(tmp_path / "nowhere") in refused.value.detail


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (PASSPHRASE + "\n", 0o600, None),
        ("not the passphrase of it", 0o600, "IDENTITY.PASSPHRASE_WRONG"),
        ("", 0o600, "IDENTITY.PASSPHRASE_MISSING"),
        (PASSPHRASE, 0o644, "IDENTITY.KEY_EXPOSED"),
        (PASSPHRASE, 0o640, "IDENTITY.KEY_EXPOSED"),
        (None, 0, "IDENTITY.KEY_UNREADABLE"),
    ],
)
def test_the_passphrase_file_opens_the_key_or_says_why_not(
    tmp_path: Path, content: str | None, mode: int, code: str | None
) -> None:
    copied(tmp_path / "authority")
    file = tmp_path / "passphrase"
    if content is not None:
        write_private(file, content.encode(), mode=mode)
        file.chmod(mode)
    authority = opened(tmp_path / "authority", file)
    if code is None:
        OwnPair(authority, NAMES, NOW)
        return
    with pytest.raises(LocalError) as refused:
        OwnPair(authority, NAMES, NOW)
    assert refused.value.code == code
    assert authority.store.issued() == [], "nothing was issued"
    assert authority.store.journal()[-1].outcome == code
    assert PASSPHRASE not in str(refused.value)


def test_no_passphrase_file_at_all_is_its_own_refusal(tmp_path: Path) -> None:
    copied(tmp_path / "authority")
    with pytest.raises(LocalError) as refused:
        OwnPair(opened(tmp_path / "authority", ""), NAMES, NOW)
    assert refused.value.code == "IDENTITY.PASSPHRASE_MISSING"


def test_names_that_the_authority_may_not_give_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as refused:
        OwnPair(copied(tmp_path / "authority"), ("node.elsewhere.example",), NOW)
    assert refused.value.code == "IDENTITY.NOT_OF_PROFILE"
    assert "node.elsewhere.example is outside the hosts" in refused.value.detail
    assert "what node.names has: node.elsewhere.example" in refused.value.detail


def test_the_pair_is_renewed_at_two_thirds_of_its_life_give_or_take(tmp_path: Path) -> None:
    pair = OwnPair(copied(tmp_path / "authority"), NAMES, NOW)
    first = serial(pair)
    # Of its 24 hours the window begins at 14.4 and ends at 16.
    assert not pair.look(NOW + 14 * HOUR)
    assert serial(pair) == first
    assert pair.look(NOW + 17 * HOUR)
    assert serial(pair) != first
    assert not pair.look(NOW + 17 * HOUR)


def test_a_pair_that_was_revoked_is_replaced_at_the_next_look_and_it_is_said(
    tmp_path: Path,
) -> None:
    authority = copied(tmp_path / "authority")
    pair = OwnPair(authority, NAMES, NOW)
    first = serial(pair)
    authority.revoke(node_name(NAMES[0]), Reason.KEY_COMPROMISE, NOW, who="ada")
    with capture_logs() as lines:
        assert pair.look(NOW)
    assert serial(pair) != first
    (warned,) = [line for line in lines if line["log_level"] == "warning"]
    assert (warned["serial"], warned["why"]) == (f"{first:x}", "keyCompromise")
    assert not pair.look(NOW)


def test_after_a_roll_the_old_root_is_believed_until_its_end_and_no_longer(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    roots = OwnRoots(authority, NOW)
    (old,) = fingerprints(authority, NOW)
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    roll(authority, Roll(2 * HOUR, root=True), keys, NOW, who="ada")
    (new,) = fingerprints(authority, NOW) - {old}
    assert (old in roots, new in roots) == (True, False), "nobody looked yet"
    roots.look(NOW)
    assert (old in roots, new in roots) == (True, True)
    roots.look(NOW + 2 * HOUR)
    assert (old in roots, new in roots) == (False, True)


def fingerprints(authority: Authority, now: datetime.datetime) -> set[str]:
    return set(map(fingerprint, x509.load_pem_x509_certificates(authority.bundle_pem(now))))


def test_nodes_that_start_together_do_not_renew_together(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    due = {OwnPair(authority, NAMES, NOW)._lifetime.renew_at for _ in range(8)}
    assert len(due) == 8


def test_a_renewal_that_fails_keeps_the_pair_and_is_tried_again(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    pair = OwnPair(authority, NAMES, NOW)
    first, due = serial(pair), NOW + 17 * HOUR
    hidden = authority.store.file.with_suffix(".away")
    authority.store.file.rename(hidden)
    with pytest.raises(LocalError):
        pair.look(due)
    assert serial(pair) == first
    hidden.rename(authority.store.file)
    assert pair.look(due + 2 * datetime.timedelta(minutes=1))
    assert serial(pair) != first


def test_a_clock_that_was_set_back_renews_at_once(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority", NOW - 48 * HOUR)
    pair = OwnPair(authority, NAMES, NOW)
    assert pair.look(NOW - 24 * HOUR)
    assert not pair.look(NOW - 24 * HOUR)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Node.Example", "node/node.example"),
        ("192.0.2.1", "node/192.0.2.1"),
        ("::1", "node/--1"),
    ],
)
def test_a_node_is_called_by_its_first_host_name(host: str, name: str) -> None:
    assert node_name(host) == name
