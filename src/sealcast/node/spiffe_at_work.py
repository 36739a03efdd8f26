"""SPIFFE in a running node: from `[spiffe]` to the doors' sources of pairs and bundles.

Does not: anything at all if no door says the word spiffe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sealcast.errors import LocalError
from sealcast.node.certificate_sources import Source
from sealcast.node.config import Config
from sealcast.node.config_words import SPIFFE
from sealcast.node.state_folder import KeyPair

if TYPE_CHECKING:
    from sealcast.node.spiffe import Workload


@dataclass(slots=True)
class SpiffeAtWork:
    """The sources by their word; empty where no door asks."""

    pairs: dict[str, Source[KeyPair]] = field(default_factory=dict)
    bundles: dict[str, Source[bytes]] = field(default_factory=dict)
    workload: Workload | None = None

    def stop(self) -> None:
        if self.workload is not None:
            self.workload.close()


def begin_spiffe(config: Config) -> SpiffeAtWork:
    """Waits for the first identity if a door is to have it. Blocks.

    SPIFFE.NOT_INSTALLED, SPIFFE.UNREACHABLE, SPIFFE.NO_IDENTITY, SPIFFE.BAD_IDENTITY.
    """
    doors = [getattr(config.doors, name) for name in config.doors.__struct_fields__]
    if not any(SPIFFE in (door.certificate, door.client_ca) for door in doors):
        return SpiffeAtWork()
    try:
        from sealcast.node.spiffe import SpiffeBundle, SpiffePair, Workload
    except ImportError as error:
        raise LocalError("SPIFFE.NOT_INSTALLED", f"{error}.") from error

    workload = Workload(config.spiffe.socket, config.node.trust_domain)
    try:
        pair, bundle = SpiffePair(workload), SpiffeBundle(workload)
    except Exception:
        workload.close()
        raise
    return SpiffeAtWork({SPIFFE: pair}, {SPIFFE: bundle}, workload)
