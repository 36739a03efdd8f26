"""An encoder whose key is in a token (SoftHSM) enrols and renews at a real node, and is refused."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.own_authority import node_with_own_authority
from tests.unit.soft_token import SoftToken, begin_anew, soft_token, softhsm

from sealcast.agent import renewal
from sealcast.agent.enrolment import Enrolled, Ticket, enrol
from sealcast.agent.https import Address
from sealcast.client.tls_identity import load_identity
from sealcast.errors import SealcastError
from sealcast.identity import pkcs11
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.private_files import write_private
from sealcast.identity.revocation import Reason
from sealcast.secret import Secret
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

require("softhsm", "core")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    folder = tmp_path_factory.mktemp("softhsm")
    with pytest.MonkeyPatch.context() as monkeypatch, softhsm(folder / "hsm", monkeypatch):
        yield soft_token(folder / "hsm")


@pytest.fixture(scope="module")
def node(token: SoftToken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node_with_own_authority(tmp_path_factory.mktemp("own")) as running:
        yield running


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def authority(node: Node) -> Authority:
    assert node.own is not None
    return node.own.authority


def secure(node: Node) -> Address:
    return Address.of(f"https://localhost:{node.secure_port}")


def enrolled(node: Node, token: SoftToken, name: str, folder: Path) -> Enrolled:
    text = authority(node).make_token(Wanted(name, "encoder"), now(), who="test")
    url = f"https://localhost:{node.public_port}"
    ticket = Ticket.of(url, authority(node).fingerprint(now()), Secret(text.reveal()))
    uri = str(token.uri(name.rpartition("/")[2]))
    return enrol(ticket, folder, now(), name=name, key_uri=uri)


def test_a_key_made_in_a_token_enrols_and_every_renewal_keeps_it(
    node: Node, token: SoftToken, tmp_path: Path
) -> None:
    done = enrolled(node, token, "encoder/keeps", tmp_path)
    assert done.place.key.read_bytes().startswith(b"pkcs11:")
    assert done.place.key.stat().st_mode & 0o777 == 0o600
    pair = done.pair
    assert renewal.advice(done.place, pair, secure(node), done.place).window
    for _ in range(2):
        later = renewal.renew(done.place, pair, secure(node), now(), done.place)
        assert later.serial != pair.serial
        assert later.leaf.public_key() == pair.leaf.public_key()
        pair = later
    assert done.place.read().serial == pair.serial
    # What publishes finds the same pair in the same files.
    assert load_identity(done.place.chain, done.place.key).chain_pem == pair.chain_pem


def test_a_renewal_without_its_token_changes_nothing_and_says_why(
    node: Node, token: SoftToken, tmp_path: Path
) -> None:
    done = enrolled(node, token, "encoder/waits", tmp_path)
    pin = token.pin_file.read_bytes()
    begin_anew()
    write_private(token.pin_file, b"0000000000")
    with pytest.raises(SealcastError) as refused:
        renewal.renew(done.place, done.pair, secure(node), now(), done.place)
    assert refused.value.code == "HSM.PIN_WRONG"
    write_private(token.pin_file, pin)
    assert done.place.read().serial == done.pair.serial
    assert (
        renewal.renew(done.place, done.pair, secure(node), now(), done.place).serial
        != done.pair.serial
    )


def test_a_revoked_end_with_a_token_is_told_so_by_its_agents_code(
    node: Node, token: SoftToken, tmp_path: Path
) -> None:
    done = enrolled(node, token, "encoder/revoked", tmp_path)
    authority(node).revoke("encoder/revoked", Reason.KEY_COMPROMISE, now(), who="test")

    def told() -> bool:
        with pytest.raises(SealcastError) as refused:
            renewal.renew(done.place, done.pair, secure(node), now(), done.place)
        # A connection that is open when the node hears of it ends without a word.
        assert refused.value.code in ("IDENTITY.RENEW_REVOKED", "CLIENT.UNREACHABLE")
        return refused.value.code == "IDENTITY.RENEW_REVOKED"

    wait_for(told, what="the node says that it was revoked")


def test_another_key_under_the_uri_is_noticed(node: Node, token: SoftToken, tmp_path: Path) -> None:
    done = enrolled(node, token, "encoder/swapped", tmp_path)
    pkcs11.remove_key(token.uri("swapped"))
    pkcs11.make_key(token.uri("swapped"), "p256")
    with pytest.raises(SealcastError) as refused:
        done.place.read()
    assert refused.value.code == "TLS.KEY_MISMATCH"
