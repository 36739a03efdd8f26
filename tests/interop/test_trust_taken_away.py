"""An authority leaves a door's bundle at a running node: what it vouched for ends and stays out."""

from __future__ import annotations

from pathlib import Path

from tests.interop.own_authority import found_own
from tests.unit.founded import today

from sealcast.identity import ThrowAwayAuthority
from sealcast.testing.ffmpeg_peer import mpegts_over_tls
from sealcast.testing.node_process import TRUST_DOMAIN, running_node
from sealcast.testing.requirement import require


def test_an_encoder_ends_when_its_authority_leaves_the_doors_bundle(tmp_path: Path) -> None:
    require("core", "ffmpeg")
    own = found_own(tmp_path)
    bundle, stream = tmp_path / "encoders.pem", "taken-away"
    root = own.authority.bundle_pem(today())
    another = ThrowAwayAuthority.create(f"other.{TRUST_DOMAIN}", today()).root_pem
    bundle.write_bytes(root + another)
    with running_node(tmp_path / "node", own=own, ingest_ts=f'client_ca = "{bundle}"') as node:
        identity = node.client(f"encoder/{stream}")
        with mpegts_over_tls(tmp_path, node, stream, identity=identity):
            node.leg(stream=stream, role="ingest", state="live")
            bundle.write_bytes(another)
            leg = node.leg(stream=stream, role="ingest", state="failed")
        assert leg["end"]["code"] == "IDENTITY.NO_LONGER_TRUSTED"
        assert "ingest-ts" in leg["end"]["detail"]
        counted = node.request("GET", "/metrics", client=node.client("admin/ada"))[1].decode()
        labels = 'code="IDENTITY.NO_LONGER_TRUSTED",role="ingest"'
        assert f"sealcast_legs_ended_total{{{labels}}} 1.0" in counted
