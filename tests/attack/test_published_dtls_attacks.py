"""Attacks on DTLS servers behind ICE that have been published, each by its name, against a node.

The family is the *ClientHello race*: between ICE and the genuine peer's ClientHello an attacker
sends one of its own that cannot succeed (TLS_NULL_WITH_NULL_NULL), and the server gives the call
up. Enable Security found it in Asterisk (CVE-2023-49786), rtpengine (CVE-2023-51275) and FreeSWITCH
(CVE-2023-51443) and described it in "A Novel DoS Vulnerability affecting WebRTC Media Servers"
(2024). It comes from any address, or from the genuine peer's where the network lets one forge it.

No byte of an unproved address reaches an endpoint here; and forged ClientHellos from the proved one
get endpoints of their own beside the genuine peer's, within the leg's deadline. (One that could
succeed makes our answer reach the genuine peer, which may give up over it; but whoever can forge
that address can forge the answer as well.)
"""

from __future__ import annotations

import pytest
from tests.properties.dtls_records import DTLS_1_0, alert, hello_datagram

from sealcast.testing.node_process import Node

from .conftest import Join
from .control import running
from .counters import DROPPED_PACKETS, Counters
from .peer import Peer
from .stranger import Stranger

A_MOMENT_S = 0.3
NULL_CIPHER = {"suites": (0,)}
FLOOD = 2000


def assert_live(node: Node, peer: Peer, stream: str) -> None:
    """The genuine peer has the leg: its address, its certificate, its media."""
    assert peer.dtls.is_done, peer.dtls.error
    with running(peer, sends=True):
        leg = node.leg(stream=stream, state="live")
    assert leg["path"]["remote"] == peer.remote
    assert leg["seal"]["peer_fingerprint"] == f"sha-256 {peer.certificate.fingerprint}"


def test_client_hello_race_cve_2023_49786_cve_2023_51275_cve_2023_51443(
    attacked: Node, join: Join, counters: Counters
) -> None:
    """From a foreign address, after ICE and before the genuine ClientHello."""
    stream = "published/race"
    genuine = join("whip", stream)
    genuine.signal()
    genuine.find_path()
    with Stranger(genuine.known.address) as attacker:
        forged = [hello_datagram(**NULL_CIPHER) for _ in range(50)]
        with counters.rise(DROPPED_PACKETS, by=len(forged), code="RELAY.UNKNOWN_SOURCE"):
            attacker.send(forged)
        genuine.shake_hands()
        assert attacker.listen(A_MOMENT_S) == [], "it is not answered, not even by an alert"
    assert_live(attacked, genuine, stream)


@pytest.mark.parametrize("spoofed", [1, 3, 50])
def test_client_hello_race_2024_with_the_address_of_the_genuine_peer(
    attacked: Node, join: Join, spoofed: int
) -> None:
    """As above with a forged source address, which on this network is the peer's own socket."""
    stream = f"published/spoofed-{spoofed}"
    genuine = join("whip", stream)
    genuine.signal()
    genuine.find_path()
    genuine.send([hello_datagram(**NULL_CIPHER) for _ in range(spoofed)])
    genuine.shake_hands()
    assert_live(attacked, genuine, stream)


@pytest.mark.parametrize("what", ["DTLS 1.0", "alerts"])
def test_client_hello_race_variants_with_the_address_of_the_genuine_peer(
    attacked: Node, join: Join, what: str
) -> None:
    stream = f"published/variant-{what.replace(' ', '-').lower()}"
    genuine = join("whip", stream)
    genuine.signal()
    genuine.find_path()
    forged = {
        "DTLS 1.0": [hello_datagram(version=DTLS_1_0)],
        "alerts": [alert(40, sequence=number) for number in range(3, 12)],
    }
    genuine.send(forged[what])
    genuine.shake_hands()
    assert_live(attacked, genuine, stream)


def test_client_hello_flood_is_dropped_unanswered(
    attacked: Node, join: Join, counters: Counters
) -> None:
    """Meanwhile no frame of the control legs is lost (see conftest), and a peer joins."""
    stream = "published/flood"
    genuine = join("whip", stream)
    genuine.signal()
    genuine.find_path()
    with Stranger(genuine.known.address) as attacker:
        hellos = [hello_datagram(padding=900) for _ in range(100)]
        # The kernel may drop some of a flood; what the node got it has counted.
        with counters.rise(
            DROPPED_PACKETS, by=FLOOD // 2, at_least=True, code="RELAY.UNKNOWN_SOURCE"
        ):
            for _ in range(FLOOD // len(hellos)):
                attacker.send(hellos)
        genuine.shake_hands()
        assert attacker.listen(A_MOMENT_S) == []
    assert_live(attacked, genuine, stream)


def test_forged_alerts_after_the_handshake_with_the_address_of_the_genuine_peer(
    attacked: Node, join: Join
) -> None:
    """An unauthenticated close_notify or fatal alert ends no leg."""
    stream = "published/alerts"
    genuine = join("whip", stream)
    genuine.signal()
    genuine.find_path()
    genuine.shake_hands()
    genuine.send([alert(number, sequence=number + 10) for number in (0, 20, 40, 42, 80)])
    assert_live(attacked, genuine, stream)
