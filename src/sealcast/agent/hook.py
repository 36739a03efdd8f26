"""A command that is run after each new certificate, such as a reload of whoever uses it.

Does: gives it the paths in its environment, bounds its time.

Does not: let its failure stop anything.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from sealcast.agent.place import Pair, Place
from sealcast.errors import LocalError

LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Hook:
    """A command line for `/bin/sh`, the operator's own."""

    command: str

    def run(self, place: Place, pair: Pair) -> None:
        """AGENT.HOOK_FAILED.

        Its environment has SEALCAST_NAME (the SPIFFE ID), SEALCAST_CERTIFICATE, SEALCAST_KEY,
        SEALCAST_AUTHORITY (absolute paths), SEALCAST_SERIAL and SEALCAST_NOT_AFTER (seconds since
        1970).
        """
        environment = {
            **os.environ,
            "SEALCAST_NAME": pair.name,
            "SEALCAST_CERTIFICATE": str(place.chain.absolute()),
            "SEALCAST_KEY": str(place.key.absolute()),
            "SEALCAST_AUTHORITY": str(place.roots.absolute()),
            "SEALCAST_SERIAL": pair.serial,
            "SEALCAST_NOT_AFTER": str(int(pair.life.ends_unix)),
        }
        limit_s = min(LONGEST_S, max(1.0, pair.life.length_s / 10))
        try:
            process = subprocess.Popen(  # noqa: S602 - it is the operator's own command line
                self.command,
                shell=True,
                env=environment,
                stdin=subprocess.DEVNULL,
                # What it says is for the log that the agent's own lines go to.
                stdout=2,
                start_new_session=True,
            )
        except OSError as error:
            raise LocalError("AGENT.HOOK_FAILED", f"{error.strerror}.") from error
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            # With all that it started; it has not been waited for, so the group is still its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise LocalError("AGENT.HOOK_FAILED", f"It took over {limit_s:.0f} s.") from None
        if code != 0:
            raise LocalError("AGENT.HOOK_FAILED", f"It ended with {code}.")
