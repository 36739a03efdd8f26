"""aiortc (DTLS 1.2, OpenSSL, libsrtp) publishes and watches."""

from __future__ import annotations

import pytest

from sealcast.testing.fixtures import StartNode
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

require("aiortc", "aiohttp")
from sealcast.testing.aiortc_peer import AiortcPeer, Refused, aiortc_peer  # noqa: E402 - needs them

# OpenSSL's names of the suites that DTLS 1.2 may agree on here, and the registry's.
SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}


def test_what_aiortc_publishes_aiortc_watches(node: Node) -> None:
    stream = "aiortc/vp8"
    with aiortc_peer(node.authority) as publisher, aiortc_peer(node.authority) as viewer:
        publisher.publish(node.url("whip", stream), node.token("publish", stream))
        node.leg(stream=stream, role="ingest", state="live")
        viewer.watch(node.url("whep", stream), node.token("watch", stream))
        wait_for(
            lambda: viewer.frames >= 60,
            what="60 decoded frames",
            timeout_s=30,
            explain=lambda: (viewer.frames, viewer.state),
        )
        heard = viewer.audio_energy
        wait_for(lambda: viewer.audio_energy > heard + 0.01, what="rising audio energy")
        for peer, role in ((publisher, "ingest"), (viewer, "delivery")):
            _assert_seal_agrees(node, stream, role, peer)


def _assert_seal_agrees(node: Node, stream: str, role: str, peer: AiortcPeer) -> None:
    seen = peer.secured()
    leg = node.leg(stream=stream, role=role, state="live")
    seal = leg["seal"]
    assert seen.version == "DTLSv1.2"
    assert seal["version"] == "1.2"
    assert seal["cipher"] == SUITES[seen.cipher]
    assert seal["srtp_profile"] == seen.srtp_profile.removeprefix("SRTP_")
    assert seal["srtp_profile"] == "AEAD_AES_128_GCM", (
        "the node's order counts when it is the server"
    )
    # aiortc names its certificate by SHA-256, -384 and -512: the strongest counts.
    noted = {note["code"] for note in leg["notes"]}
    assert noted == {"DOWNGRADE.DTLS12", "NOTE.WEAK_FINGERPRINT_IGNORED"}


def test_the_strict_policy_refuses_dtls_1_2_and_names_the_reason(start_node: StartNode) -> None:
    node = start_node('[policy]\ningest = "strict"\n')
    stream = "aiortc/strict"
    # A token is not enough for strict: the certificate names the stream that its holder publishes.
    with aiortc_peer(node.authority, node.client(f"encoder/{stream}")) as publisher:
        publisher.publish(node.url("whip", stream, door="secure"), "")
        leg = node.leg(stream=stream, role="ingest", state="failed", timeout_s=30)
    assert leg["end"]["code"] == "DTLS.VERSION_REFUSED"
    assert leg["end"]["stage"] == "handshake"


def test_a_token_for_another_stream_is_refused_with_its_code(node: Node) -> None:
    with aiortc_peer(node.authority) as peer, pytest.raises(Refused) as refusal:
        peer.watch(node.url("whep", "aiortc/other"), node.token("watch", "aiortc/another"))
    assert "TOKEN.WRONG_STREAM" in refusal.value.body
