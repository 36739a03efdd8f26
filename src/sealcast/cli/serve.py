"""`sealcast serve`: run a node until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sealcast.cli.settings import ConfigFile, door_url, load_config

if TYPE_CHECKING:
    from sealcast.node.config import Config
    from sealcast.node.supervisor import Node


def serve(*, config: ConfigFile = None) -> None:
    """Run a node: doors, media, API and pages. Ctrl-C or SIGTERM stops it cleanly."""
    settings = load_config(config)
    asyncio.run(_serve(settings, config))


async def _serve(config: Config, file: ConfigFile) -> None:
    from sealcast.cli.log_lines import to_standard_error
    from sealcast.node.supervisor import Node
    from sealcast.web.pages import routes

    to_standard_error()
    take_all_descriptors()
    stopped = stop_signals()
    node = Node(config, more_routes=routes())
    await node.start()
    try:
        say(_welcome(node, "" if file is None else f" --config {file}"))
        await stopped.wait()
    finally:
        say("stopping")
        await node.stop()


def say(text: str) -> None:
    """On standard output; if that cannot be written, as on a full disk, nobody hears it."""
    with suppress(OSError):
        print(text, flush=True)


def take_all_descriptors() -> None:
    """As many open files as the system grants: the usual 1024 are fewer than a door admits."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stop_signals() -> asyncio.Event:
    """Set at the first SIGINT or SIGTERM; a second one ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return stopped


def since_process_start() -> float:
    """Seconds since the kernel started this process, the interpreter's own start included."""
    # proc(5): field 22 is the start in clock ticks since boot; the name in field 2 may have spaces.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def public_port(node: Node) -> int | None:
    """The port that the public door really has."""
    addresses = node.addresses.get("public")
    return int(addresses[0].rpartition(":")[2]) if addresses else None


def _welcome(node: Node, option: str) -> str:
    state = node.state
    if state is None:
        return ""
    lines = [f"sealcast is ready, after {since_process_start():.2f} s"]
    for name, addresses in node.addresses.items():
        lines.append(f"  {name:<10} {'  '.join(addresses)}")
    base = door_url(node.config, public_port(node))
    lines.append(f"  streams    {base}/")
    lines.append(f"  authority  {state.root_file}")
    lines.append(f"             SHA-256 {state.fingerprint}")
    if state.first_start:
        own = node.config.identity
        issued = (
            f" --data {own.authority} --passphrase-file {own.passphrase_file}"
            if own.authority
            else option
        )
        lines += [
            "",
            "This is the first start: nobody is admitted yet. To admit somebody:",
            f"  sealcast token publish venue/stage-1 --for 1h{option}",
            f"  sealcast token watch venue/stage-1 --for 1h{option}",
            f"  sealcast identity issue encoder/venue-1 --out ./encoder{issued}",
            "A token goes to a page behind a #:",
            f"  {base}/publish/venue/stage-1#token=TOKEN",
        ]
    return "\n".join(lines)
