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
from sealcast.cli.wrong_usage import bad_argument
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
Cert = Annotated[
    Path | None,
    Parameter(help="PEM file of an administrator's chain, for a door that takes certificates."),
]
Key = Annotated[Path | None, Parameter(help="PEM file of that chain's key.")]
Ca = Annotated[Path | None, Parameter(help="What to trust; default: this node's own.")]


@dataclass(frozen=True, slots=True)
class RunningNode:
    """Where it is, and how we prove ourselves to one another."""

    url: str
    token: str | None
    ca: Path | None
    certificate: tuple[Path, Path] | None = None
    """Files (PEM) of our chain and its key."""

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Asking]:
        """Connections to it."""
        import aiohttp

        connector = aiohttp.TCPConnector(ssl=self._context())
        async with aiohttp.ClientSession(connector=connector) as http:
            yield Asking(self, http)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            chain, key = self.certificate
            try:
                # Without a passphrase given a sealed key would be asked for at the terminal.
                context.load_cert_chain(chain, key, password=lambda: "")
            except (OSError, ssl.SSLError) as error:
                raise LocalError(
                    "IDENTITY.CERTIFICATE_MALFORMED", f"{chain} with {key}: {error.strerror}."
                ) from error
        return context


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
            token = self.node.token
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
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
    config: Config,
    url: str | None,
    token: str | None,
    ca: Path | None,
    certificate: tuple[Path | None, Path | None] = (None, None),
) -> RunningNode:
    """What was given, and the rest from this machine's state folder. With a certificate (files of
    chain and key) it is asked at the door `secure`, and no token is made.

    CLI.BAD_ARGUMENT when only one of the two files is given.
    """
    chain, key = certificate
    if (chain is None) != (key is None):
        raise bad_argument("--cert and --key come together.")
    shown = None if chain is None or key is None else (chain, key)
    needs_token = token is None and shown is None
    # A public certificate is proved by the system's own authorities.
    needs_root = ca is None and url is None
    if needs_token or needs_root:
        state = open_state(config)
        if needs_token:
            token = state.issuer.issue(ANY_STREAM, Verb.ADMIN, _TOKEN_S, now=time.time())
        if needs_root:
            ca = state.root_file
    return RunningNode((url or _address(config, shown is not None)).rstrip("/"), token, ca, shown)


def _address(config: Config, by_certificate: bool) -> str:
    """Of the door `secure` for who shows a certificate, if it is open; else of the public door."""
    binds = config.doors.secure.bind
    if by_certificate and binds:
        return door_url(config, int(binds[0].rpartition(":")[2]))
    return door_url(config)
