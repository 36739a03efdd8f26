"""`sealcast identity due`: what ends soon, for people, programs and monitors."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sealcast.cli.authority_options import AsJson, now, open_authority, time_text
from sealcast.cli.durations import seconds
from sealcast.cli.running_node import Ca, Cert, Key, Token, Url
from sealcast.cli.settings import ConfigFile, load_config
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import LocalError
from sealcast.identity import due as judge

if TYPE_CHECKING:
    from sealcast.identity.due import Lasting
    from sealcast.node.config import Config
    from sealcast.node.door_report import DoorReport

SOMETHING_DUE: Final = 3
"""Apart from 1, a refusal, and 2, wrong usage: then nobody could tell what is due."""


def due(
    *,
    data: Annotated[
        Path | None,
        Parameter(
            env_var="SEALCAST_IDENTITY_DATA",
            help="The authority's folder; default: that of the configuration.",
        ),
    ] = None,
    within: Annotated[str, Parameter(help="What ends so soon is due.")] = "14d",
    bundle: Annotated[
        tuple[Path, ...],
        Parameter(help="Also these certificates of others (PEM); may be repeated."),
    ] = (),
    config: ConfigFile = None,
    running: Annotated[
        bool,
        Parameter(negative="", help="Ask the running node about its doors, as an administrator."),
    ] = False,
    url: Url = None,
    token: Token = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json_: AsJson = False,
) -> None:
    """Say what ends soon. Exit code 0: nothing. 3: something. 1: it could not be told.

    Of the authority in --data: ends, issuing authorities, roots. With --config (or --running) also
    what the node's doors show from files, ACME and SPIFFE, and whom they trust.

    Ends are due in the last third of their life, and --within before its end at the earliest;
    authorities while a whole life of what they issue is left.
    """
    at, ahead = now(), datetime.timedelta(seconds=seconds(within, "--within"))
    doors: list[DoorReport] = []
    if config is not None or running or url is not None:
        settings = load_config(config)
        if data is None and settings.identity.authority:
            data = Path(settings.identity.authority)
        doors = _doors(settings, at, (url, token, ca, (cert, key)) if running or url else None)
    elif data is None and not bundle:
        raise bad_argument("--data or --config is missing: whose certificates?")
    lasting = _of_authority_and_doors(data, doors, at)
    for path in bundle:
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise LocalError(
                "IDENTITY.CERTIFICATE_MALFORMED", f"{path}: {error.strerror}."
            ) from error
        lasting += judge.of_bundle(pem, str(path))
    found = judge.due(lasting, ahead, at)
    if json_:
        print(json.dumps([_facts(one, at) for one in found], indent=2))
    elif found:
        _table(found, at)
    else:
        print(f"nothing is due: {len(lasting)} certificates, {within} ahead")
    untold = _untold(doors)
    for sentence in untold:
        print(f"sealcast: could not be told: {sentence}", file=sys.stderr)
    if untold:
        sys.exit(1)
    if found:
        sys.exit(SOMETHING_DUE)


def _doors(
    settings: Config,
    at: datetime.datetime,
    asked: tuple[str | None, str | None, Path | None, tuple[Path | None, Path | None]] | None,
) -> list[DoorReport]:
    """From the configuration and its files, or of the node that is asked."""
    if asked is None:
        from sealcast.node.door_report import report

        return report(settings, at)
    from sealcast.cli.doors import ask_doors
    from sealcast.cli.running_node import running_node

    return asyncio.run(ask_doors(running_node(settings, *asked)))


def _of_authority_and_doors(
    data: Path | None, doors: list[DoorReport], at: datetime.datetime
) -> list[Lasting]:
    lasting = [] if data is None else judge.everything(open_authority(data), at)
    if doors:
        from sealcast.node.door_due import of_doors

        lasting += of_doors(doors, [one.serial for one in lasting if one.kind is judge.Kind.ROOT])
    return lasting


def _untold(doors: list[DoorReport]) -> list[str]:
    if not doors:
        return []
    from sealcast.node.door_due import untold

    return list(untold(doors))


def _facts(one: Lasting, at: datetime.datetime) -> dict[str, object]:
    facts = dataclasses.asdict(one)
    del facts["warn_s"]
    return {**facts, "left_s": one.left_s(at)}


def _table(found: list[Lasting], at: datetime.datetime) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(expand=False, pad_edge=False)
    for heading in ("name", "kind", "side", "holder", "ends", "left", "serial"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(
            *(one.name, one.kind, one.side, one.holder, time_text(one.not_after_unix)),
            *(_left(one.left_s(at)), one.serial),
        )
    (Console() if sys.stdout.isatty() else Console(width=160)).print(table)


def _left(left_s: int) -> str:
    if left_s <= 0:
        return f"expired {_rounded(-left_s)} ago"
    return _rounded(left_s)


def _rounded(span_s: int) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if span_s >= 2 * unit:
            return f"{span_s // unit} {name}"
    return f"{span_s} s"
