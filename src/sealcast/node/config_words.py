"""Doors whose pair or trust bundle is a word instead of a file: acme, spiffe.

Does: says what each word asks of the rest of the configuration.

Does not: know where in the file a key stands (`sealcast.node.config_judge`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sealcast.node.config import Config

ACME: Final = "acme"
"""The authority of `[acme]` issues the pair."""
SPIFFE: Final = "spiffe"
"""The Workload API of `[spiffe]` gives the pair, or the bundle."""
WORDS: Final = (ACME, SPIFFE)

_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)


def word_flaws(config: Config) -> Iterator[tuple[str, str]]:
    """Each dotted key that does not fit the words that doors use, and why."""
    doors = {name: getattr(config.doors, name) for name in config.doors.__struct_fields__}
    for name, door in doors.items():
        if door.certificate in WORDS and door.key:
            said = f'doors.{name}.certificate = "{door.certificate}" brings its own key'
            yield f"doors.{name}.key", f"must be left out: {said}"
        if door.client_ca.startswith(f"{SPIFFE}:"):
            yield (
                f"doors.{name}.client_ca",
                "cannot be a federated trust domain (docs/spiffe.md says why): export its bundle "
                "into a PEM file and name that",
            )
    if any(door.certificate == ACME for door in doors.values()):
        yield from _acme_flaws(config)
    for name, door in doors.items():
        if door.client_ca == SPIFFE and config.identity.authority:
            # Workload API and authority are of this same trust domain. Names of it are believed
            # below one authority's roots; with two, the door would admit people and do nothing for
            # them, or the Workload API could name our administrators.
            domain = config.node.trust_domain
            yield (
                f"doors.{name}.client_ca",
                f'cannot be "{SPIFFE}" beside identity.authority: names of {domain} come from one '
                "authority, and the node's own gives them; leave one of the two out",
            )
    uses_spiffe = any(SPIFFE in (door.certificate, door.client_ca) for door in doors.values())
    if uses_spiffe and not config.spiffe.socket:
        yield "spiffe.socket", f'is missing: a door says "{SPIFFE}"'


def acme_names(config: Config) -> tuple[str, ...]:
    """The host names that a public authority is asked for."""
    return tuple(config.acme.names) or tuple(filter(_is_public, config.node.names))


def _acme_flaws(config: Config) -> Iterator[tuple[str, str]]:
    """What an authority would refuse, or never reach."""
    acme = config.acme
    if not acme.directory:
        yield "acme.directory", f'is missing: a door says "{ACME}"'
    elif not acme.terms_agreed:
        yield (
            "acme.terms_agreed",
            f"must be true: read the terms of service of {acme.directory} first",
        )
    if bool(acme.eab_kid) != bool(acme.eab_hmac_key_file):
        missing = "eab_hmac_key_file" if acme.eab_kid else "eab_kid"
        yield f"acme.{missing}", "is missing: acme.eab_kid and acme.eab_hmac_key_file come together"
    names = acme_names(config)
    if not names:
        yield "acme.names", "has no host name, and node.names has none that is not local"
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            yield "acme.names", f"has {name!r}, which is no host name in ASCII"
    if acme.challenge == "http-01" and not acme.http_bind:
        yield "acme.http_bind", 'must have an address, as in 0.0.0.0:80, for "http-01"'
    if acme.challenge == "tls-alpn-01" and not config.doors.public.bind:
        yield "acme.challenge", "needs the public door, and doors.public.bind is empty"


def _is_public(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    return False
