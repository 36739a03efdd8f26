"""`sealcast identity due`: what ends soon, for people, programs and monitors."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sealcast.cli.authority_options import AsJson, Data, now, open_authority, time_text
from sealcast.cli.durations import seconds
from sealcast.errors import LocalError
from sealcast.identity import due as judge

if TYPE_CHECKING:
    from sealcast.identity.due import Lasting

SOMETHING_DUE: Final = 3
"""Apart from 1, a refusal, and 2, wrong usage: then nobody could tell what is due."""


def due(
    *,
    data: Data,
    within: Annotated[str, Parameter(help="What ends so soon is due.")] = "14d",
    bundle: Annotated[
        tuple[Path, ...],
        Parameter(help="Also these certificates of others (PEM); may be repeated."),
    ] = (),
    json_: AsJson = False,
) -> None:
    """Say what ends soon. Exit code 0: nothing. 3: something. 1: it could not be told.

    Ends are due in the last third of their life, and --within before its end at the earliest;
    authorities while a whole life of what they issue is left.
    """
    at, ahead = now(), datetime.timedelta(seconds=seconds(within, "--within"))
    lasting = judge.everything(open_authority(data), at)
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
    if found:
        sys.exit(SOMETHING_DUE)


def _facts(one: Lasting, at: datetime.datetime) -> dict[str, object]:
    facts = dataclasses.asdict(one)
    del facts["warn_s"]
    return {**facts, "left_s": one.left_s(at)}


def _table(found: list[Lasting], at: datetime.datetime) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(expand=False, pad_edge=False)
    for heading in ("name", "kind", "side", "ends", "left", "serial"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(
            *(one.name, one.kind, one.side, time_text(one.not_after_unix)),
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
