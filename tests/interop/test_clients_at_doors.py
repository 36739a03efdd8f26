"""Clients of other makers with every kind of certificate: which code the ledger has, which alert
the client was told, which sentence an operator reads.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.interop.clients_at_doors import MAKERS
from tests.interop.own_authority import PASSPHRASE, found_own
from tests.interop.presented import PRESENTED, Presenter

from sealcast.codes import CODES
from sealcast.identity.authority import Authority
from sealcast.secret import Secret
from sealcast.testing.node_process import Node, running_node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


@dataclass(frozen=True, slots=True)
class Expected:
    """What a refused client is told, and what the node says of it."""

    code: str
    alert: int
    says: str


REFUSED = {
    "no certificate": Expected("TLS.NO_CLIENT_CERTIFICATE", 116, "sent no certificate"),
    "a certificate of a foreign authority": Expected(
        "TLS.UNKNOWN_CA", 48, "not issued by an authority that this door trusts"
    ),
    "an expired certificate": Expected("TLS.CERTIFICATE_EXPIRED", 45, "has expired"),
    # RFC 8446 §6.2: it has expired "or is not currently valid".
    "a certificate of tomorrow": Expected("TLS.CERTIFICATE_NOT_YET_VALID", 45, "not valid yet"),
    "a revoked certificate": Expected("TLS.CERTIFICATE_REVOKED", 44, "has been revoked"),
    "a server's certificate": Expected("TLS.WRONG_USAGE", 43, "not one for clients"),
    "too long a chain": Expected("TLS.CERTIFICATE_REFUSED", 48, "path length constraint exceeded"),
    "a huge chain": Expected("TLS.CHAIN_TOO_LARGE", 47, "more than the 32 kB that a door reads"),
}
# TLS 1.2 has no alert of its own for a certificate that is missing (RFC 5246 §7.4.6).
ALERT_OF_1_2 = {"no certificate": 40}
# GnuTLS sends of a long file only what it needs; Chromium builds a path from its store, which holds
# no certificate twice.
SHORTENED = {("ffmpeg 5.1", "a huge chain"), ("chromium", "a huge chain")}
# Chromium does not let a policy choose a certificate that is out of its time or not for clients: it
# goes on without one. One of a foreign authority it shows, since a door names none that it takes.
NOT_OFFERED = {
    ("chromium", "an expired certificate"),
    ("chromium", "a certificate of tomorrow"),
    ("chromium", "a server's certificate"),
}
# What stands in the place of the page. In TLS 1.3 the refusal comes after the handshake, so it may
# meet the request on its way.
SHOWN = re.compile(r"net::ERR_(BAD_SSL_CLIENT_AUTH_CERT|SOCKET_NOT_CONNECTED|CONNECTION_\w+)")


@dataclass(frozen=True, slots=True)
class Site:
    """A node with its own authority, and a foreign one."""

    node: Node
    authority: Authority
    foreign: Authority
    folder: Path

    def presenter(self, name: str) -> Presenter:
        held = self.folder / name.replace("/", "-")
        held.mkdir(exist_ok=True)
        return Presenter(self.authority, self.foreign, Secret(PASSPHRASE), held, name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require("core")
    folder = tmp_path_factory.mktemp("site")
    own, foreign = found_own(folder / "own"), found_own(folder / "foreign")
    with running_node(folder / "node", own=own) as node:
        yield Site(node, own.authority, foreign.authority, folder)


def newest(node: Node, before: set[int]) -> dict[str, Any]:
    """The one leg that failed since then; waited for. A browser that is asked for a certificate
    first closes that connection, chooses, and comes again.
    """

    def refused() -> list[dict[str, Any]]:
        since = [leg for leg in node.legs(state="failed") if leg["id"] not in before]
        return [leg for leg in since if leg["end"]["code"] != "TLS.PEER_CLOSED"]

    found = wait_for(refused, what="the refused connection is listed")
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_client_with_its_own_certificate_is_served(site: Site, maker: str) -> None:
    client = MAKERS[maker]
    require(*client.requires)
    fate = client.visit(site.node, site.presenter(client.name).genuine())
    assert fate.served, fate.said


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("maker", MAKERS)
def test_a_client_is_refused_with_its_reason_that_presents(
    site: Site, maker: str, what: str
) -> None:
    client = MAKERS[maker]
    expected = REFUSED["no certificate" if (maker, what) in NOT_OFFERED else what]
    require(*client.requires)
    presented = site.presenter(client.name).make(what)
    if what == "a revoked certificate":
        known_to(site.node, site.authority)
    before = {leg["id"] for leg in site.node.legs()}
    fate = client.visit(site.node, presented)
    if (maker, what) in SHORTENED:
        assert fate.served, fate.said
        return
    assert not fate.served
    leg = newest(site.node, before)
    assert leg["end"]["code"] == expected.code
    assert expected.says in leg["end"]["detail"]
    assert leg["end"]["sentence"] == CODES[expected.code].sentence
    assert leg["end"]["remedy"] == CODES[expected.code].remedy
    if client.tells_alerts:
        alert = expected.alert if maker != "openssl 1.2" else ALERT_OF_1_2.get(what, expected.alert)
        assert fate.alert == alert, fate.said
    if maker == "chromium":
        assert SHOWN.fullmatch(fate.said)


def known_to(node: Node, authority: Authority) -> None:
    """Waits until the node has read what was revoked."""
    revoked = sum(row.revoked_unix is not None for row in authority.store.issued())
    wait_for(
        lambda: re.search(rf"revocations taken in +revoked={revoked}\b", node.output()),
        what=f"the node knows of {revoked} revocations",
        explain=node.output,
    )


@pytest.mark.parametrize("maker", ["openssl 1.3", "openssl 1.2", "curl", "nginx", "chromium"])
def test_a_viewers_certificate_opens_the_door_and_administers_nothing(
    site: Site, maker: str
) -> None:
    client = MAKERS[maker]
    require(*client.requires)
    fate = client.visit(site.node, site.presenter("viewer/vera").genuine())
    assert not fate.served
    assert fate.alert is None, "its handshake was good"
    if maker in ("curl", "chromium"):  # which show the answer
        assert "IDENTITY.NOT_ALLOWED" in fate.said
        assert CODES["IDENTITY.NOT_ALLOWED"].sentence in fate.said
        assert "viewer/vera" in fate.said


@pytest.mark.parametrize("maker", ["ffmpeg 5.1", "ffmpeg 9"])
def test_a_viewers_certificate_publishes_nothing(site: Site, maker: str) -> None:
    client = MAKERS[maker]
    require(*client.requires)
    before = {leg["id"] for leg in site.node.legs()}
    fate = client.visit(site.node, site.presenter("viewer/vera").genuine())
    assert not fate.served
    leg = newest(site.node, before)
    assert leg["end"]["code"] == "TS.UNKNOWN_IDENTITY"
    assert "viewer/vera" in leg["end"]["detail"]


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_no_session_is_resumed_at_a_door_that_wants_a_certificate(
    site: Site, version: str, tmp_path: Path
) -> None:
    """So no ticket outlives a roll, a revocation, or the certificate that it was given to."""
    require("openssl")
    client = site.presenter("admin/ada").genuine()
    session = tmp_path / "session"

    def connect(*words: str) -> str:
        done = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"127.0.0.1:{site.node.secure_port}"),
                *("-servername", "localhost", "-CAfile", str(site.node.authority), version),
                *("-cert", str(client.chain), "-key", str(client.key)),
                *("-cert_chain", str(client.chain), "-ign_eof", *words),
            ],
            input=b"GET /api/legs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert b"HTTP/1.1 200" in done.stdout, done.stderr
        return done.stdout.decode()

    first = connect("-sess_out", str(session))
    assert "session ticket" not in first.lower()
    again = connect("-sess_in", str(session)) if session.exists() else connect()
    assert re.search(r"^New, TLSv1\.[23]", again, re.MULTILINE)
    assert "Reused, " not in again


def test_every_kind_that_is_presented_is_tried() -> None:
    assert set(PRESENTED) - set(REFUSED) == {
        "its own certificate",
        "a certificate of another role",
    }
