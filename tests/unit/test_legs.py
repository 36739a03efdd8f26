"""The ledger: legs as events tell them, bounded, without secrets."""

import dataclasses
import json
from dataclasses import MISSING

import msgspec
import pytest

from sealcast import wire
from sealcast.keying import DtlsClaim, Identity, Proof, TlsClaim
from sealcast.keying.agreement import UNPROVED
from sealcast.legs import Counters, Ledger, Leg, LegState, Outcome, Seal, Stage, next_outcome
from sealcast.legs.ledger import STRANGERS_KEPT
from sealcast.policy import Channel, Grant, Note, Role, admit, load
from sealcast.wire import (
    FingerprintSpec,
    LegClosed,
    LegNoted,
    LegPath,
    LegSealed,
    LegStage,
    MediaSeal,
    decode_relay_events,
)

DIGEST = ":".join(["AB"] * 32)
PEER = Identity("alice", Proof.TOKEN)
PEER_ENCODER = Identity("spiffe://example/encoder/a", Proof.CERTIFICATE)
LOCAL = Identity(DIGEST, Proof.FINGERPRINT)
CLAIM = DtlsClaim("passive", (FingerprintSpec(algorithm="sha-256", value=DIGEST),))
SEAL = MediaSeal(
    version="1.3",
    cipher="TLS_AES_128_GCM_SHA256",
    group="X25519MLKEM768",
    srtp_profile="AEAD_AES_128_GCM",
    peer_fingerprint=f"sha-256 {DIGEST}",
    local_fingerprint=f"sha-256 {DIGEST}",
    forward_secrecy=True,
    post_quantum=True,
)


def grant(policy: str = "standard") -> Grant:
    return admit(CLAIM, Channel("1.3", PEER), Role.DELIVERY, load(policy))


def opened(ledger: Ledger, policy: str = "standard") -> int:
    leg = ledger.new_id()
    ledger.open(leg, grant=grant(policy), way="whep", stream="a", local=LOCAL, now=100.0)
    return leg


def leg_of(ledger: Ledger, leg: int) -> Leg:
    found = ledger.get(leg)
    assert found is not None
    return found


def stage(leg: int, name: str, outcome: str, at_ms: float, code: str | None = None) -> LegStage:
    return msgspec.convert(
        {
            "type": "leg_stage",
            "leg": leg,
            "stage": name,
            "outcome": outcome,
            "elapsed_ms": at_ms,
            "code": code,
        },
        LegStage,
    )


def test_a_leg_passes_its_stages_and_is_sealed() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    assert leg_of(ledger, leg).state is LegState.OPENING
    at = 0.0
    for name in ("path", "handshake", "identity", "keys", "media"):
        ledger.apply(stage(leg, name, "started", at), 100.0)
        ledger.apply(stage(leg, name, "done", at + 5.0), 100.0)
        at += 10.0
    ledger.apply(LegPath(leg=leg, local="192.0.2.1:8443", remote="192.0.2.2:5000"), 100.0)
    assert ledger.apply(LegSealed(leg=leg, seal=SEAL), 100.0) is None
    found = leg_of(ledger, leg)
    assert (found.state, found.stage) == (LegState.LIVE, Stage.MEDIA)
    assert found.record(Stage.HANDSHAKE).started_ms == 10.0
    assert found.record(Stage.HANDSHAKE).ended_ms == 15.0
    assert found.seal is not None
    assert (found.seal.version, found.seal.group) == ("1.3", "X25519MLKEM768")
    assert found.path_remote == "192.0.2.2:5000"
    assert found.notes == ()


def test_a_leg_is_live_with_its_first_packet_and_not_before() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.apply(stage(leg, "media", "started", 10.0), 100.0)
    assert leg_of(ledger, leg).state is LegState.OPENING
    ledger.apply(stage(leg, "media", "done", 20.0), 100.0)
    assert leg_of(ledger, leg).state is LegState.LIVE


def test_a_leg_that_failed_stays_listed_with_stage_and_code() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.apply(stage(leg, "path", "done", 3.0), 100.0)
    ledger.apply(stage(leg, "handshake", "failed", 9.0, "DTLS.FINGERPRINT_MISMATCH"), 101.0)
    ledger.apply(LegClosed(leg=leg, code="DTLS.FINGERPRINT_MISMATCH"), 101.0)
    found = leg_of(ledger, leg)
    assert (found.state, found.stage) == (LegState.FAILED, Stage.HANDSHAKE)
    assert (found.code, found.ended_unix) == ("DTLS.FINGERPRINT_MISMATCH", 101.0)
    end = found.to_json()["end"]
    assert isinstance(end, dict)
    assert end["sentence"]
    assert end["remedy"]


@pytest.mark.parametrize("code", ["LEG.DELETED", "NODE.STOPPING", "STREAM.TAKEN_OVER"])
def test_an_end_that_is_nobodys_fault_is_no_failure(code: str) -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.apply(LegClosed(leg=leg, code=code), 101.0)
    assert leg_of(ledger, leg).state is LegState.ENDED


def test_a_peer_that_vanished_is_a_failure_even_of_a_live_leg() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.apply(stage(leg, "media", "done", 50.0), 100.0)
    ledger.apply(LegClosed(leg=leg, code="ICE.CONSENT_LOST"), 130.0)
    assert leg_of(ledger, leg).state is LegState.FAILED


def test_the_first_code_of_an_end_stays() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.close(leg, "LEG.DELETED", None, 101.0)
    ledger.apply(LegClosed(leg=leg, code="RELAY.CLOSED"), 102.0)
    assert leg_of(ledger, leg).code == "LEG.DELETED"


def test_downgrades_of_a_seal_are_noted_once() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    weak = msgspec.structs.replace(SEAL, version="1.2", srtp_profile="AES128_CM_SHA1_80")
    ledger.apply(LegSealed(leg=leg, seal=weak), 100.0)
    ledger.apply(LegSealed(leg=leg, seal=weak), 100.0)
    assert [note.code for note in leg_of(ledger, leg).notes] == [
        "DOWNGRADE.DTLS12",
        "DOWNGRADE.SRTP_CM80",
    ]


def test_a_seal_outside_its_grant_is_handed_back() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    weak = msgspec.structs.replace(SEAL, group="P-521")
    bug = ledger.apply(LegSealed(leg=leg, seal=weak), 100.0)
    assert bug is not None
    assert bug.code == "POLICY.OUTSIDE_GRANT"


def test_an_ice_restart_begins_the_path_again_and_loses_nothing() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    for name, outcome, at in (("path", "done", 5.0), ("media", "done", 20.0)):
        ledger.apply(stage(leg, name, outcome, at), 100.0)
    ledger.apply(stage(leg, "path", "started", 900.0), 100.9)
    assert leg_of(ledger, leg).record(Stage.PATH).outcome is Outcome.STARTED
    ledger.apply(stage(leg, "path", "done", 950.0), 100.95)
    found = leg_of(ledger, leg)
    assert found.record(Stage.PATH).ended_ms == 950.0
    assert found.state is LegState.LIVE


def test_the_table_of_outcomes_is_complete_and_a_failure_stays() -> None:
    for now in Outcome:
        for reported in Outcome:
            assert next_outcome(now, reported) in Outcome
    for reported in Outcome:
        assert next_outcome(Outcome.FAILED, reported) is Outcome.FAILED


def test_a_key_that_is_nearly_spent_is_noted_on_the_leg() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    told = b'[{"type":"leg_noted","leg":%d,"code":"SRTP.KEY_NEARLY_SPENT","detail":"4 are left."}]'
    (event,), _ = decode_relay_events(told % leg)
    ledger.apply(event, 100.0)
    ledger.apply(event, 101.0)
    assert leg_of(ledger, leg).notes == (Note("SRTP.KEY_NEARLY_SPENT", "4 are left."),)
    ledger.apply(LegNoted(leg=999, code="SRTP.KEY_NEARLY_SPENT"), 100.0)


def test_events_of_unknown_legs_and_stages_change_nothing() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    before = leg_of(ledger, leg)
    for event in (
        stage(999, "path", "done", 1.0),
        stage(leg, "teleport", "done", 1.0),
        LegPath(leg=999, local="", remote=""),
        LegSealed(leg=999, seal=SEAL),
        LegClosed(leg=999, code="LEG.DELETED"),
    ):
        ledger.apply(event, 100.0)
    assert leg_of(ledger, leg) == before
    assert len(ledger) == 1


def test_what_is_over_is_bounded_and_what_lives_is_kept() -> None:
    ledger = Ledger(kept=3)
    alive = opened(ledger)
    over = [opened(ledger) for _ in range(5)]
    for leg in over:
        ledger.close(leg, "LEG.DELETED", None, 101.0)
    assert [leg.id for leg in ledger] == [alive, *reversed(over[-3:])]
    assert ledger.get(over[0]) is None


def test_a_tls_connection_is_a_leg_from_handshake_to_close() -> None:
    ledger = Ledger(door_roles={"ingest-ts": Role.INGEST})
    facts = wire.TlsFacts(
        version="1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        group="X25519MLKEM768",
        peer=wire.PeerCertificate(sha256=DIGEST, not_after_unix=2_000_000_000),
        forward_secrecy=True,
    )
    peer = Identity("spiffe://example/encoder/a", Proof.CERTIFICATE)
    admitted = admit(TlsClaim(facts), Channel("1.3", peer), Role.INGEST, load("strict"))
    leg = ledger.new_id()
    ledger.open_connection(
        leg,
        31,
        facts,
        grant=admitted,
        way="mpegts",
        stream="a",
        local=LOCAL,
        peer_address="192.0.2.9:4000",
        timing=TIMING,
    )
    found = leg_of(ledger, leg)
    assert found.stage is Stage.KEYS
    assert found.started_unix == 100.0
    times = {record.stage: (record.started_ms, record.ended_ms) for record in found.stages}
    assert times[Stage.HANDSHAKE] == (2.0, 9.0)
    assert times[Stage.KEYS][1] == 9.0
    assert found.seal is not None
    assert found.seal.expires_unix == 2_000_000_000
    assert found.peer == peer
    ledger.media_flows(leg, 40.0)
    ledger.count(leg, Counters(packets_in=7))
    ledger.apply(
        wire.ConnectionClosed(connection=31, code="TLS.PEER_CLOSED", bytes_in=5, bytes_out=6), 200.0
    )
    found = leg_of(ledger, leg)
    assert found.state is LegState.LIVE, "how the stream in it ended is not the connection's to say"
    assert (found.counters.packets_in, found.counters.bytes_in) == (7, 5)
    ledger.close(leg, "STREAM.ENDED", None, 200.0)
    assert leg_of(ledger, leg).state is LegState.ENDED


TIMING = wire.ConnectionTiming(accepted_unix_ms=100_000, queued_ms=2.0, handshake_ms=7.0)


def encoder(ledger: Ledger) -> int:
    """An encoder's leg: a TLS connection whose handshake is over."""
    facts = wire.TlsFacts(version="1.3")
    admitted = admit(TlsClaim(facts), Channel("1.3", PEER_ENCODER), Role.INGEST, load("strict"))
    leg = ledger.new_id()
    ledger.open_connection(
        leg,
        leg + 100,
        facts,
        grant=admitted,
        way="mpegts",
        stream="a",
        local=LOCAL,
        peer_address="192.0.2.9:4000",
        timing=TIMING,
    )
    return leg


def outcomes(leg: Leg) -> dict[str, str]:
    return {record.stage.value: record.outcome.value for record in leg.stages}


def test_a_failure_is_marked_at_the_stage_of_its_code() -> None:
    ledger = Ledger()
    leg = encoder(ledger)
    ledger.close(leg, "TS.GARBAGE", "It begins 52 54 53 50.", 100.25)
    found = leg_of(ledger, leg)
    assert found.stage is Stage.MEDIA
    failed = found.record(Stage.MEDIA)
    assert (failed.outcome, failed.code, failed.ended_ms) == (Outcome.FAILED, "TS.GARBAGE", 250.0)
    assert failed.detail == "It begins 52 54 53 50."
    assert set(outcomes(found).values()) == {"done", "failed"}


def test_a_live_leg_that_fails_has_its_stage_marked_too() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    for name in ("path", "handshake", "identity", "keys", "media"):
        ledger.apply(stage(leg, name, "done", 5.0), 100.0)
    ledger.apply(LegClosed(leg=leg, code="ICE.CONSENT_LOST", detail="30 s"), 130.0)
    found = leg_of(ledger, leg)
    assert found.stage is Stage.PATH
    assert found.record(Stage.PATH).code == "ICE.CONSENT_LOST"
    assert outcomes(found)["media"] == "done"


def test_the_stages_before_the_failed_one_are_done() -> None:
    ledger = Ledger()
    refused = ledger.refused(
        role=Role.INGEST, way="x", stream="a", code="TLS.UNKNOWN_CA", detail="", now=1.0
    )
    assert outcomes(refused) == {
        "signalling": "done",
        "path": "done",
        "handshake": "done",
        "identity": "failed",
        "keys": "waiting",
        "media": "waiting",
    }


def test_a_fault_of_the_node_is_marked_where_the_leg_stood() -> None:
    ledger = Ledger()
    leg = encoder(ledger)
    ledger.close(leg, "RELAY.TOO_MANY_SOURCES", None, 101.0)
    assert leg_of(ledger, leg).record(Stage.MEDIA).code == "RELAY.TOO_MANY_SOURCES"


def test_what_the_relay_told_of_a_failed_stage_stays() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.apply(stage(leg, "path", "failed", 9.0, "ICE.TIMEOUT"), 100.0)
    ledger.apply(LegClosed(leg=leg, code="ICE.TIMEOUT"), 130.0)
    found = leg_of(ledger, leg)
    assert found.record(Stage.PATH).ended_ms == 9.0
    assert list(outcomes(found).values()).count("failed") == 1


@pytest.mark.parametrize("code", ["STREAM.ENDED", "LEG.DELETED", "NODE.STOPPING", "DTLS.CLOSED"])
def test_a_leg_that_ended_well_has_no_failed_stage(code: str) -> None:
    ledger = Ledger()
    leg = encoder(ledger)
    ledger.close(leg, code, None, 101.0)
    assert "failed" not in outcomes(leg_of(ledger, leg)).values()


def test_a_failed_handshake_is_listed_with_its_door_role_and_address() -> None:
    ledger = Ledger(door_roles={"ingest-ts": Role.INGEST})
    ledger.apply(
        wire.HandshakeFailed(
            door="ingest-ts", peer="192.0.2.9:4000", code="TLS.NO_CLIENT_CERTIFICATE"
        ),
        100.0,
    )
    (leg,) = ledger
    assert (leg.role, leg.state, leg.stage) == (Role.INGEST, LegState.FAILED, Stage.IDENTITY)
    assert leg.path_remote == "192.0.2.9:4000"
    assert leg.peer == UNPROVED


@pytest.mark.parametrize(
    ("code", "handshake"),
    [("TLS.TIMEOUT", (0.0, 2500.0)), ("TLS.UNKNOWN_CA", (0.0, 2500.0))],
)
def test_a_failed_handshake_is_timed_by_the_front(
    code: str, handshake: tuple[float, float]
) -> None:
    ledger = Ledger()
    told = {"type": "handshake_failed", "door": "public", "peer": "192.0.2.9:4000", "code": code}
    events, unknown = wire.decode_front_events(json.dumps([told | {"elapsed_ms": 2500.0}]).encode())
    assert unknown == 0
    # Told late: the queue was long.
    ledger.apply(events[0], 110.0)
    (leg,) = ledger
    times = {record.stage: (record.started_ms, record.ended_ms) for record in leg.stages}
    assert times[Stage.PATH] == (0.0, 0.0)
    assert times[Stage.HANDSHAKE] == handshake
    assert leg.record(leg.stage).ended_ms == 2500.0
    assert leg.started_unix == 107.5


def test_a_flood_of_strangers_pushes_out_only_strangers() -> None:
    ledger = Ledger()
    left = opened(ledger)
    ledger.close(left, "ICE.CONSENT_LOST", None, 50.0)
    for number in range(STRANGERS_KEPT * 20):
        ledger.apply(
            wire.HandshakeFailed(door="public", peer=f"192.0.2.9:{number}", code="TLS.NOT_TLS"),
            100.0 + number,
        )
    assert ledger.get(left) is not None
    assert len(ledger) == STRANGERS_KEPT + 1
    newest, *_, oldest = ledger
    assert newest.path_remote == f"192.0.2.9:{STRANGERS_KEPT * 20 - 1}"
    assert ledger.get(newest.id) == newest
    assert oldest.id == left, "the newest end is first, whoever it was"


def test_sums_over_all_legs_never_go_back() -> None:
    ledger = Ledger(kept=1)
    for _ in range(3):
        leg = opened(ledger)
        ledger.count(leg, Counters(packets_out=5, bytes_out=50, drops={"RTP.TOO_OLD": 1}))
        ledger.count(leg, Counters(packets_out=7, bytes_out=70, drops={"RTP.TOO_OLD": 2}))
        ledger.close(leg, "LEG.DELETED", None, 101.0)
        # A late, older snapshot.
        ledger.count(leg, Counters(packets_out=6, bytes_out=60, drops={"RTP.TOO_OLD": 1}))
    assert ledger.totals.packets["delivery", "out"] == 21
    assert ledger.totals.octets["delivery", "out"] == 210
    assert ledger.totals.drops == {"RTP.TOO_OLD": 6}


@pytest.mark.parametrize("closed_first", [False, True], ids=["by the relay", "by the node"])
def test_an_ended_leg_shows_its_last_numbers_whoever_ended_it(closed_first: bool) -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.count(leg, Counters(packets_out=5, bytes_out=50, drops={"RTP.TOO_OLD": 1}))
    if closed_first:
        ledger.close(leg, "LEG.DELETED", None, 101.0)
    sent = wire.SentNumbers(packets=8, retransmitted=2, lost=1)
    last = wire.LegNumbers(id=leg, bytes_out=80, drops={"RTP.TOO_OLD": 3}, send=(sent,))
    ledger.apply(LegClosed(leg=leg, code="LEG.DELETED", last=last), 101.0)
    over = ledger.get(leg)
    assert over is not None
    assert over.over
    expected = Counters(
        packets_out=8, bytes_out=80, lost=1, retransmitted=2, drops={"RTP.TOO_OLD": 3}
    )
    assert over.counters == expected
    assert ledger.totals.packets["delivery", "out"] == 8
    assert ledger.totals.drops == {"RTP.TOO_OLD": 3}


def test_a_refused_offer_is_listed_at_the_stage_where_it_failed() -> None:
    ledger = Ledger()
    ledger.refused(
        role=Role.INGEST,
        way="whip",
        stream="a",
        code="STREAM.TAKEN",
        detail="The publisher of 'a' is connected.",
        now=100.0,
        peer=PEER,
    )
    (leg,) = ledger
    assert (leg.stage, leg.code, leg.peer) == (Stage.SIGNALLING, "STREAM.TAKEN", PEER)


def test_a_refused_encoder_has_the_seal_of_its_connection() -> None:
    ledger = Ledger()
    refused = ledger.refused(
        role=Role.INGEST,
        way="mpegts",
        stream="a",
        code="STREAM.TAKEN",
        detail="",
        now=100.0,
        peer=PEER_ENCODER,
        facts=wire.TlsFacts(version="1.3", own_sha256=DIGEST),
    )
    assert refused.seal is not None
    assert refused.seal.local_fingerprint == f"sha-256 {DIGEST}"


def test_no_field_of_a_seal_has_a_default() -> None:
    required = [field for field in dataclasses.fields(Seal) if field.default is not MISSING]
    assert not required


@pytest.mark.parametrize("seal", [Seal.of_media(MediaSeal()), Seal.of_connection(wire.TlsFacts())])
def test_what_the_core_did_not_tell_is_null_in_a_seal(seal: Seal) -> None:
    told = {name: value for name, value in seal.to_json().items() if value not in (None, "")}
    local = {name for name in told if name.endswith("_fingerprint")}
    assert set(told) - local <= {"protocol", "keying"}, "nothing may look measured that was not"


def test_a_media_seal_holds_every_fact_that_the_relay_told() -> None:
    told = msgspec.structs.replace(
        SEAL,
        early_data=False,
        ech=False,
        sni="node.example",
        alpn="webrtc",
        hello_retry=True,
        resumed=False,
        own_signature="ecdsa_secp256r1_sha256",
        peer_signature="ed25519",
        expires_unix=2_000_000_000,
    )
    made = Seal.of_media(told).to_json()
    assert made.pop("keying") == "dtls-srtp"
    assert made == msgspec.to_builtins(told)


def test_the_json_says_everything_a_table_needs() -> None:
    ledger = Ledger()
    leg = opened(ledger)
    ledger.note(leg, Note("NOTE.UNPROVED_PEER"))
    ledger.apply(LegSealed(leg=leg, seal=SEAL), 100.0)
    (entry,) = json.loads(json.dumps(ledger.to_json()))["legs"]
    assert entry["role"] == "delivery"
    assert entry["peer"] == {"name": "alice", "proof": "token", "proved": True}
    assert entry["local"]["proof"] == "fingerprint"
    assert entry["seal"]["srtp_profile"] == "AEAD_AES_128_GCM"
    assert [record["stage"] for record in entry["stages"]] == [stage.value for stage in Stage]
    assert entry["notes"][0]["code"] == "NOTE.UNPROVED_PEER"
    assert entry["notes"][0]["sentence"]
    assert entry["end"] is None


def test_unknown_events_of_a_newer_core_are_counted_and_skipped() -> None:
    data = json.dumps(
        [
            {"type": "leg_closed", "leg": 1, "code": "LEG.DELETED", "new_field": 1},
            {"type": "leg_teleported", "leg": 1},
            {"type": "leg_stage", "leg": "one", "stage": "path", "outcome": "done"},
        ]
    ).encode()
    events, unknown = wire.decode_relay_events(data)
    assert events == [LegClosed(leg=1, code="LEG.DELETED")]
    assert unknown == 2
    events_of_front, unknown = wire.decode_front_events(
        b'[{"type":"connection_closed","connection":4,"code":"TLS.IDLE"},{"type":"x"}]'
    )
    assert events_of_front == [wire.ConnectionClosed(connection=4, code="TLS.IDLE")]
    assert unknown == 1
