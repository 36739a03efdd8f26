"""ffmpeg 9's WHIP muxer: DTLS 1.2 and AES128_CM_SHA1_80 only, `setup:passive` unless told
otherwise. It answers connectivity checks until its handshake and never again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interop.long_calls import PICTURE, LongCalls

from sealcast.testing import ffmpeg_peer
from sealcast.testing.evidence import wait_for_frames
from sealcast.testing.fixtures import OpenChromium, StartNode
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

# Consent lasts 30 s (RFC 7675 §5.1): a call that is dropped for the lack of it ends before this.
LONG_S = 40.0
SILENCE_S = 2.0
STRICT = '[policy]\ningest = "strict"\n'


def test_ffmpeg_begins_two_long_calls(long_calls: LongCalls) -> None:
    for role in long_calls.viewers:
        _watch_for(long_calls, role, 0.1)


def test_a_call_of_forty_seconds_has_no_silence(long_calls: LongCalls) -> None:
    for role, viewer in long_calls.viewers.items():
        _watch_for(long_calls, role, LONG_S)
        silences = viewer.silences_s()
        assert set(silences) == {"video", "audio"}
        assert max(silences.values()) < SILENCE_S, silences
        assert viewer.frames["video"] >= PICTURE.rate * (LONG_S - 2 * SILENCE_S)
        (leg,) = long_calls.node.legs(stream=role, role="ingest")
        assert leg["id"] == long_calls.legs[role], "the leg of the beginning"
        assert leg["state"] == "live"
    long_calls.end()


def _watch_for(calls: LongCalls, role: str, seconds: float) -> None:
    viewer, encoder = calls.viewers[role], calls.encoders[role]

    def watched() -> bool:
        assert viewer.error is None
        assert encoder.is_running, encoder.output()[-3000:]
        return viewer.watched_s() >= seconds

    wait_for(watched, what=f"{seconds} s of ffmpeg {role}", timeout_s=LONG_S + 10)


@pytest.mark.parametrize("dtls_active", [False, True], ids=["passive", "active"])
def test_the_standard_policy_admits_it_and_notes_both_downgrades(
    node: Node, open_chromium: OpenChromium, tmp_path: Path, dtls_active: bool
) -> None:
    require("ffmpeg-whip")
    stream = f"ffmpeg-whip/{'active' if dtls_active else 'passive'}"
    with ffmpeg_peer.whip(
        tmp_path,
        node.url("whip", stream),
        authority=node.authority,
        token=node.token("publish", stream),
        dtls_active=dtls_active,
    ) as sender:
        leg = node.leg(stream=stream, role="ingest", state="live")
        assert sender.is_running, sender.output()[-3000:]
        assert leg["seal"]["version"] == "1.2"
        assert leg["seal"]["srtp_profile"] == "AES128_CM_SHA1_80"
        assert {note["code"] for note in leg["notes"]} >= {
            "DOWNGRADE.DTLS12",
            "DOWNGRADE.SRTP_CM80",
        }
        evidence = wait_for_frames(open_chromium(node, node.page("watch", stream)))
        assert evidence["received"]["video"]["codec"] == "H264"


def test_the_strict_policy_refuses_it_and_names_the_reason(
    start_node: StartNode, tmp_path: Path
) -> None:
    require("ffmpeg-whip")
    node = start_node(STRICT)
    stream = "ffmpeg-whip/strict"
    with ffmpeg_peer.whip(
        tmp_path,
        node.url("whip", stream),
        authority=node.authority,
        token=node.token("publish", stream),
    ) as sender:
        sender.wait(timeout_s=30)
    (leg,) = wait_for(lambda: node.legs(stream=stream), what="the refused leg is listed")
    assert leg["state"] == "failed"
    # Its muxer has no way to show a client certificate with the POST, so it fails before DTLS 1.2
    # would be refused too (test_aiortc.py has that).
    assert leg["end"]["code"] == "POLICY.IDENTITY_REFUSED"
    assert "certificate" in leg["end"]["detail"]
