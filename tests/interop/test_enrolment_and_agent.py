"""Enrolling at a real node over real TLS, and the agent that renews there."""

from __future__ import annotations

import collections
import datetime
import shlex
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from tests.interop.own_authority import node_with_own_authority

from sealcast.agent.enrolment import Ticket, enrol
from sealcast.agent.place import Place
from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.secret import Secret
from sealcast.testing.node_process import COMMAND, TRUST_DOMAIN, Client, Node
from sealcast.testing.requirement import require

MANY = 50
A_MINUTE = datetime.timedelta(seconds=60)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("own")) as running:
        yield running


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def authority(node: Node) -> Authority:
    assert node.own is not None
    return node.own.authority


def token(node: Node, name: str) -> str:
    made = authority(node).make_token(Wanted(name, name.partition("/")[0]), now(), who="test")
    return node.secrets.add(f"the enrolment token of {name}", made.reveal().decode())


def ticket(node: Node, text: str, *, host: str = "localhost") -> Ticket:
    url = f"https://{host}:{node.public_port}"
    return Ticket.of(url, authority(node).fingerprint(now()), Secret(text))


def command(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=node._environment(),
    )


def issued(node: Node, folder: Path, name: str, lifetime: datetime.timedelta) -> Place:
    """What `identity issue --out` leaves."""
    wanted = Wanted(name, name.partition("/")[0], lifetime=lifetime)
    made = authority(node).issue(wanted, now(), who="test")
    stem = name.rpartition("/")[2]
    made.save(folder, stem)
    place = Place(folder, stem)
    place.put_roots(authority(node).bundle_pem(now()))
    return place


def secure(node: Node) -> str:
    return f"https://localhost:{node.secure_port}"


# ---- enrolment -----------------------------------------------------------------------------------


def test_one_line_of_the_operator_enrols_a_machine_and_its_certificate_publishes(
    node: Node, tmp_path: Path
) -> None:
    """The line that `identity token` prints is run as it stands."""
    assert node.own is not None
    data, out = str(node.own.authority.folder), tmp_path / "out"
    out.mkdir()
    name = "encoder/venue-1"
    url = f"https://127.0.0.1:{node.public_port}"
    made = command(node, "identity", "token", name, "--data", data, "--node", url)
    assert made.returncode == 0, made.stderr
    node.secrets.add("the token", made.stdout.strip())
    line = next(line for line in made.stderr.splitlines() if line.startswith("sealcast "))
    words = shlex.split(line)[1:]
    assert made.stdout.strip() in words
    words[-1] = str(out)
    done = command(node, *words)
    assert done.returncode == 0, done.stderr
    assert f"spiffe://{TRUST_DOMAIN}/{name}" in done.stdout
    assert f"sealcast agent --identity {out}/venue-1\n" in done.stdout
    assert made.stdout.strip() not in done.stdout + done.stderr
    assert (out / "venue-1-key.pem").stat().st_mode & 0o777 == 0o600
    identity = Client(name, out / "venue-1.pem", out / "venue-1-key.pem")
    status, _ = node.request("GET", "/identity/renewal", client=identity)
    assert status == 200
    again = command(node, *words)
    assert again.returncode == 1
    assert again.stderr.startswith("sealcast: IDENTITY.TOKEN_USED:")
    assert identity.chain.exists(), "a refused enrolment leaves what is there"


def test_fifty_machines_with_one_token_at_once_get_one_certificate(
    node: Node, tmp_path: Path
) -> None:
    name = "encoder/raced"
    held, together = ticket(node, token(node, name)), threading.Barrier(MANY)

    def race(number: int) -> str:
        together.wait(timeout=60)
        try:
            enrol(held, tmp_path / str(number), now(), kind="p256")
        except SealcastError as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(MANY) as pool:
        outcomes = collections.Counter(pool.map(race, range(MANY)))
    assert outcomes == {"done": 1, "IDENTITY.TOKEN_USED": MANY - 1}
    (row,) = authority(node).store.issued(name)
    (chain,) = tmp_path.glob("*/raced.pem")
    assert f"{x509.load_pem_x509_certificate(chain.read_bytes()).serial_number:x}" == row.serial
    assert not list(tmp_path.glob("*/.draft-*")), "no key is left of those who lost"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fingerprint": "00" * 32}, "AGENT.WRONG_AUTHORITY"),
        # Another way to write 127.0.0.1, that is no name of the node's certificate.
        ({"host": "127.1"}, "AGENT.NODE_UNPROVED"),
        ({"name": "encoder/other"}, "IDENTITY.TOKEN_OTHER"),
        ({"token": "x" * 43}, "IDENTITY.TOKEN_UNKNOWN"),
        ({"port": "1"}, "CLIENT.UNREACHABLE"),
        ({"fingerprint": "AB:CD"}, "AGENT.BAD_FINGERPRINT"),
        ({"token": "two words"}, "TOKEN.MALFORMED"),
        ({"out": "/proc/nowhere"}, "IDENTITY.NOT_WRITTEN"),
    ],
)
def test_each_refusal_of_an_enrolment_is_one_sentence_and_the_token_stays_good(
    node: Node, tmp_path: Path, change: dict[str, str], code: str
) -> None:
    name = "encoder/refused"
    text = token(node, name)
    wanted = {
        "fingerprint": authority(node).fingerprint(now()),
        "host": "127.0.0.1",
        "port": str(node.public_port),
        "name": name,
        "token": text,
        "out": str(tmp_path / "out"),
    } | change
    done = command(
        node,
        *("identity", "enroll", wanted["name"]),
        *("--node", f"https://{wanted['host']}:{wanted['port']}"),
        *("--authority-fingerprint", wanted["fingerprint"], "--token", wanted["token"]),
        *("--out", wanted["out"]),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"sealcast: {code}:"), done.stderr
    assert done.stderr.count("\n") == 1
    assert text not in done.stderr
    assert not list(tmp_path.glob("out/*"))
    used = {row.used_unix for row in authority(node).store.tokens() if row.name == name}
    assert used == {None}
