"""`sealcast legs`: who is connected to whom, and what protects it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.running_node import Ca, Cert, Key, RunningNode, Token, Url, running_node
from sealcast.cli.settings import ConfigFile, load_config

_PERIOD_S = 1.0
_PIPE_WIDTH = 150


def legs(
    *,
    url: Url = None,
    token: Token = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json_: Annotated[
        bool, Parameter(name="--json", negative="", help="Print once, as GET /api/legs answers.")
    ] = False,
    once: Annotated[bool, Parameter(negative="", help="Print the table once.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show the legs of a running node, with their seals; live, until Ctrl-C."""
    node = running_node(load_config(config), url, token, ca, (cert, key))
    one_time = json_ or once or not sys.stdout.isatty()
    try:
        asyncio.run(_show(node, as_json=json_, one_time=one_time))
    except KeyboardInterrupt:
        return


async def _show(node: RunningNode, *, as_json: bool, one_time: bool) -> None:
    async with node.connected() as asking:
        if as_json:
            print(json.dumps(await asking.get("/api/legs"), indent=2))
            return
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        from sealcast.cli.leg_table import LIVE_OVER, leg_table
        from sealcast.cli.pull_lines import pull_lines

        # Into a pipe or a file there is no width to keep to.
        console = Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)
        if one_time:
            told = await asking.get("/api/legs")
            console.print(leg_table(told["legs"], width=console.width))
            for line in pull_lines(told.get("pulls", [])):
                console.print(line, markup=False, highlight=False)
            return
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while True:
                told = await asking.get("/api/legs")
                table = leg_table(told["legs"], width=console.width, most_over=LIVE_OVER)
                waiting = [Text(line) for line in pull_lines(told.get("pulls", []))]
                live.update(Group(table, *waiting), refresh=True)
                await asyncio.sleep(_PERIOD_S)
