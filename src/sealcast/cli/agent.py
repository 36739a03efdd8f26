"""`sealcast agent`: keeps certificates alive, until it is told to stop."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

from cyclopts import Parameter

from sealcast.agent.hook import Hook
from sealcast.agent.https import Address
from sealcast.agent.keeper import Keeper, MachineClock, Settings
from sealcast.agent.place import Place
from sealcast.agent.report import Report, Standing

_STOP_S: Final = 30.0
"""A swap of files is finished first; a request is not waited for longer than it may take."""
_STATUS: Final = {
    Standing.GOOD: 0,
    Standing.LATE: 3,
    Standing.EXPIRED: 4,
    Standing.UNREADABLE: 4,
}


def agent(
    *,
    identity: Annotated[
        tuple[Path, ...],
        Parameter(
            negative="",
            help="DIR/NAME, of NAME.pem, NAME-key.pem and authority.pem; may be repeated.",
        ),
    ],
    node: Annotated[
        str | None,
        Parameter(
            env_var="SEALCAST_NODE",
            help="The node's door that asks for certificates, https://HOST:PORT; "
            "default: where it was enrolled.",
        ),
    ] = None,
    show: Annotated[
        Path | None,
        Parameter(
            help="DIR/NAME of the certificate that the same end has as a client: it renews those "
            "that are a server's, which cannot be shown themselves."
        ),
    ] = None,
    hook: Annotated[
        str | None,
        Parameter(
            help="A command that is run after each new certificate, again until it succeeds, with "
            "SEALCAST_CERTIFICATE, SEALCAST_KEY, SEALCAST_AUTHORITY and SEALCAST_NAME in its "
            "environment."
        ),
    ] = None,
    once: Annotated[
        bool,
        Parameter(
            negative="",
            help="Do what is due and end: 0 when all is well, 1 when the node was not reached or "
            "refused or the hook failed, 3 when less than a third of a life is left, 4 when a "
            "certificate has expired or cannot be read.",
        ),
    ] = False,
) -> None:
    """Renew certificates at two thirds of their life, or when the node says, and swap the files.

    What fails is tried again for ever; the old certificate stays while it lasts. How it stands is
    in DIR/NAME.d/agent.json.
    """
    from sealcast.cli.log_lines import to_standard_error

    to_standard_error()
    settings = Settings(
        node=None if node is None else Address.of(node),
        hook=None if hook is None else Hook(hook),
        shown=None if show is None else Place.at(show),
    )
    stopped = threading.Event()
    keepers = [
        Keeper(place, settings, MachineClock(stopped))
        for place in {str(place): place for place in map(Place.at, identity)}.values()
    ]
    if once:
        for keeper in keepers:
            keeper.step()
        sys.exit(max(_status(keeper.report) for keeper in keepers))
    _run(keepers, stopped)


def _status(report: Report) -> int:
    """A certificate that lasts is not well if nobody will renew it (the wrong door, revoked), or if
    whoever uses it was not told.
    """
    fault = report.error is not None or report.hook_failed is not None
    return max(_STATUS[report.standing], int(fault))


def _run(keepers: list[Keeper], stopped: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    # A thread each: one that waits for its node does not delay the others.
    threads = [threading.Thread(target=keeper.run, daemon=True) for keeper in keepers]
    for thread in threads:
        thread.start()
    stopped.wait()
    for thread in threads:
        thread.join(_STOP_S)
