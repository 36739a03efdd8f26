"""Forwarding to many viewers: packets that reached viewers per CPU-second of the server process.

The load client (`benches/load`, Go, Pion) is foreign to both servers and the same for both: it
publishes one synthetic H264 stream and takes it N times. sealcast gets it by WHIP (so it also
decrypts), Janus as plain RTP into its streaming plugin (so it does not); both keep a history for
NACK and answer RTCP. The whole process counts, Python included, and so does what the kernel does in
its system calls: on loopback that is also the delivery into the viewers' sockets.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import Run, cpu_seconds

JANUS_PLUGINS = Path("/usr/lib/x86_64-linux-gnu/janus")
# Below this the load client could not keep up, and its pauses are not the server's.
LEAST_DELIVERED = 0.95


@dataclass(frozen=True)
class Load:
    """What the load client does: its binary, and how much of it."""

    binary: Path
    viewers: int
    mbit: float
    seconds: int

    def against(
        self,
        pid: int,
        target: Mapping[str, str],
        sample: Callable[[], Mapping[str, float]] = dict,
    ) -> Run:
        """Load the server `pid`; `sample` reads the server's own counters, if it has any."""
        amounts = {
            "viewers": str(self.viewers),
            "mbit": str(self.mbit),
            "seconds": str(self.seconds),
        }
        arguments = [f"-{name}={value}" for name, value in {**target, **amounts}.items()]
        client = subprocess.Popen([self.binary, *arguments], stdout=subprocess.PIPE, text=True)
        try:
            if client.stdout is None:
                raise RuntimeError("the load client was started without a pipe")
            if client.stdout.readline().strip() != "measuring":
                raise RuntimeError(f"the load client ended with {client.wait()} before it measured")
            # Asking costs the server CPU time too, so both samples lie outside the interval.
            counted = sample()
            before = cpu_seconds(pid)
            result = json.loads(client.stdout.readline())
            used = cpu_seconds(pid) - before
            counted = {name: value - counted[name] for name, value in sample().items()}
        finally:
            client.terminate()
            client.wait(timeout=30)
        delivered = result["packets"] / (result["published"] * result["viewers"])
        if delivered < LEAST_DELIVERED:
            raise RuntimeError(f"viewers got {delivered:.1%} of the packets: no fair figure")
        facts = {"delivered, %": 100 * delivered}
        if counted:
            facts["packets per sending system call"] = counted["sent"] / counted["send_calls"]
            facts["packets per receiving system call"] = (
                counted["received"] / counted["receive_calls"]
            )
            facts["of the CPU time in the relay's thread, %"] = 100 * counted["cpu"] / used
        return Run(result["packets"] / used, facts)


def janus(load: Load) -> Run:
    """Debian's Janus."""
    with tempfile.TemporaryDirectory() as folder, _janus(Path(folder)) as (pid, http, rtp):
        address = f"http://127.0.0.1:{http}/janus"
        return load.against(pid, {"kind": "janus", "url": address, "publish": f"127.0.0.1:{rtp}"})


def janus_name() -> str:
    """The peer's name and version, as Debian names it."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", "janus"]
    version = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return f"Janus {version or '?'} (event_loops=1)"


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
    with _running(["janus", "-F", str(folder)], http) as pid:
        yield pid, http, rtp


def sealcast(load: Load) -> Run:
    """The whole sealcast process, as `sealcast serve` starts it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public, udp = free_port(), free_port(socket.SOCK_DGRAM)
        config = folder / "sealcast.toml"
        config.write_text(
            f"""[node]
state_dir = "{folder}/state"
names = ["localhost", "127.0.0.1"]
[doors]
public = {{ bind = ["127.0.0.1:{public}"] }}
secure = {{ bind = [] }}
ingest_ts = {{ bind = [] }}
[media]
bind = ["127.0.0.1:{udp}"]
[streams.load]
public = true
"""
        )
        command = [sys.executable, "-m", "sealcast"]

        def token(*arguments: str) -> str:
            asked = [*command, "token", *arguments, "--for", "1h", "--config", str(config)]
            return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

        with _running([*command, "serve", "--config", str(config)], public) as pid:
            base, authority = f"https://127.0.0.1:{public}", folder / "state/authority.pem"
            admin = token("admin")
            target = {
                "kind": "whep",
                "url": f"{base}/whep/load",
                "publish": f"{base}/whip/load",
                "publish-token": token("publish", "load"),
                "ca": str(authority),
            }
            return load.against(pid, target, lambda: _relay_counters(base, authority, admin))


def _relay_counters(base: str, authority: Path, token: str) -> Mapping[str, float]:
    """What the node's metrics page says of its UDP socket and its relay's thread."""
    request = urllib.request.Request(
        f"{base}/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    context = ssl.create_default_context(cafile=str(authority))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        page = answer.read().decode()

    def total(metric: str, labels: str = ".*") -> float:
        values = re.findall(rf"^{metric}_total(?:{{{labels}}})? (\S+)$", page, re.MULTILINE)
        return sum(float(value) for value in values)

    return {
        "sent": total("sealcast_udp_datagrams", 'direction="out"'),
        "send_calls": total("sealcast_udp_calls", 'direction="out"'),
        "received": total("sealcast_udp_datagrams", 'direction="in"'),
        "receive_calls": total("sealcast_udp_calls", 'direction="in"'),
        "cpu": total("sealcast_relay_cpu_seconds"),
    }


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback address that the kernel chose and that is free again."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """Run a server until its TCP port answers; its pid. It is terminated on the way out."""
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while not _answers(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} does not listen; it said:\n{log.read()}")
                time.sleep(0.05)
            yield server.pid
        finally:
            server.terminate()
            server.wait(timeout=20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
