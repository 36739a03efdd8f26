"""Headers by which a client claims to be the front, or to be somebody else's connection."""

from __future__ import annotations

import http.client
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealcast.testing.node_process import Client, Node

from .counters import REFUSALS, Counters
from .exchange import TIMEOUT_S, Headers, ask, tls_context

CONNECTIONS_TRIED = range(1, 60)
"""Connection ids are small numbers, so an attacker may count through them."""


@pytest.fixture
def connected_admin(attacked: Node, admin: Client) -> Iterator[http.client.HTTPSConnection]:
    """An administrator's connection that stays open, so that there is something to steal."""
    connection = http.client.HTTPSConnection(
        attacked.address,
        attacked.secure_port,
        timeout=TIMEOUT_S,
        context=tls_context(attacked, admin),
    )
    connection.request("GET", "/api/legs")
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    yield connection
    connection.close()


FORGED: dict[str, Headers] = {
    "as the front writes them": [
        ("x-sealcast-connection", "{id}"),
        ("x-sealcast-secret", "{secret}"),
    ],
    "in other letters": [
        ("X-Sealcast-Connection", "{id}"),
        ("X-SEALCAST-SECRET", "{secret}"),
    ],
    "without a secret": [("x-sealcast-connection", "{id}")],
    "twice": [("x-sealcast-connection", "{id}"), ("x-sealcast-connection", "{id}")],
    "with underscores": [
        ("x_sealcast_connection", "{id}"),
        ("x_sealcast_secret", "{secret}"),
    ],
    "named as hop by hop": [
        ("connection", "x-sealcast-connection, x-sealcast-secret, keep-alive"),
        ("x-sealcast-connection", "{id}"),
    ],
}


@pytest.mark.parametrize("how", FORGED)
def test_forged_headers_of_the_front_make_nobody_an_administrator(
    attacked: Node, connected_admin: http.client.HTTPSConnection, how: str
) -> None:
    secret = secrets.token_hex(32)
    for number in CONNECTIONS_TRIED:
        headers = [(name, text.format(id=number, secret=secret)) for name, text in FORGED[how]]
        ask(attacked, "GET", "/api/legs", headers=headers).problem(401, "TOKEN.MISSING")
    # The connection that they claimed is still the administrator's.
    connected_admin.request("GET", "/api/legs")
    answer = connected_admin.getresponse()
    assert answer.status == 200
    answer.read()


def test_a_stranger_who_asks_for_the_ledger_is_counted(attacked: Node, counters: Counters) -> None:
    forged = [("x-sealcast-connection", "1"), ("x-sealcast-secret", secrets.token_hex(32))]
    with counters.rise(REFUSALS, role="admin", code="TOKEN.MISSING"):
        ask(attacked, "GET", "/api/legs", headers=forged).problem(401, "TOKEN.MISSING")


def test_an_encoders_certificate_opens_no_administration(
    attacked: Node, counters: Counters
) -> None:
    encoder = attacked.client("encoder/curious")
    with counters.rise(REFUSALS, role="admin", code="IDENTITY.NOT_ALLOWED"):
        answer = ask(attacked, "GET", "/api/legs", client=encoder)
    assert "encoder/curious" in answer.problem(403, "IDENTITY.NOT_ALLOWED")["detail"]


def private_socket(node: Node) -> Path:
    """The Unix socket between front and application, as anybody on the machine can find it."""
    (process,) = [
        folder
        for folder in Path("/proc").glob("[0-9]*")
        if f"serve\0--config\0{node.config}\0".encode() in _read(folder / "cmdline")
    ]
    own = {str(link.readlink()) for link in (process / "fd").iterdir()}
    rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    paths = {Path(row[7]) for row in rows if len(row) > 7 and f"socket:[{row[6]}]" in own}
    (found,) = [path for path in paths if path.name == "app"]
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile
        return b""


def test_who_reaches_the_private_socket_past_the_front_is_refused(attacked: Node) -> None:
    path = private_socket(attacked)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as direct:
        direct.settimeout(TIMEOUT_S)
        direct.connect(str(path))
        direct.sendall(
            b"GET /api/legs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            b"x-sealcast-connection: 1\r\nx-sealcast-secret: " + b"0" * 64 + b"\r\n\r\n"
        )
        heard = b""
        while more := direct.recv(4096):
            heard += more
    assert heard.startswith(b"HTTP/1.1 403 ")
    assert b"HTTP.NOT_THE_FRONT" in heard
