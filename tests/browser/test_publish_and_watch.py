"""Chromium publishes and watches over loopback: media is decoded, and both ends tell the same of
the leg.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sealcast.testing import ffmpeg_peer
from sealcast.testing.browsers import ChromiumTab, wait_for_value
from sealcast.testing.evidence import (
    assert_dtls_1_3_and_aead,
    assert_seal_agrees,
    assert_stages_done,
    leg_of,
    stats,
    wait_for_frames,
    wait_until_sending,
)
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import TRUST_DOMAIN, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


def publish(
    node: Node, open_chromium: OpenChromium, stream: str, *, codec: str = "VP8", **choices: str
) -> ChromiumTab:
    """The publish page of `stream`, sending the test picture."""
    tab = open_chromium(node, node.page("publish", stream))
    for selector, value in {"size": "640x360", "codec": codec, **choices}.items():
        tab.choose(f"#{selector}", value)
    tab.click("#start")
    wait_until_sending(tab)
    return tab


def watch(node: Node, open_chromium: OpenChromium, stream: str) -> ChromiumTab:
    """The watch page of `stream`."""
    return open_chromium(node, node.page("watch", stream))


def test_ffmpeg_by_mutual_tls_is_seen_and_heard_in_chromium(
    node: Node, open_chromium: OpenChromium, tmp_path: Path
) -> None:
    require("ffmpeg")
    with ffmpeg_peer.mpegts_over_tls(tmp_path, node, "mutual-tls") as sender:
        ingest = node.leg(stream="mutual-tls", role="ingest", state="live")
        tab = watch(node, open_chromium, "mutual-tls")
        evidence = wait_for_frames(tab)
        assert sender.is_running, sender.output()
        assert evidence["received"]["video"]["codec"] == "H264"
        assert evidence["received"]["audio"]["codec"].lower() == "opus"
        assert_dtls_1_3_and_aead(evidence)
        leg = leg_of(node, evidence, stream="mutual-tls", role="delivery")
        assert_seal_agrees(leg, evidence)
        assert_stages_done(leg)
        assert leg["peer"]["proof"] == "token"
        assert leg["notes"] == []
    name = f"spiffe://{TRUST_DOMAIN}/encoder/mutual-tls"
    assert ingest["peer"] == {"name": name, "proof": "certificate", "proved": True}
    assert ingest["seal"]["protocol"] == "TLS"
    assert ingest["seal"]["version"] == "1.3"
    assert tab.errors == []


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_what_chromium_publishes_chromium_watches(
    node: Node, open_chromium: OpenChromium, codec: str
) -> None:
    stream = f"chromium/{codec.lower()}"
    publisher = publish(node, open_chromium, stream, codec=codec)
    viewer = watch(node, open_chromium, stream)
    seen = wait_for_frames(viewer)
    sent = stats(publisher)
    assert seen["received"]["video"]["codec"] == codec
    for evidence, role in ((seen, "delivery"), (sent, "ingest")):
        assert evidence["identityProved"] is True
        assert_dtls_1_3_and_aead(evidence)
        leg = leg_of(node, evidence, stream=stream, role=role)
        assert_seal_agrees(leg, evidence)
        assert_stages_done(leg)
    assert publisher.errors == []
    assert viewer.errors == []


def test_a_camera_is_published_and_watched(node: Node, open_chromium: OpenChromium) -> None:
    stream = "chromium/camera"
    tab = open_chromium(node, node.page("publish", stream))
    tab.click("input[value=camera]")
    tab.choose("#codec", "VP8")
    tab.click("#start")
    wait_until_sending(tab)
    wait_for_frames(watch(node, open_chromium, stream))


def test_a_publisher_passes_two_megabits_within_fifteen_seconds(
    node: Node, open_chromium: OpenChromium
) -> None:
    """Without transport-wide feedback a browser stays near its start bitrate (facts.md)."""
    publisher = publish(
        node,
        open_chromium,
        "chromium/ramp",
        codec="VP8",
        size="1280x720",
        bitrate="4000000",
        detail="busy",
    )
    rate = wait_for(
        lambda: _megabits_per_second(publisher),
        what="2 Mbit/s",
        timeout_s=15,
        every_s=0.5,
        explain=lambda: json.dumps(stats(publisher)),
    )
    assert rate >= 2


def _megabits_per_second(tab: ChromiumTab) -> float | None:
    """What is sent over one second, if it is at least 2."""
    before = stats(tab)
    tab.page.wait_for_timeout(1000)
    after = stats(tab)
    sent = after["sent"]["video"]["bytes"] - before["sent"]["video"]["bytes"]
    rate = 8 * sent / (after["at"] - before["at"]) / 1000
    return float(rate) if rate >= 2 else None


def test_an_ice_restart_moves_the_leg_without_a_new_session(
    node: Node, open_chromium: OpenChromium
) -> None:
    stream = "chromium/restart"
    publish(node, open_chromium, stream)
    viewer = watch(node, open_chromium, stream)
    before = wait_for_frames(viewer)
    resource = viewer.evaluate("globalThis.sealcast.resource")
    viewer.evaluate("await globalThis.sealcast.restartIce()")
    wait_for(
        lambda: stats(viewer)["path"]["local"]["address"] != before["path"]["local"]["address"],
        what="media on another local port",
        explain=lambda: json.dumps(stats(viewer)["path"]),
    )
    after = wait_for_frames(viewer, before["received"]["video"]["frames"] + 60)
    assert viewer.evaluate("globalThis.sealcast.resource") == resource
    leg = leg_of(node, after, stream=stream, role="delivery")
    assert_seal_agrees(leg, after)
    assert after["localFingerprint"] == before["localFingerprint"], "the handshake was not repeated"


def test_a_viewer_who_leaves_ends_the_leg_at_once(node: Node, open_chromium: OpenChromium) -> None:
    stream = "chromium/leave"
    publish(node, open_chromium, stream)
    viewer = watch(node, open_chromium, stream)
    evidence = wait_for_frames(viewer)
    leg = leg_of(node, evidence, stream=stream)
    # A navigation away is what closes most legs: the page's own DELETE must survive it.
    viewer.open(f"{node.origin}/")
    ended = wait_for(
        lambda: [found for found in node.legs(id=leg["id"]) if found["state"] != "live"],
        what="the viewer's leg is over",
        timeout_s=3,
    )
    assert ended[0]["state"] == "ended"
    assert ended[0]["end"]["code"] in {"LEG.DELETED", "DTLS.CLOSED"}


def test_a_viewer_who_is_early_sees_the_picture_when_it_begins(
    node: Node, open_chromium: OpenChromium
) -> None:
    stream = "chromium/early"
    viewer = watch(node, open_chromium, stream)
    wait_for_value(
        viewer,
        "document.querySelector('.failure-code')?.textContent === 'STREAM.ABSENT'",
        what="the page waits",
    )
    assert viewer.evaluate("document.body.dataset.state") == "waiting"
    publish(node, open_chromium, stream)
    wait_for_frames(viewer)


def test_b_frames_are_refused_to_a_viewer_with_the_option_to_add(
    node: Node, open_chromium: OpenChromium, tmp_path: Path
) -> None:
    require("ffmpeg")
    picture = ffmpeg_peer.Picture(b_frames=2)
    with ffmpeg_peer.mpegts_over_tls(tmp_path, node, "b-frames", picture=picture):
        viewer = watch(node, open_chromium, "b-frames")
        shown = wait_for_value(
            viewer,
            "document.querySelector('.failure-card')?.innerText ?? ''",
            what="the page says why",
        )
    assert "-bf 0" in shown, shown


@pytest.mark.parametrize(
    ("fragment", "code"),
    [("", "TOKEN.MISSING"), ("#token=nonsense", "TOKEN.MALFORMED")],
)
def test_a_page_without_a_good_token_says_so_and_asks_for_one(
    node: Node, open_chromium: OpenChromium, fragment: str, code: str
) -> None:
    tab = open_chromium(node, node.url("watch", "chromium/closed") + fragment)
    wait_for_value(tab, "!document.getElementById('failure').hidden", what="the failure is shown")
    assert tab.evaluate("document.querySelector('.failure-code').textContent") == code
    assert tab.evaluate("document.querySelector('.failure-remedy').innerText.length") > len(
        "Next: "
    )
    assert tab.evaluate("!document.getElementById('token-form').hidden")
    assert tab.evaluate("location.hash") == "", "the token is out of the address bar"


def test_a_token_typed_into_the_page_is_enough(node: Node, open_chromium: OpenChromium) -> None:
    stream = "chromium/typed"
    publish(node, open_chromium, stream)
    viewer = open_chromium(node, node.url("watch", stream))
    wait_for_value(
        viewer, "!document.getElementById('token-form').hidden", what="the page asks for a token"
    )
    viewer.page.fill("#token", node.token("watch", stream))
    viewer.page.press("#token", "Enter")
    wait_for_frames(viewer)


def test_another_publisher_is_refused_and_disturbs_nobody(
    node: Node, open_chromium: OpenChromium
) -> None:
    stream = "chromium/held"
    first = publish(node, open_chromium, stream)
    viewer = watch(node, open_chromium, stream)
    before = wait_for_frames(viewer)
    refused = open_chromium(node, node.page("publish", stream))
    refused.click("#start")
    wait_for_value(
        refused,
        "document.querySelector('.failure-code')?.textContent",
        what="another token is refused",
    )
    assert stats(first)["connectionState"] == "connected"
    after = wait_for_frames(viewer, before["received"]["video"]["frames"] + 60)
    assert after["localFingerprint"] == before["localFingerprint"], "the viewer's leg is the same"


def test_the_same_publisher_takes_over_and_viewers_stay(
    node: Node, open_chromium: OpenChromium
) -> None:
    stream = "chromium/takeover"
    token = node.token("publish", stream)

    def start() -> ChromiumTab:
        tab = open_chromium(node, f"{node.url('publish', stream)}#token={token}")
        tab.choose("#size", "640x360")
        tab.choose("#codec", "VP8")
        tab.click("#start")
        return tab

    first = start()
    wait_until_sending(first)
    viewer = watch(node, open_chromium, stream)
    before = wait_for_frames(viewer)
    second = start()
    wait_until_sending(second)
    old = wait_for_value(
        first, "document.body.dataset.state === 'failed'", what="the first page has ended"
    )
    assert old
    after = wait_for_frames(viewer, stats(viewer)["received"]["video"]["frames"] + 60)
    assert after["localFingerprint"] == before["localFingerprint"], "the viewer's leg is the same"
    assert after["received"]["video"]["frames"] > before["received"]["video"]["frames"] + 60
    (ended,) = [leg for leg in node.legs(stream=stream, role="ingest") if leg["state"] != "live"]
    assert ended["end"]["code"] == "STREAM.TAKEN_OVER"
