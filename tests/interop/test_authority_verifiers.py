"""What verifiers of five makers, and Chromium, make of this authority's chains: the good ones, and
those that a thief of an issuing key could make. `docs/decisions/0012-name-constraints.md` draws the
conclusions.
"""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.interop.verifiers import VERIFIERS, Chain
from tests.unit.founded import DOMAIN

from sealcast.identity import certificates
from sealcast.identity.authorities import (
    constraints_for_clients,
    constraints_for_servers,
    make_issuing,
    make_root,
)
from sealcast.identity.certificates import Signer, Template
from sealcast.identity.issued import Issued
from sealcast.identity.keys import generate
from sealcast.identity.profiles import Side
from sealcast.secret import Secret
from sealcast.testing.browsers import nss_database
from sealcast.testing.requirement import require

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
ROOT_KEY, CLIENTS_KEY, SERVERS_KEY, LEAF_KEY = (generate("p256") for _ in range(4))
ROOT = Signer(make_root(DOMAIN, ROOT_KEY, NOW), ROOT_KEY)


def issuing(side: Side, constraints: x509.NameConstraints) -> Signer:
    key = CLIENTS_KEY if side is Side.CLIENT else SERVERS_KEY
    return Signer(make_issuing(ROOT, side, DOMAIN, key, constraints, NOW), key)


CLIENTS = issuing(Side.CLIENT, constraints_for_clients(DOMAIN))
SERVERS = issuing(Side.SERVER, constraints_for_servers((DOMAIN,), addresses=False))
ADDRESSED = issuing(Side.SERVER, constraints_for_servers((DOMAIN,), addresses=True))
# What this authority does not do, and why: see below.
ADDRESS_BOUND = issuing(
    Side.SERVER,
    x509.NameConstraints(
        [x509.DNSName(DOMAIN), x509.IPAddress(ipaddress.ip_network("127.0.0.0/8"))],
        excluded_subtrees=None,
    ),
)
URI_BOUND = issuing(
    Side.SERVER,
    x509.NameConstraints(
        [x509.DNSName(DOMAIN), x509.UniformResourceIdentifier(DOMAIN)], excluded_subtrees=None
    ),
)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


ENCODER = uri(f"spiffe://{DOMAIN}/encoder/venue-1")
NODE = uri(f"spiffe://{DOMAIN}/node/one")
HOST = x509.DNSName(f"one.{DOMAIN}")


def address(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text))


@dataclass(frozen=True, slots=True)
class Case:
    """A leaf as somebody with the issuing key could make it. `otherwise` are verifiers whose answer
    is not the one that is due.
    """

    by: Signer
    names: tuple[x509.GeneralName, ...]
    good: bool = False
    used_as: Side | None = None
    usage: Side | None = None
    otherwise: frozenset[str] = frozenset()

    @property
    def side(self) -> Side:
        return Side.CLIENT if self.by is CLIENTS else Side.SERVER


# pyca knows no constraints on URIs and refuses every chain that has one; GnuTLS knows none either
# and takes them all.
PYCA = frozenset({"pyca"})
GNUTLS = frozenset({"GnuTLS"})
# Its tool looks at the usages of the leaf alone.
NSS = frozenset({"NSS"})


def foreign(trust_domain: str) -> Case:
    return Case(CLIENTS, (uri(f"spiffe://{trust_domain}/encoder/venue-1"),), otherwise=GNUTLS)


CASES = {
    "an encoder": Case(CLIENTS, (ENCODER,), good=True, otherwise=PYCA),
    "a client of another trust domain": Case(
        CLIENTS, (uri("spiffe://other.example/encoder/a"),), otherwise=GNUTLS
    ),
    "a client of a domain below": Case(
        CLIENTS, (uri(f"spiffe://sub.{DOMAIN}/encoder/a"),), otherwise=GNUTLS
    ),
    "a client of a domain that ends alike": Case(
        CLIENTS, (uri(f"spiffe://x{DOMAIN}/a/b"),), otherwise=GNUTLS
    ),
    "a client with a host name": Case(CLIENTS, (ENCODER, HOST)),
    "a client with an address": Case(CLIENTS, (ENCODER, address("127.0.0.1"))),
    "a client with an IPv6 address": Case(CLIENTS, (ENCODER, address("::1"))),
    "an encoder as a server": Case(CLIENTS, (ENCODER,), used_as=Side.SERVER),
    "a server's usage below the authority of clients": Case(
        CLIENTS, (ENCODER,), usage=Side.SERVER, used_as=Side.SERVER
    ),
    "a node": Case(SERVERS, (NODE, HOST), good=True),
    "a node with an address where they are given": Case(
        ADDRESSED, (NODE, HOST, address("127.0.0.1"), address("::1")), good=True
    ),
    "a foreign host where addresses are given": Case(
        ADDRESSED, (NODE, x509.DNSName("one.other.example"), address("127.0.0.1"))
    ),
    "a node with a foreign host": Case(SERVERS, (NODE, x509.DNSName("one.other.example"))),
    "a node with a host that ends alike": Case(SERVERS, (NODE, x509.DNSName(f"x{DOMAIN}"))),
    "a node with one foreign host of two": Case(SERVERS, (NODE, HOST, x509.DNSName("b.example"))),
    "a node with an address": Case(SERVERS, (NODE, HOST, address("127.0.0.1"))),
    "a node with an IPv6 address": Case(SERVERS, (NODE, HOST, address("::1"))),
    "a node as a client": Case(SERVERS, (NODE, HOST), used_as=Side.CLIENT),
    "a client's usage below the authority of servers": Case(
        SERVERS, (NODE, HOST), usage=Side.CLIENT, used_as=Side.CLIENT, otherwise=NSS
    ),
}


def leaf_of(case: Case) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "encoder/venue-1")])
    template = Template(
        subject=subject,
        names=case.names,
        public_key=LEAF_KEY.public_key(),
        serial=x509.random_serial_number(),
        not_before=NOW - datetime.timedelta(minutes=1),
        not_after=NOW + DAY,
        usage=(case.usage or case.side).usage,
    )
    return certificates.sign(template, case.by)


def chain_of(case: Case) -> Chain:
    return Chain.of(leaf_of(case), (case.by.certificate,), ROOT.certificate, LEAF_KEY)


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("name", CASES)
def test_a_chain_is_good_only_for_what_its_authority_may_issue(
    tmp_path: Path, name: str, verifier: str
) -> None:
    case = CASES[name]
    verify, needs = VERIFIERS[verifier]
    require(*needs)
    verdict = verify(chain_of(case), case.used_as or case.side, tmp_path)
    assert (verdict is None) == (case.good != (verifier in case.otherwise)), verdict


def test_an_issuing_authority_makes_no_authority_below_itself(tmp_path: Path) -> None:
    below_key = generate("p256")
    bounds = constraints_for_clients(DOMAIN)
    # Another subject: what has its issuer's counts as a new key of it (RFC 5280 §6.1.4).
    below = make_issuing(CLIENTS, Side.CLIENT, f"below.{DOMAIN}", below_key, bounds, NOW)
    leaf = leaf_of(Case(Signer(below, below_key), (ENCODER,), usage=Side.CLIENT))
    chain = Chain.of(leaf, (below, CLIENTS.certificate), ROOT.certificate, LEAF_KEY)
    for name, (verify, needs) in VERIFIERS.items():
        require(*needs)
        assert verify(chain, Side.CLIENT, tmp_path) is not None, name


def test_boringssl_refuses_every_address_below_a_constraint_on_addresses(tmp_path: Path) -> None:
    require("core", "openssl")
    chain = chain_of(Case(ADDRESS_BOUND, (NODE, HOST, address("127.0.0.1"))))
    assert VERIFIERS["OpenSSL"][0](chain, Side.SERVER, tmp_path) is None
    assert VERIFIERS["BoringSSL"][0](chain, Side.SERVER, tmp_path) == "DTLS.CERTIFICATE_REFUSED"


def test_openssl_gnutls_and_nss_import_a_pkcs12(tmp_path: Path) -> None:
    require("openssl", "certutil", "certtool")
    chain = chain_of(CASES["an encoder"])
    issued = Issued("venue-1", chain.chain_pem, chain.key_pem, "1", 0)
    file = tmp_path / "venue-1.p12"
    file.write_bytes(issued.pkcs12(chain.root_pem, Secret("told once")))
    database = f"sql:{tmp_path}"
    for words in (
        ("openssl", "pkcs12", "-in", str(file), "-passin", "pass:told once", "-noenc"),
        ("certtool", "--p12-info", "--inder", "--infile", str(file), "--password", "told once"),
        ("certutil", "-N", "-d", database, "--empty-password"),
        ("pk12util", "-i", str(file), "-d", database, "-W", "told once"),
    ):
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    keys = subprocess.run(
        ["certutil", "-K", "-d", database], check=True, capture_output=True, timeout=30
    )
    assert b"venue-1" in keys.stdout


@contextmanager
def https(chain: Chain, folder: Path) -> Iterator[int]:
    """A server with the chain, on loopback; its port."""
    (folder / "chain.pem").write_bytes(chain.chain_pem + chain.key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "chain.pem")

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<p>proved</p>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Quiet: a refused handshake is what some tests want."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """As above."""

    server = Server(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def chromium_takes(chain: Chain, folder: Path) -> bool:
    require("chromium", "certutil")
    (folder / "root.pem").write_bytes(chain.root_pem)
    nss_database(folder / ".pki" / "nssdb", folder / "root.pem")
    with https(chain, folder) as port:
        shown = subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                f"--user-data-dir={folder / 'profile'}",
                f"--host-resolver-rules=MAP {HOST.value} 127.0.0.1",
                f"https://{HOST.value}:{port}/",
            ],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
            timeout=90,
        )
    return b"proved" in shown.stdout


@pytest.mark.parametrize(
    ("case", "taken"),
    [
        (CASES["a node"], True),
        (CASES["a node with one foreign host of two"], False),
        (Case(URI_BOUND, (NODE, HOST)), False),
        (Case(URI_BOUND, (HOST,)), True),
    ],
    ids=["a node", "a foreign host", "a URI below a constraint on URIs", "no URI below it"],
)
def test_chromium_takes_a_node_and_refuses_every_uri_below_a_constraint_on_uris(
    tmp_path: Path, case: Case, taken: bool
) -> None:
    assert chromium_takes(chain_of(case), tmp_path) == taken
