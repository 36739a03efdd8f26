"""The reserve for revocations of the node's own authority (`sealcast.identity.reserve`), watched.

Does: takes back what is missing of it as soon as the disk has room, and says once that something is
missing, and that it is whole again.

The caller must still: call `round` now and then, in a thread.
"""

from __future__ import annotations

import structlog

from sealcast.identity.reserve import RESERVE_BYTES, Reserve

_log = structlog.get_logger()


class ReserveWatch:
    """That of one authority."""

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve
        self._short = False

    def round(self) -> None:
        """Takes what there is to take."""
        have = self._reserve.fill()
        short = have < RESERVE_BYTES
        if short and not self._short:
            _log.warning(
                "the reserve for revocations is short: the disk is full",
                code="IDENTITY.RESERVE_SHORT",
                file=str(self._reserve.file),
                have=have,
                wanted=RESERVE_BYTES,
            )
        elif self._short and not short:
            _log.info("the reserve for revocations is whole again")
        self._short = short
