"""Pebble, Let's Encrypt's ACME server for tests, beside a DNS that leads every name to loopback.

Does: starts both on ports that the kernel chose, with HTTPS by an authority of this run; every
twentieth nonce is refused, as Pebble does by default. Fetches the root of what it issues.

Does not: wait between challenges as it would by default.
"""

from __future__ import annotations

import datetime
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.go_programs import go_program

from sealcast.identity.throw_away import ThrowAwayAuthority
from sealcast.testing.node_process import free_port
from sealcast.testing.waiting import wait_for

HOST = "one.venue.example"


@dataclass
class Pebble:
    """`tls_port` and `http_port` are where it looks for the answers to challenges."""

    folder: Path
    tls_port: int
    http_port: int
    lifetime_s: int = 7 * 86_400
    customers: Mapping[str, str] | None = None
    """HMAC keys by their IDs: then no account is made that is not bound to one of them."""

    def __post_init__(self) -> None:
        self.port, self._management, self._dns = (free_port(["127.0.0.1"]) for _ in range(3))
        now = datetime.datetime.now(datetime.UTC)
        authority = ThrowAwayAuthority.create("pebble.internal", now)
        self.trust = self.folder / "pebble-root.pem"
        self.trust.write_bytes(authority.root_pem)
        issued = authority.issue_server(["localhost"], now)
        self._chain, self._key = issued.save(self.folder, "pebble")

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.port}/dir"

    @contextmanager
    def running(self, **environment: str) -> Iterator[None]:
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(self._chain),
            "privateKey": str(self._key),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": {"description": "-", "validityPeriod": self.lifetime_s}},
            "domainBlocklist": ["blocked.venue.example"],
        }
        if self.customers is not None:
            settings["externalAccountBindingRequired"] = True
            settings["externalAccountMACKeys"] = self.customers
        file = self.folder / "pebble.json"
        file.write_text(json.dumps({"pebble": settings}))
        dns = f"127.0.0.1:{self._dns}"
        shut = ("doh", "http01", "https01", "tlsalpn01")
        log = (self.folder / "pebble.log").open("ab")
        names = subprocess.Popen(
            [
                go_program("pebble-challtestsrv"),
                *(
                    "-dnsserver",
                    dns,
                    "-management",
                    "",
                    "-defaultIPv6",
                    "",
                    *(word for name in shut for word in (f"-{name}", "")),
                ),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        served = subprocess.Popen(
            [go_program("pebble"), "-config", file, "-dnsserver", dns],
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(self._answers, what="Pebble answers", explain=self.said)
            yield
        finally:
            for process in (served, names):
                process.kill()
                process.wait(10)
            log.close()

    def said(self) -> str:
        return self.log()[-2000:]

    def log(self) -> str:
        """All that it said."""
        return (self.folder / "pebble.log").read_text()

    def root(self) -> bytes:
        """Below which it issues; another one each time it starts."""
        return self._get(f"https://localhost:{self._management}/roots/0")

    def _answers(self) -> bool:
        try:
            return bool(self._get(self.directory))
        except OSError:
            return False

    def _get(self, url: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.trust))
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
