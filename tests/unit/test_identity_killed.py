"""Killed at every step: of issuing, enrolling, founding and writing files.

At every line of `sealcast.identity` that the work passes (see `killed`); what that left is looked
at, and gone on with.
"""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied, request
from tests.unit.killed import every_line

from sealcast.errors import LocalError, SealcastError
from sealcast.identity import keys_at_rest
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.private_files import write_private
from sealcast.identity.renewing import Presented
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")


def check(authority: Authority) -> list[str]:
    """The store is whole, and every row is a certificate of its authority; the serials."""
    connection = sqlite3.connect(authority.store.file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()
    rows = authority.store.issued()
    for row in rows:
        leaf = x509.load_pem_x509_certificate(row.pem)
        assert f"{leaf.serial_number:x}" == row.serial
        leaf.verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.issuer(row.side, NOW).pem)
        )
    serials = [row.serial for row in rows]
    done = [e.serial for e in authority.store.journal() if e.outcome == "done" and e.serial]
    assert sorted(done) == sorted(serials), "what was issued and what was noted are one"
    return serials


@pytest.mark.parametrize("older", [False, True], ids=["the first", "beside an older one"])
def test_issuing_killed_at_any_line_leaves_a_store_that_knows_every_certificate(
    older: bool, tmp_path: Path
) -> None:
    authority, out = copied(tmp_path / "authority"), tmp_path / "out"
    # The passphrase is asked for once, here; the children inherit the opened key.
    first = authority.issue(WANTED, NOW, who="ada")
    if older:
        first.save(out, "venue-1")

    def work() -> None:
        authority.issue(WANTED, NOW, who="ada").save(out, "venue-1")

    known, files = set(check(authority)), {"venue-1.pem", "venue-1-key.pem"}
    issued = 0
    for _ in every_line(work, tmp_path):
        serials = check(authority)
        assert len(set(serials)) == len(serials)
        assert known <= set(serials), "nothing is forgotten"
        assert len(serials) <= len(known) + 1
        issued += len(serials) - len(known)
        if out.exists():
            _check_files(out, set(serials))
        again = authority.issue(WANTED, NOW, who="ada")
        assert again.serial not in serials
        again.save(out, "venue-1")
        assert {path.name for path in out.iterdir()} == files, "what was left is swept"
        _check_files(out, {again.serial})
    assert issued >= len(files), "between the record and each of the files, and at the end"


def _check_files(out: Path, known: set[str]) -> None:
    """Whatever has its name is whole; a certificate that is there is known."""
    key, chain = out / "venue-1-key.pem", out / "venue-1.pem"
    if key.exists():
        assert key.stat().st_mode & 0o777 == 0o600
        serialization.load_pem_private_key(key.read_bytes(), None)
    if chain.exists():
        leaf, _ = x509.load_pem_x509_certificates(chain.read_bytes())
        assert f"{leaf.serial_number:x}" in known
        held = serialization.load_pem_private_key(key.read_bytes(), None)
        assert held.public_key() == leaf.public_key(), "a chain is never beside another one's key"
    for path in out.glob(".*"):
        assert path.stat().st_mode & 0o077 == 0 or b"PRIVATE" not in path.read_bytes()


def test_enrolling_killed_at_any_line_uses_the_token_with_its_certificate_or_not_at_all(
    tmp_path: Path,
) -> None:
    authority, asked = copied(tmp_path / "authority"), request()
    authority.issue(Wanted("encoder/other", "encoder"), NOW, who="ada")
    token = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
    used = unused = 0

    def work() -> None:
        authority.enrol(asked, token, WANTED, NOW, who="stranger")

    for _ in every_line(work, tmp_path):
        check(authority)
        rows, (held,) = authority.store.issued(ENCODER), authority.store.tokens()
        assert (held.used_unix is not None) == (len(rows) == 1)
        if rows:
            used += 1
            with pytest.raises(SealcastError):
                work()
        else:
            unused += 1
            work()
    assert used >= 1
    assert unused >= 2, "before the transaction and within it"


def test_renewing_killed_at_any_line_leaves_a_store_that_knows_every_certificate(
    tmp_path: Path,
) -> None:
    authority, asked = copied(tmp_path / "authority"), request()
    presented = Presented.of(authority.issue(WANTED, NOW, who="ada").chain_pem)
    known = set(check(authority))
    renewed = set()
    for _ in every_line(lambda: authority.renew(asked, presented, NOW, who="renewal"), tmp_path):
        serials = check(authority)
        assert len(set(serials)) == len(serials)
        assert known <= set(serials) <= known | {serials[0]}
        renewed.add(len(serials) - len(known))
        assert authority.renew(asked, presented, NOW, who="renewal").serial not in serials
    assert renewed == {0, 1}


def test_founding_killed_at_any_line_leaves_an_authority_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three keys are sealed at each attempt: the cost of that is not what is tried here.
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    monkeypatch.setattr(keys_at_rest, "SCRYPT_P", 1)
    folder = tmp_path / "authority"
    whole = none = 0
    for _ in every_line(
        lambda: found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="ada"), tmp_path
    ):
        if folder.exists():
            whole += 1
            made = Authority.open(folder, lambda: Secret(PASSPHRASE))
            assert made.issue(WANTED, NOW, who="ada").serial
            assert made.issue(
                Wanted("node/one", "node", hosts=(f"one.{DOMAIN}",)), NOW, who="ada"
            ).serial
        else:
            none += 1
            with pytest.raises(LocalError):
                Authority.open(folder, lambda: Secret(PASSPHRASE))
            found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="ada")
    assert whole >= 1
    assert none > 10


def test_a_file_is_the_old_one_or_the_new_one_wherever_the_writer_dies(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    old, new = b"old" * 1000, b"new" * 2000
    write_private(path, old)
    seen = set()
    for _ in every_line(lambda: write_private(path, new), tmp_path):
        held = path.read_bytes()
        assert held in (old, new)
        assert path.stat().st_mode & 0o777 == 0o600
        seen.add(held)
    assert seen == {old, new}


def test_what_killed_writers_left_is_swept_and_what_living_ones_write_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key.pem"
    drafts = 0
    for _ in every_line(lambda: write_private(path, b"new"), tmp_path):
        drafts += len(list(tmp_path.glob(".key.pem.*")))
        write_private(path, b"newer")
        assert list(tmp_path.iterdir()) == [path]
    assert drafts >= 2, "an empty one and a written one"
    left = tmp_path / ".key.pem.0badf00d"
    others = {tmp_path / ".key.pem.backup", tmp_path / ".other.pem.0badf00d"}
    for file in (left, *others):
        file.write_bytes(b"a key, perhaps")
    with left.open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        write_private(path, b"new")
        assert left.exists(), "its writer lives"
    write_private(path, b"new")
    assert set(tmp_path.iterdir()) == {path, *others}


def test_of_many_writers_of_one_file_none_loses_its_draft_to_another(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    contents = [bytes([65 + number]) * 100_000 for number in range(8)]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_private(path, content)

    with ThreadPoolExecutor(len(contents)) as pool:
        for job in [pool.submit(write, content) for content in contents]:
            job.result(timeout=120)
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def told_on_a_full_disk(work: Callable[[], object], room: int) -> str:
    """The code that `work` is refused with where no file may grow beyond `room` bytes."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = "nothing"
        try:
            # Python ignores SIGXFSZ: the write fails, as on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            work()
        except SealcastError as error:
            code = error.code
        except BaseException as error:
            code = repr(error)
        os.write(writes, code.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    with os.fdopen(reads, "rb") as told:
        return told.read().decode()


def test_on_a_full_disk_nothing_is_issued_and_it_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    authority, out = copied(tmp_path / "authority"), tmp_path / "out"
    issued = authority.issue(WANTED, NOW, who="ada")
    before = check(authority)
    full = told_on_a_full_disk(lambda: authority.issue(WANTED, NOW, who="ada"), 1000)
    assert full == "IDENTITY.STORE_DAMAGED"
    assert check(authority) == before
    assert told_on_a_full_disk(lambda: issued.save(out, "venue-1"), 20) == "IDENTITY.NOT_WRITTEN"
    assert list(out.iterdir()) == []
    authority.issue(WANTED, NOW, who="ada").save(out, "venue-1")
    assert len(check(authority)) == len(before) + 1
