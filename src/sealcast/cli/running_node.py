"""A node that runs, asked over HTTPS as its administrator."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from sealcast.cli.settings import door_url, open_state
from sealcast.errors import LocalError, RemoteError
from sealcast.identity import Verb
from sealcast.identity.tokens import ANY_STREAM
from sealcast.node.config import Config

if TYPE_CHECKING:
    import aiohttp

_TOKEN_S: Final = 3600

Url = Annotated[str | None, Parameter(help="A door of the node; default: this machine's.")]
Token = Annotated[
    str | None, Parameter(help="An admin token; default: one from this machine's state folder.")
]
Ca = Annotated[Path | None, Parameter(help="What to trust; default: this node's own.")]


@dataclass(frozen=True, slots=True)
class RunningNode:
    """Where it is, and how we prove ourselves to one another."""

    url: str
    token: str
    ca: Path | None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Asking]:
        """Connections to it."""
        import aiohttp

        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=self.ca))
        async with aiohttp.ClientSession(connector=connector) as http:
            yield Asking(self, http)


@dataclass(frozen=True, slots=True)
class Asking:
    """Made by `RunningNode.connected`."""

    node: RunningNode
    http: aiohttp.ClientSession

    async def get(self, path: str) -> dict[str, Any]:
        """A JSON object; the node's own code when it refuses, CLIENT.* when it is not there."""
        import aiohttp

        address = f"{self.node.url}{path}"
        try:
            headers = {"authorization": f"Bearer {self.node.token}"}
            async with self.http.get(address, headers=headers, allow_redirects=False) as answer:
                told: dict[str, Any] = await answer.json(content_type=None)
                if answer.status != 200:
                    raise RemoteError(told.get("code", "CLIENT.BAD_ANSWER"), told.get("detail", ""))
                return told
        except aiohttp.ClientConnectorCertificateError as error:
            raise LocalError("CLIENT.NODE_UNPROVED", str(error.certificate_error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
            raise LocalError("CLIENT.UNREACHABLE", f"{address}: {error}") from error


def running_node(
    config: Config, url: str | None, token: str | None, ca: Path | None
) -> RunningNode:
    """What was given, and the rest from this machine's state folder."""
    if token is None or ca is None:
        state = open_state(config)
        token = token or state.issuer.issue(ANY_STREAM, Verb.ADMIN, _TOKEN_S, now=time.time())
        # A public certificate is proved by the system's own authorities.
        ca = ca or (state.root_file if url is None else None)
    return RunningNode((url or door_url(config)).rstrip("/"), token, ca)
