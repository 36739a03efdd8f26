"""`sealcast doors`: what each door demands, from the configuration and its files."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.founded import living, today

from sealcast.cli import main
from sealcast.identity import ThrowAwayAuthority
from sealcast.identity.private_files import write_private
from sealcast.node import config
from sealcast.node.acme_store import AcmeStore
from sealcast.node.door_report import DoorReport, report
from sealcast.node.own_authority import OwnPair
from sealcast.node.state_folder import KeyPair, open_state_folder

DAY = datetime.timedelta(days=1)


def reports(folder: Path, settings: str = "") -> dict[str, DoorReport]:
    text = f'[node]\nstate_dir = "{folder / "state"}"\n{settings}'
    return {door.door: door for door in report(config.loads(text), today())}


def certificate(folder: Path, lifetime: datetime.timedelta = 10 * DAY) -> str:
    """The settings of a door's own pair."""
    authority = ThrowAwayAuthority.create("elsewhere", today() - 20 * DAY)
    begun = today() - 5 * DAY
    issued = authority.issue_server(["node.example"], begun, lifetime)
    chain, key = issued.save(folder, "own")
    return f'certificate = "{chain}"\nkey = "{key}"\n'


def test_before_the_first_start_nothing_is_made_and_nothing_complained_of(tmp_path: Path) -> None:
    doors = reports(tmp_path)
    assert list(doors) == ["public", "secure", "ingest-ts", "origin"]
    assert all(door.shows is None and not door.complaints for door in doors.values())
    assert {name: door.client_certificate for name, door in doors.items()} == {
        "public": "none",
        "secure": "required",
        "ingest-ts": "required",
        "origin": "required",
    }
    assert [name for name, door in doors.items() if not door.open] == ["origin"]
    assert list(tmp_path.iterdir()) == []


def test_after_a_start_the_throw_away_authority_is_named(tmp_path: Path) -> None:
    text = f'[node]\nstate_dir = "{tmp_path / "state"}"\n'
    state = open_state_folder(config.loads(text), today())
    state.server(["localhost"], today())
    door = reports(tmp_path)["secure"]
    assert door.shows is not None
    assert door.shows.days_left == 90
    assert [authority.days_left for authority in door.authorities] == [365]
    assert door.authorities_from == door.shows_from == "the throw-away authority"


def test_the_nodes_own_authority_is_named_with_what_it_last_issued(tmp_path: Path) -> None:
    authority = living(tmp_path / "authority")
    settings = f"""
        trust_domain = "venue.example"
        names = ["node.venue.example"]
        [identity]
        authority = "{tmp_path / "authority"}"
    """
    assert reports(tmp_path, settings)["public"].shows is None
    OwnPair(authority, ["node.venue.example"], today())
    door = reports(tmp_path, settings)["secure"]
    assert door.shows is not None
    assert (door.shows.days_left, door.shows_from) == (1, "the authority of venue.example")
    assert len(door.authorities) == 1
    assert door.authorities[0].days_left > 3000
    assert door.complaints == []


def test_files_are_read_and_what_is_wrong_with_them_is_said(tmp_path: Path) -> None:
    outside = ThrowAwayAuthority.create("cdn.example", today() - 350 * DAY)
    bundle = tmp_path / "cdn.pem"
    bundle.write_bytes(outside.root_pem)
    pair = certificate(tmp_path)
    settings = f"""
        [doors.origin]
        bind = ["127.0.0.1:9443"]
        client_ca = "{bundle}"
        {pair}
    """
    door = reports(tmp_path, settings)["origin"]
    assert door.open
    assert door.speaks == "HTTPS, reading only"
    assert door.role == "origin"
    assert door.shows is not None
    assert (door.shows.days_left, door.authorities[0].days_left) == (5, 15)
    assert door.complaints == []
    (tmp_path / "own-key.pem").chmod(0o644)
    bundle.unlink()
    door = reports(tmp_path, settings)["origin"]
    assert [complaint.partition(":")[0] for complaint in door.complaints] == [
        "IDENTITY.KEY_EXPOSED",
        "IDENTITY.CERTIFICATE_MALFORMED",
    ]


def test_what_has_expired_is_complained_of(tmp_path: Path) -> None:
    settings = f"[doors.public]\n{certificate(tmp_path, 2 * DAY)}"
    (complaint,) = reports(tmp_path, settings)["public"].complaints
    assert "expired 3 days ago" in complaint


def test_an_authority_that_cannot_be_read_is_said_at_each_door_that_needs_it(
    tmp_path: Path,
) -> None:
    settings = f"""
        [identity]
        authority = "{tmp_path / "nowhere"}"
        [doors.public]
        {certificate(tmp_path)}
    """
    doors = reports(tmp_path, settings)
    assert doors["public"].complaints == []
    assert "IDENTITY.NO_AUTHORITY" in doors["secure"].complaints[0]


def test_a_door_of_acme_shows_what_the_last_order_got(tmp_path: Path) -> None:
    settings = """
        names = ["node.example"]
        [doors.public]
        certificate = "acme"
        [acme]
        directory = "https://acme.example/directory"
        terms_agreed = true
    """
    before = reports(tmp_path, settings)["public"]
    assert (before.shows, before.shows_from, before.complaints) == (None, "ACME", [])
    issued = ThrowAwayAuthority.create("public.example", today()).issue_server(
        ["node.example"], today(), 45 * DAY
    )
    AcmeStore(tmp_path / "state", "https://acme.example/directory").keep(
        KeyPair(issued.chain_pem, issued.key_pem)
    )
    after = reports(tmp_path, settings)["public"]
    assert after.shows is not None
    assert (after.shows.days_left, after.complaints) == (45, [])


def test_a_public_door_may_ask_and_says_so(tmp_path: Path) -> None:
    settings = '[doors.public]\nclient_certificate = "optional"\n'
    assert reports(tmp_path, settings)["public"].client_certificate == "optional"


def test_each_door_says_what_proves_a_publisher(tmp_path: Path) -> None:
    def publishing(settings: str = "") -> dict[str, list[str]]:
        return {name: door.publish_by for name, door in reports(tmp_path, settings).items()}

    both = ["certificate", "token"]
    doors = {"public": ["token"], "secure": both, "ingest-ts": ["certificate"], "origin": []}
    assert publishing() == doors
    assert publishing('[doors.public]\nclient_certificate = "optional"\n')["public"] == both
    strict = publishing('[policy]\ningest = "strict"\n')
    assert strict == {**doors, "public": [], "secure": ["certificate"]}


def test_where_another_node_can_take_a_stream_it_is_said_what_it_is_asked_for(
    tmp_path: Path,
) -> None:
    assert [name for name, door in reports(tmp_path).items() if door.nodes] == ["secure"]
    settings = '[doors.public]\nclient_certificate = "optional"\n'
    doors = reports(tmp_path, settings)
    assert [name for name, door in doors.items() if door.nodes] == ["public", "secure"]
    assert "the profile node" in doors["secure"].nodes


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as done:
        main(["doors", *arguments])
    return int(done.value.code or 0), capsys.readouterr().out


def test_the_command_tells_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text(f'[node]\nstate_dir = "{tmp_path / "state"}"\n[doors.public]\nbind = []\n')
    code, text = told(capsys, "--config", str(file))
    assert code == 0
    assert "public     HTTPS: shut" in text
    assert "ingest-ts  MPEG-TS over TLS: 0.0.0.0:8445" in text
    assert "publishing         WHIP and uploads by token\n" in text
    assert "publishing         WHIP and uploads by certificate or token\n" in text
    assert "publishing         MPEG-TS by certificate\n" in text
    code, text = told(capsys, "--json", "--config", str(file))
    doors: list[dict[str, Any]] = json.loads(text)["doors"]
    assert [door["door"] for door in doors] == ["public", "secure", "ingest-ts", "origin"]
    assert doors[1]["tls_versions"] == ["1.2", "1.3"]


def test_the_command_fails_where_an_open_door_could_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_private(tmp_path / "key.pem", b"")
    file = tmp_path / "sealcast.toml"
    table = f'certificate = "{tmp_path / "no.pem"}"\nkey = "{tmp_path / "key.pem"}"\n'
    file.write_text(f'[node]\nstate_dir = "{tmp_path / "state"}"\n[doors.public]\n{table}')
    code, text = told(capsys, "--config", str(file))
    assert code == 1
    assert "COMPLAINT          IDENTITY.CERTIFICATE_MALFORMED" in text
    file.write_text(file.read_text() + "bind = []\n")
    assert told(capsys, "--config", str(file))[0] == 0, "it is shut, so nothing is missing"
