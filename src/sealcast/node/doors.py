"""The doors: which listening address demands what.

Does: makes each door's specification out of configuration and policy, finds the sources of its
certificate and trust bundle, and opens it.

Does not: listen; the front does. Nothing here can make a door that speaks plain HTTP. Does not
change a door's certificate later (`sealcast.node.door_keeping`).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import structlog

from sealcast import wire
from sealcast.errors import LocalError
from sealcast.keying.agreement import Proof
from sealcast.node.certificate_files import FileBundle, FilePair
from sealcast.node.certificate_sources import Source, ThrowAwayPair
from sealcast.node.config import Config, Door
from sealcast.node.ports import FrontPort, native_refusal
from sealcast.node.state_folder import KeyPair
from sealcast.policy import Policy, Role, load

PUBLIC: Final = "public"
SECURE: Final = "secure"
INGEST_TS: Final = "ingest-ts"
ORIGIN: Final = "origin"
ROLES: Final = {
    PUBLIC: Role.SIGNALLING,
    SECURE: Role.SIGNALLING,
    INGEST_TS: Role.INGEST,
    ORIGIN: Role.ORIGIN,
}
"""The role that a connection of a door has, for handshakes that failed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a door demands, by configuration and policy."""

    name: str
    kind: Literal["https", "tls_ingest"]
    client_auth: Literal["none", "optional", "required"]
    door: Door
    policy: Policy
    publish_by: tuple[Proof, ...] = ()
    """What proves a publisher here: over raw TLS, or for WHIP and uploads; nothing, where nobody
    publishes."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the doors that name no files of their own get a pair and a trust bundle."""

    pair: Source[KeyPair]
    bundle: Source[bytes]
    pairs_by_word: Mapping[str, Source[KeyPair]] = field(default_factory=dict)
    """For doors whose `certificate` is a word: acme, spiffe."""
    bundles_by_word: Mapping[str, Source[bytes]] = field(default_factory=dict)
    """The same for `client_ca`."""


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """A door that listens. `bundle` is None where no certificate is asked for."""

    plan: Plan
    addresses: list[str]
    pair: Source[KeyPair]
    bundle: Source[bytes] | None


def plans(config: Config) -> tuple[Plan, ...]:
    """Every door that there is, open or shut."""
    signalling, ingest = load(config.policy.signalling), load(config.policy.ingest)
    public = config.doors.public
    asks, proofs = public.client_certificate, ingest.proofs(Role.INGEST)
    here = tuple(each for each in proofs if each is not Proof.CERTIFICATE or asks != "none")
    raw = tuple(each for each in proofs if each is Proof.CERTIFICATE)
    return (
        Plan(PUBLIC, "https", asks, public, signalling, here),
        Plan(SECURE, "https", "required", config.doors.secure, signalling, proofs),
        Plan(INGEST_TS, "tls_ingest", "required", config.doors.ingest_ts, ingest, raw),
        Plan(ORIGIN, "https", "required", config.doors.origin, load(config.policy.origin)),
    )


def open_doors(front: FrontPort, config: Config, sources: Sources) -> list[OpenDoor]:
    """Open every door that has an address."""
    return [
        _open(front, plan, sources, config.node.names) for plan in plans(config) if plan.door.bind
    ]


def _open(front: FrontPort, plan: Plan, sources: Sources, names: Sequence[str]) -> OpenDoor:
    door = plan.door
    pair = sources.pair
    if door.certificate in sources.pairs_by_word:
        pair = sources.pairs_by_word[door.certificate]
    elif door.certificate:
        pair = FilePair(Path(door.certificate), Path(door.key))
    bundle = None
    if plan.client_auth != "none":
        bundle = sources.bundle
        if door.client_ca in sources.bundles_by_word:
            bundle = sources.bundles_by_word[door.client_ca]
        elif door.client_ca:
            bundle = FileBundle(Path(door.client_ca))
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
        hsts=not isinstance(pair, ThrowAwayPair) and _is_host_name(names[0]),
    )
    shown = pair.current()
    roots = None if bundle is None else bundle.current()
    try:
        addresses = front.open_door(wire.encode(spec), shown.chain_pem, shown.key_pem, roots)
    except Exception as error:
        refusal = native_refusal(error)
        if refusal is None:
            raise
        raise LocalError(refusal.code, f"Door {plan.name}: {refusal.detail}") from error
    return OpenDoor(plan, addresses, pair, bundle)


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


def _is_host_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    return False
