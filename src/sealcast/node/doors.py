"""The doors: which listening address demands what.

Does: makes each door's specification out of configuration and policy, with its certificate and
trust bundle, and opens it.

Does not: listen; the front does. Nothing here can make a door that speaks plain HTTP.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog

from sealcast import wire
from sealcast.errors import LocalError
from sealcast.identity.private_files import read_private
from sealcast.node.config import Config, Door
from sealcast.node.ports import FrontPort, native_refusal
from sealcast.node.state_folder import KeyPair, StateFolder
from sealcast.policy import Policy, Role, load

PUBLIC: Final = "public"
SECURE: Final = "secure"
INGEST_TS: Final = "ingest-ts"
ROLES: Final = {PUBLIC: Role.SIGNALLING, SECURE: Role.SIGNALLING, INGEST_TS: Role.INGEST}
"""The role that a connection of a door has, for handshakes that failed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Plan:
    """A door before it is opened."""

    name: str
    kind: Literal["https", "tls_ingest"]
    client_auth: Literal["none", "required"]
    door: Door
    policy: Policy


def open_doors(
    front: FrontPort, config: Config, state: StateFolder, server: KeyPair
) -> dict[str, list[str]]:
    """Open every door that has an address; the addresses by door."""
    signalling, ingest = load(config.policy.signalling), load(config.policy.ingest)
    plans = (
        _Plan(PUBLIC, "https", "none", config.doors.public, signalling),
        _Plan(SECURE, "https", "required", config.doors.secure, signalling),
        _Plan(INGEST_TS, "tls_ingest", "required", config.doors.ingest_ts, ingest),
    )
    return {
        plan.name: _open(front, plan, state, server, config.node.names)
        for plan in plans
        if plan.door.bind
    }


def _open(
    front: FrontPort, plan: _Plan, state: StateFolder, server: KeyPair, names: Sequence[str]
) -> list[str]:
    door = plan.door
    pair = _own_pair(door) or server
    roots = None
    if plan.client_auth == "required":
        roots = _read(door.client_ca) if door.client_ca else state.authority.root_pem
    spec = wire.DoorSpec(
        name=plan.name,
        kind=plan.kind,
        bind=usable(door.bind),
        min_version=plan.policy.tls.min_version,
        max_version=plan.policy.tls.max_version,
        groups=":".join(plan.policy.tls.groups),
        client_auth=plan.client_auth,
        # On localhost it would hold for all of a developer's other ports; with the throw-away
        # authority it would turn a warning that can be clicked away into a wall.
        hsts=pair is not server and _is_host_name(names[0]),
    )
    try:
        return front.open_door(wire.encode(spec), pair.chain_pem, pair.key_pem, roots)
    except Exception as error:
        refusal = native_refusal(error)
        if refusal is None:
            raise
        raise LocalError(refusal.code, f"Door {plan.name}: {refusal.detail}") from error


def usable(addresses: Sequence[str]) -> tuple[str, ...]:
    """Without the wildcard of a family that this machine does not have.

    Both wildcards are the default, and a machine without IPv6 is no mistake of its operator. An
    address that somebody wrote down is never left out: that it cannot be had is then an error.
    """
    found = []
    for address in addresses:
        if address.startswith("[::]:") and not _has_ipv6():
            _log.warning("no IPv6 on this machine", left_out=address)
        else:
            found.append(address)
    return tuple(found)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError as error:
        return error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return True


def _own_pair(door: Door) -> KeyPair | None:
    if not door.certificate:
        return None
    try:
        return KeyPair(_read(door.certificate), read_private(Path(door.key).expanduser()))
    except OSError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{door.key}: {error}") from error


def _read(name: str) -> bytes:
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{name}: {error}") from error


def _is_host_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    return False
