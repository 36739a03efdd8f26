"""`sealcast publish`: an encoder whose certificate may change while it is on the air."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sealcast.cli.wrong_usage import unknown_option
from sealcast.errors import LocalError

if TYPE_CHECKING:
    from sealcast.client.publish import Address, IdentityFiles, StreamInput

STDIN: Final = "-"
_AGENT_STOP_S: Final = 30.0
_OPTIONS: Final = ("--identity", "--ca", "--key", "--agent", "--node", "--ffmpeg")


def publish(
    url: Annotated[str, Parameter(help="The node's ingest door: tls://HOST[:8445].")],
    *arguments: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True,
            help="Behind --: FFmpeg's inputs and codecs, without an output. Or - for a live "
            "transport stream on standard input.",
        ),
    ],
    identity: Annotated[
        Path,
        Parameter(help="DIR/NAME: the certificate DIR/NAME.pem and its key DIR/NAME-key.pem."),
    ],
    ca: Annotated[
        Path | None,
        Parameter(help="The authority that vouches for the node; else DIR/authority.pem."),
    ] = None,
    key: Annotated[
        str | None,
        Parameter(help="The key elsewhere: a file, or pkcs11:… for a key in a token."),
    ] = None,
    agent: Annotated[
        bool,
        Parameter(negative="", help="Renew the certificate too, as `sealcast agent` does."),
    ] = False,
    node: Annotated[
        str | None,
        Parameter(
            env_var="SEALCAST_NODE",
            help="With --agent: the node's door that asks for certificates, https://HOST:PORT; "
            "default: where it was enrolled.",
        ),
    ] = None,
    ffmpeg: Annotated[str | None, Parameter(help="The FFmpeg to run.")] = None,
) -> None:
    """Publish with FFmpeg over mutual TLS, and change certificates without a gap."""
    from sealcast.cli.log_lines import to_standard_error
    from sealcast.client.publish import Address, IdentityFiles

    for given in arguments:
        # FFmpeg's options have one hyphen; what has two was meant for us.
        if given.startswith("--"):
            raise unknown_option(given, _OPTIONS)
    to_standard_error()
    files = IdentityFiles.named(identity, ca, key)
    address, source = Address.parse(url), _input(arguments, ffmpeg)
    with _renewing(identity, node) if agent else contextlib.nullcontext():
        asyncio.run(_publish(address, files, source))


@contextlib.contextmanager
def _renewing(identity: Path, node: str | None) -> Iterator[None]:
    """The agent's loop in a thread of its own: it waits for the network, and the stream must not.

    It swaps the files; the publisher sees that as it would see anybody do it.
    """
    from sealcast.agent.https import Address
    from sealcast.agent.keeper import Keeper, MachineClock, Settings
    from sealcast.agent.place import Place

    settings = Settings(node=None if node is None else Address.of(node))
    stopped = threading.Event()
    keeper = Keeper(Place.at(identity.expanduser()), settings, MachineClock(stopped))
    thread = threading.Thread(target=keeper.run, name="agent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        # A swap of files is finished; a request is not waited for longer than it may take.
        thread.join(_AGENT_STOP_S)


async def _publish(address: Address, files: IdentityFiles, source: StreamInput) -> None:
    import structlog

    from sealcast.cli.serve import stop_signals
    from sealcast.client.publish import Publishing

    log = structlog.get_logger()
    publishing = Publishing(address, files, source, log)
    stopped = asyncio.create_task(stop_signals().wait())
    running = asyncio.create_task(publishing.run())
    try:
        await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            source.stop()
            if not publishing.counts.connections:
                running.cancel()
        await asyncio.wait({running})
    finally:
        stopped.cancel()
        counts = publishing.counts
        log.info(
            "ended",
            packets=counts.packets,
            left_out=counts.left_out,
            connections=counts.connections,
            changes=counts.changes,
            failures=counts.failures,
            ended_by_node=counts.ended_by_node,
            unusable=counts.unusable,
        )
    if not running.cancelled():
        running.result()


def _input(arguments: tuple[str, ...], ffmpeg: str | None) -> StreamInput:
    from sealcast.client.publish import FfmpegInput, PipeInput

    if arguments == (STDIN,):
        return PipeInput(sys.stdin.buffer)
    if not arguments:
        raise LocalError("PUBLISH.NO_ENCODER", "There are no arguments for FFmpeg, and no -.")
    return FfmpegInput(arguments, ffmpeg)
