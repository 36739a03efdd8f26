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
        _run(_command(), list(sys.argv[1:] if arguments is None else arguments))
    except SealcastError as error:
        print(f"sealcast: {error}", file=sys.stderr)
        sys.exit(2 if error.code == "CLI.BAD_ARGUMENT" else 1)
    except (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        # A wrong user or a wrong place is the caller's mistake, wherever it shows.
        told = LocalError("CLI.REFUSED_BY_SYSTEM", f"{error.filename}: {error.strerror}.")
        print(f"sealcast: {told}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(0)


def _run(app: App, arguments: list[str]) -> None:
    from cyclopts import CycloptsError

    from sealcast.cli.examples import examples
    from sealcast.cli.wrong_usage import parser_refusal

    chain, parsers, _ = app.parse_commands(arguments)
    # `--help` is a command of its own to the parser.
    words = [word for word in chain if not word.startswith("-")]
    apps = parsers[: len(words) + 1]
    apps[-1].help_epilogue = examples(words)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise parser_refusal(error, words, apps) from error


def _command() -> App:
    """The command with its verbs; the package alone, without `[server]`, has the library only."""
    try:
        from sealcast.cli.commands import app
    except ModuleNotFoundError as error:
        raise LocalError("CLI.NOT_INSTALLED", f"There is no module {error.name}.") from error
    return app
