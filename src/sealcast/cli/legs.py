"""`sealcast legs`: who is connected to whom, and what protects it."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sealcast.cli.settings import ConfigFile, door_url, load_config, open_state
from sealcast.errors import LocalError, RemoteError
from sealcast.identity import Verb
from sealcast.identity.tokens import ANY_STREAM

if TYPE_CHECKING:
    import aiohttp

_TOKEN_S = 3600
_PERIOD_S = 1.0
_PIPE_WIDTH = 150


def legs(
    *,
    url: Annotated[str | None, Parameter(help="A door of the node; default: this machine's.")] = (
        None
    ),
    token: Annotated[
        str | None,
        Parameter(help="An admin token; default: one from this machine's state folder."),
    ] = None,
    ca: Annotated[Path | None, Parameter(help="What to trust; default: this node's own.")] = None,
    json_: Annotated[
        bool, Parameter(name="--json", negative="", help="Print once, as GET /api/legs answers.")
    ] = False,
    once: Annotated[bool, Parameter(negative="", help="Print the table once.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show the legs of a running node, with their seals; live, until Ctrl-C."""
    settings = load_config(config)
    if token is None or ca is None:
        state = open_state(settings)
        token = token or state.issuer.issue(ANY_STREAM, Verb.ADMIN, _TOKEN_S, now=time.time())
        # A public certificate is proved by the system's own authorities.
        ca = ca or (state.root_file if url is None else None)
    address = f"{(url or door_url(settings)).rstrip('/')}/api/legs"
    one_time = json_ or once or not sys.stdout.isatty()
    try:
        asyncio.run(_show(address, token, ca, as_json=json_, one_time=one_time))
    except KeyboardInterrupt:
        return


async def _show(
    address: str, token: str, ca: Path | None, *, as_json: bool, one_time: bool
) -> None:
    import aiohttp

    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
    async with aiohttp.ClientSession(connector=connector) as http:
        if as_json:
            print(json.dumps(await _ask(http, address, token), indent=2))
            return
        from rich.console import Console
        from rich.live import Live

        from sealcast.cli.leg_table import LIVE_OVER, leg_table

        # Into a pipe or a file there is no width to keep to.
        console = Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)
        if one_time:
            told = await _ask(http, address, token)
            console.print(leg_table(told["legs"], width=console.width))
            return
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while True:
                told = await _ask(http, address, token)
                table = leg_table(told["legs"], width=console.width, most_over=LIVE_OVER)
                live.update(table, refresh=True)
                await asyncio.sleep(_PERIOD_S)


async def _ask(http: aiohttp.ClientSession, address: str, token: str) -> dict[str, Any]:
    import aiohttp

    try:
        headers = {"authorization": f"Bearer {token}"}
        async with http.get(address, headers=headers, allow_redirects=False) as answer:
            told: dict[str, Any] = await answer.json(content_type=None)
            if answer.status != 200:
                raise RemoteError(told.get("code", "CLIENT.BAD_ANSWER"), told.get("detail", ""))
            return told
    except aiohttp.ClientConnectorCertificateError as error:
        raise LocalError("CLIENT.NODE_UNPROVED", str(error.certificate_error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
        raise LocalError("CLIENT.UNREACHABLE", f"{address}: {error}") from error
