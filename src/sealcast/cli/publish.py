"""`sealcast publish`: an encoder whose certificate may change while it is on the air."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sealcast.errors import LocalError

if TYPE_CHECKING:
    from sealcast.client.publish import Address, IdentityFiles, StreamInput

STDIN = "-"


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
    ffmpeg: Annotated[str | None, Parameter(help="The FFmpeg to run.")] = None,
) -> None:
    """Publish with FFmpeg over mutual TLS, and change certificates without a gap."""
    from sealcast.client.publish import Address, IdentityFiles

    files = IdentityFiles.named(identity, ca, key)
    asyncio.run(_publish(Address.parse(url), files, _input(arguments, ffmpeg)))


async def _publish(address: Address, files: IdentityFiles, source: StreamInput) -> None:
    import structlog

    from sealcast.cli.log_lines import to_standard_error
    from sealcast.cli.serve import stop_signals
    from sealcast.client.publish import Publishing

    to_standard_error()
    log = structlog.get_logger()
    publishing = Publishing(address, files, source, log.info)
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
