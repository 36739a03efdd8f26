"""Each field of a seal is what the peer's own stack says of the same handshake: OpenSSL for TLS 1.3
and 1.2 and for DTLS 1.2, Chromium for DTLS 1.3, Firefox and aiortc for DTLS 1.2.

Chromium 156 has no switch that ends DTLS 1.3; Firefox has.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.interop import key_kinds
from tests.interop.dtls_bridge import Setup, bridge
from tests.interop.eavesdropper import Eavesdropper, eavesdropping
from tests.interop.openssl_peer import (
    CertificateFacts,
    Handshake,
    certificate_facts,
    identity,
    openssl,
    standard_name,
)
from tests.interop.whole_seal import assert_whole_seal

from sealcast.testing.browsers import Tab
from sealcast.testing.evidence import (
    DTLS_1_2,
    DTLS_1_3,
    leg_of,
    srtp_profile,
    stats,
    wait_for_frames,
    wait_until_sending,
)
from sealcast.testing.fixtures import OpenChromium, OpenFirefox, StartNode
from sealcast.testing.network import Cable
from sealcast.testing.node_process import Client, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

if TYPE_CHECKING:
    from OpenSSL import SSL

    from sealcast.testing.aiortc_peer import AiortcPeer

P256 = "ecdsa_secp256r1_sha256"


@pytest.mark.parametrize(
    ("seal", "complaint"),
    [
        ({"version": "1.3", "sni": None, "fresh": 1}, "nobody compares ['fresh']"),
        ({"version": "1.3"}, "does not tell ['sni']"),
        ({"version": "1.2", "sni": None}, "told '1.2', its peer saw '1.3'"),
        ({"version": "1.3", "sni": "a.example"}, "told 'a.example', its peer saw None"),
    ],
)
def test_a_field_that_is_wrong_or_that_nobody_compares_is_found(
    seal: dict[str, object], complaint: str
) -> None:
    with pytest.raises(AssertionError) as found:
        assert_whole_seal(seal, {"version": "1.3", "sni": None})
    assert complaint in str(found.value)


# ---- TLS, by openssl s_client ------------------------------------------------------------------


def handshake_with_the_door(
    node: Node, folder: Path, stream: str, encoder: Client, *options: str
) -> tuple[dict[str, Any], Handshake]:
    """The seal of the leg of an s_client with `options`, and what it saw itself."""
    with openssl(
        folder,
        *("s_client", "-connect", node.ts_address, "-CAfile", str(node.authority)),
        *("-verify_return_error", *identity(encoder.chain, encoder.key), *options),
    ) as client:
        # It keeps the connection until its input ends: a leg that is gone at once has no seal.
        leg = wait_for(
            lambda: [leg for leg in node.legs(stream=stream) if leg["seal"]],
            what=f"a sealed leg of {stream}",
            explain=lambda: client.said[-2000:],
        )
        return leg[0]["seal"], client.end()


def assert_tls_seal(seal: Mapping[str, object], seen: Handshake, encoder: Client) -> None:
    own = certificate_facts(encoder.chain.read_text())
    assert_whole_seal(seal, told_by_openssl(seen, own))


def told_by_openssl(seen: Handshake, own: CertificateFacts) -> dict[str, object]:
    """A handshake in the words of a seal, to an openssl with the certificate `own`: what is its own
    there is the peer's here.
    """
    return {
        "local_fingerprint": seen.peer_certificate.fingerprint,
        "peer_fingerprint": own.fingerprint,
        "expires_unix": own.expires_unix,
        "protocol": seen.protocol,
        "version": seen.version,
        "cipher": seen.cipher,
        "group": seen.group,
        "keying": "tls" if seen.srtp_profile is None else "dtls-srtp",
        "srtp_profile": seen.srtp_profile,
        "own_signature": seen.peer_signature,
        "peer_signature": seen.own_signature,
        "forward_secrecy": seen.forward_secrecy,
        "post_quantum": "MLKEM" in seen.group,
        "early_data": seen.early_data,
        "resumed": seen.resumed,
        "hello_retry": seen.hello_retry,
        "ech": seen.ech,
        "sni": seen.sni,
        "alpn": seen.alpn,
    }


@pytest.mark.parametrize(
    ("options", "group", "cipher"),
    [
        (
            "-tls1_3 -groups X25519:P-256 -ciphersuites TLS_AES_128_GCM_SHA256 "
            "-servername localhost -alpn http/1.1",
            "X25519",
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            "-tls1_3 -groups P-256 -ciphersuites TLS_AES_256_GCM_SHA384 -noservername",
            "P-256",
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            "-tls1_3 -groups P-521:P-384 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
            "P-384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            "-tls1_2 -groups X25519:P-256 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 "
            "-servername localhost -alpn http/1.1",
            "X25519",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "-tls1_2 -groups P-256 -cipher ECDHE-ECDSA-AES256-GCM-SHA384 -noservername",
            "P-256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            "-tls1_2 -groups P-521:P-256 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
            "P-256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ],
)
def test_openssl_tells_the_same_of_its_tls_connection(
    node: Node, tmp_path: Path, options: str, group: str, cipher: str
) -> None:
    require("openssl")
    stream = f"tls-{cipher.lower()}"
    encoder = node.client(f"encoder/{stream}")
    seal, seen = handshake_with_the_door(
        node, tmp_path / "client", stream, encoder, *options.split()
    )
    assert_tls_seal(seal, seen, encoder)
    # That openssl did what it was told; else much would be compared once only.
    assert (seen.group, seen.cipher, seen.peer_signature) == (group, cipher, P256)
    assert seen.sni == ("localhost" if "-servername" in options else None)
    assert seen.hello_retry == ("-tls1_3" in options and "P-521" in options)


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
@pytest.mark.parametrize("scheme", key_kinds.KINDS)
def test_openssl_tells_the_same_of_the_encoders_signature(
    node: Node, tmp_path: Path, version: str, scheme: str
) -> None:
    require("openssl")
    stream = f"signed-{scheme}{version}"
    encoder = key_kinds.client(node, f"encoder/{stream}", scheme)
    seal, seen = handshake_with_the_door(node, tmp_path / "client", stream, encoder, version)
    # With a P-384 key 1.2 may use either hash, and its names tell no curve (RFC 8446 §4.2.3).
    assert version == "-tls1_2" or seen.own_signature == scheme
    assert_tls_seal(seal, seen, encoder)


@pytest.mark.parametrize("scheme", [scheme for scheme in key_kinds.KINDS if scheme != P256])
def test_openssl_tells_the_same_of_the_doors_signature(
    start_node: StartNode, tmp_path: Path, scheme: str
) -> None:
    require("openssl")
    node = start_node()
    node.stop()
    door = key_kinds.server(node, scheme)
    lines = f'[doors.ingest_ts]\ncertificate = "{door.chain}"\nkey = "{door.key}"\n'
    node.config.write_text(node.config.read_text().replace("[doors.ingest_ts]\n", lines))
    node.start()
    for version in ("-tls1_3", "-tls1_2"):
        stream = f"door{version}"
        encoder = node.client(f"encoder/{stream}")
        seal, seen = handshake_with_the_door(node, tmp_path / stream, stream, encoder, version)
        assert version == "-tls1_2" or seen.peer_signature == scheme
        assert_tls_seal(seal, seen, encoder)


# ---- DTLS 1.2, by openssl s_client and s_server ------------------------------------------------


@pytest.mark.parametrize(
    ("openssl_is", "offered", "groups"),
    [
        ("active", "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", "X25519:P-256"),
        ("active", "SRTP_AEAD_AES_256_GCM", "P-256"),
        ("passive", "SRTP_AEAD_AES_128_GCM", "P-384:P-256"),
        ("passive", "SRTP_AES128_CM_SHA1_80", "X25519:P-256"),
    ],
)
def test_openssl_tells_the_same_of_its_dtls_1_2_handshake(
    node: Node, tmp_path: Path, openssl_is: Setup, offered: str, groups: str
) -> None:
    require("openssl")
    profile, group = offered.rpartition("SRTP_")[2], groups.partition(":")[0]
    stream = f"dtls/{openssl_is}-{profile.lower()}"
    # Any certificate will do: its fingerprint in the offer proves it.
    shown = node.client("encoder/dtls")
    own = certificate_facts(shown.chain.read_text())
    options = (
        *("-dtls1_2", "-mtu", "1200", "-use_srtp", offered, "-groups", groups),
        *identity(shown.chain, shown.key),
    )
    with bridge(node, stream, own.fingerprint, openssl_is) as way:
        if openssl_is == "active":
            assert way.setup == "passive"
            way.start()
            connect = "{}:{}".format(*way.address)
            command = ["s_client", "-connect", connect, "-noservername"]
        else:
            assert way.setup == "active"
            command = ["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-serverpref"]
            command += ["-Verify", "1"]
        with openssl(tmp_path / "openssl", *command, *options) as peer:
            if openssl_is == "passive":
                waits = peer.wait_until_said(r"^ACCEPT (\S+):(\d+)$")
                way.start((waits[1], int(waits[2])))
            (leg,) = wait_for(
                lambda: [leg for leg in node.legs(stream=stream) if leg["seal"]],
                what="a sealed leg",
                explain=lambda: (node.legs(stream=stream), peer.said[-2000:]),
            )
            seen = peer.end()
    assert_whole_seal(leg["seal"], told_by_openssl(seen, own))
    assert (seen.version, seen.srtp_profile, seen.group) == ("1.2", profile, group)


# ---- DTLS 1.3 and 1.2, by browsers and aiortc, with the wire as witness ------------------------


def start_publishing(tab: Tab) -> None:
    tab.choose("#size", "640x360")
    tab.choose("#codec", "VP8")
    tab.click("#start")
    wait_until_sending(tab)


def told_by_browser(evidence: Mapping[str, Any]) -> dict[str, object]:
    """getStats in the words of a seal."""
    return {
        "protocol": "DTLS",
        "version": {DTLS_1_3: "1.3", DTLS_1_2: "1.2"}[evidence["tlsVersion"]],
        "cipher": evidence["dtlsCipher"],
        "keying": "dtls-srtp",
        "srtp_profile": srtp_profile(evidence["srtpCipher"]),
        "peer_fingerprint": evidence["localFingerprint"],
    }


def told_on_the_wire(heard: Eavesdropper) -> dict[str, object]:
    """What no statistics show."""
    told: dict[str, object] = {
        "group": heard.group,
        "forward_secrecy": not heard.resumed,
        "post_quantum": "MLKEM" in heard.group,
        "early_data": heard.early_data,
        "resumed": heard.resumed,
        "hello_retry": heard.hello_retry,
        "ech": heard.ech,
        "sni": heard.sni,
        "alpn": heard.alpn,
    }
    if heard.version == "1.2":
        told["own_signature"] = heard.signature(of_node=True)
        told["peer_signature"] = heard.signature(of_node=False)
        told["local_fingerprint"] = heard.fingerprint(of_node=True)
        told["expires_unix"] = heard.expires_unix(of_node=False)
    return told


def certificate_by(tab: Tab, end: str) -> x509.Certificate:
    """The certificate of an `end` (local or remote), which getStats shows."""
    shown = tab.evaluate(
        "await globalThis.sealcast.pc.getStats().then((report) => {"
        "  const transport = [...report.values()].find((entry) => entry.type === 'transport');"
        f"  return report.get(transport.{end}CertificateId).base64Certificate;"
        "})"
    )
    return x509.load_der_x509_certificate(b64decode(shown))


def signature_by(tab: Tab, end: str) -> str:
    """What an `end` signed a DTLS 1.3 handshake with: its key leaves one scheme only (RFC 8446
    §4.2.3).
    """
    key = certificate_by(tab, end).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return {"secp256r1": P256, "secp384r1": "ecdsa_secp384r1_sha384"}[key.curve.name]


def test_chromium_tells_the_same_of_its_dtls_1_3_handshake(
    node: Node, open_chromium: OpenChromium
) -> None:
    require("namespaces")  # root, to listen
    stream = "chromium/seal"
    with eavesdropping(node.media_port) as published:
        publisher = open_chromium(node, node.page("publish", stream))
        start_publishing(publisher)
    with eavesdropping(node.media_port) as watched:
        viewer = open_chromium(node, node.page("watch", stream))
        wait_for_frames(viewer)
    for tab, role, heard in (
        (publisher, "ingest", published),
        (viewer, "delivery", watched),
    ):
        evidence = stats(tab)
        leg = leg_of(node, evidence, stream=stream, role=role)
        told = told_by_browser(evidence) | {
            "local_fingerprint": evidence["remoteFingerprint"],
            "own_signature": signature_by(tab, "remote"),
            "peer_signature": signature_by(tab, "local"),
            "expires_unix": int(certificate_by(tab, "local").not_valid_after_utc.timestamp()),
        }
        assert told["version"] == heard.version == "1.3"
        assert_whole_seal(leg["seal"], told | told_on_the_wire(heard))
        assert heard.group == "X25519MLKEM768", "its first choice is ours too"


def test_firefox_that_is_held_to_dtls_1_2_tells_the_same_of_it(
    two_hosts: Cable, start_node: StartNode, open_firefox: OpenFirefox, tmp_path: Path
) -> None:
    # Beside the preferences that its driver writes into user.js.
    profile = tmp_path / "firefox" / "firefox-profile"
    profile.mkdir(parents=True)
    (profile / "prefs.js").write_text(
        'user_pref("media.peerconnection.dtls.version.max", 771);\n'  # as TLS counts: 0x0303
    )
    node = start_node(host=two_hosts.near)
    firefox = open_firefox(node, two_hosts.far.prefix)
    stream = "firefox/seal"
    publisher, viewer = firefox.tab("publisher"), firefox.tab("viewer")
    with eavesdropping(node.media_port, two_hosts.near) as published:
        publisher.open(node.page("publish", stream))
        publisher.click("input[value=camera]")
        start_publishing(publisher)
    with eavesdropping(node.media_port, two_hosts.near) as watched:
        viewer.open(node.page("watch", stream))
        wait_for_frames(viewer)
    for tab, role, heard in (
        (publisher, "ingest", published),
        (viewer, "delivery", watched),
    ):
        evidence = stats(tab)
        leg = leg_of(node, evidence, stream=stream, role=role)
        told = told_by_browser(evidence)
        assert told["version"] == heard.version == "1.2"
        assert told["peer_fingerprint"] == heard.fingerprint(of_node=False)
        assert_whole_seal(leg["seal"], told | told_on_the_wire(heard))
        assert {note["code"] for note in leg["notes"]} >= {"DOWNGRADE.DTLS12"}


def test_aiortc_tells_the_same_of_its_dtls_1_2_handshake(node: Node) -> None:
    require("aiortc", "aiohttp", "openssl", "namespaces")
    from sealcast.testing.aiortc_peer import aiortc_peer

    stream = "aiortc/seal"
    with aiortc_peer(node.authority) as publisher, aiortc_peer(node.authority) as viewer:
        with eavesdropping(node.media_port) as published:
            publisher.publish(node.url("whip", stream), node.token("publish", stream))
            ingest = node.leg(stream=stream, role="ingest", state="live")
        with eavesdropping(node.media_port) as watched:
            viewer.watch(node.url("whep", stream), node.token("watch", stream))
            delivery = node.leg(stream=stream, role="delivery", state="live")
        for peer, leg, heard in ((publisher, ingest, published), (viewer, delivery, watched)):
            told = told_by_aiortc(peer)
            on_the_wire = told_on_the_wire(heard)
            for name in set(told) & set(on_the_wire):
                assert told[name] == on_the_wire[name], name
            assert_whole_seal(leg["seal"], told | on_the_wire)


def told_by_aiortc(peer: AiortcPeer) -> dict[str, object]:
    """What pyOpenSSL shows of its connection."""
    seen = peer.secured()
    connection = connection_of(peer)
    own, other = connection.get_certificate(), connection.get_peer_certificate()
    assert own is not None
    assert other is not None
    return {
        "protocol": "DTLS",
        "version": {"DTLSv1.2": "1.2"}[seen.version],
        "cipher": standard_name(seen.cipher),
        "group": {"x25519": "X25519", "secp256r1": "P-256"}[connection.get_group_name() or ""],
        "keying": "dtls-srtp",
        "srtp_profile": seen.srtp_profile.removeprefix("SRTP_"),
        # It names its certificate by three hashes: the strongest counts. The node names one.
        "peer_fingerprint": f"sha-512 {own.digest('sha512').decode()}",
        "local_fingerprint": f"sha-256 {other.digest('sha256').decode()}",
        "alpn": connection.get_alpn_proto_negotiated().decode() or None,
        "sni": connection.get_servername(),
    }


def connection_of(peer: AiortcPeer) -> SSL.Connection:
    """aiortc has no public way to it."""
    assert peer._connection is not None
    (transport, *_) = {side.sender.transport for side in peer._connection.getTransceivers()}
    connection: SSL.Connection | None = transport._ssl
    assert connection is not None, "the handshake is over"
    return connection
