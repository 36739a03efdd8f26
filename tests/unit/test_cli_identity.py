"""`sealcast identity` as an operator types it."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from tests.unit.founded import DOMAIN, ENCODER, PASSPHRASE, living, request, today

from sealcast.cli import main
from sealcast.cli.identity_due import SOMETHING_DUE
from sealcast.cli.identity_revoke import REASONS
from sealcast.identity.revocation import Reason
from sealcast.identity.store import Store
from sealcast.identity.throw_away import ThrowAwayAuthority


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An authority that the commands find by themselves, as on an operator's machine."""
    folder = tmp_path / "authority"
    living(folder)
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    monkeypatch.setenv("SEALCAST_IDENTITY_DATA", str(folder))
    monkeypatch.setenv("SEALCAST_IDENTITY_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.chdir(tmp_path)
    return folder


def run(*words: str) -> int:
    try:
        main(["identity", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_init_makes_an_authority_and_says_what_to_trust_and_what_to_take_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passphrase, folder = tmp_path / "passphrase", tmp_path / "authority"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    words = ("--data", str(folder), "--passphrase-file", str(passphrase))
    assert run("init", *words, "--trust-domain", DOMAIN) == 0
    told = capsys.readouterr().out
    assert re.search(r"SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}", told)
    assert str(folder / "root/root-key.pem") in told
    assert run("init", *words, "--trust-domain", DOMAIN) == 1
    assert "IDENTITY.ALREADY_INITIALISED" in capsys.readouterr().err
    nowhere = ("--data", "/proc/nowhere/authority", "--passphrase-file", str(passphrase))
    assert run("init", *nowhere, "--trust-domain", DOMAIN) == 1
    assert "IDENTITY.NOT_WRITTEN" in capsys.readouterr().err


def test_an_encoder_gets_key_chain_and_bundle(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--profile", "encoder", "--out", "out") == 0
    told = capsys.readouterr().out
    assert f"spiffe://{DOMAIN}/{ENCODER}" in told
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert made == {"venue-1.pem": 0o644, "venue-1-key.pem": 0o600, "authority.pem": 0o644}
    leaf, _ = x509.load_pem_x509_certificates((tmp_path / "out/venue-1.pem").read_bytes())
    assert f"{leaf.serial_number:x}" in told
    assert (tmp_path / "out/authority.pem").read_bytes() == (data / "authority.pem").read_bytes()


def test_the_journal_has_the_user_of_the_process_whatever_the_environment_says(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert run("issue", ENCODER, "--out", "out") == 0
    (row,) = Store.open(data).issued(ENCODER)
    assert row.issued_by == pwd.getpwuid(os.getuid()).pw_name


def test_a_pkcs12_is_private_and_its_passphrase_is_told_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out", "--pkcs12") == 0
    told = re.search(r"passphrase ([a-z2-7]{24})\n", capsys.readouterr().out)
    assert told is not None, "120 bits that can be typed, and are no option"
    content = (tmp_path / "out/venue-1.p12").read_bytes()
    key, leaf, others = pkcs12.load_key_and_certificates(content, told[1].encode())
    assert key is not None
    assert leaf is not None
    assert key.public_key() == leaf.public_key()
    assert len(others) == 2
    with pytest.raises(ValueError):
        pkcs12.load_key_and_certificates(content, b"another")
    # For key and certificates each aes256-CBC (2.16.840.1.101.3.4.1.42), and 100,000 rounds.
    assert content.count(bytes.fromhex("060960864801650304012a")) == 2
    assert content.count(bytes.fromhex("0203 0186a0")) >= 2
    assert (tmp_path / "out/venue-1.p12").stat().st_mode & 0o777 == 0o600


def test_the_list_and_one_name_are_shown_to_people_and_programs(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    assert run("issue", "node/a", "--host", "a.venue.example", "--out", "out") == 0
    capsys.readouterr()
    assert run("list", "--json") == 0
    node, encoder = json.loads(capsys.readouterr().out)
    assert (node["name"], node["side"], node["hosts"]) == ("node/a", "server", ["a.venue.example"])
    assert (encoder["name"], encoder["profile"], encoder["by_token"]) == (ENCODER, "encoder", False)
    assert run("list") == 0
    table = capsys.readouterr().out
    assert ENCODER in table
    assert encoder["serial"] in table
    assert run("show", ENCODER) == 0
    shown = capsys.readouterr().out
    assert "BEGIN CERTIFICATE" in shown
    assert "node/a" not in shown
    assert run("show", "encoder/nobody") == 1
    assert "IDENTITY.UNKNOWN:" in capsys.readouterr().err


def test_the_list_can_be_that_of_some_names_and_of_the_ends_that_stand_so(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (ENCODER, ENCODER, "encoder/lost", "viewer/vera"):
        assert run("issue", name, "--out", "out") == 0
    assert run("revoke", "encoder/lost", "--reason", "keyCompromise") == 0
    capsys.readouterr()

    def listed(*options: str) -> list[str]:
        assert run("list", "--json", *options) == 0
        return [row["name"] for row in json.loads(capsys.readouterr().out)]

    assert listed("--name", "encoder/*") == ["encoder/lost", ENCODER, ENCODER]
    assert listed("--name", "VERA") == ["viewer/vera"]
    assert listed("--state", "valid") == [ENCODER, "viewer/vera"], "what counts, once each"
    assert listed("--state", "revoked", "--state", "due") == ["encoder/lost"]
    assert listed("--state", "valid", "--name", "viewer") == ["viewer/vera"]
    assert run("list", "--name", "a**") == 2
    assert "--name: a part has at most one *" in capsys.readouterr().err


def test_an_end_called_authority_keeps_its_certificate_beside_the_root(
    data: Path, tmp_path: Path
) -> None:
    assert run("issue", "encoder/authority", "--out", "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "encoder-authority.pem",
        "encoder-authority-key.pem",
        "authority.pem",
    }


@pytest.mark.parametrize(
    "words",
    [
        ("issue", "viewer/venue-1"),
        ("sign", "venue-1.csr", "viewer/venue-1"),
    ],
)
def test_two_ends_with_one_last_name_do_not_overwrite_each_other(
    data: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "venue-1.csr").write_bytes(request(subject="venue-1"))
    assert run("issue", ENCODER, "--out", "out") == 0
    before = (tmp_path / "out/venue-1.pem").read_bytes()
    assert run(*words, "--out", "out") == 1
    assert "IDENTITY.NOT_ITS_FILES" in capsys.readouterr().err
    assert (tmp_path / "out/venue-1.pem").read_bytes() == before
    assert [row.name for row in Store.open(data).issued()] == [ENCODER], "nothing was issued"
    assert run(*words, "--out", "other") == 0
    assert run("issue", ENCODER, "--out", "out") == 0, "its own are replaced"


def test_who_reads_a_folder_keeps_the_authority_that_it_trusts(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = today()
    authority = ThrowAwayAuthority.create("other.example", now)
    theirs = tmp_path / "out/authority.pem"
    theirs.parent.mkdir()
    theirs.write_bytes(authority.root_pem)
    assert run("issue", ENCODER, "--out", "out") == 1
    assert "authority.pem is of other.example" in capsys.readouterr().err
    assert theirs.read_bytes() == authority.root_pem
    assert Store.open(data).issued() == []
    theirs.write_bytes(ThrowAwayAuthority.create(DOMAIN, now).root_pem)
    assert run("issue", ENCODER, "--out", "out") == 0, "of the same domain one follows another"


def test_one_end_keeps_its_clients_and_its_servers_files_apart(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", "node/a", "--host", "a.venue.example", "--out", "out") == 0
    assert run("issue", "node/a", "--as", "client", "--out", "out") == 1
    assert "IDENTITY.NOT_ITS_FILES" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("issue", ENCODER, "--out", "/proc/nowhere"), "IDENTITY.NOT_WRITTEN"),
        (("sign", "nowhere.csr", ENCODER, "--out", "out"), "IDENTITY.REQUEST_MALFORMED"),
    ],
)
def test_what_fails_before_the_authority_is_asked_stands_in_the_journal_too(
    data: Path, words: tuple[str, ...], code: str
) -> None:
    assert run(*words) == 1
    last = Store.open(data).journal()[-1]
    assert (last.action, last.name, last.outcome) == (words[0], ENCODER, code)


def test_a_request_is_signed_and_no_key_is_written(data: Path, tmp_path: Path) -> None:
    (tmp_path / "venue-1.csr").write_bytes(request(subject="venue-1"))
    assert run("sign", "venue-1.csr", ENCODER, "--out", "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"venue-1.pem", "authority.pem"}


def test_a_token_stands_alone_on_standard_output(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("token", ENCODER) == 0
    told = capsys.readouterr()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", told.out)
    assert "15 minutes" in told.err
    assert "SHA-256" in told.err


def test_a_token_as_a_code_is_a_private_file_and_needs_a_node(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = ("--node", "https://node.example:8443")
    for suffix, begins in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        file = tmp_path / f"code.{suffix}"
        assert run("token", ENCODER, *node, "--qr-file", str(file)) == 0
        assert file.read_bytes().startswith(begins)
        assert file.stat().st_mode & 0o777 == 0o600
        told = capsys.readouterr()
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", told.out)
    before = len(Store(data).tokens())
    for options, code, said in (
        (("--qr",), 2, "give --node"),
        ((*node, "--qr-file", "code.gif"), 2, "--qr-file ends in .svg or .png"),
        ((*node, "--qr-file", "passphrase/code.svg"), 1, "IDENTITY.NOT_WRITTEN"),
    ):
        assert run("token", ENCODER, *options) == code
        assert said in capsys.readouterr().err
    assert len(Store(data).tokens()) == before, "no token that nobody has"


def test_a_name_is_revoked_without_any_passphrase(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    assert run("token", ENCODER) == 0
    capsys.readouterr()
    monkeypatch.delenv("SEALCAST_IDENTITY_PASSPHRASE_FILE")
    assert run("revoke", ENCODER, "--reason", "keyCompromise") == 0
    (row,) = Store.open(data).issued()
    assert row.revoked_why == "keyCompromise"
    told = capsys.readouterr().out
    assert row.serial in told
    assert "1 unused token of" in told
    assert run("revoke", ENCODER) == 0
    assert "nothing of encoder/venue-1 was left" in capsys.readouterr().out
    assert run("revoke", "encoder/nobody") == 1
    assert "IDENTITY.UNKNOWN" in capsys.readouterr().err


def test_what_was_revoked_is_written_as_lists_of_all_authorities(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    assert run("revoke", ENCODER) == 0
    assert run("crl", "--out", "lists.pem") == 0
    assert (tmp_path / "lists.pem").read_bytes().count(b"BEGIN X509 CRL") == 3
    assert "3 revocation lists" in capsys.readouterr().out
    assert run("crl", "--out", "/proc/nowhere/lists.pem") == 1
    assert "IDENTITY.NOT_WRITTEN" in capsys.readouterr().err


def test_a_roll_is_rehearsed_and_then_done(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    capsys.readouterr()
    assert run("roll", "--dry-run", "--overlap", "7d") == 0
    told = capsys.readouterr().out
    assert "nothing was changed" in told
    assert ENCODER in told
    assert "by hand" in told
    assert len(Store.open(data).issuers()) == 2
    (data / "root/root-key.pem").rename(tmp_path / "brought.pem")
    assert run("roll", "--overlap", "7d") == 1
    assert "IDENTITY.ROOT_KEY_MISSING" in capsys.readouterr().err
    assert run("roll", "--overlap", "7d", "--root-key", "brought.pem", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["by_hand"]) for one in plan["holders"]] == [(ENCODER, True)]
    assert len(Store.open(data).issuers()) == 4
    assert run("roll", "--root", "--compromised") == 0
    assert "authority.pem needs the new one before" in capsys.readouterr().out
    assert run("issue", "encoder/venue-2", "--out", "out") == 0
    assert (tmp_path / "out/authority.pem").read_bytes().count(b"BEGIN CERTIFICATE") == 2


def test_what_is_due_is_a_table_json_and_an_exit_code(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    capsys.readouterr()
    assert run("due", "--within", "14d") == 0
    assert "nothing is due: 4 certificates" in capsys.readouterr().out
    bundle = str(data / "authority.pem")
    assert run("due", "--within", "3651d", "--bundle", bundle) == SOMETHING_DUE
    told = capsys.readouterr().out
    assert "root" in told
    assert "bundle" in told
    assert run("due", "--within", "3651d", "--bundle", bundle, "--json") == SOMETHING_DUE
    kinds = [one["kind"] for one in json.loads(capsys.readouterr().out)]
    assert kinds == ["issuer", "issuer", "root", "bundle"]
    assert run("due", "--bundle", "nowhere.pem") == 1
    assert "IDENTITY.CERTIFICATE_MALFORMED" in capsys.readouterr().err


def test_an_authority_is_backed_up_and_restored_by_who_says_that_the_old_one_is_gone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("issue", ENCODER, "--out", "out") == 0
    assert run("backup", "--out", "copy.tar") == 0
    assert "root's key is in it" in capsys.readouterr().out
    assert (tmp_path / "copy.tar").stat().st_mode & 0o777 == 0o600
    assert run("revoke", ENCODER) == 0
    assert run("crl", "--out", "lists.pem") == 0
    words = ("restore", "copy.tar", "--data", "new", "--crl", "lists.pem")
    assert run(*words) == 1
    assert "IDENTITY.OLD_ONE_MAY_RUN" in capsys.readouterr().err
    assert run(*words, "--old-one-is-gone") == 0
    told = capsys.readouterr().out
    assert "revoked again, by lists          1" in told
    assert "neither revoked nor renewed" in told
    assert run("list", "--data", "new", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["revoked_why"] == "unspecified"
    assert run("restore", "nowhere.tar", "--data", "other", "--old-one-is-gone") == 1
    assert "IDENTITY.BACKUP_DAMAGED" in capsys.readouterr().err


def test_the_reasons_to_revoke_are_those_of_the_library() -> None:
    assert {*REASONS, Reason.CA_COMPROMISE.value} == {reason.value for reason in Reason}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("issue", "UPPER/A", "--profile", "encoder", "--out", "out"), "IDENTITY.BAD_NAME"),
        (("issue", ENCODER, "--profile", "x", "--out", "out"), "IDENTITY.UNKNOWN_PROFILE"),
        (("issue", "nobody/a", "--out", "out"), "IDENTITY.UNKNOWN_PROFILE"),
        (("issue", ENCODER, "--profile", "viewer", "--out", "out"), "IDENTITY.NOT_OF_PROFILE"),
        (("issue", ENCODER, "--as", "server", "--out", "out"), "IDENTITY.NOT_OF_PROFILE"),
        (("issue", ENCODER, "--for", "1000d", "--out", "out"), "IDENTITY.NOT_OF_PROFILE"),
        (("issue", ENCODER, "--out", "/proc/nowhere"), "IDENTITY.NOT_WRITTEN"),
        (("issue", ENCODER, "--out", "out", "--data", "/nowhere"), "IDENTITY.NO_AUTHORITY"),
        (
            ("issue", ENCODER, "--out", "out", "--passphrase-file", "/nowhere"),
            "IDENTITY.KEY_UNREADABLE",
        ),
        (("sign", "/nowhere.csr", ENCODER, "--out", "out"), "IDENTITY.REQUEST_MALFORMED"),
        (("token", "viewer/a", "--profile", "encoder"), "IDENTITY.NOT_OF_PROFILE"),
    ],
)
def test_each_refusal_is_one_sentence_and_nothing_is_issued(
    data: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*words) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"sealcast: {code}:")
    assert "Traceback" not in told.err
    assert told.out == ""
    assert Store.open(data).issued() == []
    assert not list(tmp_path.glob("out/*"))


def test_without_an_authority_the_nodes_own_one_issues_but_not_by_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    out = str(tmp_path / "out")
    assert run("issue", ENCODER, "--out", out) == 0
    assert "spiffe://sealcast.internal/" in capsys.readouterr().out
    assert run("issue", ENCODER, "--profile", "encoder", "--out", out) == 2
    assert "need an authority: --data" in capsys.readouterr().err
