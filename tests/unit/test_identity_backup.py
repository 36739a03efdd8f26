"""Backups: made while others work, brought back whole or not at all, honest about what is lost."""

from __future__ import annotations

import datetime
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied, request

from sealcast.errors import SealcastError
from sealcast.identity import crl, keys_at_rest
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.backup import Restored, pack, restore
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")
LATER = NOW + datetime.timedelta(hours=5)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def packed(authority: Authority) -> bytes:
    return pack(authority, NOW, who="ada")


def restored(copy: bytes, folder: Path, *lists: bytes) -> tuple[Restored, Authority]:
    done = restore(copy, folder, LATER, who="ada", lists=lists)
    return done, Authority.open(folder, lambda: Secret(PASSPHRASE))


def refused(copy: bytes, folder: Path, *lists: bytes) -> str:
    with pytest.raises(SealcastError) as told:
        restored(copy, folder, *lists)
    return told.value.code


def test_a_restored_authority_knows_what_the_old_one_knew_and_goes_on(
    authority: Authority, tmp_path: Path
) -> None:
    known = authority.issue(WANTED, NOW, who="ada").serial
    done, again = restored(packed(authority), tmp_path / "new")
    assert (done.trust_domain, done.made_unix) == (DOMAIN, int(NOW.timestamp()))
    assert [row.serial for row in again.store.issued()] == [known]
    assert again.issue(WANTED, LATER, who="ada").serial != known
    assert again.bundle_pem(NOW) == authority.bundle_pem(NOW)
    assert [entry.action for entry in again.store.journal()][-3:] == ["backup", "restore", "issue"]
    modes = {path.stat().st_mode & 0o777 for path in again.folder.rglob("*-key*.pem")}
    assert modes == {0o600}
    assert again.folder.stat().st_mode & 0o777 == 0o700


def test_a_backup_holds_no_key_that_its_passphrase_does_not_seal(authority: Authority) -> None:
    copy = packed(authority)
    assert PASSPHRASE.encode() not in copy
    assert b"BEGIN PRIVATE KEY" not in copy
    assert copy.count(b"BEGIN ENCRYPTED PRIVATE KEY") == 3


def test_a_backup_while_others_issue_is_of_one_moment(authority: Authority, tmp_path: Path) -> None:
    stop = threading.Event()

    def issue() -> None:
        while not stop.is_set():
            authority.issue(WANTED, NOW, who="thread")

    authority.issue(WANTED, NOW, who="ada")
    working = threading.Thread(target=issue)
    working.start()
    try:
        copies = [packed(authority) for _ in range(5)]
    finally:
        stop.set()
        working.join(timeout=60)
    for number, copy in enumerate(copies):
        _, again = restored(copy, tmp_path / str(number))
        serials = {row.serial for row in again.store.issued()}
        noted = {entry.serial for entry in again.store.journal() if entry.action == "issue"}
        assert serials == noted


def test_open_tokens_are_dead_after_a_restore(authority: Authority, tmp_path: Path) -> None:
    """One of them may have been used after the backup."""
    token = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
    copy = packed(authority)
    authority.enrol(request(), token, WANTED, NOW, who="encoder")
    soon = NOW + datetime.timedelta(minutes=5)
    done = restore(copy, tmp_path / "new", soon, who="ada")
    assert done.tokens == 1
    again = Authority.open(tmp_path / "new", lambda: Secret(PASSPHRASE))
    with pytest.raises(SealcastError) as told:
        again.enrol(request(), token, WANTED, soon, who="a second one")
    assert told.value.code == "IDENTITY.TOKEN_REVOKED"


def test_lists_that_were_published_since_bring_revocations_back(
    authority: Authority, tmp_path: Path
) -> None:
    lost = authority.issue(WANTED, NOW, who="ada").serial
    kept = authority.issue(Wanted("encoder/kept", "encoder"), NOW, who="ada").serial
    copy = packed(authority)
    after = authority.issue(Wanted("encoder/after", "encoder"), NOW, who="ada").serial
    authority.revoke(ENCODER, Reason.KEY_COMPROMISE, NOW, who="ada")
    authority.revoke("encoder/after", Reason.SUPERSEDED, NOW, who="ada")
    lists = b"".join(map(crl.pem, authority.crls(NOW)))
    done, again = restored(copy, tmp_path / "new", lists)
    assert (done.again, done.unknown) == ((lost,), 1)
    held = {row.serial: row.revoked_why for row in again.store.issued()}
    assert held == {lost: "keyCompromise", kept: None}
    assert after not in held
    one = authority.crl("client", NOW)
    done, _ = restored(copy, tmp_path / "by-der", one)
    assert done.again == (lost,)


def test_numbers_of_lists_go_on_after_a_restore(authority: Authority, tmp_path: Path) -> None:
    def number(of: Authority, now: datetime.datetime) -> int:
        made = x509.load_der_x509_crl(of.crl("client", now))
        return made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    copy = packed(authority)
    for _ in range(5):
        authority.issue(WANTED, NOW, who="ada")
        authority.revoke(ENCODER, Reason.SUPERSEDED, NOW, who="ada")
        last = number(authority, NOW)
    _, again = restored(copy, tmp_path / "new")
    assert number(again, LATER) > last


def test_lists_of_a_roll_after_the_backup_are_told_and_the_others_count(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    lost = authority.issue(WANTED, NOW, who="ada").serial
    copy = packed(authority)
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    roll(authority, Roll(datetime.timedelta(days=7)), keys, NOW, who="ada")
    authority.revoke(ENCODER, Reason.KEY_COMPROMISE, NOW, who="ada")
    done, _ = restored(copy, tmp_path / "new", b"".join(map(crl.pem, authority.crls(NOW))))
    assert (done.again, done.skipped) == ((lost,), 2)


def test_a_list_of_somebody_else_revokes_nothing(authority: Authority, tmp_path: Path) -> None:
    other = copied(tmp_path / "other", NOW + datetime.timedelta(seconds=1))
    foreign = crl.pem(other.crl("client", NOW + datetime.timedelta(seconds=1)))
    real = authority.crl("client", NOW)
    forged = real[:-8] + bytes(8)
    for one in (foreign, forged, b"nothing"):
        assert refused(packed(authority), tmp_path / "new", one) == "IDENTITY.LIST_REFUSED"
        assert not (tmp_path / "new").exists()


def test_a_folder_that_has_something_is_left_alone(authority: Authority) -> None:
    before = sorted(authority.folder.rglob("*"))
    assert refused(packed(authority), authority.folder) == "IDENTITY.ALREADY_INITIALISED"
    assert sorted(authority.folder.rglob("*")) == before


def _cut(copy: bytes) -> bytes:
    return copy[: len(copy) // 2]


def _flipped(copy: bytes) -> bytes:
    at = copy.index(b"BEGIN ENCRYPTED PRIVATE KEY") + 60
    return copy[:at] + bytes([copy[at] ^ 1]) + copy[at + 1 :]


def _with(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[bytes], bytes]:
    def made(copy: bytes) -> bytes:
        packed = io.BytesIO(copy)
        with tarfile.open(fileobj=packed, mode="a") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO())
        return packed.getvalue()

    return made


@pytest.mark.parametrize(
    "spoil",
    [
        _cut,
        _flipped,
        lambda _: b"",
        lambda _: b"no tar file at all" * 100,
        _with("../outside.pem"),
        _with("/etc/outside.pem"),
        _with("issuing/../../outside.pem"),
        _with("issuing/link.pem", tarfile.SYMTYPE),
        _with("issuing/clients-key.pem"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_nothing_is_written(
    authority: Authority, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert refused(spoil(packed(authority)), scratch / "new") == "IDENTITY.BACKUP_DAMAGED"
    assert list(scratch.iterdir()) == []
