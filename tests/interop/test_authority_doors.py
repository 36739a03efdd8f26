"""The authority's certificates at a real door: its bundle is what the door trusts, and its node
certificate what the door shows.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.attack.ledger import leg_from
from tests.interop.chain_cases import SHORT_RSA_KEY, Case, leaf
from tests.interop.made_certificates import CLIENT_AUTH, extended_usage, uri

from sealcast.identity import certificates
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.certificates import Signer, Template
from sealcast.identity.founding import ROOT_FILE, Founding, found
from sealcast.identity.issued import Issued
from sealcast.identity.keys import generate
from sealcast.identity.keys_at_rest import open_pem, plain_pem
from sealcast.identity.profiles import Side
from sealcast.secret import Secret
from sealcast.testing.ffmpeg_peer import mpegts_over_tls
from sealcast.testing.node_process import TRUST_DOMAIN, Client, Node, running_node
from sealcast.testing.requirement import require

NOW = datetime.datetime.now(datetime.UTC)
PASSPHRASE = Secret("correct horse battery staple")
NODE = Wanted("node/one", "node", hosts=("localhost", "127.0.0.1"))


@dataclass(frozen=True, slots=True)
class Venue:
    """An authority, and a node whose ingest door is of it."""

    authority: Authority
    node: Node
    folder: Path

    @property
    def root(self) -> Path:
        return self.authority.folder / ROOT_FILE

    def client(self, wanted: Wanted, kind: str = "p256") -> Client:
        return self.keep(self.authority.issue(wanted, NOW, who="test", kind=kind))

    def keep(self, issued: Issued) -> Client:
        return Client(issued.name, *issued.save(self.folder, issued.serial))

    def forged(self, names: tuple[x509.GeneralName, ...]) -> Client:
        """What a thief of the clients' issuing key could make."""
        issuer = self.authority.issuer(Side.CLIENT, NOW)
        pem = (self.authority.folder / issuer.key_file).read_bytes()
        signer = Signer(
            x509.load_pem_x509_certificate(issuer.pem), open_pem(pem, PASSPHRASE, "stolen")
        )
        key = generate("p256")
        leaf = certificates.sign(
            Template(
                subject=x509.Name([]),
                names=names,
                public_key=key.public_key(),
                serial=x509.random_serial_number(),
                not_before=NOW,
                not_after=NOW + datetime.timedelta(days=1),
                usage=Side.CLIENT.usage,
            ),
            signer,
        )
        chain = certificates.pem(leaf) + issuer.pem
        return self.keep(Issued("forged", chain, plain_pem(key), f"{leaf.serial_number:x}", 0))


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    require("core")
    folder = tmp_path_factory.mktemp("venue")
    founding = Founding(TRUST_DOMAIN, hosts=("localhost",), networks=("127.0.0.0/8",))
    found(folder / "authority", founding, PASSPHRASE, NOW, who="test")
    authority = Authority.open(folder / "authority", lambda: PASSPHRASE)
    chain, key = authority.issue(NODE, NOW, who="test").save(folder, "door")
    door = {"client_ca": folder / "authority" / ROOT_FILE, "certificate": chain, "key": key}
    lines = "\n".join(f"{name} = {json.dumps(str(path))}" for name, path in door.items())
    with running_node(folder / "node", ingest_ts=lines) as node:
        yield Venue(authority, node, folder)


def refusal(venue: Venue, client: Client) -> str:
    """The code of the leg that this certificate got at the door."""
    context = ssl.create_default_context(cafile=str(venue.root))
    context.load_cert_chain(client.chain, client.key)
    address = (venue.node.address, venue.node.ts_port)
    with socket.create_connection(address, timeout=10) as plain:
        host, port = plain.getsockname()[:2]
        # In TLS 1.3 the client's handshake is over before its certificate was looked at.
        with context.wrap_socket(plain, server_hostname="localhost"):
            leg = leg_from(venue.node, f"{host}:{port}")
    assert leg["state"] == "failed"
    code: str = leg["end"]["code"]
    return code


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519"])
def test_ffmpeg_publishes_with_an_encoders_certificate_and_checks_the_nodes(
    venue: Venue, tmp_path: Path, kind: str
) -> None:
    require("ffmpeg")
    stream = f"stage-{kind}"
    identity = venue.client(Wanted(f"encoder/{stream}", "encoder"), kind)
    with mpegts_over_tls(tmp_path, venue.node, stream, identity=identity, authority=venue.root):
        leg = venue.node.leg(stream=stream, role="ingest", state="live")
        assert leg["peer"]["name"] == f"spiffe://{TRUST_DOMAIN}/encoder/{stream}"
        assert leg["peer"]["proved"] is True


def test_the_nodes_own_certificate_is_no_clients(venue: Venue) -> None:
    stolen = Client("node/one", venue.folder / "door.pem", venue.folder / "door-key.pem")
    assert refusal(venue, stolen) == "TLS.WRONG_USAGE"


def test_a_certificate_of_the_nodes_throw_away_authority_is_foreign_here(venue: Venue) -> None:
    assert refusal(venue, venue.node.client("encoder/venue-1")) == "TLS.UNKNOWN_CA"


@pytest.mark.parametrize(
    "names",
    [
        (x509.UniformResourceIdentifier("spiffe://other.example/encoder/venue-1"),),
        (
            x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/encoder/venue-1"),
            x509.DNSName("localhost"),
        ),
    ],
    ids=["another trust domain", "a host name"],
)
def test_the_door_refuses_what_only_a_thief_of_the_issuing_key_could_make(
    venue: Venue, names: tuple[x509.GeneralName, ...]
) -> None:
    assert refusal(venue, venue.forged(names)) == "TLS.CERTIFICATE_REFUSED"


@pytest.mark.parametrize("weak", ["SHA-1", "RSA of 1,024 bits"])
def test_the_door_refuses_a_weak_chain_though_boringssl_takes_it(tmp_path: Path, weak: str) -> None:
    """Nothing that this authority issues, but what an outside one may vouch for."""
    require("core")
    made = leaf(uri(f"spiffe://{TRUST_DOMAIN}/encoder/a"), usage=extended_usage(CLIENT_AUTH))
    made = made.but(hashed=hashes.SHA1) if weak == "SHA-1" else made.but(key=SHORT_RSA_KEY)
    chain = Case(None, "", leaf=made, side=Side.CLIENT).chain()
    files = {"root.pem": chain.root_pem, "weak.pem": chain.chain_pem, "weak-key.pem": chain.key_pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    trust = f"client_ca = {json.dumps(str(tmp_path / 'root.pem'))}"
    with running_node(tmp_path / "node", ingest_ts=trust) as node:
        context = ssl.create_default_context(cafile=str(node.authority))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(tmp_path / "weak.pem", tmp_path / "weak-key.pem")
        with socket.create_connection((node.address, node.ts_port), timeout=10) as plain:
            host, port = plain.getsockname()[:2]
            with context.wrap_socket(plain, server_hostname="localhost"):
                end = leg_from(node, f"{host}:{port}")["end"]
    assert end["code"] == "TLS.CERTIFICATE_REFUSED"
    assert "less than SHA-256" in end["detail"]


def test_a_viewers_certificate_publishes_nothing(venue: Venue) -> None:
    """It is a client's, so the handshake is good; what it may do is its name's."""
    assert refusal(venue, venue.client(Wanted("viewer/vera", "viewer"))) == "TS.UNKNOWN_IDENTITY"


def test_a_node_is_a_client_with_a_client_certificate_only(venue: Venue) -> None:
    as_client = venue.client(Wanted("node/one", "node", side=Side.CLIENT))
    assert refusal(venue, as_client) == "TS.UNKNOWN_IDENTITY", "the handshake was good"
