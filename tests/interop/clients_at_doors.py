"""Clients of other makers at a door of TLS, each as its users would start it.

Does: shows a certificate, says what the client printed about its fate and whether it was served.

Does not: look at the node; the ledger's word on the same connection is the test's to read.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealcast.testing.browsers import CHROMIUM_FLAGS, OwnCertificate, chromium_program
from sealcast.testing.node_process import Client, Node
from sealcast.testing.requirement import imageio_ffmpeg_exe
from sealcast.testing.waiting import wait_for

TIMEOUT_S = 30
ASKED = "/api/legs"
"""What an administrator may read."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a client. `alert` is the number that it was told (RFC 8446 §6), if it says."""

    served: bool
    alert: int | None
    said: str


_NUMBERED = re.compile(r"SSL alert number (\d+)")
# Where OpenSSL's number is not printed; its words are older than TLS 1.3 (ssl/ssl_stat.c).
_NAMED = {
    "tlsv13 alert certificate required": 116,
    "tlsv1 alert unknown ca": 48,
    "sslv3 alert handshake failure": 40,
    "sslv3 alert certificate expired": 45,
    "sslv3 alert certificate revoked": 44,
    "sslv3 alert unsupported certificate": 43,
    "sslv3 alert illegal parameter": 47,
}


def _fate(served: bool, said: str) -> Fate:
    numbered = _NUMBERED.search(said)
    named = next((number for words, number in _NAMED.items() if words in said), None)
    return Fate(served, int(numbered[1]) if numbered else named, said)


def _openssl(version: str) -> Callable[[Node, Client | None], Fate]:
    def ask(node: Node, client: Client | None) -> Fate:
        shown = ["-cert", str(client.chain), "-key", str(client.key)] if client else []
        shown += ["-cert_chain", str(client.chain)] if client else []
        done = subprocess.run(
            [
                *("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{node.secure_port}"),
                *("-servername", "localhost", "-CAfile", str(node.authority)),
                *("-verify_return_error", version, *shown),
            ],
            input=f"GET {ASKED} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return _fate(done.stdout.startswith(b"HTTP/1.1 200"), done.stderr.decode())

    return ask


def _curl(node: Node, client: Client | None) -> Fate:
    shown = ["--cert", str(client.chain), "--key", str(client.key)] if client else []
    address = f"https://localhost:{node.secure_port}{ASKED}"
    return _asked_by_curl(["--cacert", str(node.authority), *shown, address])


def _asked_by_curl(words: list[str]) -> Fate:
    done = subprocess.run(
        ["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return _fate(done.stdout.rpartition("\n")[2] == "200", done.stderr + done.stdout)


def _ffmpeg(program: Callable[[], str]) -> Callable[[Node, Client | None], Fate]:
    def publish(node: Node, client: Client | None) -> Fate:
        shown = ["-cert_file", str(client.chain), "-key_file", str(client.key)] if client else []
        done = subprocess.run(
            [
                *(program(), "-hide_banner", "-loglevel", "warning", "-re"),
                *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", "2"),
                *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
                *("-f", "mpegts", "-ca_file", str(node.authority), "-tls_verify", "1", *shown),
                f"tls://127.0.0.1:{node.ts_port}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return _fate(done.returncode == 0, done.stderr)

    return publish


def _nginx(node: Node, client: Client | None) -> Fate:
    """A reverse proxy or CDN that shows a certificate to its origin."""
    folder = (client.chain if client else node.config).parent / "nginx"
    folder.mkdir(exist_ok=True)
    with running_nginx(folder, node, client, node.secure_port) as door:
        fate = _asked_by_curl(["--unix-socket", str(door), f"http://cdn.example{ASKED}"])
    # Its own users see 502 and no more; what it was told stands in its log.
    return _fate(fate.served, (folder / "error.log").read_text())


@contextmanager
def running_nginx(folder: Path, node: Node, client: Client | None, port: int) -> Iterator[Path]:
    """nginx before the door at `port`, showing `client`; the Unix socket where it listens."""
    door, log = folder / "door", folder / "error.log"
    door.unlink(missing_ok=True)
    log.write_text("")
    shown = (
        f"proxy_ssl_certificate {client.chain}; proxy_ssl_certificate_key {client.key};"
        if client
        else ""
    )
    temporary = " ".join(
        f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi")
    )
    settings = folder / "nginx.conf"
    settings.write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log {log} info;
        events {{}}
        http {{
          access_log off; {temporary} uwsgi_temp_path {folder}; scgi_temp_path {folder};
          server {{
            listen unix:{door};
            location / {{
              proxy_pass https://127.0.0.1:{port}; proxy_http_version 1.1;
              proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_set_header Host localhost;
              proxy_ssl_verify on; proxy_ssl_trusted_certificate {node.authority};
              proxy_ssl_verify_depth 3; proxy_ssl_session_reuse off;
              proxy_ssl_protocols TLSv1.2 TLSv1.3; {shown}
            }}
          }}
        }}"""
    )
    process = subprocess.Popen(
        ["nginx", "-c", str(settings), "-p", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(door.exists, what="nginx listens", explain=log.read_text)
        yield door
    finally:
        process.terminate()
        process.wait(timeout=10)


def _chromium(node: Node, client: Client | None) -> Fate:
    """A browser with a certificate in its own store, and the policy that picks it.

    What its user reads is the page, or the name of the error that stands in its place; the alert
    is in its own log of the network.
    """
    origin = f"https://localhost:{node.secure_port}"
    own = OwnCertificate(client.chain, client.key, origin) if client else None
    with tempfile.TemporaryDirectory(
        dir=(client.chain if client else node.config).parent, ignore_cleanup_errors=True
    ) as made:
        folder = Path(made)
        program = chromium_program(folder, node.authority, own=own)
        log = folder / "network.json"
        done = subprocess.run(
            [
                *(program.executable, *CHROMIUM_FLAGS, f"--log-net-log={log}"),
                *("--net-log-capture-mode=IncludeSensitive", "--dump-dom", origin + ASKED),
            ],
            env=program.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        heard = json.loads(log.read_text())
    kinds = heard["constants"]["logEventTypes"]

    def noted(kind: str) -> list[dict[str, Any]]:
        return [event["params"] for event in heard["events"] if event["type"] == kinds[kind]]

    # RFC 8446 §6: its level, then its number.
    alerts = [base64.b64decode(event["bytes"])[1] for event in noted("SSL_ALERT_RECEIVED")]
    answers = [event["headers"][0] for event in noted("HTTP_TRANSACTION_READ_RESPONSE_HEADERS")]
    error = re.search(r"Page load failed: (net::\w+)", done.stderr)
    return Fate(
        any(answer.split()[1] == "200" for answer in answers),
        alerts[-1] if alerts else None,
        error[1] if error else done.stdout + done.stderr,
    )


@dataclass(frozen=True, slots=True)
class Maker:
    """A client: what it needs, which end it is, whether it tells the alert that it gets."""

    requires: tuple[str, ...]
    name: str
    visit: Callable[[Node, Client | None], Fate]
    tells_alerts: bool = True


MAKERS = {
    "openssl 1.3": Maker(("openssl",), "admin/ada", _openssl("-tls1_3")),
    "openssl 1.2": Maker(("openssl",), "admin/ada", _openssl("-tls1_2")),
    "curl": Maker(("curl",), "admin/ada", _curl),
    "nginx": Maker(("nginx",), "admin/ada", _nginx),
    "chromium": Maker(("chromium", "certutil", "namespaces"), "admin/ada", _chromium),
    # Both write and do not read: what they see is a pipe that broke.
    "ffmpeg 5.1": Maker(("ffmpeg",), "encoder/venue-1", _ffmpeg(lambda: "ffmpeg"), False),
    "ffmpeg 9": Maker(("ffmpeg-whip",), "encoder/venue-1", _ffmpeg(imageio_ffmpeg_exe), False),
}
