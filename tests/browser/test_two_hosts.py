"""Browsers on another host than the node: two namespaces on one cable, with real addresses."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address

from sealcast.testing.browsers import Tab, wait_for_value
from sealcast.testing.evidence import (
    assert_dtls_1_3_and_aead,
    assert_seal_agrees,
    assert_stages_done,
    leg_of,
    stats,
    wait_for_frames,
    wait_until_sending,
)
from sealcast.testing.fixtures import OpenChromium, OpenFirefox, StartNode
from sealcast.testing.network import Cable
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for


def start_publishing(tab: Tab, codec: str, source: str = "picture") -> None:
    tab.click(f"input[value={source}]")
    tab.choose("#size", "640x360")
    tab.choose("#codec", codec)
    tab.click("#start")
    wait_until_sending(tab, timeout_s=30)


def test_what_firefox_publishes_firefox_and_chromium_watch(
    two_hosts: Cable,
    start_node: StartNode,
    open_firefox: OpenFirefox,
    open_chromium: OpenChromium,
) -> None:
    node = start_node(host=two_hosts.near)
    stream = "firefox/vp8"
    firefox = open_firefox(node, two_hosts.far.prefix)
    publisher = firefox.tab("publisher")
    publisher.open(node.page("publish", stream))
    # Firefox's AudioContext stays suspended on a machine without a sound card, and the test
    # picture's tone with it; its fake microphone does sound.
    start_publishing(publisher, "VP8", source="camera")
    in_firefox = firefox.tab("viewer")
    in_firefox.open(node.page("watch", stream))
    seen = [
        wait_for_frames(open_chromium(node, node.page("watch", stream), two_hosts.far.prefix)),
        wait_for_frames(in_firefox),
    ]
    for evidence, role in (
        (seen[0], "delivery"),
        (seen[1], "delivery"),
        (stats(publisher), "ingest"),
    ):
        assert_dtls_1_3_and_aead(evidence)
        leg = leg_of(node, evidence, stream=stream, role=role)
        assert_seal_agrees(leg, evidence)
        assert_stages_done(leg)
    assert {evidence["received"]["video"]["codec"] for evidence in seen} == {"VP8"}


def test_everything_works_over_ipv6_alone(
    two_ipv6_hosts: Cable, start_node: StartNode, open_chromium: OpenChromium
) -> None:
    node = start_node(host=two_ipv6_hosts.near)
    prefix = two_ipv6_hosts.far.prefix
    stream = "ipv6/only"
    publisher = open_chromium(node, node.page("publish", stream), prefix)
    start_publishing(publisher, "VP8")
    evidence = wait_for_frames(open_chromium(node, node.page("watch", stream), prefix))
    assert_dtls_1_3_and_aead(evidence)
    assert evidence["path"]["remote"]["address"].startswith("[fd53:ea1c::1]:")
    assert_seal_agrees(leg_of(node, evidence, stream=stream, role="delivery"), evidence)


def test_a_viewer_whose_address_changes_keeps_watching_without_a_new_session(
    two_hosts: Cable, start_node: StartNode, open_chromium: OpenChromium
) -> None:
    """The page itself notices that its path is dead and restarts ICE (RFC 9725 §4.3.3)."""
    node = start_node(host=two_hosts.near)
    far = two_hosts.far
    stream = "moving/viewer"
    # The publisher stands beside the node, so that only the viewer moves.
    publisher = open_chromium(node, node.page("publish", stream), two_hosts.near.prefix)
    start_publishing(publisher, "VP8")
    viewer = open_chromium(node, node.page("watch", stream), far.prefix)
    before = wait_for_frames(viewer)
    resource = viewer.evaluate("globalThis.sealcast.resource")

    far.change_addresses(IPv4Address("10.83.0.22"), IPv6Address("fd53:ea1c::22"), two_hosts.near)

    wait_for(
        lambda: _moved(viewer, before["path"]["local"]["address"]),
        what="media from a new address",
        timeout_s=40,
        explain=lambda: json.dumps([stats(viewer), viewer.evaluate("document.body.dataset.state")]),
    )
    after = wait_for_frames(viewer, before["received"]["video"]["frames"] + 60)
    assert viewer.evaluate("globalThis.sealcast.resource") == resource, "no new POST was needed"
    leg = leg_of(node, after, stream=stream, role="delivery")
    assert_seal_agrees(leg, after)


def _moved(tab: Tab, old: str) -> bool:
    now = stats(tab)
    address = ((now["path"] or {}).get("local") or {}).get("address", old)
    return bool(address.rpartition(":")[0] != old.rpartition(":")[0]) and wait_for_value(
        tab, "document.body.dataset.state === 'live'", what="the page is live again"
    )


def test_a_viewer_whose_network_blocks_udp_is_told_so(
    two_hosts: Cable, start_node: StartNode, open_chromium: OpenChromium
) -> None:
    require("iptables")
    node = start_node(host=two_hosts.near)
    stream = "blocked/udp"
    publisher = open_chromium(node, node.page("publish", stream), two_hosts.near.prefix)
    start_publishing(publisher, "VP8")
    for tables in ("iptables", "ip6tables"):
        two_hosts.far.run(tables, "-A", "OUTPUT", "-p", "udp", "-j", "DROP")
    viewer = open_chromium(node, node.page("watch", stream), two_hosts.far.prefix)
    wait_for_value(
        viewer, "!document.getElementById('failure').hidden", what="the failure", timeout_s=30
    )
    failed = [stage for stage in viewer.evaluate("sealcast.stages") if stage["state"] == "failed"]
    assert [stage["name"] for stage in failed] == ["path"]
    told = viewer.evaluate("document.querySelector('.failure-card').innerText")
    assert "UDP" in told, told
    assert stats(publisher)["connectionState"] == "connected", "nobody else is disturbed"
