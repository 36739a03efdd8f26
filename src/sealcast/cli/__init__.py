"""The command `sealcast`: a file per verb.

Does: reads arguments, calls the rooms below, prints. Every failure is one sentence with its code
and what to do next, on standard error, exit code 1; wrong usage is exit code 2.

Does not: decide or keep anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealcast.errors import LocalError, SealcastError

if TYPE_CHECKING:
    from cyclopts import App


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    try:
        _command()(arguments)
    except SealcastError as error:
        print(f"sealcast: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(0)


def _command() -> App:
    """The command with its verbs; the package alone, without `[server]`, has the library only."""
    try:
        from sealcast.cli.commands import app
    except ModuleNotFoundError as error:
        raise LocalError("CLI.NOT_INSTALLED", f"There is no module {error.name}.") from error
    return app
