"""The TLS client without sockets, against OpenSSL in memory: keys here and elsewhere, refusals."""

from __future__ import annotations

import os
import pickle
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.unit.tls_server import HOST, NODE_URI, Authority, MemoryServer, carry, server_context

from sealcast.errors import LocalError, SealcastError
from sealcast.identity.key_places import sign_handshake
from sealcast.identity.keys import SigningKey, generate
from sealcast.secret import Secret
from sealcast.tls import TlsClient, TlsError, TlsIdentity, TlsPolicy, TlsServer

VENUE = Authority()
SERVER = TlsServer(VENUE.roots, dns=HOST)
VERSIONS = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}


def failed(client: TlsClient) -> SealcastError:
    failure = client.failure
    assert failure is not None
    return failure


def outside(key: SigningKey) -> TlsIdentity:
    """An identity whose key is asked for signatures."""
    return TlsIdentity(
        VENUE.client(key).chain_pem,
        lambda scheme, message: sign_handshake(key, scheme, message),
    )


KEYS: dict[str, Callable[[], SigningKey]] = {
    "p256": lambda: generate("p256"),
    "p384": lambda: generate("p384"),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 3072),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_openssl_admits_every_kind_of_key_wherever_it_is(
    tmp_path: Path, version: str, kind: str, where: str
) -> None:
    key = KEYS[kind]()
    identity = outside(key) if where == "elsewhere" else VENUE.client(key).identity
    context = server_context(tmp_path, VENUE.server(), VENUE.roots, VERSIONS[version])
    client, server = TlsClient(SERVER, identity), MemoryServer(context)
    carry(client, server)
    assert client.failure is None
    facts = client.facts
    assert facts is not None
    assert (facts.version, facts.sni, facts.resumed) == (version, HOST, False)
    assert facts.own_signature is not None
    assert facts.peer is not None
    assert facts.peer.san_uris == (NODE_URI,)
    shown = server.tls.getpeercert()
    assert shown is not None
    assert shown["subject"] == ((("commonName", "encoder 1"),),)
    client.write(b"packets")
    server.receive(client.take())
    assert server.read() == b"packets"
    client.receive(server.write(b"thanks"))
    assert client.read() == b"thanks"


@pytest.mark.parametrize(
    "server",
    [
        TlsServer(VENUE.roots, uri=NODE_URI, sni="localhost"),
        TlsServer(VENUE.roots, address="127.0.0.1"),
    ],
)
def test_a_server_is_known_by_its_spiffe_id_or_its_address(
    tmp_path: Path, server: TlsServer
) -> None:
    client = TlsClient(server)
    carry(client, MemoryServer(server_context(tmp_path, VENUE.server())))
    assert client.facts is not None
    assert client.facts.sni == server.sni


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (TlsServer(Authority().roots, dns=HOST), "TLS.SERVER_UNKNOWN_CA"),
        (TlsServer(VENUE.roots, dns="other.example"), "TLS.SERVER_NAME_MISMATCH"),
        (TlsServer(VENUE.roots, address="127.0.0.2"), "TLS.SERVER_NAME_MISMATCH"),
        (TlsServer(VENUE.roots, uri=f"{NODE_URI}1"), "TLS.SERVER_NAME_MISMATCH"),
    ],
)
def test_another_server_than_the_one_that_was_called_is_refused(
    tmp_path: Path, server: TlsServer, code: str
) -> None:
    client, memory = TlsClient(server), MemoryServer(server_context(tmp_path, VENUE.server()))
    carry(client, memory)
    failure = failed(client)
    assert failure.code == code
    assert isinstance(failure, TlsError)
    assert failure.alert_sent in ("unknown_ca", "bad_certificate")
    assert failure.alert_sent.replace("_", " ") in str(memory.error).replace("_", " ").lower()
    assert client.facts is None
    with pytest.raises(LocalError, match=r"TLS\.NOT_OPEN"):
        client.write(b"secret")


@pytest.mark.parametrize(("days", "code"), [((-9, -2), "EXPIRED"), ((2, 9), "NOT_YET_VALID")])
def test_a_server_whose_certificate_is_not_of_today_is_refused(
    tmp_path: Path, days: tuple[int, int], code: str
) -> None:
    client = TlsClient(SERVER)
    carry(client, MemoryServer(server_context(tmp_path, VENUE.server(days=days))))
    assert failed(client).code == f"TLS.SERVER_{code}"


@pytest.mark.parametrize(
    ("version", "code"), [("1.3", "TLS.CERTIFICATE_REQUIRED"), ("1.2", "TLS.SERVER_ALERT")]
)
def test_a_server_that_demands_a_certificate_says_so(
    tmp_path: Path, version: str, code: str
) -> None:
    context = server_context(tmp_path, VENUE.server(), VENUE.roots, VERSIONS[version])
    client = TlsClient(SERVER)
    carry(client, MemoryServer(context))
    assert client.read() == b""
    assert failed(client).code == code


def test_a_signers_refusal_is_what_the_caller_hears(tmp_path: Path) -> None:
    context = server_context(tmp_path, VENUE.server(), VENUE.roots)
    chain = VENUE.client().chain_pem

    def gone(_scheme: str, _message: bytes) -> bytes:
        raise LocalError("HSM.TOKEN_GONE", "It was pulled out.")

    def broken(_scheme: str, _message: bytes) -> bytes:
        raise ZeroDivisionError("with 2718281828 in its words")

    for signer, code in ((gone, "HSM.TOKEN_GONE"), (broken, "TLS.SIGNER_FAILED")):
        client, server = TlsClient(SERVER, TlsIdentity(chain, signer)), MemoryServer(context)
        carry(client, server)
        failure = failed(client)
        assert failure.code == code
        assert "2718281828" not in str(failure)
        assert "internal error" in str(server.error).replace("_", " ").lower()


def test_a_signature_that_does_not_hold_is_the_servers_to_refuse(tmp_path: Path) -> None:
    context = server_context(tmp_path, VENUE.server(), VENUE.roots)
    chain = VENUE.client().chain_pem
    client = TlsClient(SERVER, TlsIdentity(chain, lambda _scheme, _message: b"\x30\x00"))
    server = MemoryServer(context)
    carry(client, server)
    assert client.read() == b""
    assert failed(client).code == "TLS.SERVER_ALERT"
    assert not server.is_open


def test_what_cannot_work_is_refused_before_anything_is_sent() -> None:
    mine, other = VENUE.client(), VENUE.client()
    cases: list[tuple[TlsServer, TlsIdentity | None, TlsPolicy | None, str]] = [
        (SERVER, TlsIdentity(mine.chain_pem, Secret(other.key_pem)), None, "TLS.KEY_MISMATCH"),
        (SERVER, TlsIdentity(b"", Secret(mine.key_pem)), None, "TLS.UNREADABLE_CERTIFICATE"),
        (SERVER, TlsIdentity(b"", lambda _s, _m: b""), None, "TLS.UNREADABLE_CERTIFICATE"),
        (SERVER, TlsIdentity(mine.chain_pem, Secret(b"none")), None, "TLS.UNREADABLE_KEY"),
        (TlsServer(b"no roots", dns=HOST), None, None, "TLS.UNREADABLE_CERTIFICATE"),
        (TlsServer(VENUE.roots), None, None, "TLS.BAD_POLICY"),
        (TlsServer(VENUE.roots, dns=HOST, uri=NODE_URI), None, None, "TLS.BAD_POLICY"),
        (TlsServer(VENUE.roots, address="here"), None, None, "TLS.BAD_POLICY"),
        (TlsServer(VENUE.roots, dns=""), None, None, "TLS.BAD_POLICY"),
        (SERVER, None, TlsPolicy(groups=("P-999",)), "TLS.BAD_POLICY"),
        (SERVER, None, TlsPolicy(min_version="1.3", max_version="1.2"), "TLS.BAD_POLICY"),
    ]
    for server, identity, policy, code in cases:
        with pytest.raises(LocalError) as refused:
            TlsClient(server, identity, policy=policy)
        assert refused.value.code == code


def test_application_protocols_are_asked_for(tmp_path: Path) -> None:
    context = server_context(tmp_path, VENUE.server())
    context.set_alpn_protocols(["http/1.1"])
    client = TlsClient(SERVER, alpn=("h2", "http/1.1"))
    carry(client, MemoryServer(context))
    assert client.facts is not None
    assert client.facts.alpn == "http/1.1"


@pytest.mark.parametrize("version", VERSIONS)
def test_pieces_of_any_size_do(tmp_path: Path, version: str) -> None:
    context = server_context(tmp_path, VENUE.server(), VENUE.roots, VERSIONS[version])
    for piece in (1, 3, 100):
        client, server = TlsClient(SERVER, outside(generate("p256"))), MemoryServer(context)
        carry(client, server, piece)
        assert server.is_open
        assert client.facts is not None


def test_a_fork_and_a_second_thread_are_refused(tmp_path: Path) -> None:
    client = TlsClient(SERVER)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            client.take()
        except LocalError as error:
            os.write(writer, error.code.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        assert said.read() == b"TLS.FORKED"
    # Two threads that meet are told so; which one, and whether they meet, is the scheduler's.
    codes: set[str] = set()

    def work() -> None:
        for _ in range(2_000):
            try:
                client.receive(b"")
            except LocalError as error:
                codes.add(error.code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes <= {"TLS.IN_USE"}


def test_a_failure_can_be_sent_to_another_process() -> None:
    error = TlsError("TLS.SERVER_ALERT", "it said so", None, "internal_error")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (again.code, again.detail, again.alert_received) == (
        "TLS.SERVER_ALERT",
        "it said so",
        "internal_error",
    )
