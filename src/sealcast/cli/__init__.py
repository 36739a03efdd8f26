"""The command `sealcast`: a file per verb.

Does: reads arguments, calls the rooms below, prints. Every failure is one sentence with its code
and what to do next, on standard error, exit code 1; wrong usage is exit code 2.

Does not: decide or keep anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sealcast.errors import SealcastError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    from sealcast.cli.commands import app

    try:
        app(arguments)
    except SealcastError as error:
        print(f"sealcast: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(0)
