"""Servers that are not the origin of a pull: none of them hears a byte of a request.

The servers are Python's own `ssl`, with certificates of the authority that the edge trusts.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealcast.agent.https import Address
from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.profiles import Side
from sealcast.keying.agreement import Identity, Proof
from sealcast.node.pull.ends import Ends
from sealcast.node.pull.origin import Origin
from sealcast.node.state_folder import KeyPair
from sealcast.policy import load
from sealcast.secret import Secret
from sealcast.testing.requirement import require
from sealcast.tls import TlsIdentity

DOMAIN = "venue.example"
PASSPHRASE = Secret(b"correct horse battery staple")
OUR_NAME = "0" * 32
OFFER = b"v=0\r\n"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require("core")
    return founded(tmp_path_factory.mktemp("venue"), DOMAIN)


def founded(folder: Path, domain: str) -> Authority:
    founding = Founding(domain, hosts=("localhost", "venue.example"), networks=("127.0.0.0/8",))
    found(folder / "authority", founding, PASSPHRASE, now(), who="test")
    return Authority.open(folder / "authority", lambda: PASSPHRASE)


def ends(authority: Authority) -> Ends:
    """An edge of this authority."""
    wanted = Wanted("node/edge-1", "node", side=Side.CLIENT)
    issued = authority.issue(wanted, now(), who="test")
    return Ends(
        pair=KeyPair(issued.chain_pem, issued.key_pem),
        shown=TlsIdentity(issued.chain_pem, Secret(issued.key_pem)),
        us=Identity(issued.name, Proof.CERTIFICATE),
        until=now(),
        roots_pem=authority.bundle_pem(now()),
    )


@dataclass
class Server:
    """One connection, answered with `answer` if anything is asked on it."""

    port: int = 0
    heard: bytes = b""
    answer: bytes = b""
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def server(
    authority: Authority, folder: Path, name: str, hosts: tuple[str, ...], answer: bytes = b""
) -> Iterator[Server]:
    """It demands a client certificate, as a `secure` door does."""
    folder.mkdir(exist_ok=True)
    wanted = Wanted(name, name.partition("/")[0], side=Side.SERVER, hosts=hosts)
    chain, key = authority.issue(wanted, now(), who="test").save(folder, "server")
    (folder / "roots.pem").write_bytes(authority.bundle_pem(now()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "roots.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        made = Server(listening.getsockname()[1], answer=answer)
        thread = threading.Thread(target=_serve, args=(listening, context, made), daemon=True)
        thread.start()
        yield made
        thread.join(timeout=20)
        assert not thread.is_alive()


def _serve(listening: socket.socket, context: ssl.SSLContext, made: Server) -> None:
    plain, _ = listening.accept()
    with plain:
        plain.settimeout(20)
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                while data := connection.recv(65_536):
                    made.heard += data
                    if made.answer and made.heard.endswith(b"\r\n\r\n" + OFFER):
                        connection.sendall(made.answer)
                        connection.unwrap()
                        return
        except OSError:
            return  # whoever called did not like the certificate


def refused(authority: Authority, asked: Server, host: str = "127.0.0.1") -> SealcastError:
    origin = Origin(Address(host, asked.port), DOMAIN, load("standard"))
    with pytest.raises(SealcastError) as error:
        origin.ask("venue/stage-1", OFFER.decode(), ends(authority), OUR_NAME)
    return error.value


@pytest.mark.parametrize(
    ("name", "code"),
    [("service/packager", "PULL.NOT_A_NODE"), ("service/node", "PULL.NOT_A_NODE")],
)
def test_another_kind_of_server_of_the_same_authority_hears_no_request(
    authority: Authority, tmp_path: Path, name: str, code: str
) -> None:
    with server(authority, tmp_path, name, ("127.0.0.1",)) as asked:
        error = refused(authority, asked)
    assert error.code == code
    assert f"spiffe://{DOMAIN}/{name}" in error.detail
    assert asked.heard == b""


def test_a_node_at_another_address_hears_no_request(authority: Authority, tmp_path: Path) -> None:
    with server(authority, tmp_path, "node/other", ("127.0.0.2",)) as asked:
        assert refused(authority, asked).code == "TLS.SERVER_NAME_MISMATCH"
    assert asked.heard == b""


def test_a_node_of_another_trust_domain_hears_no_request(
    authority: Authority, tmp_path: Path
) -> None:
    """Also where the edge trusts that authority, for the names of its own that it gives."""
    other = founded(tmp_path / "other", "other.example")
    with server(other, tmp_path, "node/origin", ("127.0.0.1",)) as asked:
        assert refused(authority, asked).code == "TLS.SERVER_UNKNOWN_CA"
    assert asked.heard == b""
    with server(other, tmp_path / "again", "node/origin", ("127.0.0.1",)) as asked:
        error = refused(other, asked)
    assert error.code == "PULL.NOT_A_NODE"
    assert asked.heard == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nlocation: https://elsewhere.example\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nlocation: //elsewhere.example/s\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 307 Other\r\nlocation: https://elsewhere.example\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\ncontent-length: 99999999\r\n\r\n" + b"v" * 70_000,
        b'HTTP/1.1 403 No\r\ncontent-length: 18\r\n\r\n{"code":"A.B-\\n{x"}',
        b"not HTTP at all\r\n\r\n",
    ],
    ids=["elsewhere", "no host", "nowhere", "redirect", "endless", "invented code", "not HTTP"],
)
def test_a_node_that_answers_nonsense_is_told_by_one_code(
    authority: Authority, tmp_path: Path, answer: bytes
) -> None:
    with server(authority, tmp_path, "node/origin", ("127.0.0.1",), answer) as asked:
        assert refused(authority, asked).code == "CLIENT.BAD_ANSWER"
    assert asked.heard.startswith(b"POST /whep/venue/stage-1 HTTP/1.1\r\n")
    assert f"sealcast-node: {OUR_NAME}".encode() in asked.heard
