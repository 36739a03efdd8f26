"""`sealcast doors`: what each door demands, and what it shows."""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from sealcast.cli.running_node import Ca, Cert, Key, RunningNode, Token, Url, running_node
from sealcast.cli.settings import ConfigFile, load_config
from sealcast.errors import RemoteError
from sealcast.node.door_report import Certificate, DoorReport, report

_DEMANDS: Final = {
    "none": "asks for none",
    "optional": "may be shown; it must hold then",
    "required": "required",
}


def doors(
    *,
    running: Annotated[
        bool, Parameter(negative="", help="Ask the running node instead, as an administrator.")
    ] = False,
    url: Url = None,
    token: Token = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="For programs.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show what each door demands: addresses, client certificates, TLS, policy, its certificate.

    From the configuration and the files that it names; with --running or --url from a node that
    runs. Exit code 1 if something of an open door cannot be used.
    """
    settings = load_config(config)
    if running or url is not None:
        told = asyncio.run(ask_doors(running_node(settings, url, token, ca, (cert, key))))
    else:
        told = report(settings, datetime.datetime.now(datetime.UTC))
    if json_:
        print(json.dumps({"doors": [door.to_json() for door in told]}, indent=2))
    else:
        print("\n\n".join(_lines(door) for door in told))
    sys.exit(1 if any(door.open and door.complaints for door in told) else 0)


async def ask_doors(node: RunningNode) -> list[DoorReport]:
    """The running node's doors, with what they work with now."""
    async with node.connected() as asking:
        told = await asking.get("/api/doors")
    try:
        return msgspec.convert(told["doors"], list[DoorReport])
    except (KeyError, msgspec.ValidationError) as error:
        raise RemoteError("CLIENT.BAD_ANSWER", str(error)) from error


def _lines(door: DoorReport) -> str:
    rows = [
        ("client certificate", _DEMANDS[door.client_certificate]),
        *(("trusts", each) for each in _trusted(door)),
        *([("of other nodes", door.nodes)] if door.nodes else []),
        ("shows", f"{_certificate(door.shows)} (from {door.shows_from})"),
        ("TLS", f"{' and '.join(door.tls_versions)}, {', '.join(door.groups)}"),
        ("policy", f"{door.policy}, for the role {door.role}"),
        *(("publishing", each) for each in _publishing(door)),
    ]
    if door.client_certificate != "none":
        rows.append(("after its end", f"a live leg has {door.expired_grace_s} s"))
    rows += [("COMPLAINT", complaint) for complaint in door.complaints]
    where = "  ".join(door.addresses) if door.open else "shut"
    return "\n".join(
        [
            f"{door.door:<10} {door.speaks}: {where}",
            *(f"  {name:<18} {text}" for name, text in rows),
        ]
    )


def _publishing(door: DoorReport) -> list[str]:
    """What it asks of publishers; nothing where only reading passes."""
    if door.role == "origin":
        return []
    ways = "MPEG-TS" if door.role == "ingest" else "WHIP and uploads"
    return [f"{ways} by {' or '.join(door.publish_by)}" if door.publish_by else "nobody, by policy"]


def _trusted(door: DoorReport) -> list[str]:
    if door.client_certificate == "none":
        return []
    if not door.authorities:
        return [f"none yet (from {door.authorities_from})"]
    return [f"{_certificate(each)} (from {door.authorities_from})" for each in door.authorities]


def _certificate(shown: Certificate | None) -> str:
    if shown is None:
        return "a certificate that is issued at the start"
    until = datetime.datetime.fromtimestamp(shown.until_unix, datetime.UTC)
    return f"{shown.name}, until {until:%Y-%m-%d %H:%MZ}, {shown.days_left:g} days left"
