"""What `identity due` says of a node's doors: files, ACME, SPIFFE, and whom they trust."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.founded import living, today

from sealcast.cli import main
from sealcast.identity import ThrowAwayAuthority
from sealcast.identity.due import Kind
from sealcast.node.acme_store import AcmeStore
from sealcast.node.door_due import of_doors, untold
from sealcast.node.door_report import Certificate, DoorReport
from sealcast.node.state_folder import KeyPair

DAY = datetime.timedelta(days=1)
DIRECTORY = "https://acme.example/directory"


def pair(name: str, lifetime: datetime.timedelta) -> KeyPair:
    """One whose life is almost over."""
    begun = today() - lifetime + 2 * DAY
    made = ThrowAwayAuthority.create("elsewhere", begun).issue_server([name], begun, lifetime)
    return KeyPair(made.chain_pem, made.key_pem)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose doors show a file and an ACME certificate and trust a CDN; two days of
    each are left.
    """
    monkeypatch.delenv("SEALCAST_IDENTITY_DATA", raising=False)
    files = pair("files.example", 90 * DAY)
    (tmp_path / "cert.pem").write_bytes(files.chain_pem)
    key = tmp_path / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(files.key_pem)
    AcmeStore(tmp_path / "state", DIRECTORY).keep(pair("acme.example", 90 * DAY))
    cdn = ThrowAwayAuthority.create("cdn.example", today() - 363 * DAY)
    (tmp_path / "cdn.pem").write_bytes(cdn.root_pem)
    living(tmp_path / "authority")
    file = tmp_path / "sealcast.toml"
    file.write_text(
        f"""
        [node]
        state_dir = "state"
        trust_domain = "venue.example"
        names = ["acme.example"]
        [identity]
        authority = "authority"
        [acme]
        directory = "{DIRECTORY}"
        terms_agreed = true
        [doors.public]
        certificate = "acme"
        [doors.secure]
        certificate = "cert.pem"
        key = "key.pem"
        [doors.origin]
        bind = ["127.0.0.1:8446"]
        certificate = "cert.pem"
        key = "key.pem"
        client_ca = "cdn.pem"
        """
    )
    return file


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as exited:
        main(("identity", "due", *words))
    code = exited.value.code
    return code if isinstance(code, int) else 0 if code is None else 1


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_files_acme_and_trusted_authorities_are_due_with_kind_and_holder(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--config", str(site), "--json") == 3
    rows = told(capsys)
    found = {(row["kind"], row["holder"]) for row in rows}
    assert found == {
        ("acme", "door public, from ACME"),
        ("file", f"doors secure, origin, from {site.parent / 'cert.pem'}"),
        ("bundle", f"door origin, from {site.parent / 'cdn.pem'}"),
    }
    assert all(0 < row["left_s"] <= 2 * 86400 for row in rows)
    assert run("--config", str(site)) == 3
    table = capsys.readouterr().out
    assert "holder" in table
    assert "door origin, from" in table


def test_the_authority_of_the_configuration_is_told_once(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--config", str(site), "--within", "9999d", "--json") == 3
    kinds = [row["kind"] for row in told(capsys)]
    assert sorted(kinds) == ["acme", "bundle", "file", "issuer", "issuer", "root"]


def test_a_file_that_cannot_be_read_is_not_passed_over(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.parent / "cert.pem").unlink()
    assert run("--config", str(site)) == 1
    said = capsys.readouterr()
    assert "acme" in said.out, "what could be told is told"
    assert "could not be told: door secure: IDENTITY.CERTIFICATE_MALFORMED" in said.err


def test_without_an_authority_and_a_configuration_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SEALCAST_IDENTITY_DATA", raising=False)
    assert run() == 2
    assert "--data or --config" in capsys.readouterr().err


def door(**changes: Any) -> DoorReport:
    facts: dict[str, Any] = {
        "door": "secure",
        "open": True,
        "addresses": ["127.0.0.1:8444"],
        "speaks": "HTTPS",
        "role": "admin",
        "client_certificate": "required",
        "authorities": [],
        "authorities_from": "spiffe",
        "tls_versions": ["1.3"],
        "groups": [],
        "policy": "strict",
        "publish_by": ["certificate"],
        "expired_grace_s": 0,
        "shows": None,
        "shows_from": "spiffe",
        "shows_kind": "spiffe",
    }
    return DoorReport(**{**facts, **changes})


def test_what_spiffe_gives_is_told_by_the_running_node_alone() -> None:
    assert len(list(untold([door()]))) == 1
    assert "--running" in next(iter(untold([door()])))
    assert list(untold([door(open=False)])) == []
    svid = Certificate("spiffe://venue.example/node/one", "ab", 0, 86400, 1.0)
    root = Certificate("CN=root", "cd", 0, 864000, 10.0)
    running = door(
        shows=svid,
        shows_from="the SPIFFE Workload API, spiffe://venue.example/node/one",
        authorities=[root],
        authorities_from="the SPIFFE Workload API",
    )
    assert list(untold([running])) == []
    rows = of_doors([running])
    assert [(row.kind, row.name) for row in rows] == [
        (Kind.SPIFFE, svid.name),
        (Kind.BUNDLE, root.name),
    ]
    assert rows[0].holder.startswith("door secure, from the SPIFFE Workload API")
    assert rows[0].warn_s == 28800, "a third of its life"
    assert of_doors([running], ["cd"]) == rows[:1]
