"""`sealcast identity revoke` at a running node: what is open ends, what knocks is refused, viewers
are told. And what ends by itself: a certificate of a few seconds.
"""

from __future__ import annotations

import datetime
import signal
import socket
import ssl
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.attack.ledger import leg_from
from tests.interop.own_authority import node_with_own_authority, revoke

from sealcast.testing.ffmpeg_peer import mpegts_over_https, mpegts_over_tls
from sealcast.testing.node_process import COMMAND, Client, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("revoked")) as running:
        yield running


def below(folder: Path, name: str) -> Path:
    """A folder for one of several encoders' logs."""
    made = folder / name
    made.mkdir()
    return made


def context(node: Node, client: Client | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(node.authority))
    if client is not None:
        made.load_cert_chain(client.chain, client.key)
    return made


@contextmanager
def connected(node: Node, port: int, client: Client) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((node.address, port), timeout=20) as plain,
        context(node, client).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def knock(node: Node, port: int, client: Client) -> tuple[str | None, dict[str, Any]]:
    """The alert that a client hears, and the leg that its handshake left in the ledger."""
    with socket.create_connection((node.address, port), timeout=20) as plain:
        remote = "{}:{}".format(*plain.getsockname())
        alert = None
        try:
            with context(node, client).wrap_socket(plain, server_hostname="localhost") as made:
                made.recv(1)
        except ssl.SSLError as error:
            alert = error.reason
        return alert, leg_from(node, remote)


def connections_ended(node: Node, code: str) -> int:
    """At the secure door, by now."""
    counted = node.request("GET", "/metrics", client=node.client("admin/ada"))[1].decode()
    row = f'sealcast_connections_ended_total{{code="{code}",door="secure"}} '
    found = [line for line in counted.splitlines() if line.startswith(row)]
    return int(float(found[0].removeprefix(row))) if found else 0


class Watching:
    """`sealcast watch`, and what it says."""

    def __init__(self, folder: Path, node: Node, stream: str, client: Client | None = None) -> None:
        """With a token at the public door, or with a certificate at the secure one."""
        self._said = folder / "watch.log"
        if client is None:
            proof = ["--token", node.token("watch", stream)]
        else:
            proof = ["--cert", str(client.chain), "--key", str(client.key)]
        address = node.url("whep", stream, door="public" if client is None else "secure")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*COMMAND, "watch", address, *proof, "--ca", str(node.authority)],
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def sees(self) -> None:
        wait_for(lambda: "first frame" in self.said(), what="a picture", explain=self.said)

    def said(self) -> str:
        return self._said.read_text()

    def stop(self) -> None:
        """Ends it as Ctrl-C would."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(timeout=30) == 0, self.said()

    def end(self) -> str:
        """What it said, when it has ended by itself."""
        assert self._process.wait(timeout=30) == 0, self.said()
        return self.said()


def test_a_revoked_encoder_ends_its_viewers_are_told_and_it_stays_out(
    node: Node, tmp_path: Path
) -> None:
    require("ffmpeg")
    name, stream = "encoder/lost", "lost"
    lost, kept = node.client(name), node.client("encoder/kept")
    with (
        mpegts_over_tls(below(tmp_path, "lost"), node, stream, identity=lost) as encoder,
        mpegts_over_tls(below(tmp_path, "kept"), node, "kept", identity=kept),
    ):
        viewer = Watching(tmp_path, node, stream)
        viewer.sees()
        revoke(node, name)
        over = node.leg(stream=stream, role="ingest", state="failed")
        assert over["end"]["code"] == "IDENTITY.REVOKED"
        assert over["end"]["detail"] == "Revoked: keyCompromise."
        told = viewer.end()
        assert "STREAM.PUBLISHER_REVOKED" in told
        assert "has been revoked" in told
        watched = node.leg(stream=stream, role="delivery", state="failed")
        assert watched["end"]["code"] == "STREAM.PUBLISHER_REVOKED"
        encoder.wait(20)
        assert node.leg(stream="kept", role="ingest")["state"] == "live"
    for port in (node.ts_port, node.secure_port):
        alert, leg = knock(node, port, lost)
        assert alert == "SSLV3_ALERT_CERTIFICATE_REVOKED"
        assert leg["end"]["code"] == "TLS.CERTIFICATE_REVOKED"
        assert leg["peer"]["proved"] is False
    counted = node.request("GET", "/metrics", client=node.client("admin/ada"))[1].decode()
    failures = 'sealcast_tls_handshake_failures_total{code="TLS.CERTIFICATE_REVOKED"'
    assert f'{failures},door="ingest-ts"}} 1.0' in counted
    assert 'sealcast_legs_ended_total{code="IDENTITY.REVOKED",role="ingest"} 1.0' in counted


def test_the_same_name_comes_back_with_another_certificate(node: Node, tmp_path: Path) -> None:
    require("ffmpeg")
    name, stream = "encoder/again", "again"
    old = node.client(name)
    revoke(node, name, "superseded")
    wait_for(
        lambda: knock(node, node.ts_port, old)[0] == "SSLV3_ALERT_CERTIFICATE_REVOKED",
        what="the door knows of it",
    )
    with mpegts_over_tls(tmp_path, node, stream, identity=node.client(name)):
        assert node.leg(stream=stream, role="ingest", state="live")


@contextmanager
def by_tls(folder: Path, node: Node, stream: str, identity: Client) -> Iterator[None]:
    """MPEG-TS of an ffmpeg."""
    require("ffmpeg")
    with mpegts_over_tls(folder, node, stream, identity=identity):
        yield


@contextmanager
def by_upload(folder: Path, node: Node, stream: str, identity: Client) -> Iterator[None]:
    """MPEG-TS that an ffmpeg puts by HTTPS."""
    require("ffmpeg")
    with mpegts_over_https(folder, node, stream, identity=identity):
        yield


@contextmanager
def by_whip(folder: Path, node: Node, stream: str, identity: Client) -> Iterator[None]:
    """WHIP at the door that wants certificates, without a token."""
    require("aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    with aiortc_peer(node.authority, identity) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        node.leg(stream=stream, role="ingest", state="live")
        yield


@pytest.mark.parametrize("published", [by_tls, by_upload, by_whip])
def test_a_live_leg_outlives_its_revocation_by_less_than_a_second(
    published: Callable[[Path, Node, str, Client], AbstractContextManager[None]],
    node: Node,
    tmp_path: Path,
    record_property: Any,
) -> None:
    """From the commit to the end in the node's ledger; how soon the test looks has no part in it.
    One of three may meet a machine that has no time for the node.
    """
    took = []
    for number in range(3):
        stream = f"{published.__name__}-{number}".replace("_", "-")
        name = f"encoder/{stream}"
        with published(below(tmp_path, stream), node, stream, node.client(name)):
            committed = revoke(node, name)
            over = node.leg(stream=stream, role="ingest", state="failed")
            assert over["peer"]["proof"] == "certificate"
            assert over["end"]["code"] == "IDENTITY.REVOKED"
            took.append(over["ended_unix"] - committed)
    record_property("revocation_s", max(took))
    sys.stderr.write(f"ended {max(took):.3f} s after the revocation, at most\n")
    assert statistics.median(took) < 1.0


def test_an_open_connection_of_an_administrator_ends(node: Node) -> None:
    client = node.client("admin/left")
    with connected(node, node.secure_port, client) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(16).startswith(b"HTTP/1.1 200")
        revoke(node, "admin/left", "cessationOfOperation")
        rest = b""
        try:
            while more := connection.recv(4096):
                rest += more
        except (ssl.SSLError, ConnectionResetError):
            pass  # a connection that is cut is over as well
    status = 'sealcast_connections_ended_total{code="IDENTITY.REVOKED",door="secure"} '
    counted = node.request("GET", "/metrics", client=node.client("admin/ada"))[1].decode()
    assert status in counted


def test_sessions_that_certificates_opened_end_and_say_why(node: Node) -> None:
    require("aiortc", "aiohttp")
    from sealcast.testing.aiortc_peer import aiortc_peer

    stream = "by-certificate"
    publishing, watching = node.client(f"encoder/{stream}"), node.client("viewer/vera")
    with (
        aiortc_peer(node.authority, publishing) as publisher,
        aiortc_peer(node.authority, watching) as viewer,
    ):
        publisher.publish(node.url("whip", stream, door="secure"), "")
        node.leg(stream=stream, role="ingest", state="live")
        viewer.watch(node.url("whep", stream, door="secure"), "")
        node.leg(stream=stream, role="delivery", state="live")
        revoke(node, "viewer/vera", "privilegeWithdrawn")
        leg = node.leg(stream=stream, role="delivery", state="failed")
        assert leg["end"]["code"] == "IDENTITY.REVOKED"
        assert leg["end"]["detail"] == "Revoked: privilegeWithdrawn."
        assert node.leg(stream=stream, role="ingest")["state"] == "live"
        revoke(node, f"encoder/{stream}")
        leg = node.leg(stream=stream, role="ingest", state="failed")
        assert leg["end"]["code"] == "IDENTITY.REVOKED"


# ---- expiry ------------------------------------------------------------------------------------

SHORT = datetime.timedelta(seconds=12)
"""Long enough for an encoder to start, short enough to wait for."""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    settings = '[policy]\ningest = "strict"\ndelivery = "strict"\nsignalling = "strict"\n'
    folder = tmp_path_factory.mktemp("expired")
    with node_with_own_authority(folder, settings=settings) as running:
        yield running


@pytest.mark.parametrize("publish", [mpegts_over_tls, mpegts_over_https])
def test_a_live_leg_ends_in_the_second_in_which_its_certificate_does(
    publish: Callable[..., AbstractContextManager[object]], strict: Node, tmp_path: Path
) -> None:
    require("ffmpeg")
    stream = f"short-{publish.__name__.replace('_', '-')}"
    identity = strict.client(f"encoder/{stream}", SHORT)
    with publish(tmp_path, strict, stream, identity=identity):
        leg = strict.leg(stream=stream, role="ingest", state="failed", timeout_s=30)
    assert leg["end"]["code"] == "IDENTITY.EXPIRED"
    expires = leg["seal"]["expires_unix"]
    assert leg["ended_unix"] >= expires
    said = [line for line in strict.output().splitlines() if "about to expire" in line]
    assert len([line for line in said if f"stream={stream} " in f"{line} "]) == 1, said
    alert, knocked = knock(strict, strict.ts_port, identity)
    assert alert == "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    assert knocked["end"]["code"] == "TLS.CERTIFICATE_EXPIRED"


def test_a_media_leg_ends_with_the_certificate_that_opened_it(strict: Node, tmp_path: Path) -> None:
    require("ffmpeg")
    stream = "watched"
    with mpegts_over_tls(tmp_path, strict, stream):
        viewer = Watching(tmp_path, strict, stream, strict.client("viewer/vera", SHORT))
        viewer.sees()
        leg = strict.leg(stream=stream, role="delivery", state="failed", timeout_s=30)
        assert leg["end"]["code"] == "IDENTITY.EXPIRED"
        assert leg["peer"]["proof"] == "certificate"
        viewer.end()
        assert strict.leg(stream=stream, role="ingest")["state"] == "live"


def test_an_open_connection_ends_with_its_certificate(strict: Node) -> None:
    before = connections_ended(strict, "IDENTITY.EXPIRED")
    client = strict.client("admin/brief", datetime.timedelta(seconds=4))
    with connected(strict, strict.secure_port, client) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(16).startswith(b"HTTP/1.1 200")
        try:
            while connection.recv(4096):
                pass
        except (ssl.SSLError, ConnectionResetError):
            pass
    assert connections_ended(strict, "IDENTITY.EXPIRED") == before + 1
