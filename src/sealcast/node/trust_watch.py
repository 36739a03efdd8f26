"""From the doors' trust bundles to what stands on certificates: who is trusted no more.

Does: after each look at the doors, hands over which roots each of them trusts now, if one has
another bundle; what hangs from a root that was taken away ends with IDENTITY.NO_LONGER_TRUSTED.

Does not: swap bundles (`door_keeping`): a bundle that the front refused changes nothing here.

The caller must still: call `round` from the event loop's thread after each of the keeper's.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from sealcast.node.certified import Certified
from sealcast.node.trusted_roots import TrustedRoots

_log = structlog.get_logger()


class Doors(Protocol):
    """`sealcast.node.door_keeping.DoorKeeper`."""

    def bundles(self) -> dict[str, bytes]:
        """Whose client certificates each door admits that asks for one."""


class TrustWatch:
    """All doors of a node."""

    def __init__(self, doors: Doors, certified: Certified) -> None:
        self._doors = doors
        self._certified = certified
        self._bundles: dict[str, bytes] = {}

    def round(self) -> None:
        """Acts on the bundles that are others since the last round."""
        bundles = self._doors.bundles()
        if bundles == self._bundles:
            return
        self._bundles = bundles
        read = {door: TrustedRoots.of(pem) for door, pem in bundles.items()}
        # What the front reads and this does not, ends nothing.
        trusted = {door: roots for door, roots in read.items() if roots is not None}
        for kind, number in self._certified.set_trusted(trusted):
            _log.info("ended: its authority is trusted no more", **{kind: number})
