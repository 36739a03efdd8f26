"""An authority whose keys are in a token (SoftHSM): it works as any other, and leaves no halves."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, request
from tests.unit.soft_token import PIN, SoftToken, begin_anew, soft_token, softhsm

from sealcast.errors import LocalError, SealcastError
from sealcast.identity import authority_keys, pkcs11, rolling
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.authority_keys import InToken
from sealcast.identity.founding import ROOT_FILE, ROOT_KEY_FILE, Founding, found
from sealcast.identity.private_files import write_private
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import Reason
from sealcast.identity.standing import in_force
from sealcast.identity.store import IssuerRow
from sealcast.secret import Secret
from sealcast.testing.requirement import require

require("softhsm")

WANTED = Wanted(ENCODER, "encoder")
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with softhsm(tmp_path / "softhsm", monkeypatch):
        yield soft_token(tmp_path / "softhsm")


def _asked_for_nothing() -> Secret:
    raise AssertionError("a key in a token needs no passphrase")


def founded(folder: Path, token: SoftToken) -> Authority:
    """An authority with every key in the token."""
    in_token = InToken(token.uri())
    found(folder, Founding(DOMAIN), None, NOW, who="founder", token=in_token, root_token=in_token)
    return Authority.open(folder, _asked_for_nothing)


def issuer_of(authority: Authority, side: Side, at: datetime.datetime = NOW) -> IssuerRow:
    """Who issues for a side at a time."""
    return in_force(authority.store.issuers(side), at)


def private_keys(token: SoftToken) -> list[str]:
    """The names of the private keys in the token."""
    uri = token.uri()
    with pkcs11._module(uri.module_path) as module:
        session = module.login(module.token(uri), uri)
        return sorted(key.label for key in pkcs11._objects(module, session, uri, "PRIVATE_KEY"))


def test_everything_that_an_authority_does_it_does_with_keys_in_a_token(
    token: SoftToken, tmp_path: Path
) -> None:
    authority = founded(tmp_path / "authority", token)
    folder = tmp_path / "authority"
    assert sorted(path.name for path in folder.rglob("*.pem")) == [ROOT_FILE]
    issued = authority.issue(WANTED, NOW, who="ada")
    chain = x509.load_pem_x509_certificates(issued.chain_pem)
    root = x509.load_pem_x509_certificate((folder / ROOT_FILE).read_bytes())
    chain[0].verify_directly_issued_by(chain[1])
    chain[1].verify_directly_issued_by(root)
    assert authority.sign(request(), WANTED, NOW, who="ada").serial != issued.serial
    text = authority.make_token(WANTED, NOW, who="ada").reveal().decode()
    enrolled = authority.enrol(request(), text, WANTED, NOW, who="encoder")
    authority.revoke(ENCODER, Reason.KEY_COMPROMISE, NOW, who="ada")
    rows = authority.store.issued(ENCODER)
    assert enrolled.serial in {row.serial for row in rows}
    assert all(row.revoked_unix for row in rows)


def test_the_store_says_where_the_keys_are_and_has_no_pin(token: SoftToken, tmp_path: Path) -> None:
    authority = founded(tmp_path / "authority", token)
    places = {side: issuer_of(authority, side).key_file for side in Side}
    assert set(places.values()) == {
        str(token.uri(f"{DOMAIN} issuing clients")),
        str(token.uri(f"{DOMAIN} issuing servers")),
    }
    for file in (tmp_path / "authority").rglob("*"):
        if file.is_file():
            assert PIN.encode() not in file.read_bytes(), file.name
    assert private_keys(token) == [
        f"{DOMAIN} issuing clients",
        f"{DOMAIN} issuing servers",
        f"{DOMAIN} root",
    ]


def test_the_root_may_be_in_a_file_and_the_rest_in_a_token(
    token: SoftToken, tmp_path: Path
) -> None:
    folder = tmp_path / "authority"
    passphrase = Secret(PASSPHRASE)
    in_token = InToken(token.uri("node one"))
    found(folder, Founding(DOMAIN), passphrase, NOW, who="founder", token=in_token)
    assert (folder / ROOT_KEY_FILE).exists()
    assert Authority.open(folder, _asked_for_nothing).issue(WANTED, NOW, who="ada")
    assert private_keys(token) == [
        f"node one {DOMAIN} issuing clients",
        f"node one {DOMAIN} issuing servers",
    ]


def test_a_founding_that_fails_leaves_no_key_in_the_token(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_token = InToken(token.uri())
    with pytest.raises(LocalError, match="PASSPHRASE_MISSING"):
        found(tmp_path / "a", Founding(DOMAIN), None, NOW, who="founder", root_token=in_token)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(39, "not empty")))
    with pytest.raises(LocalError, match="ALREADY_INITIALISED"):
        founded(tmp_path / "b", token)
    assert private_keys(token) == []
    assert not (tmp_path / "b").exists()


def test_a_token_that_has_keys_of_that_name_keeps_them(token: SoftToken, tmp_path: Path) -> None:
    first = founded(tmp_path / "first", token)
    with pytest.raises(LocalError, match=r"HSM\.KEY_EXISTS"):
        founded(tmp_path / "second", token)
    assert len(private_keys(token)) == 3
    assert first.issue(WANTED, NOW, who="ada")


@pytest.mark.parametrize("root", [False, True])
def test_a_roll_makes_the_new_keys_where_the_old_ones_are(
    token: SoftToken, tmp_path: Path, root: bool
) -> None:
    authority = founded(tmp_path / "authority", token)
    wanted = rolling.Roll(HOUR, root=root)
    rolling.roll(authority, wanted, rolling.Keys(None, None), NOW, who="ada")
    later = NOW + HOUR
    place = issuer_of(authority, Side.CLIENT, later).key_file
    assert place.startswith("pkcs11:")
    assert place != str(token.uri(f"{DOMAIN} issuing clients"))
    assert authority.issue(WANTED, later, who="ada")
    assert len(private_keys(token)) == (6 if root else 5)


def test_a_roll_that_fails_leaves_the_token_as_it_was(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = founded(tmp_path / "authority", token)
    before = private_keys(token)

    def full(*_arguments: object) -> None:
        raise LocalError("IDENTITY.STORE_DAMAGED", "disk full")

    monkeypatch.setattr(rolling, "_sign_lists", full)
    with pytest.raises(LocalError, match="disk full"):
        rolling.roll(authority, rolling.Roll(HOUR), rolling.Keys(None, None), NOW, who="ada")
    assert private_keys(token) == before
    assert authority.issue(WANTED, NOW, who="ada")


def test_a_wrong_pin_issues_nothing_and_stands_in_the_journal(
    token: SoftToken, tmp_path: Path
) -> None:
    authority = founded(tmp_path / "authority", token)
    write_private(token.pin_file, b"1234567890")
    begin_anew()
    for _ in range(3):
        with pytest.raises(SealcastError) as refused:
            authority.issue(WANTED, NOW, who="ada")
        assert refused.value.code == "HSM.PIN_WRONG"
    assert authority.store.issued() == []
    assert [one.outcome for one in authority.store.journal()][1:] == ["HSM.PIN_WRONG"] * 3
    write_private(token.pin_file, PIN.encode())
    assert authority.issue(WANTED, NOW, who="ada")


def test_another_key_than_the_certificates_is_refused(token: SoftToken, tmp_path: Path) -> None:
    authority = founded(tmp_path / "authority", token)
    uri = token.uri(f"{DOMAIN} issuing clients")
    pkcs11.remove_key(uri)
    with pytest.raises(LocalError) as refused:
        authority.issue(WANTED, NOW, who="ada")
    assert refused.value.code == "HSM.NO_KEY"
    pkcs11.make_key(uri, "p256")
    with pytest.raises(LocalError) as refused:
        authority.issue(WANTED, NOW, who="ada")
    assert refused.value.code == "TLS.KEY_MISMATCH"
    issuer = issuer_of(authority, Side.CLIENT)
    with pytest.raises(LocalError) as refused:
        authority_keys.signer(authority.folder, str(uri), issuer.pem, _asked_for_nothing)
    assert refused.value.code == "TLS.KEY_MISMATCH"


def test_keys_are_made_by_name_and_not_by_id(token: SoftToken) -> None:
    with pytest.raises(LocalError, match=r"HSM\.BAD_URI"):
        InToken.parse(str(token.uri("a", ident=b"\x01")))


_ISSUING = """
import sys
from pathlib import Path
from sealcast.identity.authority import Authority, Wanted
from tests.unit.founded import ENCODER, NOW

authority = Authority.open(Path(sys.argv[1]), lambda: None)
print("ready", flush=True)
while True:
    authority.issue(Wanted(ENCODER, "encoder"), NOW, who="process")
    print("issued", flush=True)
"""


def _issuing(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _ISSUING, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": "."},
    )


def test_two_processes_issue_with_one_token_and_a_killed_one_leaves_no_halves(
    token: SoftToken, tmp_path: Path
) -> None:
    folder = tmp_path / "authority"
    authority = founded(folder, token)
    processes = [_issuing(folder), _issuing(folder)]
    try:
        for process in processes:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines == ["ready\n"] + ["issued\n"] * 3
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    rows = authority.store.issued()
    assert len(rows) >= 6
    assert len({row.serial for row in rows}) == len(rows)
    issuer = x509.load_pem_x509_certificate(issuer_of(authority, Side.CLIENT).pem)
    for row in rows:
        x509.load_pem_x509_certificate(row.pem).verify_directly_issued_by(issuer)
    # The token went on: what was killed had no lock in it.
    assert authority.issue(WANTED, NOW, who="ada")


def test_threads_issue_with_one_token(token: SoftToken, tmp_path: Path) -> None:
    authority = founded(tmp_path / "authority", token)
    with ThreadPoolExecutor(4) as pool:
        issued = list(pool.map(lambda _: authority.issue(WANTED, NOW, who="ada"), range(8)))
    assert len({one.serial for one in issued}) == 8
