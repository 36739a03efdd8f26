"""A node's identity from a SPIFFE Workload API that is made of gRPC for Go and the published
protocol (`go_peers/workload_api`): SPIRE itself cannot be built from the Go module proxy here.
"""

from __future__ import annotations

import datetime
import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sealcast.testing.requirement import require

require("core", "go", "spiffe")
from tests.interop.go_programs import go_program  # noqa: E402 - needs them
from tests.interop.made_certificates import (  # noqa: E402
    CLIENT_AUTH,
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    NOBODY,
    SERVER_AUTH,
    Made,
    alternative_names,
    authority_key,
    basic_constraints,
    extended_usage,
    key_id,
    key_usage,
    named,
    subject_key,
    uri,
)
from tests.interop.own_authority import found_own  # noqa: E402
from tests.interop.verifiers import armoured  # noqa: E402

from sealcast.errors import RemoteError, SealcastError  # noqa: E402
from sealcast.node import spiffe  # noqa: E402
from sealcast.node.spiffe import SpiffeBundle, SpiffePair, Workload  # noqa: E402
from sealcast.testing.node_process import TRUST_DOMAIN, running_node  # noqa: E402
from sealcast.testing.waiting import wait_for  # noqa: E402


class Domain:
    """An authority of a trust domain, as an agent's server has one."""

    def __init__(self, name: str = TRUST_DOMAIN) -> None:
        self.name, self.key = name, ec.generate_private_key(ec.SECP256R1())
        subject = named(f"of {name}")
        self.root = Made(
            subject,
            self.key,
            subject,
            self.key,
            (
                basic_constraints(ca=True),
                key_usage(KEY_CERT_SIGN | CRL_SIGN),
                subject_key(self.key),
                alternative_names(uri(f"spiffe://{name}")),
            ),
        ).der()
        self._subject = subject

    def svid(self, path: str = "node/one") -> tuple[bytes, bytes, str]:
        """Certificate and key (DER), and the SPIFFE ID."""
        key, name = ec.generate_private_key(ec.SECP256R1()), f"spiffe://{self.name}/{path}"
        made = Made(
            NOBODY,
            key,
            self._subject,
            self.key,
            (
                basic_constraints(ca=False),
                key_usage(DIGITAL_SIGNATURE),
                extended_usage(SERVER_AUTH, CLIENT_AUTH),
                authority_key(key_id(self.key)),
                alternative_names(uri(name), critical=True),
            ),
        )
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return made.der(), pkcs8, name


@dataclass
class Agent:
    """The running server, and what it hands out."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/api.sock"

    def give(self, domain: Domain, *roots: Domain) -> bytes:
        """Another identity of this domain, with these authorities; its certificate."""
        certificate, key, name = domain.svid()
        files = {
            "svid.der": certificate,
            "key.der": key,
            "bundle.der": b"".join(each.root for each in (roots or (domain,))),
            "id": name.encode(),
        }
        for file, content in files.items():
            (self.folder / file).write_bytes(content)
        assert self.process.stdin is not None
        self.process.stdin.write(b"next\n")
        self.process.stdin.flush()
        return certificate


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    folder = tmp_path / "agent"
    folder.mkdir()
    process = subprocess.Popen(
        [go_program("workload_api"), folder / "api.sock", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Agent(folder, process)
    finally:
        process.kill()
        process.communicate(timeout=10)


def settings(agent: Agent) -> str:
    return f'[spiffe]\nsocket = "{agent.address}"\n'


def shown(port: int) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        return secured.getpeercert(binary_form=True)


def answered(folder: Path, port: int, domain: Domain) -> bool:
    """Whether a client with an identity of this domain gets an answer at the secure door."""
    connection = connected(folder, port, domain)
    try:
        connection.request("GET", "/")
        return bool(connection.getresponse().read())
    except (ssl.SSLError, OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def connected(folder: Path, port: int, domain: Domain) -> http.client.HTTPSConnection:
    """With an identity of this domain."""
    certificate, key, _ = domain.svid("admin/one")
    (folder / "client.pem").write_bytes(armoured(certificate) + key_pem(key))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "client.pem")
    return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)


def key_pem(pkcs8: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(pkcs8).replace("CERTIFICATE", "PRIVATE KEY").encode()


def test_a_node_shows_its_svid_and_swaps_pair_and_bundle_while_connections_stay(
    tmp_path: Path, agent: Agent
) -> None:
    first, second = Domain(), Domain()
    certificate = agent.give(first)
    with running_node(
        tmp_path / "node",
        settings=settings(agent),
        secure='certificate = "spiffe"\nclient_ca = "spiffe"\n',
    ) as node:
        assert shown(node.secure_port) == certificate
        assert answered(tmp_path, node.secure_port, first)
        assert not answered(tmp_path, node.secure_port, second)
        kept = connected(tmp_path, node.secure_port, first)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        own = kept.sock

        # The domain rolls its authority: both are trusted, and the identity is of the new one.
        rotated = agent.give(second, first, second)
        wait_for(
            lambda: shown(node.secure_port) == rotated, what="the new one", explain=node.output
        )
        wait_for(
            lambda: answered(tmp_path, node.secure_port, second),
            what="the new authority",
            explain=node.output,
        )
        assert answered(tmp_path, node.secure_port, first)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        assert kept.sock is own, "the connection stayed"
        kept.close()

        # An identity of elsewhere is refused, and the old one stays.
        agent.give(Domain("other.example"))
        wait_for(lambda: "SPIFFE.BAD_IDENTITY" in node.output(), what="it is told")
        assert shown(node.secure_port) == rotated

        # So it does when the agent is gone.
        agent.process.kill()
        agent.process.wait(10)
        assert shown(node.secure_port) == rotated


def test_a_door_shows_the_svid_and_believes_the_nodes_own_authority(
    tmp_path: Path, agent: Agent
) -> None:
    domain = Domain()
    certificate = agent.give(domain)
    with running_node(
        tmp_path / "node",
        settings=settings(agent),
        secure='certificate = "spiffe"\n',
        own=found_own(tmp_path),
    ) as node:
        assert shown(node.secure_port) == certificate
        assert not answered(tmp_path, node.secure_port, domain), "an SVID is nobody's proof here"
        client = node.client("admin/ada")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(client.chain, client.key)
        asked = http.client.HTTPSConnection(
            "127.0.0.1", node.secure_port, context=context, timeout=10
        )
        asked.request("GET", "/api/legs")
        assert asked.getresponse().status == 200
        asked.close()


def test_a_node_without_an_identity_does_not_start(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spiffe, "FIRST_S", 1.0)
    workload = Workload(agent.address, TRUST_DOMAIN)
    try:
        with pytest.raises(RemoteError, match=r"SPIFFE\.(NO|BAD)_IDENTITY"):
            workload.first()
    finally:
        workload.close()


def test_a_socket_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SealcastError, match=r"SPIFFE\.UNREACHABLE"):
        Workload(f"unix://{tmp_path}/nothing.sock", TRUST_DOMAIN)


def test_what_cannot_be_read_is_told_and_the_stream_begins_anew(agent: Agent) -> None:
    domain = Domain()
    agent.give(domain)
    workload = Workload(agent.address, TRUST_DOMAIN)
    try:
        pair, bundle = SpiffePair(workload), SpiffeBundle(workload)
        before = pair.current(), bundle.current()
        now = datetime.datetime.now(datetime.UTC)
        assert not pair.look(now)
        (agent.folder / "svid.der").write_bytes(b"no certificate")
        assert agent.process.stdin is not None
        agent.process.stdin.write(b"next\n")
        agent.process.stdin.flush()
        failure = wait_for(lambda: workload.now()[1], what="the failure")
        assert failure.code == "SPIFFE.BAD_IDENTITY"
        with pytest.raises(RemoteError):
            pair.look(now)
        assert (pair.current(), bundle.current()) == before
        agent.give(domain)
        with pytest.raises(RemoteError):
            pair.look(now + spiffe.AGAIN)
        wait_for(lambda: workload.now()[1] is None, what="another identity")
        assert pair.look(now + spiffe.AGAIN)
        assert pair.current() != before[0]
    finally:
        workload.close()
