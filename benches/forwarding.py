"""Forwarding to many viewers: packets sent to viewers per CPU-second of the server process.

The load client (`benches/load`, Go, Pion) is foreign to both servers and the same for both: it
publishes one synthetic H264 stream and takes it N times. sealcast gets it by WHIP (so it also
decrypts), Janus as plain RTP into its streaming plugin (so it does not); both keep a history for
NACK and answer RTCP.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import cpu_seconds

JANUS_PLUGINS = Path("/usr/lib/x86_64-linux-gnu/janus")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback address that the kernel chose and that is free again."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _load(binary: Path, pid: int, arguments: list[str]) -> float:
    """Run the load client against the server `pid`; viewer packets per CPU-second of the server."""
    client = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, text=True)
    if client.stdout is None:
        raise RuntimeError("the load client was started without a pipe")
    if client.stdout.readline().strip() != "measuring":
        raise RuntimeError(f"the load client ended with {client.wait()} before it measured")
    before = cpu_seconds(pid)
    result = json.loads(client.stdout.readline())
    used = cpu_seconds(pid) - before
    client.wait(timeout=30)
    expected = result["published"] * result["viewers"]
    if result["packets"] < 0.99 * expected:
        raise RuntimeError(f"viewers got {result['packets']} of {expected} packets: no fair figure")
    return float(result["packets"]) / used


@contextlib.contextmanager
def _janus(folder: Path) -> Iterator[tuple[int, int, int]]:
    """Debian's Janus with one event loop; its pid, HTTP port and RTP port."""
    http, rtp = free_port(), free_port(socket.SOCK_DGRAM)
    names = [path.name for path in (JANUS_PLUGINS / "plugins").glob("*.so")]
    unwanted = ",".join(name for name in names if name != "libjanus_streaming.so")
    (folder / "janus.jcfg").write_text(
        f"""general: {{ configs_folder = "{folder}" plugins_folder = "{JANUS_PLUGINS}/plugins"
  transports_folder = "{JANUS_PLUGINS}/transports" debug_level = 2 event_loops = 1 }}
nat: {{ ice_enforce_list = "lo" ignore_mdns = true }}
plugins: {{ disable = "{unwanted}" }}
"""
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{ base_path = "/janus" http = true port = {http} ip = "127.0.0.1" }}\n'
    )
    (folder / "janus.plugin.streaming.jcfg").write_text(
        f"""load: {{ type = "rtp" id = 1 audio = false video = true videoport = {rtp}
  videoiface = "lo" videopt = 102 videocodec = "h264"
  videofmtp = "profile-level-id=42e01f;packetization-mode=1" }}
"""
    )
    server = subprocess.Popen(
        ["janus", "-F", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await_port(http, server)
        yield server.pid, http, rtp
    finally:
        server.terminate()
        server.wait(timeout=20)


def _await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"{server.args!r} ended with {server.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{server.args!r} does not listen after 15 s")


def janus_per_cpu_second(load: Path, viewers: int, mbit: float, seconds: int) -> float:
    """Viewer packets per CPU-second of Debian's Janus."""
    with tempfile.TemporaryDirectory() as folder, _janus(Path(folder)) as (pid, http, rtp):
        return _load(
            load,
            pid,
            [
                "-kind",
                "janus",
                "-url",
                f"http://127.0.0.1:{http}/janus",
                "-publish",
                f"127.0.0.1:{rtp}",
                "-viewers",
                str(viewers),
                "-mbit",
                str(mbit),
                "-seconds",
                str(seconds),
            ],
        )


def sealcast_per_cpu_second(load: Path, viewers: int, mbit: float, seconds: int) -> float:
    """Viewer packets per CPU-second of the whole sealcast process, Python included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public, secure, ingest = free_port(), free_port(), free_port()
        udp = free_port(socket.SOCK_DGRAM)
        config = folder / "sealcast.toml"
        config.write_text(
            f"""[node]
state_dir = "{folder}/state"
names = ["localhost", "127.0.0.1"]
[doors.public]
bind = ["127.0.0.1:{public}"]
[doors.secure]
bind = ["127.0.0.1:{secure}"]
[doors.ingest_ts]
bind = ["127.0.0.1:{ingest}"]
[media]
bind = ["127.0.0.1:{udp}"]
[streams.load]
public = true
"""
        )
        command = [sys.executable, "-m", "sealcast"]
        server = subprocess.Popen(
            [*command, "serve", "--config", config],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_port(public, server)
            token = subprocess.run(
                [*command, "token", "publish", "load", "--for", "1h", "--config", config],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            base = f"https://127.0.0.1:{public}"
            return _load(
                load,
                server.pid,
                [
                    "-kind",
                    "whep",
                    "-url",
                    f"{base}/whep/load",
                    "-publish",
                    f"{base}/whip/load",
                    "-publish-token",
                    token,
                    "-ca",
                    str(folder / "state" / "ca.pem"),
                    "-viewers",
                    str(viewers),
                    "-mbit",
                    str(mbit),
                    "-seconds",
                    str(seconds),
                ],
            )
        finally:
            server.terminate()
            server.wait(timeout=20)


def peer() -> str:
    """The peer's name and version, as Debian names it."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", "janus"]
    version = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return f"Janus {version or '?'} (event_loops=1)"
