"""The doors' specifications: what each demands, and when a browser is told to remember HTTPS."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from sealcast.identity import ThrowAwayAuthority
from sealcast.node import config
from sealcast.node.certificate_sources import FixedBundle, ThrowAwayPair
from sealcast.node.doors import Sources, open_doors
from sealcast.node.state_folder import open_state_folder

NOW = datetime.datetime.now(datetime.UTC)


class FrontThatListens:
    """Remembers how its doors were specified; `open_doors` asks nothing else of a front."""

    def __init__(self) -> None:
        self.doors: dict[str, dict[str, Any]] = {}

    def open_door(self, spec: bytes, _chain: bytes, _key: bytes, roots: bytes | None) -> list[str]:
        told = json.loads(spec)
        self.doors[told["name"]] = {**told, "roots": roots}
        return list(told["bind"])


def doors(folder: Path, settings: str) -> dict[str, dict[str, Any]]:
    """The specifications of all doors, by name."""
    text = settings.replace("[node]", f'[node]\nstate_dir = "{folder / "state"}"')
    loaded = config.loads(text)
    state = open_state_folder(loaded, NOW)
    front = FrontThatListens()
    pair = ThrowAwayPair(state, loaded.node.names, NOW)
    bundle = FixedBundle("test", state.authority.root_pem)
    open_doors(front, loaded, Sources(pair, bundle))  # type: ignore[arg-type]
    return front.doors


def own_certificate(folder: Path, door: str = "public") -> str:
    """Settings that give a door a certificate of its operator's."""
    issued = ThrowAwayAuthority.create("elsewhere", NOW).issue_server(["node.example"], NOW)
    chain, key = issued.save(folder / "own", "node")
    return f'[doors.{door}]\ncertificate = "{chain}"\nkey = "{key}"\n'


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("node.example", True),
        ("localhost", False),
        ("node.localhost", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_hsts_is_for_host_names_with_a_certificate_of_their_own(
    tmp_path: Path, name: str, told: bool
) -> None:
    settings = f'[node]\nnames = ["{name}"]\n{own_certificate(tmp_path)}'
    assert doors(tmp_path, settings)["public"]["hsts"] is told


def test_hsts_is_never_told_with_the_throw_away_authority(tmp_path: Path) -> None:
    opened = doors(tmp_path, '[node]\nnames = ["node.example"]\n')
    assert {name: door["hsts"] for name, door in opened.items()} == {
        "public": False,
        "secure": False,
        "ingest-ts": False,
    }


def test_hsts_is_told_by_the_door_that_has_the_certificate_and_by_no_other(tmp_path: Path) -> None:
    own = own_certificate(tmp_path, "secure")
    opened = doors(tmp_path, f'[node]\nnames = ["node.example"]\n{own}')
    assert (opened["public"]["hsts"], opened["secure"]["hsts"]) == (False, True)


def test_a_certificate_is_asked_for_where_it_is_demanded_and_nowhere_else(tmp_path: Path) -> None:
    opened = doors(tmp_path, "[node]\n")
    assert {name: door["client_auth"] for name, door in opened.items()} == {
        "public": "none",
        "secure": "required",
        "ingest-ts": "required",
    }
    assert all((door["roots"] is None) == (name == "public") for name, door in opened.items())


def test_the_origin_door_is_shut_until_it_has_an_address_and_then_requires_a_certificate(
    tmp_path: Path,
) -> None:
    assert "origin" not in doors(tmp_path / "shut", "[node]\n")
    bundle = tmp_path / "cdn.pem"
    bundle.write_bytes(ThrowAwayAuthority.create("cdn.example", NOW).root_pem)
    settings = f"""[node]
        [policy]
        origin = "strict"
        [doors.origin]
        bind = ["127.0.0.1:0"]
        client_ca = "{bundle}"
    """
    opened = doors(tmp_path, settings)
    origin = opened["origin"]
    assert (origin["kind"], origin["client_auth"]) == ("https", "required")
    assert origin["min_version"] == "1.3", "its own policy"
    assert origin["roots"] == bundle.read_bytes(), "its own bundle"
    assert opened["secure"]["roots"] != origin["roots"]


def test_the_public_door_asks_for_a_certificate_only_when_told_to(tmp_path: Path) -> None:
    never = doors(tmp_path / "never", "[node]\n")["public"]
    assert (never["client_auth"], never["roots"]) == ("none", None)
    settings = '[node]\n[doors.public]\nclient_certificate = "optional"\n'
    told = doors(tmp_path / "told", settings)["public"]
    assert told["client_auth"] == "optional"
    assert told["roots"] is not None
