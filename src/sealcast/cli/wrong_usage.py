"""A command line that is not one: which option or argument, why not, and what is taken there.

Does: makes CLI.BAD_ARGUMENT of what the parser refused, and of what only the command itself can
refuse (`bad_argument`): one sentence that names the option, what it takes, and the nearest name to
one that was mistyped.

Does not: repeat what is long. A secret in the wrong place ends in no log of a service manager.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from sealcast.errors import LocalError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument
    from cyclopts.token import Token

CODE: Final = "CLI.BAD_ARGUMENT"
STATUS: Final = 2
_SHOWN: Final = 40
"""Names, numbers and short paths are repeated; tokens are longer."""
_HELP: Final = ("--help", "--version")


def bad_argument(detail: str) -> LocalError:
    """What a command refuses of its own arguments; `detail` names the option."""
    return LocalError(CODE, detail)


def unknown_option(given: str, known: Sequence[str]) -> LocalError:
    """For a command that hands words on which nobody else could mean."""
    return bad_argument(_no_option(given, known))


def parser_refusal(error: CycloptsError, words: Sequence[str], apps: Sequence[App]) -> LocalError:
    """What the parser refused, in the words of this house. `words` are those of the command, and
    `apps` the parsers on the way to it.
    """
    detail = _detail(error, apps[-1])
    command = " ".join(("sealcast", *words))
    return bad_argument(f"{detail} See {command} --help.")


def _detail(error: CycloptsError, app: App) -> str:
    match error:
        case UnknownOptionError(token=token, argument_collection=known):
            names = [name for each in known for name in each.names if name.startswith("-")]
            return _no_option(token.keyword or token.value, names)
        case UnknownCommandError(unused_tokens=[given, *_]):
            verbs = [name for name in app if not name.startswith("-")]
            return f"There is no command {shown(given)}; {_near(given, verbs)}"
        case MissingArgumentError(argument=argument, keyword=str(keyword)) if argument is not None:
            return f"{keyword} needs a value{_meaning(argument)}."
        case MissingArgumentError(argument=argument) if argument is not None:
            return f"{_called(argument)} is missing{_meaning(argument)}."
        case CoercionError(argument=argument, token=token) if argument and token is not None:
            what = f"{_called(argument)}{_from(token)} cannot be {shown(token.value)}"
            return f"{what}; {_taken(token.value, argument, error.target_type)}"
        case RepeatArgumentError(token=token):
            return f"{token.keyword} is given more than once."
        case UnusedCliTokensError(unused_tokens=list(left)):
            arguments = app.assemble_argument_collection(parse_docstring=False)
            places = [_called(each) for each in arguments if _is_by_place(each)]
            takes = f"this command takes {', '.join(places) or 'options only'}"
            return f"{shown(left[0])} is too much; {takes}."
    return f"{error}".rstrip(".") + "."


def _no_option(given: str, known: Iterable[str]) -> str:
    name = given.partition("=")[0]
    return f"There is no option {shown(name)}; {_near(name, known)}"


def shown(given: str) -> str:
    """A word of the command line, if it is short."""
    if given.startswith("-") and len(given) <= _SHOWN:
        return given
    return repr(given) if len(given) <= _SHOWN else f"of {len(given)} characters"


def _near(given: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(given, (*known, *_HELP), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(known)}." if known else "it takes none."


def _taken(given: str, argument: Argument, target: Any) -> str:
    if argument.is_flag():
        return "it takes no value."
    choices = _choices(target)
    if not choices:
        kind = {int: "a whole number", float: "a number"}.get(target)
        return f"it takes {kind}." if kind else f"it takes{_meaning(argument) or ' another'}."
    near = difflib.get_close_matches(given, choices, n=1)
    asked = f"did you mean {near[0]}? " if near else ""
    return f"{asked}it takes {', '.join(choices)}."


def _choices(target: Any) -> list[str]:
    if get_origin(target) is Literal:
        return [str(each) for each in get_args(target)]
    if isinstance(target, type) and issubclass(target, Enum):
        return [str(each.value) for each in target]
    return []


def _called(argument: Argument) -> str:
    return argument.name.lstrip("-").upper() if _is_by_place(argument) else argument.name


def _is_by_place(argument: Argument) -> bool:
    return argument.index is not None or argument.is_positional_only()


def _meaning(argument: Argument) -> str:
    meaning = (argument.parameter.help or "").rstrip(".")
    named = argument.parameter.env_var or ()
    variables = (named,) if isinstance(named, str) else tuple(named)
    if variables:
        meaning = f"{meaning} (or set {variables[0]})".lstrip()
    return f": {meaning}" if meaning else ""


def _from(token: Token) -> str:
    return "" if token.source in ("", "cli") else f" (of {token.source})"
