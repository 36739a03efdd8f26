"""A flood of datagrams that mean nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from sealcast.codes import CODES
from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from .control import STREAM, Control
from .counters import DATAGRAMS, DROPPED_PACKETS, Counters
from .stranger import Stranger

FLOOD = 4000
AT_ONCE = 32
WAITING_BYTES = 64 * 1024
"""More than that is never left waiting in the node's socket: what the kernel drops would be no
proof of anything.
"""

STRAYS = 10
"""Last words of peers that left, which come from addresses that no leg knows any more."""

# First bytes by RFC 7983 §7 and RFC 9443 §3, and what a stranger's datagram of that kind is dropped
# as. STUN is malformed, the rest comes from an address that no leg knows.
KINDS = {
    "STUN": (range(4), {"ICE.MALFORMED"}),
    "DTLS": (range(20, 64), {"RELAY.UNKNOWN_SOURCE"}),
    "media": (range(128, 192), {"RELAY.UNKNOWN_SOURCE"}),
    "another protocol": (
        [*range(16, 20), *range(64, 128), *range(192, 256)],
        {"PACKET.UNKNOWN_KIND"},
    ),
}


class MediaSocket:
    """The node's UDP socket as the kernel sees it (proc(5), /proc/net/udp)."""

    def __init__(self, port: int) -> None:
        self._end = f":{port:04X}"

    def waiting_bytes(self) -> int:
        return int(self._fields()[4].rpartition(":")[2], 16)

    def dropped(self) -> int:
        return int(self._fields()[-1])

    def _fields(self) -> list[str]:
        rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
        return next(row for row in rows if row[1].endswith(self._end))


def lines_of(node: Node) -> list[str]:
    """The lines of its log, without those of the legs that end beside all tests."""
    return [line for line in node.output().splitlines() if "unfinished/" not in line]


def others(node: Node) -> list[object]:
    """Legs of tests before that have not ended: each writes a line then, maybe after its DELETE."""
    besides = (STREAM, "unfinished/")
    return [
        leg["id"]
        for leg in node.legs()
        if leg["state"] in ("opening", "live") and not leg["stream"].startswith(besides)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_of_random_datagrams_is_counted_and_changes_nothing(
    attacked: Node, control: Control, counters: Counters, kind: str
) -> None:
    first_bytes, codes = KINDS[kind]
    dice = random.Random(kind)
    wait_for(lambda: not others(attacked), what="only the control legs are left")
    socket = MediaSocket(attacked.media_port)
    lost_by_kernel = socket.dropped()
    legs = len(attacked.legs())
    before = counters.by_code(DROPPED_PACKETS)
    lines = lines_of(attacked)

    def noise() -> bytes:
        return bytes([dice.choice(list(first_bytes))]) + dice.randbytes(dice.randrange(1, 1200))

    with (
        counters.rise(DATAGRAMS, by=FLOOD, at_least=True, direction="in"),
        Stranger(control.viewer.peer.known.address) as somebody,
    ):
        for _ in range(0, FLOOD, AT_ONCE):
            somebody.send(noise() for _ in range(AT_ONCE))
            while socket.waiting_bytes() > WAITING_BYTES:
                time.sleep(0.001)
        assert somebody.listen(0.2) == [], "nothing is answered"
    assert socket.dropped() == lost_by_kernel

    def risen() -> dict[str, int]:
        now = counters.by_code(DROPPED_PACKETS)
        return {
            code: now[code] - before.get(code, 0)
            for code in now
            if now[code] != before.get(code, 0)
        }

    rise = wait_for(
        lambda: found if sum((found := risen()).values()) >= FLOOD else None,
        what=f"{FLOOD} dropped datagrams are counted",
        explain=risen,
    )
    assert codes <= set(CODES)
    strays = sum(rise.values()) - FLOOD
    assert 0 <= strays <= STRAYS, rise
    assert sum(rise[code] for code in codes) >= FLOOD
    assert len(attacked.legs()) == legs, "no leg comes of it"
    assert lines_of(attacked)[len(lines) :] == [], "and no line in the log"
