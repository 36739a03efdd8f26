"""Who is in between while a machine enrols: a server that is not the node, or a node that answers
wrongly. What counts is when the token leaves, and what is put into place.
"""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from tests.unit import tls_server
from tests.unit.founded import DOMAIN, ENCODER, living, today

from sealcast.agent.enrolment import Ticket, enrol
from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.profiles import Side
from sealcast.secret import Secret

TOKEN: Final = "a-token-that-nobody-else-may-see"
_STATUS: Final = {"POST": 201, "GET": 200}

Answer = bytes | Callable[[bytes], bytes]
"""What is answered: always the same, or made of the request's body."""


@dataclass(slots=True)
class Server:
    """What it answers, and what it was asked: in `heard` each request with its token."""

    port: int
    answers: dict[str, Answer]
    heard: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def tokens(self) -> set[str]:
        return {token for _, token in self.heard if token is not None}


@contextmanager
def serving(
    context: ssl.SSLContext, answers: dict[str, Answer], moved_to: str = ""
) -> Iterator[Server]:
    """HTTPS at a port of the kernel's choice; with `moved_to` each POST is sent on there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.heard.append((f"{self.command} {path}", self.headers["authorization"]))
            asked = self.rfile.read(int(self.headers["content-length"] or 0))
            answer = answers.get(path, b"")
            body = answer if isinstance(answer, bytes) else answer(asked)
            moved = bool(moved_to) and self.command == "POST"
            self.send_response(307 if moved else _STATUS[self.command])
            if moved:
                self.send_header("location", moved_to + path)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the base class looks for

        def log_message(self, *_words: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def finish_request(self, request: object, address: object) -> None:
            # In the thread of its connection: a client that goes away is no matter here.
            try:
                with context.wrap_socket(request, server_side=True) as wrapped:  # type: ignore[arg-type]
                    super().finish_request(wrapped, address)
            except OSError:
                pass

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        server = Server(listening.server_port, answers)
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return living(tmp_path / "authority")


@pytest.fixture
def genuine(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """What the node itself shows."""
    wanted = Wanted("node/one", "node", Side.SERVER, ("127.0.0.1",))
    chain, key = authority.issue(wanted, today(), who="test").save(tmp_path / "node", "one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


@pytest.fixture
def stranger(tmp_path: Path) -> tls_server.Authority:
    """Somebody who has an authority too, and sits in between."""
    (tmp_path / "stranger").mkdir()
    return tls_server.Authority("Another CA")


def refused(authority: Authority, server: Server, folder: Path) -> str:
    """The code with which an enrolment at `server` ends."""
    address, fingerprint = f"https://127.0.0.1:{server.port}", authority.fingerprint(today())
    with pytest.raises(SealcastError) as told:
        enrol(Ticket.of(address, fingerprint, Secret(TOKEN)), folder, today())
    assert TOKEN not in str(told.value)
    assert not folder.exists() or not list(folder.iterdir()), "nothing was put into place"
    return told.value.code


@pytest.mark.parametrize("beside", ["alone", "its own before it", "its own behind it"])
def test_who_relays_the_genuine_root_and_shows_a_certificate_of_its_own_gets_no_token(
    authority: Authority, stranger: tls_server.Authority, tmp_path: Path, beside: str
) -> None:
    """The root is public: whoever is in between has it, and can put one of its own beside it."""
    root = authority.root_pem(today())
    bundle = {
        "alone": root,
        "its own before it": stranger.roots + root,
        "its own behind it": root + stranger.roots,
    }[beside]
    context = tls_server.server_context(tmp_path / "stranger", stranger.server())
    answers: dict[str, Answer] = {"/identity/authority.pem": bundle, "/identity": b"{}"}
    with serving(context, answers) as server:
        assert refused(authority, server, tmp_path / "out") == "AGENT.NODE_UNPROVED"
    assert server.heard == [("GET /identity/authority.pem", None)]


def test_who_shows_a_root_of_its_own_is_told_by_the_fingerprint(
    authority: Authority, stranger: tls_server.Authority, tmp_path: Path
) -> None:
    context = tls_server.server_context(tmp_path / "stranger", stranger.server())
    answers: dict[str, Answer] = {"/identity/authority.pem": stranger.roots, "/identity": b"{}"}
    with serving(context, answers) as server:
        assert refused(authority, server, tmp_path / "out") == "AGENT.WRONG_AUTHORITY"
    assert server.tokens == set()


def test_an_end_of_the_same_authority_is_not_the_node(authority: Authority, tmp_path: Path) -> None:
    """An encoder has a certificate below the genuine root, but no server's."""
    issued = authority.issue(Wanted(ENCODER, "encoder"), today(), who="test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued.save(tmp_path / "encoder", "venue-1"))
    answers: dict[str, Answer] = {
        "/identity/authority.pem": authority.root_pem(today()),
        "/identity": b"{}",
    }
    with serving(context, answers) as server:
        assert refused(authority, server, tmp_path / "out") == "AGENT.NODE_UNPROVED"
    assert server.tokens == set()


def test_the_roots_that_are_kept_have_the_one_of_the_fingerprint_among_them(
    authority: Authority,
    genuine: ssl.SSLContext,
    stranger: tls_server.Authority,
    tmp_path: Path,
) -> None:
    """What the proved node says is kept as whom to trust; the first answer was another one."""
    bundles = iter([authority.root_pem(today()), stranger.roots])
    answers: dict[str, Answer] = {
        "/identity/authority.pem": lambda _: next(bundles),
        "/identity": b"{}",
    }
    with serving(genuine, answers) as server:
        assert refused(authority, server, tmp_path / "out") == "AGENT.WRONG_AUTHORITY"
    assert server.tokens == set()


def test_a_chain_of_another_authority_is_not_put_into_place(
    authority: Authority,
    genuine: ssl.SSLContext,
    stranger: tls_server.Authority,
    tmp_path: Path,
) -> None:
    """For the key that was sent, but below a root that nobody named."""

    def signed(request: bytes) -> bytes:
        return stranger.signed(x509.load_pem_x509_csr(request), f"spiffe://{DOMAIN}/{ENCODER}")

    answers: dict[str, Answer] = {
        "/identity/authority.pem": authority.root_pem(today()),
        "/identity": b"{}",
        "/identity/enrol": signed,
    }
    with serving(genuine, answers) as server:
        assert refused(authority, server, tmp_path / "out") == "AGENT.BAD_CERTIFICATE"


@pytest.mark.parametrize("name", ["viewer/venue-1", None], ids=["named", "by the token alone"])
def test_an_end_does_not_take_the_files_of_another_one_of_the_same_last_name(
    authority: Authority, genuine: ssl.SSLContext, tmp_path: Path, name: str | None
) -> None:
    """An encoder and a viewer of one venue, in one folder: the encoder would lose its key."""
    folder = tmp_path / "out"
    held = authority.issue(Wanted(ENCODER, "encoder"), today(), who="test")
    chain, key = held.save(folder, "venue-1")
    before = {path.name: path.read_bytes() for path in (chain, key)}

    def signed(request: bytes) -> bytes:
        wanted = Wanted("viewer/venue-1", "viewer")
        return authority.sign(request, wanted, today(), who="test").chain_pem

    answers: dict[str, Answer] = {
        "/identity/authority.pem": authority.root_pem(today()),
        "/identity": f'{{"trust_domain": "{DOMAIN}"}}'.encode(),
        "/identity/enrol": signed,
    }
    with serving(genuine, answers) as server:
        ticket = Ticket.of(
            f"https://127.0.0.1:{server.port}", authority.fingerprint(today()), Secret(TOKEN)
        )
        with pytest.raises(SealcastError) as told:
            enrol(ticket, folder, today(), name=name)
        assert told.value.code == "IDENTITY.NOT_ITS_FILES"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert not server.tokens or name is None, "a name that is known spares the token"
        again = enrol(ticket, tmp_path / "its-own", today(), name=name)
        over = enrol(ticket, tmp_path / "its-own", today(), name=name)
        assert over.place.chain == again.place.chain, "its own files it may replace"


def test_the_token_is_not_sent_on_to_where_a_node_says_that_it_has_moved(
    authority: Authority, genuine: ssl.SSLContext, tmp_path: Path
) -> None:
    answers: dict[str, Answer] = {
        "/identity/authority.pem": authority.root_pem(today()),
        "/identity": b"{}",
    }
    with serving(genuine, answers) as elsewhere:
        moved_to = f"https://127.0.0.1:{elsewhere.port}"
        with serving(genuine, answers, moved_to) as server:
            assert refused(authority, server, tmp_path / "out") == "CLIENT.BAD_ANSWER"
    assert server.tokens == {f"Bearer {TOKEN}"}
    assert elsewhere.heard == []
