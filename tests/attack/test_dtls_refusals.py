"""DTLS from those who may not begin it, and handshakes that must not succeed."""

from __future__ import annotations

import pytest

from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from .conftest import Join
from .control import FPS, running
from .counters import DROPPED_PACKETS, ENDED_LEGS, Counters
from .dtls import CM32, PROTOCOL_VERSION, Certificate, DtlsClient, alerts, client_hello_1_0
from .ledger import assert_failed, leg_from
from .stranger import Stranger

A_MOMENT_S = 0.3
HELD = 8
"""So many DTLS datagrams wait for the answer to a check (crates/leg)."""


def is_dtls(datagram: bytes) -> bool:
    """RFC 7983 §7."""
    return 20 <= datagram[0] <= 63


def test_a_client_hello_from_nowhere_is_dropped_unanswered(join: Join, counters: Counters) -> None:
    known = join("whip", "hello/nowhere")
    known.signal()
    known.find_path()
    hello = DtlsClient(Certificate.make(), b"SRTP_AEAD_AES_128_GCM").start()
    with (
        Stranger(known.known.address) as somebody,
        counters.rise(DROPPED_PACKETS, by=len(hello), code="RELAY.UNKNOWN_SOURCE"),
    ):
        somebody.send(hello)
        assert somebody.listen(A_MOMENT_S) == []
    known.shake_hands()
    assert known.dtls.is_done


def test_a_client_hello_before_the_peer_has_answered_is_not_heard(
    join: Join, counters: Counters
) -> None:
    """An authentic check came from there, but nobody has answered the node's own yet."""
    hasty = join("whip", "hello/hasty")
    hasty.signal()
    hasty.answers_checks = False
    hasty.send_check()
    hasty.pump(A_MOMENT_S)
    hello = hasty.dtls.start()
    beyond = 5
    with counters.rise(DROPPED_PACKETS, by=beyond, code="DTLS.UNVALIDATED_SOURCE"):
        hasty.send((hello * (HELD + beyond))[: HELD + beyond])
        hasty.pump(A_MOMENT_S)
    assert hasty.heard_dtls == [], "no byte goes to an address that nobody proved"
    hasty.answers_checks = True
    hasty.find_path()
    hasty.shake_hands()
    assert hasty.dtls.is_done, "the same peer is heard once it has answered"


def test_who_races_the_peer_to_the_handshake_does_not_win(attacked: Node, join: Join) -> None:
    """The race that broke DTLS servers behind ICE: an attacker on the way replays the peer's check
    from its own address and sends its own ClientHello first.
    """
    known = join("whip", "hello/race")
    known.signal()
    forged = DtlsClient(Certificate.make(), b"SRTP_AEAD_AES_128_GCM").start()
    with Stranger(known.known.address) as racer:
        for _ in range(HELD):
            racer.send([known.check(), *forged])
        known.find_path()
        for _ in range(HELD):
            racer.send([known.check(), *forged])
        known.shake_hands()
        assert not any(is_dtls(datagram) for datagram in racer.listen(A_MOMENT_S))
    assert known.dtls.is_done, known.dtls.error
    with running(known, sends=True):
        leg = attacked.leg(stream="hello/race", state="live")
    assert leg["path"]["remote"] == known.remote
    assert leg["seal"]["peer_fingerprint"] == f"sha-256 {known.certificate.fingerprint}"


def test_dtls_1_0_is_refused_by_its_version(attacked: Node, join: Join, counters: Counters) -> None:
    code = "DTLS.VERSION_REFUSED"
    old = join("whip", "refused/dtls-1-0")
    old.signal()
    old.find_path()
    # A refusal is believed when it comes twice; a peer repeats a ClientHello that gets no answer.
    hello = client_hello_1_0()
    with counters.rise(ENDED_LEGS, role="ingest", code=code):
        for _ in range(2):
            old.send([hello])
            old.pump(0.2)
        leg = leg_from(attacked, old.remote)
    # It is told when it is sure that no genuine peer is still to come.
    old.pump(A_MOMENT_S)
    assert set(alerts(old.heard_dtls)) == {PROTOCOL_VERSION}
    assert_failed(leg, code)


@pytest.mark.parametrize(
    ("profiles", "what"), [(b"", "none at all"), (CM32, "one that no policy here admits")]
)
def test_a_handshake_without_a_common_srtp_profile_is_refused(
    attacked: Node, join: Join, counters: Counters, profiles: bytes, what: str
) -> None:
    code = "DTLS.NO_SRTP_PROFILE"
    weak = join("whip", f"refused/srtp-{len(profiles)}", profiles=profiles)
    weak.signal()
    weak.find_path()
    with counters.rise(ENDED_LEGS, role="ingest", code=code):
        weak.shake_hands()
        leg = leg_from(attacked, weak.remote)
    assert_failed(leg, code)
    assert leg["seal"] is None, f"a peer with {what} gets no keys"


def test_a_certificate_that_the_signalling_did_not_name_is_refused(
    attacked: Node, join: Join, counters: Counters
) -> None:
    code = "DTLS.FINGERPRINT_MISMATCH"
    impostor = join("whip", "refused/fingerprint")
    impostor.signal(fingerprint=Certificate.make().fingerprint)
    impostor.find_path()
    with counters.rise(ENDED_LEGS, role="ingest", code=code):
        impostor.shake_hands()
        leg = leg_from(attacked, impostor.remote)
    assert impostor.dtls.error is not None, "it is told by an alert"
    assert_failed(leg, code, says=impostor.certificate.fingerprint)
    assert leg["seal"] is None


def test_a_peer_without_a_certificate_is_refused(
    attacked: Node, join: Join, counters: Counters
) -> None:
    code = "DTLS.NO_PEER_CERTIFICATE"
    nobody = join("whip", "refused/no-certificate")
    nobody.dtls = DtlsClient(None, b"SRTP_AEAD_AES_128_GCM")
    nobody.signal()
    nobody.find_path()
    with counters.rise(ENDED_LEGS, role="ingest", code=code):
        nobody.shake_hands()
        leg = leg_from(attacked, nobody.remote)
    assert_failed(leg, code)


def test_replayed_and_damaged_media_is_dropped_and_counted(join: Join, counters: Counters) -> None:
    """From the peer's own address, so that nothing but SRTP can tell."""
    publisher = join("whip", "srtp").connect()
    packets = [
        publisher.protected_frame(number, key=number == 1, fps=FPS) for number in range(1, 21)
    ]
    publisher.send(packets)
    with counters.rise(DROPPED_PACKETS, by=len(packets), code="SRTP.REPLAYED"):
        publisher.send(packets)
    later = [publisher.protected_frame(number, key=False, fps=FPS) for number in range(21, 31)]
    damaged = [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in later]
    with counters.rise(DROPPED_PACKETS, by=len(damaged), code="SRTP.AUTH_FAILED"):
        publisher.send(damaged)
    # What was damaged on the way counts for nothing: the good ones still come through.
    leg = publisher.node.leg(stream="srtp", role="ingest", state="live")
    received = leg["counters"]["packets_in"]
    publisher.send(later)
    wait_for(
        lambda: (
            publisher.node.leg(stream="srtp", role="ingest")["counters"]["packets_in"]
            == received + len(later)
        ),
        what="the good packets are taken",
    )
