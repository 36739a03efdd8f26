"""`sealcast identity roll`: new authorities beside the old ones for a while, rehearsed first."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sealcast.cli.authority_options import (
    AsJson,
    Data,
    PassphraseFile,
    now,
    open_authority,
    time_text,
    who,
)
from sealcast.cli.durations import seconds
from sealcast.identity import rolling
from sealcast.identity.private_files import read_passphrase

if TYPE_CHECKING:
    from sealcast.identity.rolling import Plan, Roll

_PIPE_WIDTH = 160


def roll(
    *,
    data: Data,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only say what it would mean; nothing is changed.")
    ] = False,
    overlap: Annotated[
        str | None,
        Parameter(help="How long the old ones are still trusted; default: 7d, after a theft 1h."),
    ] = None,
    compromised: Annotated[
        bool, Parameter(negative="", help="A key was stolen: everybody is to renew at once.")
    ] = False,
    root: Annotated[
        bool,
        Parameter(negative="", help="A new root too; it begins after half of the overlap."),
    ] = False,
    root_key: Annotated[
        Path | None,
        Parameter(help="The file with the root's key; default: where `init` put it."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    root_passphrase_file: Annotated[
        Path | None, Parameter(help="The passphrase of the root's key; default: the same.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Roll the issuing authorities: new ones, signed by the root, take over from now on.

    Bring the root's key (--root-key), and take it away again afterwards. With --root there is a new
    root instead, and the old one's key is not needed.
    """
    usual = rolling.OVERLAP_AFTER_A_THEFT if compromised else rolling.USUAL_OVERLAP
    length = usual if overlap is None else datetime.timedelta(seconds=seconds(overlap, "--overlap"))
    wanted = rolling.Roll(length, compromised, root)
    if dry_run:
        plan = rolling.plan(open_authority(data), wanted, now())
    else:
        # Keys in tokens need none; a sealed one says so when it is opened.
        passphrase = read_passphrase(passphrase_file) if passphrase_file else None
        of_root = read_passphrase(root_passphrase_file) if root_passphrase_file else passphrase
        keys = rolling.Keys(passphrase, of_root, root_key)
        plan = rolling.roll(open_authority(data), wanted, keys, now(), who=who())
    if json_:
        print(json.dumps(_facts(plan), indent=2))
    else:
        _say(plan, wanted, dry_run=dry_run)


def _facts(plan: Plan) -> dict[str, object]:
    return {
        "since_unix": int(plan.since.timestamp()),
        "until_unix": int(plan.until.timestamp()),
        "holders": [
            {**dataclasses.asdict(holder), "by_hand": holder.by_hand} for holder in plan.holders
        ],
        "others": plan.others,
    }


def _say(plan: Plan, wanted: Roll, *, dry_run: bool) -> None:
    if dry_run:
        print("This is a rehearsal: nothing was changed.")
    since, until = (time_text(int(at.timestamp())) for at in (plan.since, plan.until))
    print(f"new authorities issue from   {since}")
    print(f"old ones are trusted until   {until}")
    if wanted.root:
        print(f"Whoever has a copy of authority.pem needs the new one before {since}: CDNs,")
        print("browsers, monitors. Agents and this authority's nodes get it by themselves.")
    print(
        f"{len(plan.holders)} certificates would outlive that, {plan.others} end before it anyway"
    )
    if plan.holders:
        _table(plan)
    if plan.at_risk:
        print(
            f"{len(plan.at_risk)} of them are shown first, because nothing says that they will "
            f"renew in time. Bring them new certificates, or see why they are late, before {until}."
        )


def _table(plan: Plan) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(expand=False, pad_edge=False)
    for heading in ("name", "side", "risk", "came by", "last seen", "renews by", "ends", "serial"):
        table.add_column(heading, overflow="fold")
    for one in plan.holders:
        risk = "late" if one.late else "by hand" if one.by_hand else ""
        table.add_row(
            *(one.name, one.side, risk, one.how, time_text(one.seen_unix)),
            *(time_text(one.renew_unix), time_text(one.not_after_unix), one.serial),
        )
    (Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)).print(table)
