"""Two hosts on one cable: network namespaces joined by a veth pair, for tests that need real
addresses.

Does: makes two namespaces, gives each an IPv4 and an IPv6 address, or one of them, and a default
route: Firefox and others look for the route to the internet to choose their address, though
nothing is reachable there. Nothing of it touches the machine's own network.

Does not: lose, delay or reorder packets. Needs root and ``ip``.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Literal, TypeVar

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000  # setns(2)

_counter = itertools.count(1)

Family = Literal["both", "ipv4", "ipv6"]


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace. `prefix` is what a command line starts with to run in it."""

    name: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def ip(self, *arguments: str) -> None:
        """Runs ``ip`` inside, such as ``ip("addr", "add", …)``."""
        _run(("ip", "-n", self.name, *arguments))

    def run(self, *command: str) -> None:
        """Runs a program inside; its failure is ours."""
        _run((*self.prefix, *command))

    def change_addresses(self, ipv4: IPv4Address, ipv6: IPv6Address, other: Host) -> None:
        """Takes the host's addresses and routes away and gives it these, as moving to another
        network does.
        """
        self.ip("addr", "flush", "dev", "wire", "scope", "global")
        _address(self, ipv4, ipv6, other)

    def enter(self) -> None:
        """Moves the calling thread, and it alone, into this namespace. There is no way back:
        give it a thread.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", self.name).open() as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")

    def call(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread inside this namespace and gives its value."""
        values: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                self.enter()
                values.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return values[0]


@dataclass(frozen=True, slots=True)
class Cable:
    """Both ends: the node runs at `near`, its peers at `far`."""

    near: Host
    far: Host


@contextmanager
def cable(family: Family = "both") -> Iterator[Cable]:
    """Two hosts that see each other, with addresses of `family` only."""
    run = f"{os.getpid()}-{next(_counter)}"
    near = _host(f"sc-near-{run}", 1, family)
    far = _host(f"sc-far-{run}", 2, family)
    made: list[Host] = []
    try:
        for host in (near, far):
            _run(("ip", "netns", "add", host.name))
            made.append(host)
            host.call(_settle_at_once)
        near.ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far.name)
        for host, other in ((near, far), (far, near)):
            _bring_up(host, other)
        yield Cable(near, far)
    finally:
        for host in made:
            _run(("ip", "netns", "delete", host.name), check=False)


def _host(name: str, number: int, family: Family) -> Host:
    return Host(
        name,
        None if family == "ipv6" else IPv4Address("10.83.0.0") + number,
        None if family == "ipv4" else IPv6Address("fd53:ea1c::") + number,
    )


def _settle_at_once() -> None:
    """No probing for duplicate addresses: a browser that sees an address appear a second after its
    start drops every request that is under way (net::ERR_NETWORK_CHANGED).
    """
    for setting in ("accept_dad", "router_solicitations"):
        Path("/proc/sys/net/ipv6/conf/default", setting).write_text("0")


def _bring_up(host: Host, other: Host) -> None:
    host.ip("link", "set", "lo", "up")
    host.ip("link", "set", "wire", "up")
    _address(host, host.ipv4, host.ipv6, other)


def _address(host: Host, ipv4: IPv4Address | None, ipv6: IPv6Address | None, other: Host) -> None:
    if ipv4 is not None:
        host.ip("addr", "add", f"{ipv4}/24", "dev", "wire")
    if ipv6 is not None:
        # nodad: an address that is still being probed for duplicates cannot be bound.
        host.ip("-6", "addr", "add", f"{ipv6}/64", "dev", "wire", "nodad")
    # A route through a neighbour whose own side is still down is refused unless it is said to be
    # on the link.
    if ipv4 is not None and other.ipv4 is not None:
        host.ip("route", "replace", "default", "via", str(other.ipv4), "dev", "wire", "onlink")
    if ipv6 is not None and other.ipv6 is not None:
        host.ip(
            "-6", "route", "replace", "default", "via", str(other.ipv6), "dev", "wire", "onlink"
        )


def _run(command: Sequence[str], *, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
