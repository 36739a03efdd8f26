"""Two real nodes with one authority, of which one takes a stream from the other: what tests of that
stand on.
"""

from __future__ import annotations

import datetime
import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.interop.own_authority import found_own

from sealcast.identity.authority import Wanted
from sealcast.identity.profiles import Side
from sealcast.testing.ffmpeg_peer import Encoder, mpegts_over_tls
from sealcast.testing.node_process import COMMAND, Client, Node, OwnAuthority, running_node
from sealcast.testing.waiting import wait_for

STREAM = "venue/stage-1"
ENCODER = "encoder/venue-1"
EDGE = "node/edge-1"
RULES = f"""
[ingest.ts.streams]
"{ENCODER}" = "{STREAM}"
[[permissions]]
who = ["encoder/**"]
may = ["publish"]
streams = ["{{own}}"]
[[permissions]]
who = ["admin/**"]
may = ["admin", "metrics"]
[[permissions]]
who = ["{EDGE}"]
may = ["watch"]
streams = ["venue/*"]
doors = ["secure"]
"""


def pull(
    node: Node,
    files: Client,
    trust: Path,
    *,
    stream: str = STREAM,
    at: str | None = None,
    here: str = "",
) -> str:
    """The table for an edge that takes `stream` from `node`, under the name `here`."""
    return f"""
[[pull]]
stream = "{stream}"
from = "https://{at or f"127.0.0.1:{node.secure_port}"}"
as = "{here}"
certificate = "{files.chain}"
key = "{files.key}"
trust = "{trust}"
"""


def enrolled(node: Node, folder: Path, name: str) -> tuple[Client, Path]:
    """By the two commands that an operator types; the files, and the authority's."""
    assert node.own is not None
    data = str(node.own.authority.folder)
    url = f"https://127.0.0.1:{node.public_port}"
    made = subprocess.run(
        [*COMMAND, "identity", "token", name, "--as", "client", "--data", data, "--node", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    node.secrets.add("the token", made.stdout.strip())
    line = next(line for line in made.stderr.splitlines() if line.startswith("sealcast "))
    words = shlex.split(line)[1:]
    folder.mkdir()
    subprocess.run([*COMMAND, *words[:-1], str(folder)], check=True, timeout=60)
    stem = name.rpartition("/")[2]
    files = Client(name, folder / f"{stem}.pem", folder / f"{stem}-key.pem")
    return files, folder / "authority.pem"


@contextmanager
def origin_node(folder: Path, settings: str = RULES) -> Iterator[Node]:
    own = found_own(folder)
    with running_node(folder / "origin", own=own, settings=settings) as node:
        yield node


def encoder(origin: Node, folder: Path) -> AbstractContextManager[Encoder]:
    return mpegts_over_tls(folder, origin, STREAM, identity=origin.client(ENCODER))


def client_pair(own: OwnAuthority, folder: Path, name: str, life: datetime.timedelta) -> Client:
    """A pair to show, of a life that enrolment would not give. Saved again, it is the newer one."""
    wanted = Wanted(name, name.partition("/")[0], side=Side.CLIENT, lifetime=life)
    issued = own.authority.issue(wanted, datetime.datetime.now(datetime.UTC), who="test")
    chain, key = issued.save(folder, name.replace("/", "-"))
    return Client(name, chain, key)


def pulled(edge: Node, stream: str = STREAM) -> dict[str, Any]:
    pulls = edge.get("/api/legs")["pulls"]
    (one,) = [one for one in pulls if one["stream"] == stream]
    return dict(one)


def wait_pull(
    edge: Node, wanted: Callable[[dict[str, Any]], object], what: str, stream: str = STREAM
) -> dict[str, Any]:
    def explain() -> str:
        return json.dumps(pulled(edge, stream)) + edge.output()[-2000:]

    wait_for(
        lambda: wanted(pulled(edge, stream)),
        what=f"{stream}: {what}",
        timeout_s=40,
        explain=explain,
    )
    return pulled(edge, stream)


def wait_live(edge: Node) -> dict[str, Any]:
    return wait_pull(edge, lambda told: told["state"] == "live", "the pull is live")


def why(told: dict[str, Any]) -> str | None:
    return None if told["why"] is None else str(told["why"]["code"])


def wait_refused(edge: Node, code: str, stream: str = STREAM) -> dict[str, Any]:
    return wait_pull(edge, lambda told: why(told) == code, f"refused with {code}", stream)
