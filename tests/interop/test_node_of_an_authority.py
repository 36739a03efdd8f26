"""`sealcast serve` with an authority of its own: what its doors show, and whom they admit."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.attack.ledger import leg_from
from tests.interop.own_authority import PASSPHRASE, found_own, node_with_own_authority

from sealcast.identity.authority import Wanted
from sealcast.identity.names import spiffe_id
from sealcast.testing.ffmpeg_peer import mpegts_over_tls
from sealcast.testing.node_process import COMMAND, TRUST_DOMAIN, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("own")) as running:
        running.secrets.add("the passphrase", PASSPHRASE)
        yield running


def shown(node: Node, port: int) -> x509.Certificate:
    """What a door shows to somebody who trusts the node's authority and asks for its name."""
    context = ssl.create_default_context(cafile=str(node.authority))
    admin = node.client("admin/ada")
    context.load_cert_chain(admin.chain, admin.key)
    with (
        socket.create_connection((node.address, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        der = connection.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)


def test_every_door_shows_a_certificate_of_the_node_that_lasts_a_day(node: Node) -> None:
    seen = [shown(node, port) for port in (node.public_port, node.secure_port, node.ts_port)]
    assert len(set(seen)) == 1
    names = seen[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == [spiffe_id(TRUST_DOMAIN, "node/127.0.0.1")]
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost"}
    usage = seen[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    life = seen[0].not_valid_after_utc - seen[0].not_valid_before_utc
    assert 24 * 3600 <= life.total_seconds() <= 25 * 3600


def test_an_administrator_and_an_encoder_of_the_authority_are_known(
    node: Node, tmp_path: Path
) -> None:
    require("ffmpeg")
    assert isinstance(node.legs(), list), "the administrator may ask"
    identity = node.client("encoder/stage-1")
    with mpegts_over_tls(tmp_path, node, "stage-1", identity=identity):
        leg = node.leg(stream="stage-1", role="ingest", state="live")
    assert leg["peer"]["name"] == spiffe_id(TRUST_DOMAIN, "encoder/stage-1")


def test_a_certificate_of_another_authority_is_foreign(node: Node, tmp_path: Path) -> None:
    stranger = found_own(tmp_path).authority
    now = datetime.datetime.now(datetime.UTC)
    issued = stranger.issue(Wanted("encoder/stage-1", "encoder"), now, who="test")
    chain, key = issued.save(tmp_path, "stranger")
    context = ssl.create_default_context(cafile=str(node.authority))
    context.load_cert_chain(chain, key)
    with socket.create_connection((node.address, node.ts_port), timeout=10) as plain:
        remote = "{}:{}".format(*plain.getsockname())
        with context.wrap_socket(plain, server_hostname="localhost"):
            assert leg_from(node, remote)["end"]["code"] == "TLS.UNKNOWN_CA"


def test_the_journal_of_the_authority_says_that_the_node_asked(node: Node) -> None:
    assert node.own is not None
    asked = [row for row in node.own.authority.store.journal() if row.name == "node/127.0.0.1"]
    assert {(row.who, row.action, row.outcome) for row in asked} == {("this node", "issue", "done")}


def test_the_state_folder_has_no_throw_away_authority(node: Node) -> None:
    assert not (node.state / "authority-key.pem").exists()
    assert not (node.state / "server-key.pem").exists(), "the door's key is on no disk"
    refused = node.command("identity", "issue", "encoder/x", "--out", str(node.folder), check=False)
    assert refused.returncode != 0
    assert "IDENTITY.NOT_THROW_AWAY" in refused.stderr


def test_a_roll_of_the_authorities_reaches_the_doors_and_nobody_is_dropped(
    tmp_path: Path,
) -> None:
    require("core")
    with node_with_own_authority(tmp_path) as node:
        assert node.own is not None
        before, kept = shown(node, node.public_port), node.client("admin/kept")
        context = ssl.create_default_context(cafile=str(node.authority))
        context.load_cert_chain(kept.chain, kept.key)
        with (
            socket.create_connection((node.address, node.secure_port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as running,
        ):
            rolled = subprocess.run(
                [
                    *(*COMMAND, "identity", "roll", "--data", str(node.own.authority.folder)),
                    *("--passphrase-file", str(node.own.passphrase_file)),
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert rolled.returncode == 0, rolled.stderr
            wait_for(
                lambda: shown(node, node.public_port) != before,
                what="the doors show what the new authority issued",
                explain=node.output,
            )
            after = shown(node, node.public_port)
            key_id = x509.AuthorityKeyIdentifier
            ids = [
                each.extensions.get_extension_for_class(key_id).value.key_identifier
                for each in (before, after)
            ]
            assert ids[0] != ids[1], "another authority issued it"
            running.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert running.recv(12) == b"HTTP/1.1 200"
        status, _ = node.request("GET", "/api/legs", client=kept)
        assert status == 200, "what the old authority issued holds while it is trusted"
        assert node.request("GET", "/api/legs", client=node.client("admin/new"))[0] == 200
