"""nginx as a CDN before the origin door, with its own authority's certificate and without; and a
public door that takes certificates of those who have one.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.interop.clients_at_doors import running_nginx
from tests.interop.own_authority import node_with_own_authority

from sealcast.identity import ThrowAwayAuthority
from sealcast.testing.node_process import Client, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


@dataclass(frozen=True, slots=True)
class Site:
    """A node with an origin door for one CDN, and that CDN's certificate."""

    node: Node
    cdn: Client
    folder: Path

    @property
    def origin_port(self) -> int:
        found = re.search(r"^ +origin +127\.0\.0\.1:(\d+)$", self.node.output(), re.MULTILINE)
        assert found is not None, self.node.output()
        return int(found[1])

    def failed(self, **wanted: object) -> str:
        """The code of the newest leg with these values."""
        legs = wait_for(lambda: self.node.legs(state="failed", **wanted), what=str(wanted))
        code: str = legs[0]["end"]["code"]
        return code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require("core", "nginx", "curl")
    folder = tmp_path_factory.mktemp("origin")
    now = datetime.datetime.now(datetime.UTC)
    cdn = ThrowAwayAuthority.create("cdn.example", now)
    bundle = folder / "bundle.pem"
    bundle.write_bytes(cdn.root_pem)
    issued = cdn.issue_client("edge/one", now)
    shown = Client(issued.name, *issued.save(folder, "cdn"))
    settings = f"""
        [doors.origin]
        bind = ["127.0.0.1:0"]
        client_ca = {json.dumps(str(bundle))}
    """
    with node_with_own_authority(
        folder, settings=settings, public='client_certificate = "optional"'
    ) as node:
        yield Site(node, shown, folder)


def ask(*arguments: str) -> str:
    """What curl is answered, status first."""
    done = subprocess.run(
        ["curl", "--silent", "--include", "--max-time", "20", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout


def asked(door: Path, path: str, *arguments: str) -> str:
    return ask("--unix-socket", str(door), *arguments, f"http://cdn.example{path}")


def test_nginx_with_the_cdns_certificate_reads_what_viewers_read(site: Site) -> None:
    with running_nginx(site.folder, site.node, site.cdn, site.origin_port) as door:
        assert asked(door, "/health").startswith("HTTP/1.1 200")
        assert "text/css" in asked(door, "/static/style.css")
        assert asked(door, "/watch/venue/stage-1").startswith("HTTP/1.1 200")
        for path, more in (("/api/legs", ()), ("/metrics", ()), ("/whep/x", ("--data", "v=0"))):
            answer = asked(door, path, *more)
            assert answer.startswith("HTTP/1.1 403")
            assert "HTTP.NOT_AT_THIS_DOOR" in answer


def test_nginx_without_a_certificate_is_refused_as_origin(site: Site) -> None:
    with running_nginx(site.folder, site.node, None, site.origin_port) as door:
        assert asked(door, "/health").startswith("HTTP/1.1 502")
    assert site.failed(role="origin") == "TLS.NO_CLIENT_CERTIFICATE"


def test_each_door_has_its_own_bundle(site: Site) -> None:
    admin = site.node.client("admin/ada")
    with running_nginx(site.folder, site.node, admin, site.origin_port) as door:
        assert asked(door, "/health").startswith("HTTP/1.1 502")
    assert site.failed(role="origin") == "TLS.UNKNOWN_CA"
    with running_nginx(site.folder, site.node, site.cdn, site.node.secure_port) as door:
        assert asked(door, "/health").startswith("HTTP/1.1 502")
    assert site.failed(way="secure") == "TLS.UNKNOWN_CA"


def test_a_public_door_takes_a_certificate_and_serves_who_has_none(site: Site) -> None:
    def as_(client: Client | None) -> str:
        shown = ("--cert", str(client.chain), "--key", str(client.key)) if client else ()
        address = f"https://localhost:{site.node.public_port}/api/legs"
        resolve = ("--resolve", f"localhost:{site.node.public_port}:{site.node.address}")
        return ask("--cacert", str(site.node.authority), *resolve, *shown, address)

    assert "TOKEN.MISSING" in as_(None), "served, and asked for a token"
    assert as_(site.node.client("admin/ada")).startswith("HTTP/2 200"), "the certificate counts"
    assert as_(site.cdn) == "", "one that is shown must hold"
    assert site.failed(way="public") == "TLS.UNKNOWN_CA"


@pytest.mark.parametrize("asked_of", [(), ("--running",)], ids=["its files", "the running node"])
def test_the_report_names_the_cdns_authority(site: Site, asked_of: tuple[str, ...]) -> None:
    told = json.loads(site.node.command("doors", "--json", *asked_of).stdout)
    doors = {door["door"]: door for door in told["doors"]}
    assert list(doors) == ["public", "secure", "ingest-ts", "origin"]
    assert str(site.origin_port) in doors["origin"]["addresses"][0] or not asked_of
    assert "cdn.example" in doors["origin"]["authorities"][0]["name"]
    assert doors["public"]["client_certificate"] == "optional"
    assert doors["secure"]["shows"]["days_left"] <= 1
    assert all(door["complaints"] == [] for door in doors.values())
