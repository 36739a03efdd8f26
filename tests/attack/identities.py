"""Certificates that a door must refuse, and the ones that it takes.

Does: issues from the node's own authority (as its folder holds it) and from a foreign one.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from sealcast.identity import ThrowAwayAuthority
from sealcast.testing.node_process import TRUST_DOMAIN, Client, Node

_HOUR = datetime.timedelta(hours=1)
_DAY = datetime.timedelta(days=1)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Identities:
    """What an attacker may hold."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._own = ThrowAwayAuthority.load(node.state)
        self._foreign = ThrowAwayAuthority.create(TRUST_DOMAIN, _now())
        self._folder = folder

    def genuine(self, name: str) -> Client:
        """One that the doors admit."""
        return self._node.client(name)

    def of_foreign_authority(self, name: str) -> Client:
        """The same name, the same trust domain, another authority."""
        issued = self._foreign.issue_client(name, _now())
        return Client(issued.name, *issued.save(self._folder, "foreign"))

    def expired(self, name: str) -> Client:
        """It ended yesterday."""
        issued = self._own.issue_client(name, _now() - _DAY, lifetime=_HOUR)
        return Client(issued.name, *issued.save(self._folder, "expired"))

    def not_yet_valid(self, name: str) -> Client:
        """It begins tomorrow."""
        issued = self._own.issue_client(name, _now() + _DAY)
        return Client(issued.name, *issued.save(self._folder, "future"))

    def server(self) -> Client:
        """The node's own server certificate, with its key: what a thief of a web server has."""
        state = self._node.state
        return Client("server", state / "server.pem", state / "server-key.pem")
