"""Certificates by ACME from Pebble, which refuses some nonces and checks every answer for real."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sealcast.testing.requirement import require

require("core", "go", "acme")
from tests.interop.pebble import HOST, Pebble  # noqa: E402 - needs them

from sealcast import wire  # noqa: E402
from sealcast._core import Front  # noqa: E402
from sealcast.errors import LocalError, RemoteError  # noqa: E402
from sealcast.identity.private_files import write_private  # noqa: E402
from sealcast.identity.throw_away import ThrowAwayAuthority  # noqa: E402
from sealcast.node.acme_account import Binding  # noqa: E402
from sealcast.node.acme_answers import HttpAnswers, TlsAnswers  # noqa: E402
from sealcast.node.acme_orders import Directory, Orders, certificate_id  # noqa: E402
from sealcast.node.acme_store import AcmeStore  # noqa: E402
from sealcast.testing.node_process import free_port, running_node  # noqa: E402
from sealcast.testing.waiting import wait_for  # noqa: E402


@pytest.fixture
def pebble(tmp_path: Path) -> Pebble:
    return Pebble(tmp_path, free_port(["127.0.0.1"]), free_port(["127.0.0.1"]))


@contextmanager
def front(folder: Path, port: int) -> Iterator[Front]:
    """A public door on `port`, with nothing behind it."""
    now = datetime.datetime.now(datetime.UTC)
    pair = ThrowAwayAuthority.create("venue.example", now).issue_server([HOST], now)
    door = wire.DoorSpec(
        name="public",
        kind="https",
        bind=(f"127.0.0.1:{port}",),
        min_version="1.2",
        max_version="1.3",
        groups="X25519:P-256",
        client_auth="none",
    )
    made = Front(app_socket=str(folder / "nobody.sock"), secret="ab" * 32)
    try:
        made.open_door(wire.encode(door), pair.chain_pem, pair.key_pem, None)
        yield made
    finally:
        made.stop()


def orders(pebble: Pebble, folder: Path, answers: TlsAnswers | HttpAnswers) -> Orders:
    directory = Directory(pebble.directory, ("mailto:crew@venue.example",), True, str(pebble.trust))
    return Orders(directory, AcmeStore(folder, pebble.directory), answers)


def leaf(chain_pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain_pem)


def answered(made: Front) -> int:
    codes: dict[str, int] = json.loads(made.counters())["doors"]["public"]["codes"]
    return codes.get("ACME.CHALLENGE_ANSWERED", 0)


def test_a_certificate_is_issued_by_tls_alpn_and_the_door_forgets_the_challenge(
    tmp_path: Path, pebble: Pebble
) -> None:
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        pair = by.order([HOST])
        names = leaf(pair.chain_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == [HOST]
        assert answered(made) >= 1
        # The account is known now; another order needs no other one, nor does another process.
        again = orders(pebble, tmp_path, TlsAnswers(made, "public")).order([HOST])
        assert again.key_pem != pair.key_pem

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        with (
            socket.create_connection(("127.0.0.1", pebble.tls_port), timeout=10) as plain,
            pytest.raises(ssl.SSLError, match="no application protocol"),
        ):
            context.wrap_socket(plain, server_hostname=HOST)


def test_a_quarter_of_all_nonces_refused_is_no_obstacle(tmp_path: Path, pebble: Pebble) -> None:
    with (
        front(tmp_path, pebble.tls_port) as made,
        pebble.running(PEBBLE_WFE_NONCEREJECT="25"),
    ):
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        for _ in range(3):
            assert by.order([HOST]).chain_pem


def test_a_name_that_leads_elsewhere_fails_by_its_code_and_closes_the_challenge(
    tmp_path: Path, pebble: Pebble
) -> None:
    elsewhere = free_port(["127.0.0.1"])
    with front(tmp_path, elsewhere) as made, pebble.running():
        with pytest.raises(RemoteError) as refused:
            orders(pebble, tmp_path, TlsAnswers(made, "public")).order([HOST])
        assert refused.value.code == "ACME.CHALLENGE_FAILED"
        assert HOST in refused.value.detail
        assert answered(made) == 0


def test_what_the_authority_refuses_is_told_in_its_words(tmp_path: Path, pebble: Pebble) -> None:
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        with pytest.raises(RemoteError) as refused:
            by.order(["blocked.venue.example"])
        assert refused.value.code == "ACME.REFUSED"
        assert "blocked.venue.example" in refused.value.detail


def test_an_authority_that_is_down_is_unreachable_until_it_is_back(
    tmp_path: Path, pebble: Pebble
) -> None:
    with front(tmp_path, pebble.tls_port) as made:
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        with pytest.raises(RemoteError) as refused:
            by.order([HOST])
        assert refused.value.code == "ACME.UNREACHABLE"
        with pebble.running():
            assert by.order([HOST]).chain_pem
        # It comes back with an empty memory: the account of the next order is unknown to it, and
        # the one after that has another.
        with pebble.running():
            with pytest.raises(RemoteError, match=r"ACME\.(REFUSED|UNREACHABLE)"):
                by.order([HOST])
            assert by.order([HOST]).chain_pem


def test_the_authority_says_when_to_renew(tmp_path: Path, pebble: Pebble) -> None:
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        chain = by.order([HOST]).chain_pem
        renew_at, ask_at = by.renewal(chain)
        assert renew_at is not None
        begin, end = leaf(chain).not_valid_before_utc, leaf(chain).not_valid_after_utc
        assert begin + (end - begin) / 3 < renew_at < end
        assert ask_at > datetime.datetime.now(datetime.UTC)


# ---- accounts that are bound to customers ----------------------------------------------------

KID, HMAC_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def bound(folder: Path, pebble: Pebble, made: Front, kid: str = KID, key: str = HMAC_KEY) -> Orders:
    file = folder / "eab-key"
    write_private(file, f"{key}\n".encode())
    directory = Directory(pebble.directory, (), True, str(pebble.trust), Binding(kid, file))
    return Orders(directory, AcmeStore(folder, pebble.directory), TlsAnswers(made, "public"))


def test_an_account_is_bound_to_a_customer_and_found_again_without_the_key(
    tmp_path: Path, pebble: Pebble
) -> None:
    pebble.customers = {KID: HMAC_KEY}
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        assert bound(tmp_path, pebble, made).order([HOST]).chain_pem
        assert f'Binding with CA using kid "{KID}"' in pebble.log()
        # The key of a binding is good once at some authorities: an account that is there needs it
        # no more.
        (tmp_path / "eab-key").unlink()
        assert orders(pebble, tmp_path, TlsAnswers(made, "public")).order([HOST]).chain_pem


@pytest.mark.parametrize(
    ("kid", "key", "said"),
    [
        ("kid-2", HMAC_KEY, "kid"),
        (KID, HMAC_KEY[::-1], "verification"),
        (None, None, "no account without"),
    ],
)
def test_an_account_that_is_not_bound_is_refused_by_its_code(
    tmp_path: Path, pebble: Pebble, kid: str | None, key: str | None, said: str
) -> None:
    pebble.customers = {KID: HMAC_KEY}
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        if kid is not None and key is not None:
            by = bound(tmp_path, pebble, made, kid, key)
        with pytest.raises(RemoteError) as refused:
            by.order([HOST])
    assert refused.value.code == "ACME.BINDING"
    assert said in refused.value.detail
    assert HMAC_KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (None, 0o600, "IDENTITY.KEY_UNREADABLE"),
        (HMAC_KEY, 0o644, "IDENTITY.KEY_EXPOSED"),
        (f"key: {HMAC_KEY}", 0o600, "IDENTITY.KEY_UNREADABLE"),
        ("", 0o600, "IDENTITY.KEY_UNREADABLE"),
    ],
)
def test_a_binding_key_that_cannot_be_used_is_said_without_being_shown(
    tmp_path: Path, content: str | None, mode: int, code: str
) -> None:
    file = tmp_path / "eab-key"
    if content is not None:
        file.touch(mode=mode)
        file.write_text(content)
    with pytest.raises(LocalError) as refused:
        Binding(KID, file).key()
    assert refused.value.code == code
    assert HMAC_KEY not in str(refused.value)


# ---- orders that replace -----------------------------------------------------------------------


def test_an_order_says_which_certificate_it_replaces(tmp_path: Path, pebble: Pebble) -> None:
    with front(tmp_path, pebble.tls_port) as made, pebble.running():
        by = orders(pebble, tmp_path, TlsAnswers(made, "public"))
        first = by.order([HOST]).chain_pem
        assert "is a replacement of" not in pebble.log()
        second = by.order([HOST], first).chain_pem
        assert pebble.log().count("is a replacement of") == 1
        assert "has been marked as replaced" in pebble.log()
        # It is replaced already, and a certificate is issued all the same.
        third = by.order([HOST], first).chain_pem
        assert pebble.log().count("is a replacement of") == 1
        assert len({leaf(chain).serial_number for chain in (first, second, third)}) == 3


def test_a_certificate_is_called_as_the_rfc_calls_its_example() -> None:
    """RFC 9773 Appendix A, for a serial with and one without the first bit set."""
    key = bytes.fromhex("69885b6b87466041e1b37b847ba0ae2cde01c8d4")
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    for serial, called in ((0x8765_4321, "AIdlQyE"), (0x0765_4321, "B2VDIQ")):
        made = (
            x509.CertificateBuilder(x509.Name([]), x509.Name([]), own.public_key(), serial)
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier(key, None, None), critical=False)
            .sign(own, hashes.SHA256())
        )
        chain = made.public_bytes(Encoding.PEM)
        assert certificate_id(chain) == f"aYhba4dGYEHhs3uEe6CuLN4ByNQ.{called}"


def settings(pebble: Pebble, more: str = "") -> str:
    return f"""
[acme]
directory = {json.dumps(pebble.directory)}
terms_agreed = true
names = ["{HOST}"]
trust = {json.dumps(str(pebble.trust))}
{more}
"""


def shown(port: int, roots: bytes) -> bytes | None:
    """The certificate that the door shows, if it is one of Pebble's."""
    context = ssl.create_default_context(cadata=roots.decode())
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError:
        return None


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_a_node_gets_its_certificate_and_renews_it_without_dropping_a_connection(
    tmp_path: Path, challenge: str
) -> None:
    port, http_port = free_port(["127.0.0.1"]), free_port(["127.0.0.1"])
    pebble = Pebble(tmp_path, port, http_port, lifetime_s=15)
    more = f'challenge = "{challenge}"\n'
    if challenge == "http-01":
        more += f'http_bind = ["127.0.0.1:{http_port}"]\n'
    with (
        pebble.running(),
        running_node(
            tmp_path / "node",
            settings=settings(pebble, more),
            public='certificate = "acme"',
            public_port=port,
        ) as node,
    ):
        roots = pebble.root()
        first = wait_for(
            lambda: shown(port, roots), what="a certificate of Pebble's", explain=node.output
        )
        context = ssl.create_default_context(cadata=roots.decode())
        context.check_hostname = False
        kept = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        wait_for(
            lambda: shown(port, roots) not in (None, first),
            what="the next one",
            timeout_s=30,
            explain=node.output,
        )
        assert "is a replacement of" in pebble.log()
        own = kept.sock
        kept.request("GET", "/")
        assert kept.getresponse().read()
        assert kept.sock is own, "the connection stayed"
        kept.close()
        stored = list((node.state / "acme").rglob("*.pem"))
        assert {file.name for file in stored} == {"account-key.pem", "certificate.pem"}
        assert {file.stat().st_mode & 0o777 for file in stored} == {0o600}
        if challenge == "http-01":
            for asked in ("/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/AAAA"):
                plain = http.client.HTTPConnection("127.0.0.1", http_port, timeout=10)
                plain.request("GET", asked)
                answer = plain.getresponse()
                assert answer.status == 404
                assert b"challenges of ACME only" in answer.read()
                plain.close()
