"""`sealcast demo`: the main job with everything embedded, for people and, with --check, without."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

from cyclopts import Parameter

from sealcast.cli.settings import door_url
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.identity import Verb

if TYPE_CHECKING:
    from sealcast.cli.demo_encoder import Encoder
    from sealcast.client import ViewerSession
    from sealcast.node.config import Config
    from sealcast.node.supervisor import Node

STREAM: Final = "demo"
CAMERA: Final = "camera"
"""The stream that the publish page feeds."""
_TOKEN_S: Final = 12 * 3600
_PICTURE_S: Final = 15.0
_PERIOD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Running:
    """A node with an encoder that publishes to it."""

    node: Node
    encoder: Encoder
    base: str
    folder: Path

    @property
    def authority(self) -> Path:
        state = self.node.state
        if state is None:
            raise LocalError("NODE.STOPPING", "The node does not run.")
        return state.root_file


def demo(
    *,
    check: Annotated[
        bool, Parameter(negative="", help="No person: receive, decode, judge, exit 0 or 1.")
    ] = False,
    state_dir: Annotated[
        Path | None, Parameter(help="State folder; default: one for the demo, kept for next time.")
    ] = None,
    ffmpeg: Annotated[Path | None, Parameter(help="The FFmpeg to run.")] = None,
) -> None:
    """Publish a test picture with FFmpeg over mutual TLS, show where to watch it and every leg.

    A throw-away authority, a server certificate and an encoder's certificate are made on the way.
    """
    if not check:
        asyncio.run(_show(state_dir, ffmpeg))
        return
    with contextlib.ExitStack() as stack:
        folder = state_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sealcast-demo-"))
        )
        wrong = asyncio.run(_check(folder, ffmpeg))
    for reason in wrong:
        print(f"FAILED: {reason}")
    print("PASSED" if not wrong else "the demo does not do its job")
    sys.exit(1 if wrong else 0)


# ---- for people --------------------------------------------------------------------------------


async def _show(state_dir: Path | None, ffmpeg: Path | None) -> None:
    from rich.console import Console
    from rich.live import Live

    from sealcast.cli.leg_table import LIVE_OVER, leg_table
    from sealcast.cli.serve import stop_signals

    stopped = stop_signals()
    folder = state_dir or _kept_folder()
    console = Console()
    async with _run(folder, ffmpeg, everywhere=True) as running:
        console.print(_addresses(running), highlight=False, soft_wrap=True)
        ledger = running.node.switchboard.ledger
        ended = asyncio.create_task(running.encoder.ended())
        waiting = asyncio.create_task(stopped.wait())
        with Live(console=console, auto_refresh=False) as live:
            while not waiting.done() and not ended.done():
                await running.node.refresh_counters()
                told = (leg.to_json() for leg in ledger)
                table = leg_table(told, width=console.width, most_over=LIVE_OVER)
                live.update(table, refresh=True)
                await asyncio.wait(
                    {waiting, ended}, timeout=_PERIOD_S, return_when=asyncio.FIRST_COMPLETED
                )
        waiting.cancel()
        if ended.done():
            raise LocalError("DEMO.NO_ENCODER", ended.result())
        ended.cancel()
        console.print("stopping")


def _kept_folder() -> Path:
    from sealcast.node.config import Config

    return Config().state_dir().with_name("sealcast-demo")


def _addresses(running: _Running) -> str:
    from sealcast.cli.serve import since_process_start

    state = running.node.state
    if state is None:
        return ""
    token = state.issuer.issue(CAMERA, Verb.PUBLISH, _TOKEN_S, "demo camera", now=time.time())
    return "\n".join(
        (
            f"ready after {since_process_start():.2f} s; Ctrl-C stops everything",
            f"watch     {running.base}/watch/{STREAM}",
            f"publish   {running.base}/publish/{CAMERA}#token={token}",
            f"          and watch that at {running.base}/watch/{CAMERA}",
            f"authority {running.authority}",
            f"          SHA-256 {state.authority.fingerprint}",
            "          (a browser warns of it until it is imported; it is this demo's own)",
        )
    )


# ---- without a person --------------------------------------------------------------------------


async def _check(folder: Path, ffmpeg: Path | None) -> list[str]:
    """Start twice, the second time with what the first one left; judge the second."""
    from rich.console import Console

    from sealcast.cli import demo_check
    from sealcast.cli.leg_table import leg_table
    from sealcast.cli.serve import since_process_start
    from sealcast.cli.watch import seal_lines

    console = Console(width=150)
    try:
        # The first start counts from the process's own, Python's imports included.
        began = time.monotonic() - since_process_start()
        async with _run(folder, ffmpeg, everywhere=False) as running:
            ready = time.monotonic() - began
            async with await _first_viewer(running) as viewer:
                _frames, seen = await demo_check.take(viewer, 0.0)
            first = (ready, seen - began)
        began = time.monotonic()
        async with _run(folder, ffmpeg, everywhere=False) as running:
            ready = time.monotonic() - began
            async with await _first_viewer(running) as viewer:
                frames, seen = await demo_check.take(viewer)
                await viewer.sealed(1.0)
                await running.node.refresh_counters()
                ledger = running.node.switchboard.ledger
                table = leg_table(leg.to_json() for leg in ledger)
                seal = seal_lines(viewer)
                unsealed = [leg for leg in ledger.living() if leg.seal is None]
            second = (ready, seen - began)
    except SealcastError as error:
        return [str(error), *_last_words(folder)]
    console.print(table)
    print(seal)
    for name, (ready, picture) in (("first start", first), ("second start", second)):
        print(f"{name:<12} ready after {ready:.2f} s, picture after {picture:.2f} s")
    decoded = await asyncio.to_thread(demo_check.decode, frames)
    print(demo_check.told(decoded))
    wrong = demo_check.judge(decoded)
    wrong += [f"leg {leg.id} ({leg.role}) is not sealed" for leg in unsealed]
    return wrong


async def _first_viewer(running: _Running) -> ViewerSession:
    """A viewer of the demo's stream, as soon as it is there."""
    from sealcast.client import watch

    deadline = time.monotonic() + _PICTURE_S
    ended = asyncio.create_task(running.encoder.ended())
    try:
        while True:
            try:
                return await watch(f"{running.base}/watch/{STREAM}", ca_file=running.authority)
            except RemoteError as error:
                late = time.monotonic() > deadline
                if late or error.code not in ("STREAM.ABSENT", "STREAM.NOT_READY"):
                    raise
            if ended.done():
                raise LocalError("DEMO.NO_ENCODER", ended.result())
            await asyncio.sleep(0.05)
    finally:
        ended.cancel()


def _last_words(folder: Path) -> list[str]:
    """The ends of what FFmpeg and the node wrote, for whoever has to find out why."""
    found = []
    for name in ("ffmpeg.log", "node.log"):
        with contextlib.suppress(OSError):
            lines = (folder / name).read_text(errors="replace").strip().splitlines()
            found += [f"{name}: {line}" for line in lines[-5:]]
    return found


# ---- both --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _run(folder: Path, ffmpeg: Path | None, *, everywhere: bool) -> AsyncIterator[_Running]:
    """A node and its encoder, from start to stop."""
    from sealcast.cli.demo_encoder import Encoder, arguments, find_ffmpeg
    from sealcast.cli.log_lines import to_standard_error
    from sealcast.cli.serve import public_port

    program = find_ffmpeg(ffmpeg)
    with _log_file(folder) as log:
        to_standard_error(stream=log)
        node = await _started(folder, everywhere=everywhere)
        try:
            state = node.state
            if state is None:
                raise LocalError("NODE.STOPPING", "The node did not start.")
            now = datetime.datetime.now(datetime.UTC)
            issued = state.authority.issue_client(f"encoder/{STREAM}", now)
            certificate, key = issued.save(folder, "encoder")
            port = node.addresses["ingest-ts"][0].rpartition(":")[2]
            command = arguments(
                f"tls://{node.config.node.names[0]}:{port}",
                certificate=certificate,
                key=key,
                authority=state.root_file,
            )
            encoder = await Encoder.start([program, *command], folder / "ffmpeg.log")
            try:
                base = door_url(node.config, public_port(node))
                yield _Running(node, encoder, base, folder)
            finally:
                await encoder.stop()
        finally:
            await node.stop()


def _log_file(folder: Path) -> TextIO:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return (folder / "node.log").open("w", encoding="utf-8")


async def _started(folder: Path, *, everywhere: bool) -> Node:
    """A running node: on the usual ports, or on free ones where those are taken."""
    from sealcast.node.supervisor import Node
    from sealcast.web.pages import routes

    if everywhere:
        node = Node(_config(folder, everywhere=True), more_routes=routes())
        try:
            await node.start()
        except SealcastError as error:
            if not error.code.endswith("BIND_FAILED"):
                raise
            print("the usual ports are taken; taking free ones")
        else:
            return node
    node = Node(_config(folder, everywhere=everywhere, free_ports=True), more_routes=routes())
    await node.start()
    return node


def _config(folder: Path, *, everywhere: bool, free_ports: bool = False) -> Config:
    """Two public streams; on all interfaces for people, on loopback alone for the check."""
    from sealcast.node.config import (
        Config,
        Doors,
        IngestTsDoor,
        Media,
        PublicDoor,
        SecureDoor,
        StreamRule,
    )
    from sealcast.node.config import Node as NodeTable

    usual: dict[str, Any] = {}
    if free_ports or not everywhere:
        hosts = ["0.0.0.0", "[::]"] if everywhere else ["127.0.0.1"]  # noqa: S104 - a demo to share
        binds = [f"{host}:0" for host in hosts]
        usual = {
            "doors": Doors(
                public=PublicDoor(bind=binds[:1]),
                secure=SecureDoor(bind=binds[:1]),
                ingest_ts=IngestTsDoor(bind=binds[:1]),
            ),
            "media": Media(bind=binds),
        }
    return Config(
        node=NodeTable(state_dir=str(folder)),
        streams={STREAM: StreamRule(public=True), CAMERA: StreamRule(public=True)},
        **usual,
    )
