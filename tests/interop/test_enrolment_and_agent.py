"""Enrolling at a real node over real TLS, and the agent that renews there."""

from __future__ import annotations

import collections
import datetime
import functools
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from tests.interop.own_authority import node_with_own_authority

from sealcast.agent.enrolment import Ticket, enrol
from sealcast.agent.https import Address
from sealcast.agent.place import Place
from sealcast.errors import SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import Reason
from sealcast.secret import Secret
from sealcast.testing.ffmpeg_peer import mpegts_over_tls
from sealcast.testing.node_process import COMMAND, TRUST_DOMAIN, Client, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

MANY = 50
A_MINUTE = datetime.timedelta(seconds=60)
AN_HOUR = A_MINUTE * 60


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    # Older than what is issued late here.
    with node_with_own_authority(tmp_path_factory.mktemp("own"), age=AN_HOUR * 2) as running:
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


def test_enrolling_at_a_door_that_wants_a_certificate_says_which_door_takes_a_token(
    node: Node, tmp_path: Path
) -> None:
    text = token(node, "encoder/wrong-door")
    for port in (node.secure_port, node.ts_port):
        at = replace(ticket(node, text), node=Address("127.0.0.1", port))
        with pytest.raises(SealcastError) as refused:
            enrol(at, tmp_path / "out", now())
        assert refused.value.code == "AGENT.OTHER_DOOR"
    enrol(ticket(node, text), tmp_path / "out", now())


def test_an_expired_token_is_told_and_nothing_is_issued(node: Node, tmp_path: Path) -> None:
    name = "encoder/too-late"
    long_ago = now() - datetime.timedelta(minutes=16)
    text = authority(node).make_token(Wanted(name, "encoder"), long_ago, who="test")
    with pytest.raises(SealcastError) as refused:
        enrol(ticket(node, text.reveal().decode()), tmp_path / "out", now())
    assert refused.value.code == "IDENTITY.TOKEN_EXPIRED"
    assert authority(node).store.issued(name) == []


def is_other(place: Place, serial: str) -> bool:
    return place.read().serial != serial


# ---- the agent -----------------------------------------------------------------------------------


def test_the_agent_renews_over_mutual_tls_and_ffmpeg_comes_back_with_the_new_certificate(
    node: Node, tmp_path: Path
) -> None:
    """Certificates of twelve seconds, three of them; the agent and ffmpeg are what a user starts.
    ffmpeg reads its files when it connects.
    """
    require("ffmpeg")
    name, stream = "encoder/stage-1", "stage-1"
    place = issued(node, tmp_path / "identity", name, datetime.timedelta(seconds=12))
    identity = Client(name, place.chain, place.key)
    hook = tmp_path / "hook.log"
    words = ["agent", "--identity", str(place), "--node", secure(node)]
    words += ["--hook", f'echo "$SEALCAST_SERIAL" >> {hook}']
    with (
        (tmp_path / "agent.log").open("wb") as log,
        subprocess.Popen([*COMMAND, *words], stderr=log, env=node._environment()) as agent,
    ):
        try:
            for number in (1, 2):
                before = place.read().serial
                wait_for(
                    functools.partial(is_other, place, before),
                    what=f"renewal {number}",
                    timeout_s=60,
                    explain=lambda: (tmp_path / "agent.log").read_text(),
                )
                with mpegts_over_tls(
                    tmp_path, node, stream, identity=identity, authority=place.roots
                ):
                    leg = node.leg(stream=stream, role="ingest", state="live")
                    assert leg["peer"]["name"] == f"spiffe://{TRUST_DOMAIN}/{name}"
            wait_for(
                lambda: hook.exists() and place.read().serial in hook.read_text(),
                what="the hook ran for the newest",
            )
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(timeout=40) == 0, "SIGTERM ends it cleanly"
        finally:
            agent.kill()
    serials = [row.serial for row in authority(node).store.issued(name)]
    assert len(set(serials)) == len(serials) >= 3
    by = {row.issued_by for row in authority(node).store.issued(name)}
    assert f"renewal of {serials[-1]}" in by
    said = (tmp_path / "agent.log").read_text()
    assert "PRIVATE" not in said
    assert "Traceback" not in said


def once(node: Node, place: Place, at: str | None = None) -> tuple[int, str]:
    done = command(node, "agent", "--identity", str(place), "--node", at or secure(node), "--once")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_once_renews_what_is_due_and_its_exit_status_says_how_it_stands(
    node: Node, tmp_path: Path
) -> None:
    name = "encoder/once"
    place = issued(node, tmp_path / "identity", name, A_MINUTE)
    first = place.read().serial
    assert once(node, place)[0] == 0, "nothing is due"
    assert place.read().serial == first
    nowhere = "https://localhost:1"
    assert once(node, place, nowhere)[0] == 1, "nobody would renew it"
    assert once(node, place, f"https://localhost:{node.public_port}")[0] == 1, "the wrong door"
    # An hour: what is left of a minute would be over on a busy machine.
    wanted = Wanted(name, "encoder", lifetime=AN_HOUR)
    late = authority(node).issue(wanted, now() - AN_HOUR * 0.7, who="test")
    late.save(place.folder, place.stem)
    status, said = once(node, place, nowhere)
    assert status == 3
    assert "CLIENT.UNREACHABLE" in said
    assert once(node, place)[0] == 0, "renewed, and all is well again"
    assert place.read().serial != late.serial
    late.save(place.folder, place.stem)
    for hook, expected in (("exit 3", 1), ("exit 3", 1), ("exit 0", 0)):
        words = ("agent", "--identity", str(place), "--node", secure(node), "--once")
        done = command(node, *words, "--hook", hook)
        assert done.returncode == expected, "whoever uses it was not told, and is told again"
    over = authority(node).issue(wanted, now() - AN_HOUR, who="test")
    over.save(place.folder, place.stem)
    status, said = once(node, place)
    assert status == 4
    assert "sealcast identity enroll" in said
    enrol(ticket(node, token(node, name)), place.folder, now())
    assert once(node, place)[0] == 0, "a new token, into the same folder"
    assert once(node, Place(tmp_path, "nobody"))[0] == 4


def test_a_nodes_server_certificate_is_renewed_by_the_one_that_it_has_as_a_client(
    node: Node, tmp_path: Path
) -> None:
    name, begun = "node/two", now() - AN_HOUR * 0.7
    places = {}
    for side, hosts in ((Side.CLIENT, ()), (Side.SERVER, ("two.localhost",))):
        wanted = Wanted(name, "node", side=side, hosts=hosts, lifetime=AN_HOUR)
        places[side] = Place(tmp_path / side, "two")
        authority(node).issue(wanted, begun, who="test").save(places[side].folder, "two")
        places[side].put_roots(authority(node).bundle_pem(now()))
    server, client = places[Side.SERVER], places[Side.CLIENT]
    held = server.read()
    assert "AGENT.NO_CLIENT" in once(node, server)[1]
    words = ("agent", "--identity", str(server), "--show", str(client), "--once")
    done = command(node, *words, "--node", secure(node))
    assert done.returncode == 0, done.stderr
    new = server.read()
    assert new.serial != held.serial
    assert new.is_servers
    row = authority(node).store.certificate(new.serial)
    assert row is not None
    assert (row.name, row.hosts) == (name, ("two.localhost",))
    assert row.issued_by == f"renewal of {held.serial}"


def test_a_revoked_agent_is_told_so_and_its_old_files_stay(node: Node, tmp_path: Path) -> None:
    name = "encoder/lost"
    place = issued(node, tmp_path / "identity", name, A_MINUTE)
    held = place.read().serial
    authority(node).revoke(name, Reason.KEY_COMPROMISE, now(), who="test")
    wait_for(
        lambda: "IDENTITY.RENEW_REVOKED" in once(node, place)[1],
        what="the agent is told",
        timeout_s=40,
        explain=lambda: once(node, place)[1],
    )
    assert once(node, place)[0] != 0, "not well, however long it would last"
    assert place.read().serial == held


def test_no_token_and_no_request_is_in_the_log_of_the_node(node: Node, tmp_path: Path) -> None:
    """What `Node.stop` looks for, here by name: refused and granted enrolments leave nothing."""
    text = token(node, "encoder/quiet")
    enrol(ticket(node, text), tmp_path / "out", now())
    with pytest.raises(SealcastError):
        enrol(ticket(node, text), tmp_path / "again", now())
    said = node.output()
    assert text not in said
    assert "BEGIN CERTIFICATE" not in said
