"""A venue whose keys are in hardware (SoftHSM): the authority's, so that its node issues with them,
and the encoders', who publish over our TLS client. And that client against OpenSSL's own server.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import subprocess
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.interop.own_authority import PASSPHRASE
from tests.unit.soft_token import SoftToken, soft_token, softhsm

from sealcast.client.tls_identity import load_identity
from sealcast.client.tls_leg import connect
from sealcast.errors import LocalError
from sealcast.identity import pkcs11
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.authority_keys import InToken
from sealcast.identity.founding import Founding, found
from sealcast.identity.key_places import load_key
from sealcast.identity.keys import SigningKey, digest_for
from sealcast.identity.private_files import write_private
from sealcast.identity.revocation import Reason
from sealcast.secret import Secret
from sealcast.testing.node_process import TRUST_DOMAIN, Node, OwnAuthority, running_node
from sealcast.testing.requirement import require
from sealcast.tls import TlsError, TlsIdentity, TlsPolicy

require("softhsm", "core")

NOW = datetime.datetime.now(datetime.UTC)
KINDS = ("p256", "p384", "rsa")


@dataclass(frozen=True, slots=True)
class Venue:
    authority: Authority
    node: Node
    token: SoftToken
    folder: Path

    @property
    def roots(self) -> bytes:
        return self.authority.bundle_pem(NOW)

    def encoder(self, stream: str, kind: str) -> TlsIdentity:
        """An encoder whose key is in the token, with a certificate for its request."""
        uri = self.token.uri(stream)
        if kind == "rsa":
            key = rsa.generate_private_key(65537, 3072)
            self.token.bring(key, stream, stream.encode().hex())
        else:
            pkcs11.make_key(uri, kind)
        request = certificate_request(load_key(str(uri)))
        wanted = Wanted(f"encoder/{stream}", "encoder")
        chain = self.authority.sign(request, wanted, NOW, who="test").save(self.folder, stream)
        return load_identity(chain, str(uri))


def certificate_request(key: SigningKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, digest_for(key)).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    folder = tmp_path_factory.mktemp("venue")
    with pytest.MonkeyPatch.context() as monkeypatch, softhsm(folder / "softhsm", monkeypatch):
        token = soft_token(folder / "softhsm")
        founding = Founding(TRUST_DOMAIN, hosts=("localhost",), networks=("127.0.0.0/8",))
        secret = Secret(PASSPHRASE)
        in_token = InToken(token.uri())
        found(folder / "authority", founding, secret, NOW, who="test", token=in_token)
        passphrase_file = folder / "passphrase"
        write_private(passphrase_file, PASSPHRASE.encode())
        authority = Authority.open(folder / "authority", lambda: secret)
        with running_node(folder / "node", own=OwnAuthority(authority, passphrase_file)) as node:
            yield Venue(authority, node, token, folder)


def run(work: Awaitable[None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(120):
            await work

    asyncio.run(within())


@pytest.mark.parametrize("version", ["1.3", "1.2"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_whose_key_is_in_a_token_is_admitted_by_our_door(
    venue: Venue, kind: str, version: str
) -> None:
    stream = f"{kind}-{version.replace('.', '-')}"
    identity = venue.encoder(stream, kind)
    policy = TlsPolicy("1.2", "1.2") if version == "1.2" else None

    async def work() -> None:
        node = venue.node
        leg = await connect(
            node.address, node.ts_port, venue.roots, identity=identity, policy=policy
        )
        async with leg:
            facts = leg.facts
            assert facts.version == version
            assert facts.post_quantum is (version == "1.3")
            assert facts.own_signature is not None
            assert facts.own_signature.startswith("rsa_pss" if kind == "rsa" else "ecdsa")
            assert facts.peer is not None
            assert facts.peer.san_uris[0].startswith(f"spiffe://{TRUST_DOMAIN}/node/")
            shown = await asyncio.to_thread(node.leg, stream=stream, role="ingest")
            assert shown["peer"]["name"] == f"spiffe://{TRUST_DOMAIN}/encoder/{stream}"
            assert shown["peer"]["proved"] is True
            assert not leg.ended.done()

    run(work())


def test_a_revoked_encoder_is_told_so_and_its_open_leg_ends(venue: Venue) -> None:
    identity = venue.encoder("revoked", "p256")
    node = venue.node

    async def work() -> None:
        live = await connect(node.address, node.ts_port, venue.roots, identity=identity)
        await asyncio.to_thread(node.leg, stream="revoked", role="ingest")
        venue.authority.revoke("encoder/revoked", Reason.KEY_COMPROMISE, NOW, who="test")
        # The door ends an open connection as it can; a new one is told why.
        assert await live.ended is not None or live.ended.done()
        again = await connect(node.address, node.ts_port, venue.roots, identity=identity)
        reason = await again.ended
        assert isinstance(reason, TlsError)
        assert (reason.code, reason.alert_received) == (
            "TLS.REFUSED_AS_REVOKED",
            "certificate_revoked",
        )
        for leg in (live, again):
            await leg.close()

    run(work())


def test_a_node_certificate_and_none_at_all_are_refused_by_name(venue: Venue) -> None:
    wanted = Wanted("node/two", "node", hosts=("localhost",))
    issued = venue.authority.issue(wanted, NOW, who="test")
    node = venue.node

    async def work() -> None:
        for identity, code in (
            (None, "TLS.CERTIFICATE_REQUIRED"),
            (TlsIdentity(issued.chain_pem, Secret(issued.key_pem)), "TLS.REFUSED_CERTIFICATE"),
        ):
            leg = await connect(node.address, node.ts_port, venue.roots, identity=identity)
            reason = await leg.ended
            assert reason is not None
            assert reason.code == code
            await leg.close()

    run(work())


def test_a_renewal_keeps_the_key_in_the_token(venue: Venue) -> None:
    uri = venue.token.uri("renewing")
    first = venue.encoder("renewing", "p256")
    wanted = Wanted("encoder/renewing", "encoder")
    request = certificate_request(load_key(str(uri)))
    second = venue.authority.sign(request, wanted, NOW, who="test").save(venue.folder, "renewing")
    identity = load_identity(second, str(uri))
    leaves = [x509.load_pem_x509_certificates(one.chain_pem)[0] for one in (first, identity)]
    assert leaves[0].serial_number != leaves[1].serial_number
    assert leaves[0].public_key() == leaves[1].public_key()
    node = venue.node

    async def work() -> None:
        # Make before break: the new certificate's leg is there before the old one's goes.
        old = await connect(node.address, node.ts_port, venue.roots, identity=first)
        new = await connect(node.address, node.ts_port, venue.roots, identity=identity)
        assert old.facts.own_sha256 != new.facts.own_sha256
        await old.close()
        await new.close()

    run(work())


@pytest.fixture
def server_pair(venue: Venue) -> tuple[Path, Path]:
    wanted = Wanted("service/origin", "service", hosts=("localhost", "127.0.0.1"))
    pair = venue.authority.issue(wanted, NOW, who="test").save(venue.folder, "origin")
    return pair[0], pair[1]


@pytest.mark.parametrize("version", ["1.3", "1.2"])
@pytest.mark.parametrize("kind", KINDS)
def test_openssls_server_admits_a_key_in_a_token(
    venue: Venue, server_pair: tuple[Path, Path], kind: str, version: str
) -> None:
    require("openssl")
    identity = venue.encoder(f"openssl-{kind}-{version.replace('.', '-')}", kind)
    roots = venue.folder / "roots.pem"
    roots.write_bytes(venue.roots)
    server = subprocess.Popen(
        [
            *("openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev"),
            *("-cert_chain", str(server_pair[0]), "-cert", str(server_pair[0])),
            *("-key", str(server_pair[1]), "-CAfile", str(roots)),
            *("-Verify", "3", "-verify_return_error", f"-tls{version.replace('.', '_')}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    try:
        line = next(line for line in server.stdout if line.startswith("ACCEPT"))
        port = int(line.rpartition(":")[2])

        async def work() -> None:
            leg = await connect("127.0.0.1", port, venue.roots, identity=identity)
            async with leg:
                assert leg.facts.version == version
                await leg.write(b"stressed\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    answer += await leg.read()
                assert answer == b"desserts\n"

        run(work())
        assert server.wait(30) == 0
        said = server.stdout.read()
    finally:
        server.kill()
        server.communicate()
    assert re.search(r"verify return:1", said), said


def test_a_key_that_is_not_the_certificates_is_noticed_before_it_is_shown(venue: Venue) -> None:
    venue.encoder("mine", "p256")
    pkcs11.make_key(venue.token.uri("other"), "p256")
    with pytest.raises(LocalError) as refused:
        load_identity(venue.folder / "mine.pem", str(venue.token.uri("other")))
    assert refused.value.code == "TLS.KEY_MISMATCH"
