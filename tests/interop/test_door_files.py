"""Doors whose certificates are files that somebody else writes: swapped while the node runs.

`openssl s_client` is the client, so that what is said of tickets is another stack's word.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from tests.interop.own_authority import found_own

from sealcast.identity import Issued, ThrowAwayAuthority
from sealcast.identity.authority import Wanted
from sealcast.testing.node_process import Client, Node, OwnAuthority, running_node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

VERSIONS = ("-tls1_2", "-tls1_3")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Files:
    """Chain, key and bundle of a door, written as cert-manager and Vault Agent do it."""

    def __init__(self, folder: Path, own: OwnAuthority) -> None:
        self.folder = folder
        self.own = own
        folder.mkdir()

    def write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Beside, then renamed."""
        fresh = self.folder / f".{name}.new"
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(self.folder / name)

    def write_pair(self, pair: Issued) -> None:
        self.write("tls.crt", pair.chain_pem)
        self.write("tls.key", pair.key_pem)

    def pair(self, lifetime: datetime.timedelta | None = None) -> Issued:
        wanted = Wanted("node/files", "node", hosts=("localhost", "127.0.0.1"), lifetime=lifetime)
        return self.own.authority.issue(wanted, now(), who="test")

    def table(self, *, client_ca: bool) -> str:
        """The lines of a door's table."""
        names = {"certificate": "tls.crt", "key": "tls.key"}
        if client_ca:
            names["client_ca"] = "ca.crt"
        return "\n".join(
            f"{key} = {json.dumps(str(self.folder / name))}" for key, name in names.items()
        )


@dataclass(frozen=True, slots=True)
class Doors:
    """A node whose doors have files, and what they say."""

    node: Node
    files: Files

    def port(self, door: str) -> int:
        node = self.node
        ports = (node.public_port, node.secure_port, node.ts_port)
        return dict(zip(("public", "secure", "ingest-ts"), ports, strict=True))[door]

    @contextmanager
    def connected(self, door: str) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context(cafile=str(self.node.authority))
        with (
            socket.create_connection((self.node.address, self.port(door)), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            yield connection

    def shown(self) -> str:
        """The serial of what the public door shows."""
        with self.connected("public") as connection:
            der = connection.getpeercert(binary_form=True)
            assert der is not None
            return f"{x509.load_der_x509_certificate(der).serial_number:x}"

    def comes_to_show(self, pair: Issued) -> None:
        wait_for(lambda: self.shown() == pair.serial, what=f"the door shows {pair.serial}")

    def lines(self, *words: str) -> list[str]:
        """Those of the log with all of these words."""
        said = self.node.output().splitlines()
        return [line for line in said if all(word in line for word in words)]

    def metric(self, row: str) -> float:
        body = self.node.request("GET", "/metrics", client=self.node.client("admin/ada"))[1]
        found = [line for line in body.decode().splitlines() if line.startswith(f"{row} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    require("core")
    own = found_own(tmp_path)
    files = Files(tmp_path / "files", own)
    files.write_pair(files.pair())
    files.write("ca.crt", own.authority.bundle_pem(now()))
    with running_node(
        tmp_path / "node",
        public=files.table(client_ca=False),
        secure=files.table(client_ca=True),
        ingest_ts=files.table(client_ca=True),
        own=own,
    ) as node:
        yield Doors(node, files)


def test_files_that_change_are_shown_and_a_running_connection_stays(doors: Doors) -> None:
    def asks(connection: ssl.SSLSocket) -> bytes:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(4096)
        return answer[:12]

    with doors.connected("public") as running:
        assert asks(running) == b"HTTP/1.1 200"
        for _ in range(2):
            renewed = doors.files.pair()
            doors.files.write_pair(renewed)
            doors.comes_to_show(renewed)
            assert asks(running) == b"HTTP/1.1 200"
    assert doors.metric('sealcast_door_swaps_total{door="public"}') == 2


def test_a_pair_that_cannot_be_used_is_refused_once_and_the_old_one_stays(doors: Doors) -> None:
    files, first = doors.files, doors.shown()
    expired = files.pair(datetime.timedelta(seconds=1))
    wait_for(lambda: now().timestamp() > expired.not_after_unix + 1, what="its end")
    renewed = files.pair()
    spoilt: list[tuple[str, Callable[[], None]]] = [
        ("TLS.KEY_MISMATCH", lambda: files.write("tls.crt", renewed.chain_pem)),
        ("IDENTITY.KEY_EXPOSED", lambda: files.write("tls.key", renewed.key_pem, 0o644)),
        ("TLS.UNREADABLE_KEY", lambda: files.write("tls.key", b"no key")),
        ("IDENTITY.KEY_UNREADABLE", lambda: (files.folder / "tls.key").unlink()),
        ("TLS.CERTIFICATE_EXPIRED", lambda: files.write_pair(expired)),
        ("TLS.UNREADABLE_CERTIFICATE", lambda: files.write("tls.crt", b"no certificate")),
    ]
    for code, spoil in spoilt:
        spoil()
        wait_for(
            functools.partial(doors.lines, "door keeps", "door=public", f"code={code}"),
            what=code,
            explain=doors.node.output,
        )
        row = f'sealcast_door_certificate_refusals_total{{code="{code}",door="public"}}'
        assert doors.metric(row) == 1
        assert doors.shown() == first
    files.write_pair(renewed)
    doors.comes_to_show(renewed)
    told = [doors.lines("door=public", f"code={code}") for code, _ in spoilt]
    assert [len(lines) for lines in told] == [1] * len(spoilt), "each was said once"


def test_an_authority_that_leaves_the_bundle_is_foreign_and_one_that_comes_is_known(
    doors: Doors,
) -> None:
    other = ThrowAwayAuthority.create("other.example", now())
    issued = other.issue_client("encoder/venue-1", now())
    stranger = Client(issued.name, *issued.save(doors.files.folder, "stranger"))
    own = doors.node.client("encoder/venue-1")
    assert not s_client(doors, "secure", "-tls1_3", stranger).admitted
    doors.files.write("ca.crt", other.root_pem)
    wait_for(lambda: s_client(doors, "secure", "-tls1_3", stranger).admitted, what="it is known")
    assert not s_client(doors, "secure", "-tls1_3", own).admitted


# ---- tickets, with openssl as the client -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What `openssl s_client` said of one connection."""

    text: str

    @property
    def admitted(self) -> bool:
        """Whether its request was answered: in TLS 1.3 a refusal comes after the handshake."""
        return "HTTP/1." in self.text

    @property
    def resumed(self) -> bool:
        return re.search(r"^Reused, ", self.text, re.MULTILINE) is not None


def s_client(
    doors: Doors,
    door: str,
    version: str,
    client: Client | None = None,
    *,
    keep: Path | None = None,
    use: Path | None = None,
) -> Said:
    """One connection and, at an HTTPS door, one request; `keep` and `use` are session files."""
    command = [
        *("openssl", "s_client", "-connect", f"{doors.node.address}:{doors.port(door)}"),
        *("-servername", "localhost", version, "-ign_eof"),
        *(("-cert", str(client.chain), "-key", str(client.key)) if client else ()),
        *(("-cert_chain", str(client.chain)) if client else ()),
        *(("-sess_out", str(keep)) if keep else ()),
        *(("-sess_in", str(use)) if use else ()),
    ]
    request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    done = subprocess.run(
        command, input=request, capture_output=True, text=True, check=False, timeout=30
    )
    return Said(done.stdout + done.stderr)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_resumes_until_the_door_is_swapped(
    doors: Doors, tmp_path: Path, version: str
) -> None:
    session = tmp_path / "session"
    first = s_client(doors, "public", version, keep=session)
    assert first.admitted
    assert not first.resumed
    assert s_client(doors, "public", version, use=session).resumed, "tickets work"
    renewed = doors.files.pair()
    doors.files.write_pair(renewed)
    doors.comes_to_show(renewed)
    after = s_client(doors, "public", version, use=session)
    assert after.admitted
    assert not after.resumed, "the ticket's key went with the old context"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_bypasses_a_change_of_the_client_authority(
    doors: Doors, tmp_path: Path, version: str
) -> None:
    session, client = tmp_path / "session", doors.node.client("viewer/vera")
    assert s_client(doors, "secure", version, client, keep=session).admitted
    assert not session.exists(), "the door gives nothing to resume with"
    assert s_client(doors, "public", version, keep=session).admitted
    assert session.exists()
    with_session = s_client(doors, "secure", version, client, use=session)
    assert with_session.admitted
    assert not with_session.resumed, "it takes no other door's ticket either"
    assert not s_client(doors, "secure", version, use=session).admitted
    other = ThrowAwayAuthority.create("other.example", now())
    doors.files.write("ca.crt", other.root_pem)
    wait_for(lambda: not s_client(doors, "secure", version, client).admitted, what="it is foreign")
    assert not s_client(doors, "secure", version, client, use=session).admitted
