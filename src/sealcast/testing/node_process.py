"""A real node for tests: ``python -m sealcast serve`` with a configuration, a state folder and an
authority of its own.

Does: makes the authority beforehand, so that peers can trust it before the node is up; starts and
stops the process; makes tokens with the command that a user would type; reads `/api/legs` as an
administrator with a certificate.

Does not: look inside the node. What a test learns here is what an operator can learn.
"""

from __future__ import annotations

import datetime
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sealcast.identity import ThrowAwayAuthority
from sealcast.identity.authority import Authority, Wanted
from sealcast.testing.network import Host
from sealcast.testing.secrets_seen import SecretsSeen
from sealcast.testing.waiting import wait_for

COMMAND = (sys.executable, "-m", "sealcast")
TRUST_DOMAIN = "test.sealcast"
START_S = 20.0
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Client:
    """A client certificate: name, chain file, key file."""

    name: str
    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """The authority of a node that has one of its own: opened for the test, and the passphrase file
    that the node is given.
    """

    authority: Authority
    passphrase_file: Path


class Node:
    """A running node."""

    def __init__(
        self,
        folder: Path,
        addresses: Sequence[str],
        ports: Sequence[int],
        host: Host | None,
        own: OwnAuthority | None = None,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "sealcast.toml"
        self.log = folder / "node.log"
        self.address = addresses[0]
        self.addresses = tuple(addresses)
        self.public_port, self.secure_port, self.ts_port, self.media_port = ports
        self.host = host
        self.own = own
        self._throw_away = ThrowAwayAuthority.create(TRUST_DOMAIN, _now())
        if own is None:
            self._throw_away.save(self.state)
        self.authority = folder / "authority.pem"
        bundle = self._throw_away.root_pem if own is None else own.authority.bundle_pem(_now())
        self.authority.write_bytes(bundle)
        self.secrets = SecretsSeen()
        """What must not stand in the log; a test may add to it."""
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = self.client("admin/test")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command line starts with to run beside the node."""
        return self.host.prefix if self.host else ()

    # ---- addresses -----------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """The public door as the pages' origin."""
        return f"https://{_bracketed(self.address)}:{self.public_port}"

    def url(
        self,
        kind: str,
        stream: str,
        door: Literal["public", "secure"] = "public",
        address: str | None = None,
    ) -> str:
        """`kind` is watch, publish, whip or whep; `address` one of the node's, else the first."""
        port = self.public_port if door == "public" else self.secure_port
        return f"https://{_bracketed(address or self.address)}:{port}/{kind}/{stream}"

    def page(self, kind: Literal["publish", "watch"], stream: str) -> str:
        """The address of a page of `stream`, with a token for it."""
        return f"{self.url(kind, stream)}#token={self.token(kind, stream)}"

    @property
    def ts_address(self) -> str:
        return f"{_bracketed(self.address)}:{self.ts_port}"

    # ---- identities ----------------------------------------------------------------------------

    def client(self, name: str, lifetime: datetime.timedelta | None = None) -> Client:
        """A certificate of this node's authority for `name`, such as ``encoder/venue-1``."""
        if self.own is None:
            longest = datetime.timedelta(days=90)
            issued = self._throw_away.issue_client(name, _now(), lifetime or longest)
        else:
            wanted = Wanted(name, name.partition("/")[0], lifetime=lifetime)
            issued = self.own.authority.issue(wanted, _now(), who="test")
        stem = f"{name.replace('/', '-')}-{issued.serial}"
        chain, key = issued.save(self.folder / "clients", stem)
        return Client(issued.name, chain, key)

    def token(self, verb: str, stream: str, lifetime: str = "10m") -> str:
        """A token, made by ``sealcast token VERB STREAM --for LIFETIME``."""
        made = self.command("token", verb, stream, "--for", lifetime)
        # The token stands alone on the last line, so that a script can take it.
        token = made.stdout.strip().splitlines()[-1].split()[-1]
        return self.secrets.add(f"a token to {verb} {stream}", token)

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs ``sealcast ARGUMENTS`` beside the node, with its configuration."""
        done = subprocess.run(
            [
                *self.prefix,
                *(*COMMAND, *arguments, "--config", str(self.config)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env=self._environment(),
        )
        if check:
            assert done.returncode == 0, (
                f"sealcast {' '.join(arguments)}: {done.stderr}{done.stdout}"
            )
        return done

    # ---- what it says --------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """JSON of a GET at the door that wants a certificate, as administrator."""
        status, body = self.request("GET", path, client=self._admin)
        assert status == 200, f"GET {path}: {status} {body[:400]!r}"
        return json.loads(body)

    def request(
        self,
        method: str,
        path: str,
        *,
        client: Client | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        """One request; with a client certificate at the secure door, without one at the public
        door.
        """

        def ask() -> tuple[int, bytes]:
            context = ssl.create_default_context(cafile=str(self.authority))
            if client is not None:
                context.load_cert_chain(client.chain, client.key)
            port = self.public_port if client is None else self.secure_port
            connection = http.client.HTTPSConnection(
                self.address, port, timeout=10, context=context
            )
            try:
                connection.request(method, path, body=body, headers=dict(headers or {}))
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return self.host.call(ask) if self.host else ask()

    def legs(self, **wanted: object) -> list[dict[str, Any]]:
        """The ledger's legs whose fields have the `wanted` values, living ones first."""
        legs: list[dict[str, Any]] = self.get("/api/legs")["legs"]
        return [leg for leg in legs if all(leg[name] == value for name, value in wanted.items())]

    def leg(self, timeout_s: float = 15.0, **wanted: object) -> dict[str, Any]:
        """The one leg with the `wanted` values; waited for."""
        found = wait_for(
            lambda: self.legs(**wanted),
            what=f"a leg with {wanted}",
            timeout_s=timeout_s,
            explain=lambda: json.dumps(self.get("/api/legs"))[:3000],
        )
        assert len(found) == 1, f"{len(found)} legs with {wanted}"
        return found[0]

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ---- its life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with self.log.open("wb") as log:
            process = self._process = subprocess.Popen(
                [
                    *self.prefix,
                    *(*COMMAND, "serve", "--config", str(self.config)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )

        def answers() -> bool:
            assert process.poll() is None, f"the node ended: {self.output()[-3000:]}"
            try:
                return self.request("GET", "/")[0] == 200
            except OSError:
                return False

        wait_for(
            answers,
            what="the node answers",
            timeout_s=START_S,
            every_s=0.05,
            explain=lambda: self.output()[-3000:],
        )

    def stop(self) -> int:
        """Ends it as Ctrl-C would; its exit code. What it said must hold no secret."""
        assert self._process is not None, "it was started"
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5)
            raise AssertionError(f"the node did not stop: {self.output()[-3000:]}") from None
        self.secrets.add_keys_in(self.folder)
        found = self.secrets.found_in(self.output())
        assert not found, f"the log of the node holds {', '.join(found)}"
        return code

    def _environment(self) -> dict[str, str]:
        source = str(Path(__file__).parents[2])
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                part for part in (source, os.environ.get("PYTHONPATH", "")) if part
            ),
            "PYTHONUNBUFFERED": "1",
        }


@contextmanager
def running_node(
    folder: Path,
    *,
    settings: str = "",
    host: Host | None = None,
    loopback: Sequence[str] = ("127.0.0.1",),
    ingest_ts: str = "",
    public: str = "",
    secure: str = "",
    public_port: int | None = None,
    own: OwnAuthority | None = None,
) -> Iterator[Node]:
    """A node on `loopback` addresses, or at a host's; `settings` is added to its
    ``sealcast.toml``, `ingest_ts`, `public` and `secure` to the tables of these doors;
    `public_port` is one of `free_port`. With `own` that is its authority, which must be of
    `TRUST_DOMAIN` and may give the node its names.

    A node that did not stop by itself, or ended with anything but success, fails the test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if host is None:
        addresses = list(loopback)
        ports = [free_port(addresses) for _ in range(4)]
        ports[0] = ports[0] if public_port is None else public_port
    else:
        addresses = [str(address) for address in (host.ipv4, host.ipv6) if address is not None]
        ports = [8443, 8444, 8445, 8443]
    node = Node(folder, addresses, ports, host, own)
    doors = {"public": public, "secure": secure, "ingest_ts": ingest_ts}
    node.config.write_text(_configuration(node, settings, doors))
    node.start()
    try:
        yield node
    finally:
        code = node.stop()
    assert code == 0, f"the node ended with {code}: {node.output()[-3000:]}"


def _configuration(node: Node, settings: str, doors: Mapping[str, str]) -> str:
    def bind(port: int) -> str:
        return json.dumps([f"{_bracketed(address)}:{port}" for address in node.addresses])

    names = json.dumps([*node.addresses, "localhost"])
    if node.own is not None:
        settings = f"""\
[identity]
authority = {json.dumps(str(node.own.authority.folder))}
passphrase_file = {json.dumps(str(node.own.passphrase_file))}
{settings}"""
    return f"""\
[node]
state_dir = {json.dumps(str(node.state))}
names = {names}
trust_domain = "{TRUST_DOMAIN}"
[doors.public]
bind = {bind(node.public_port)}
{doors["public"]}
[doors.secure]
bind = {bind(node.secure_port)}
{doors["secure"]}
[doors.ingest_ts]
bind = {bind(node.ts_port)}
{doors["ingest_ts"]}
[media]
bind = {bind(node.media_port)}
{settings}
"""


def free_port(addresses: Sequence[str]) -> int:
    """A port that the kernel chose and that TCP and UDP both have free at all `addresses`."""
    for _ in range(20):
        with ExitStack() as held:
            port = 0
            try:
                for address in addresses:
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        taken = held.enter_context(socket.socket(family, kind))
                        taken.bind((address, port))
                        port = taken.getsockname()[1]
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free for both TCP and UDP")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
