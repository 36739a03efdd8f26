"""A node takes a stream from another node: two real nodes, one authority, ffmpeg at one end and
viewers at the other.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
from tests.interop.own_authority import found_own, revoke
from tests.interop.test_revocation_live import Watching
from tests.interop.two_nodes import (
    EDGE,
    ENCODER,
    RULES,
    STREAM,
    client_pair,
    encoder,
    enrolled,
    origin_node,
    pull,
    pulled,
    wait_live,
    wait_pull,
    wait_refused,
    why,
)

from sealcast.client import watch
from sealcast.testing.node_process import (
    COMMAND,
    TRUST_DOMAIN,
    Node,
    running_node,
)
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


def test_a_stream_comes_over_two_nodes_and_each_leg_names_both_ends(tmp_path: Path) -> None:
    """Everything as an operator has it: enrolled by the line that is printed, in files."""
    require("core")
    require("ffmpeg")
    saved = tmp_path / "saved.mkv"
    with origin_node(tmp_path) as origin:
        files, trust = enrolled(origin, tmp_path / "edge-1", EDGE)
        with (
            running_node(tmp_path / "edge", settings=pull(origin, files, trust)) as edge,
            encoder(origin, tmp_path),
        ):
            wait_live(edge)
            token = edge.token("watch", STREAM)
            viewer = subprocess.run(
                [
                    *(*COMMAND, "watch", edge.url("whep", STREAM), "--token", token),
                    *("--ca", str(edge.authority), "--save", str(saved), "--for", "5s"),
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert viewer.returncode == 0, viewer.stderr
            here = edge.leg(role="node", state="live")
            there = origin.leg(role="node", state="live")
            shown = edge.command("legs", "--once").stdout
    node, edge_1 = (f"spiffe://{TRUST_DOMAIN}/{name}" for name in ("node/127.0.0.1", EDGE))
    ends = {
        node: {"name": node, "proof": "certificate", "proved": True},
        edge_1: {"name": edge_1, "proof": "certificate", "proved": True},
    }
    assert (here["local"], here["peer"]) == (ends[edge_1], ends[node])
    assert (there["local"], there["peer"]) == (ends[node], ends[edge_1])
    assert (here["way"], there["way"]) == ("pull", "whep")
    # One leg, seen from both ends: each proved the other by what signalling had named.
    for mine, others in ((here, there), (there, here)):
        assert mine["stream"] == STREAM
        assert (mine["seal"]["protocol"], mine["seal"]["version"]) == ("DTLS", "1.3")
        assert mine["seal"]["srtp_profile"] == "AEAD_AES_128_GCM"
        assert mine["seal"]["post_quantum"] is True
        assert mine["seal"]["peer_fingerprint"] == others["seal"]["local_fingerprint"]
        assert mine["path"]["local"] == others["path"]["remote"]
    assert here["counters"]["lost"] == 0
    assert "node/127.0.0.1" in shown
    with av.open(str(saved)) as file:
        pictures = sum(1 for _ in file.decode(video=0))
    with av.open(str(saved)) as file:
        sound = sum(1 for _ in file.decode(audio=0))
    assert pictures > 60, viewer.stdout
    assert sound > 100, viewer.stdout


def test_the_revocation_of_an_edge_ends_its_leg_at_once_and_it_stays_out(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    require("core")
    require("ffmpeg")
    with origin_node(tmp_path) as origin:
        assert origin.own is not None
        files, trust = enrolled(origin, tmp_path / "edge-1", EDGE)
        with (
            running_node(tmp_path / "edge", settings=pull(origin, files, trust)) as edge,
            encoder(origin, tmp_path),
        ):
            wait_live(edge)
            committed = revoke(origin, EDGE)
            there = origin.leg(role="node", state="failed")
            assert there["end"]["code"] == "IDENTITY.REVOKED"
            took = there["ended_unix"] - committed
            record_property("revocation_s", took)
            sys.stderr.write(f"the edge's leg ended {took:.3f} s after the revocation\n")
            assert took < 1.0
            here = edge.leg(role="node", way="pull", state="ended")
            assert here["end"]["code"] == "DTLS.CLOSED"
            told = wait_refused(edge, "TLS.REFUSED_AS_REVOKED")
            assert told["state"] != "live"
            # It goes on asking; each refusal is counted, and one is listed.
            wait_pull(edge, lambda now: now["tries"] > told["tries"], "it asks again")
            assert len(edge.legs(role="node", state="failed")) == 1
            counted = edge.request("GET", "/metrics", client=edge.client("admin/ada"))[1].decode()
            found = re.search(
                r'sealcast_refusals_total\{code="TLS.REFUSED_AS_REVOKED",role="node"\} (\d+)',
                counted,
            )
            assert found is not None, counted
            assert int(found[1]) >= 2
            assert origin.leg(stream=STREAM, role="ingest")["state"] == "live"


def test_a_renewal_of_the_edge_costs_no_frame_and_what_is_not_renewed_ends(tmp_path: Path) -> None:
    """The agent renews certificates of half a minute beside an edge with a viewer."""
    require("core")
    require("ffmpeg")
    life = datetime.timedelta(seconds=30)
    with origin_node(tmp_path, RULES + '[policy]\nnode = "strict"\n') as origin:
        assert origin.own is not None
        folder = tmp_path / "edge-1"
        files = client_pair(origin.own, folder, EDGE, life)
        (folder / "authority.pem").write_bytes(origin.authority.read_bytes())
        trust = folder / "authority.pem"
        with (
            running_node(tmp_path / "edge", settings=pull(origin, files, trust)) as edge,
            encoder(origin, tmp_path),
        ):
            leg = wait_live(edge)["leg"]
            with (tmp_path / "agent.log").open("wb") as log:
                agent = subprocess.Popen(
                    [
                        *(*COMMAND, "agent", "--identity", str(folder / "node-edge-1")),
                        *("--node", f"https://127.0.0.1:{origin.secure_port}"),
                    ],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            try:
                steps = asyncio.run(_steps(edge, lambda: pulled(edge)["renewals"] >= 2))
                assert pulled(edge)["leg"] == leg, "the leg went on"
            finally:
                agent.send_signal(signal.SIGINT)
                agent.wait(timeout=20)
            # Not one picture is missing or doubled: all are as far apart as the encoder's are.
            assert len(set(steps)) == 1, steps
            assert origin.leg(role="node")["state"] == "live"
            # Nobody renews any more.
            over = origin.leg(role="node", state="failed", timeout_s=120)
            assert over["end"]["code"] == "IDENTITY.EXPIRED"
            wait_pull(edge, lambda told: why(told) in _EXPIRED, "its certificate has expired")


_EXPIRED = ("TLS.REFUSED_AS_EXPIRED", "TLS.CERTIFICATE_EXPIRED")


async def _steps(edge: Node, is_enough: Callable[[], bool]) -> list[int]:
    """How far apart the pictures are that a viewer gets until it is enough, by their clock."""
    url, token = edge.url("whep", STREAM), edge.token("watch", STREAM)
    times: list[int] = []
    async with await watch(url, token=token, ca_file=edge.authority) as viewer:
        await viewer.sealed(30)
        enough = asyncio.create_task(
            asyncio.to_thread(wait_for, is_enough, what="it is enough", timeout_s=120)
        )
        async for frame in viewer.frames():
            if frame.kind == "video":
                times.append(frame.timestamp)
            if enough.done():
                enough.result()
                break
    return [after - before for before, after in itertools.pairwise(times)]


def test_an_origin_that_restarts_gives_the_stream_again(tmp_path: Path) -> None:
    require("core")
    require("ffmpeg")
    with origin_node(tmp_path) as origin:
        files, trust = enrolled(origin, tmp_path / "edge-1", EDGE)
        with running_node(tmp_path / "edge", settings=pull(origin, files, trust)) as edge:
            wait_refused(edge, "STREAM.ABSENT")
            with encoder(origin, tmp_path):
                first = wait_live(edge)["leg"]
                assert origin.stop() == 0
            wait_refused(edge, "TLS.SERVER_UNREACHABLE")
            origin.start()
            with encoder(origin, tmp_path):
                assert wait_live(edge)["leg"] != first
                viewer = Watching(tmp_path, edge, STREAM)
                viewer.sees()
                viewer.stop()


def test_each_refusal_has_its_code_and_keeps_no_other_stream_away(tmp_path: Path) -> None:
    require("core")
    require("ffmpeg")
    day = datetime.timedelta(days=1)
    (tmp_path / "foreign").mkdir()
    foreign = found_own(tmp_path / "foreign")
    foreign_roots = tmp_path / "foreign.pem"
    foreign_roots.write_bytes(foreign.authority.bundle_pem(datetime.datetime.now(datetime.UTC)))
    with origin_node(tmp_path) as origin:
        assert origin.own is not None
        files, trust = enrolled(origin, tmp_path / "edge-1", EDGE)
        stranger = client_pair(foreign, tmp_path / "stranger", EDGE, day)
        other = client_pair(origin.own, tmp_path / "other", "node/edge-2", day)
        not_a_node = origin.client(ENCODER)
        settings = "".join(
            (
                pull(origin, files, trust),
                pull(origin, files, trust, stream="venue/silent"),
                pull(origin, files, trust, stream="private/talk"),
                pull(origin, other, trust, here="by/another"),
                pull(origin, files, trust, at="127.0.0.1:9", here="un/reachable"),
                pull(origin, files, trust, at=f"127.1:{origin.secure_port}", here="wrong/name"),
                pull(origin, files, foreign_roots, here="un/trusted"),
                pull(origin, stranger, trust, here="un/known"),
                pull(origin, not_a_node, trust, here="not/a-node"),
            )
        )
        with (
            running_node(tmp_path / "edge", settings=settings) as edge,
            encoder(origin, tmp_path),
        ):
            for stream, code in (
                ("venue/silent", "STREAM.ABSENT"),
                ("private/talk", "IDENTITY.NOT_ALLOWED"),
                ("by/another", "IDENTITY.NOT_ALLOWED"),
                ("un/reachable", "TLS.SERVER_UNREACHABLE"),
                ("wrong/name", "TLS.SERVER_NAME_MISMATCH"),
                ("un/trusted", "TLS.SERVER_UNKNOWN_CA"),
                ("un/known", "TLS.REFUSED_AS_UNKNOWN"),
                ("not/a-node", "PULL.NOT_A_NODE"),
            ):
                told = wait_refused(edge, code, stream)
                assert told["why"]["sentence"].endswith(".")
                assert f"code={code}" in edge.output()
            wait_live(edge)
            # Whoever shows an encoder's certificate at the origin all the same gets no further.
            status, body = origin.request(
                "POST",
                f"/whep/{STREAM}",
                client=not_a_node,
                headers={"content-type": "application/sdp"},
                body=b"v=0",
            )
            assert (status, json.loads(body)["code"]) == (403, "IDENTITY.NOT_ALLOWED")
            assert len(origin.legs(role="node", state="live")) == 1


def test_two_nodes_that_would_give_each_other_their_own_stream_do_not(tmp_path: Path) -> None:
    """Both have the authority by [identity], and need no files of their own for a pull."""
    require("core")
    require("ffmpeg")
    rules = RULES.replace(EDGE, "node/127.0.0.1")
    with origin_node(tmp_path, rules) as first:
        own = first.own

        def take(node: Node) -> str:
            address = f"https://127.0.0.1:{node.secure_port}"
            return f'[[pull]]\nstream = "{STREAM}"\nfrom = "{address}"\n'

        with running_node(tmp_path / "second", own=own, settings=rules + take(first)) as second:
            # The other way round is configured only now: its port was not known before.
            assert first.stop() == 0
            first.config.write_text(first.config.read_text() + take(second))
            first.start()
            with encoder(first, tmp_path):
                wait_live(second)
                wait_refused(first, "STREAM.TAKEN")
            # Without its encoder the first asks the second, which has the stream from it alone.
            wait_refused(first, "PULL.LOOP")
            assert not first.legs(role="node", way="pull", state="live")
            assert first.stop() == 0
            first.config.write_text(
                first.config.read_text().replace(f":{second.secure_port}", f":{first.secure_port}")
            )
            first.start()
            wait_refused(first, "PULL.LOOP")
