"""A node whose disk is full: store, state and log are on it. It goes on, it starts again, and it
ends what is revoked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.own_authority import found_own, revoke

from sealcast.identity.reserve import RESERVE_BYTES, Reserve
from sealcast.testing.ffmpeg_peer import mpegts_over_tls
from sealcast.testing.node_process import Node, running_node
from sealcast.testing.requirement import require
from sealcast.testing.small_disk import SmallDisk, small_disk
from sealcast.testing.waiting import wait_for

SIZE = 16 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    require("core", "tmpfs")
    with small_disk(tmp_path / "disk", SIZE) as made:
        yield made


def counted(node: Node, name: str) -> float:
    status, body = node.request("GET", "/metrics", client=node._admin)
    assert status == 200
    (row,) = [line for line in body.decode().splitlines() if line.startswith(f"{name} ")]
    return float(row.rpartition(" ")[2])


def test_an_encoder_is_revoked_and_ends_although_the_nodes_disk_is_full(
    disk: SmallDisk, tmp_path: Path
) -> None:
    require("ffmpeg")
    name, stream = "encoder/lost", "lost"
    with running_node(disk.path / "node", own=found_own(disk.path)) as node:
        identity = node.client(name)
        with mpegts_over_tls(tmp_path, node, stream, identity=identity):
            node.leg(stream=stream, role="ingest", state="live")
            disk.fill()
            revoke(node, name)
            leg = node.leg(stream=stream, role="ingest", state="failed")
        assert leg["end"]["code"] == "IDENTITY.REVOKED"
        disk.make_room()


def test_a_node_starts_again_on_a_full_disk_and_still_revokes(
    disk: SmallDisk, tmp_path: Path
) -> None:
    require("ffmpeg")
    name, stream = "encoder/lost", "lost"
    with running_node(disk.path / "node", own=found_own(disk.path)) as node:
        identity = node.client(name)
        assert counted(node, "sealcast_identity_reserve_bytes") == RESERVE_BYTES
        assert node.stop() == 0
        # What a start writes to its log is not what is tried here.
        node.log = tmp_path / "node.log"
        disk.fill()
        node.start()
        # With what it was given of the reserve it reads the store, and may even have issued.
        wait_for(lambda: "IDENTITY.RESERVE_SHORT" in node.output(), what="it is said")
        left = counted(node, "sealcast_identity_reserve_bytes")
        assert RESERVE_BYTES // 2 < left < RESERVE_BYTES
        with mpegts_over_tls(tmp_path, node, stream, identity=identity):
            node.leg(stream=stream, role="ingest", state="live")
            revoke(node, name)
            leg = node.leg(stream=stream, role="ingest", state="failed")
        assert leg["end"]["code"] == "IDENTITY.REVOKED"
        disk.make_room()
        assert node.own is not None
        Reserve(node.own.authority.folder).fill()
