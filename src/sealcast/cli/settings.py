"""The configuration and state that a command works on."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sealcast.node import config as configuration

if TYPE_CHECKING:
    from sealcast.node.state_folder import StateFolder

ConfigFile = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="Configuration file; without it every default holds."),
]


def load_config(file: Path | None) -> configuration.Config:
    """The configuration of a file, or the defaults."""
    return configuration.Config() if file is None else configuration.load(file)


def open_state(config: configuration.Config) -> StateFolder:
    """The node's state folder, made if there is none."""
    from sealcast.node.state_folder import open_state_folder

    return open_state_folder(config, datetime.datetime.now(datetime.UTC))


def door_url(config: configuration.Config, port: int | None = None) -> str:
    """The address of the public door as a browser writes it."""
    name = config.node.names[0]
    host = f"[{name}]" if ":" in name else name
    if port is None:
        binds = config.doors.public.bind
        port = int(binds[0].rpartition(":")[2]) if binds else 443
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"
