"""`sealcast config`: the effective configuration, or its schema."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from sealcast.cli.settings import ConfigFile, load_config
from sealcast.node import config as configuration


def config(
    *,
    file: ConfigFile = None,
    schema: Annotated[bool, Parameter(negative="", help="Print the JSON schema.")] = False,
) -> None:
    """Print the effective configuration as TOML: the file's values, and the defaults elsewhere."""
    if schema:
        print(msgspec.json.format(msgspec.json.encode(configuration.schema())).decode())
        return
    print(configuration.dumps(load_config(file)), end="")
