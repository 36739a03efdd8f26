"""`DtlsEndpoint` as a Python developer meets it: identities, keys, clocks, threads, refusals."""

from __future__ import annotations

import logging
import math
import random
import struct
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("sealcast._core", reason="the native module is not built")
from tests.unit.dtls_link import (
    ANY,
    BEGAN,
    ENDS,
    V1_2,
    V1_3,
    End,
    Link,
    link,
    other,
)

import sealcast
from sealcast import SrtpProfile
from sealcast.dtls import (
    Authority,
    DtlsEndpoint,
    DtlsIdentity,
    DtlsPolicy,
    HandshakeCompleted,
    KeyMaterialRevealed,
    KeysAgreed,
)
from sealcast.errors import BadOption, KeyInUse, LocalError, PacketIndexUsed
from sealcast.secret import Secret

FOREIGN = "sha-256 " + ":".join(["AB"] * 32)
LENGTHS = {
    "AEAD_AES_128_GCM": (16, 12),
    "AEAD_AES_256_GCM": (32, 12),
    "AES128_CM_SHA1_80": (16, 14),
}


def client(**changes: Any) -> DtlsEndpoint:
    settings: dict[str, Any] = {"expected": [FOREIGN], "now": BEGAN} | changes
    return DtlsEndpoint("client", DtlsIdentity.generate(), **settings)


def test_the_paved_path_has_the_names() -> None:
    assert sealcast.DtlsEndpoint is DtlsEndpoint
    assert sealcast.DtlsIdentity is DtlsIdentity
    assert not hasattr(sealcast, "Endpoint")


def test_the_handshake_is_told_before_its_keys_and_each_once() -> None:
    pair = link().settle()
    for end in ENDS:
        completed, agreed = pair.told[end]
        assert isinstance(completed, HandshakeCompleted)
        assert isinstance(agreed, KeysAgreed)
        assert completed.facts.version == "1.3"
        assert completed.facts.group == "X25519MLKEM768"
        assert completed.proved_by == "fingerprint"
        assert completed.facts.peer is not None
        assert completed.proved == f"sha-256 {completed.facts.peer.sha256}"
        assert agreed.profile == "AEAD_AES_128_GCM"
        assert pair.end(end).events() == []


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("profile", LENGTHS)
def test_every_profile_gives_keys_of_its_lengths(policy: DtlsPolicy, profile: str) -> None:
    only = DtlsPolicy(policy.min_version, policy.max_version, srtp_profiles=(profile,))
    pair = link(only, only).settle()
    with pytest.warns(KeyMaterialRevealed):
        keys = pair.agreed("client").keys.reveal()
    assert keys.profile == profile
    for key, salt in ((keys.send_key, keys.send_salt), (keys.receive_key, keys.receive_salt)):
        assert (len(key), len(salt)) == LENGTHS[profile]


# --- keys ----------------------------------------------------------------------------------------


def test_there_are_no_keys_before_the_peer_was_proved() -> None:
    endpoint = client()
    with pytest.raises(LocalError) as refused:
        endpoint.keys()
    assert refused.value.code == "DTLS.NOT_ESTABLISHED"


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("strict", ENDS)
def test_a_peer_with_another_certificate_gets_no_keys(policy: DtlsPolicy, strict: End) -> None:
    ours, theirs = DtlsIdentity.generate(), DtlsIdentity.generate()
    expected = {"client": theirs.fingerprint(), "server": ours.fingerprint()} | {strict: FOREIGN}
    pair = Link(
        DtlsEndpoint("client", ours, expected=[expected["client"]], policy=policy, now=BEGAN),
        DtlsEndpoint("server", theirs, expected=[expected["server"]], policy=policy, now=BEGAN),
    )
    pair.run(lambda link: link.is_decided(strict))
    refusal = pair.refused(strict)
    assert refusal.code == "DTLS.FINGERPRINT_MISMATCH"
    assert refusal.alert_sent == "bad_certificate"
    assert refusal.alert_received is None
    assert FOREIGN in refusal.detail
    with pytest.raises(LocalError, match=r"DTLS\.NOT_ESTABLISHED"):
        pair.end(strict).keys()
    pair.run(lambda _: False, within_s=5.0)
    told = pair.closed(other(strict))
    assert (told.code, told.alert_received) == ("DTLS.PEER_ALERT", "bad_certificate")


def test_keys_leave_their_handle_once_and_audibly(caplog: pytest.LogCaptureFixture) -> None:
    pair = link().settle()
    keys = pair.agreed("client").keys
    assert not keys.is_taken
    with caplog.at_level(logging.WARNING), pytest.warns(KeyMaterialRevealed, match="revealed"):
        revealed = keys.reveal()
    assert "revealed" in caplog.text
    assert keys.is_taken
    assert pair.client.keys().is_taken, "every call gives the same handle"
    with pytest.raises(LocalError) as refused:
        pair.client.keys().reveal()
    assert refused.value.code == "DTLS.KEYS_TAKEN"
    for shown in (repr(keys), repr(revealed), repr(pair.told["client"]), caplog.text):
        assert revealed.send_key.reveal().hex() not in shown
        assert repr(revealed.send_key.reveal()) not in shown


@pytest.mark.filterwarnings("ignore::sealcast.dtls.KeyMaterialRevealed")
def test_keys_that_a_living_sender_uses_are_refused_by_type_and_stay() -> None:
    pair = link().settle()
    ours, theirs = pair.agreed("client").keys, pair.agreed("server").keys.reveal()
    profile = sealcast.SrtpProfile(theirs.profile)
    squatter = sealcast.SrtpSender(profile, theirs.receive_key, theirs.receive_salt)
    for _ in range(2):
        with pytest.raises(KeyInUse):
            ours.contexts()
        assert not ours.is_taken
    squatter.close()
    ours.contexts()
    assert ours.is_taken


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("profile", LENGTHS)
def test_what_one_end_protects_the_other_opens_and_no_key_was_seen(
    policy: DtlsPolicy, profile: str
) -> None:
    only = DtlsPolicy(policy.min_version, policy.max_version, srtp_profiles=(profile,))
    pair = link(only, only).settle()
    ends = {end: pair.agreed(end).keys.contexts() for end in ENDS}
    packet = struct.pack("!BBHII", 0x80, 0, 1, 2, 3) + b"sound"
    for end in ENDS:
        (sender, _), (_, receiver) = ends[end], ends[other(end)]
        assert sender.profile == profile
        assert receiver.unprotect(sender.protect(packet)) == packet
    with pytest.raises(LocalError) as refused:
        pair.client.keys().contexts()
    assert refused.value.code == "DTLS.KEYS_TAKEN"


def test_contexts_of_a_handshake_take_the_options_of_their_constructors() -> None:
    pair = link().settle()
    for name, value in {"replay_window": 63, "max_ssrcs": 0, "cryptex": "perhaps"}.items():
        with pytest.raises(BadOption):
            pair.client.keys().contexts(**{name: value})  # type: ignore[arg-type]
    assert not pair.client.keys().is_taken, "a refused option takes nothing"
    options: dict[str, Any] = {"cryptex": "required", "replay_window": 64, "rtp_lifetime": (1, 70)}
    sender, _ = pair.client.keys().contexts(**options)
    _, receiver = pair.server.keys().contexts(**options)
    header = struct.pack("!BBHII4s", 0x90, 0, 1, 2, 3, b"\xbe\xde\0\1") + b"\x51ab\0"
    protected = sender.protect(header + b"sound")
    assert protected[12:14] == b"\xc0\xde", "RFC 9335 §5.1"
    assert receiver.unprotect(protected) == header + b"sound"
    assert [event.code for event in sender.events()] == ["SRTP.KEY_NEARLY_SPENT"]
    for number in range(2, 67):
        sender.protect(struct.pack("!BBHII", 0x80, 0, number, 2, 3))
    with pytest.raises(PacketIndexUsed):
        sender.protect(struct.pack("!BBHII", 0x80, 0, 2, 2, 3))


def test_the_profile_of_the_keys_is_a_member_of_the_table() -> None:
    agreed = link().settle().agreed("client")
    assert isinstance(agreed.profile, SrtpProfile)
    assert agreed.keys.profile is agreed.profile is SrtpProfile.AEAD_AES_128_GCM


def test_a_warning_made_an_error_keeps_the_keys_in() -> None:
    keys = link().settle().agreed("client").keys
    with warnings.catch_warnings():
        warnings.simplefilter("error", KeyMaterialRevealed)
        with pytest.raises(KeyMaterialRevealed):
            keys.reveal()
    assert not keys.is_taken


def test_keys_outlive_their_association() -> None:
    pair = link().settle()
    pair.client.close(pair.now)
    assert not pair.client.keys().is_taken


# --- identities ----------------------------------------------------------------------------------


def test_a_fingerprint_reads_as_in_sdp_and_back() -> None:
    identity = DtlsIdentity.generate()
    for algorithm, octets in (("sha-256", 32), ("SHA-384", 48), ("sha-512", 64)):
        name, value = identity.fingerprint(algorithm).split(" ")
        assert name == algorithm.lower()
        assert len(value.split(":")) == octets
        client(expected=[identity.fingerprint(algorithm)])
    with pytest.raises(LocalError) as refused:
        identity.fingerprint("md5")
    assert refused.value.code == "DTLS.BAD_ARGUMENT"


def test_two_generated_identities_have_nothing_in_common() -> None:
    assert DtlsIdentity.generate().fingerprint() != DtlsIdentity.generate().fingerprint()


def test_an_unreadable_identity_is_refused_by_name() -> None:
    with pytest.raises(LocalError) as refused:
        DtlsIdentity.from_pem("nothing", Secret("nothing"))
    assert refused.value.code == "TLS.UNREADABLE_CERTIFICATE"


# --- close ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("leaver", ENDS)
def test_a_close_is_told_to_the_peer_by_name(policy: DtlsPolicy, leaver: End) -> None:
    pair = link(policy, policy).settle()
    pair.end(leaver).close(pair.now)
    pair.run(lambda link: len(link.told[other(leaver)]) == 3)
    told = pair.closed(other(leaver))
    assert (told.code, told.alert_received) == ("DTLS.CLOSED", "close_notify")
    assert len(pair.told[leaver]) == 2, "the caller knows, so it is not told"
    assert pair.end(leaver).deadline is None


def test_what_comes_after_the_end_is_dropped_and_counted() -> None:
    endpoint = client()
    endpoint.drain()
    endpoint.close(BEGAN)
    endpoint.receive(BEGAN, b"\x16\xfe\xfd late")
    assert endpoint.counters.dropped_late == 1
    assert endpoint.drain() == []


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("began", [0.0, -5.0, 1e-9, 1.7e9, 1e15])
def test_any_clock_will_do(began: float) -> None:
    endpoint = client(now=began, handshake_timeout=5.0)
    steps = 0
    while (due := endpoint.deadline) is not None:
        endpoint.tick(due)
        assert endpoint.deadline != due, "a tick at the deadline is never too early"
        steps += 1
    assert steps > 3
    (event,) = endpoint.events()
    assert event.code == "DTLS.TIMEOUT"  # type: ignore[union-attr]


def test_a_tick_at_the_deadline_is_never_too_early_whatever_the_rounding() -> None:
    dice = random.Random(11)
    for _ in range(300):
        began = dice.uniform(0, 10.0 ** dice.randrange(12))
        endpoint = client(now=began, initial_timeout=dice.uniform(0.05, 1))
        due = endpoint.deadline
        assert due is not None
        endpoint.tick(due)
        assert endpoint.counters.timeouts == 1, (began, due)


def test_time_never_runs_backwards_inside() -> None:
    endpoint = client(handshake_timeout=5.0)
    endpoint.tick(BEGAN + 4.0)
    endpoint.tick(BEGAN - 100.0)
    endpoint.tick(0.0)
    endpoint.tick(BEGAN + 5.0)
    assert [event.code for event in endpoint.events()] == ["DTLS.TIMEOUT"]  # type: ignore[union-attr]


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_point_in_time_is_refused_and_changes_nothing(now: float) -> None:
    endpoint = client()
    calls: list[Callable[[], None]] = [
        lambda: endpoint.tick(now),
        lambda: endpoint.receive(now, b"\x16"),
        lambda: endpoint.close(now),
    ]
    if now == -math.inf:
        calls = []  # it is before everything, so it counts as the beginning
    for call in calls:
        with pytest.raises(LocalError) as refused:
            call()
        assert refused.value.code == "DTLS.BAD_ARGUMENT"
    assert endpoint.deadline is not None
    if not math.isfinite(now):
        with pytest.raises(LocalError):
            client(now=now)


# --- refusals at construction --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expected": None}, "TLS.BAD_POLICY"),
        ({"expected": []}, "TLS.BAD_POLICY"),
        ({"authority": Authority("x")}, "TLS.BAD_POLICY"),
        ({"expected": FOREIGN}, "DTLS.BAD_FINGERPRINT"),
        ({"expected": ["sha-1 " + ":".join(["AB"] * 20)]}, "DTLS.BAD_FINGERPRINT"),
        ({"expected": ["sha-256 AB:CD"]}, "DTLS.BAD_FINGERPRINT"),
        ({"expected": [""]}, "DTLS.BAD_FINGERPRINT"),
        ({"expected": None, "authority": "no certificate"}, "TLS.UNREADABLE_CERTIFICATE"),
        ({"mtu": 255}, "DTLS.BAD_ARGUMENT"),
        ({"mtu": 9001}, "DTLS.BAD_ARGUMENT"),
        ({"mtu": 1 << 31}, "DTLS.BAD_ARGUMENT"),
        ({"mtu": -1}, "DTLS.BAD_ARGUMENT"),
        ({"handshake_timeout": 0.0}, "DTLS.BAD_ARGUMENT"),
        ({"handshake_timeout": -1.0}, "DTLS.BAD_ARGUMENT"),
        ({"handshake_timeout": 1e300}, "DTLS.BAD_ARGUMENT"),
        ({"handshake_timeout": math.nan}, "DTLS.BAD_ARGUMENT"),
        ({"initial_timeout": 0.0}, "DTLS.BAD_ARGUMENT"),
        ({"policy": DtlsPolicy(min_version="1.3", max_version="1.2")}, "TLS.BAD_POLICY"),
        ({"policy": DtlsPolicy(max_version="1.1")}, "TLS.BAD_POLICY"),  # type: ignore[arg-type]
        ({"policy": DtlsPolicy(groups=("FFDHE2048",))}, "TLS.BAD_POLICY"),
        ({"policy": DtlsPolicy(srtp_profiles=())}, "TLS.BAD_POLICY"),
        ({"policy": DtlsPolicy(srtp_profiles=("NULL",))}, "TLS.BAD_POLICY"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_at_construction(
    changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(LocalError) as refused:
        client(**changes)
    assert refused.value.code == code
    assert refused.value.detail
    if code == "DTLS.BAD_ARGUMENT":
        (name,) = changes
        assert refused.value.detail.startswith(name)
        said = str(refused.value)
        assert "report it" not in said
        assert "column" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expected": [5]}, "a fingerprint in `expected` must be a str"),
        ({"policy": "strict"}, "policy must be a DtlsPolicy, not str"),
        ({"policy": DtlsPolicy(groups="X25519")}, "the policy's groups must be a tuple of names"),  # type: ignore[arg-type]
        ({"expected": None, "authority": 5}, "authority must be an Authority or a PEM bundle"),
        ({"expected": None, "authority": Authority(5)}, "roots of `authority` must be a PEM"),  # type: ignore[arg-type]
        ({"mtu": 1200.0}, "mtu must be a whole number of bytes, not float"),
        ({"handshake_timeout": None}, "handshake_timeout must be a number of seconds"),
        ({"policy": DtlsPolicy(min_version=1.2)}, "the policy's min_version must be a str"),  # type: ignore[arg-type]
        ({"policy": DtlsPolicy(max_version=None)}, "the policy's max_version must be a str"),  # type: ignore[arg-type]
        ({"policy": DtlsPolicy(groups=(5,))}, "each of the policy's groups must be a name"),  # type: ignore[arg-type]
        ({"policy": DtlsPolicy(srtp_profiles=(5,))}, "each of the policy's srtp_profiles must"),  # type: ignore[arg-type]
        ({"expected": None, "authority": Authority("x", uri=5)}, "the authority's uri must be"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        client(**changes)


def test_fingerprints_may_come_one_by_one_and_times_as_whole_numbers() -> None:
    endpoint = client(expected=(one for one in [FOREIGN]), handshake_timeout=9, initial_timeout=1)
    assert endpoint.deadline == pytest.approx(BEGAN + 1)
    assert client(handshake_timeout=True).deadline == pytest.approx(BEGAN + 0.4)


def test_an_identity_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="identity must be a DtlsIdentity, not NoneType"):
        DtlsEndpoint("client", None, expected=[FOREIGN], now=0.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"key must be a sealcast.Secret: Secret\(pem\), not bytes"):
        DtlsIdentity.from_pem(b"", b"key")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="PEM must be bytes or a str, not NoneType"):
        DtlsIdentity.from_pem(None, Secret(b"key"))  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="no CERTIFICATE block"):
        DtlsIdentity.from_pem("\ud800", Secret(b"key"))
    with pytest.raises(TypeError, match="algorithm must be a str"):
        DtlsIdentity.generate().fingerprint(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("datagram", [100_000_000, -1, [22, 254], "text", None])
def test_only_what_has_bytes_is_a_datagram(datagram: Any) -> None:
    endpoint = client()
    tracemalloc.start()
    try:
        with pytest.raises(TypeError, match="bytes-like"):
            endpoint.receive(BEGAN, datagram)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert endpoint.counters.received == 0


def test_keys_that_have_left_are_not_said_to_be_revealed(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    keys = link().settle().end("client").keys()
    keys.contexts()
    with pytest.raises(LocalError) as refused:
        keys.reveal()
    assert refused.value.code == "DTLS.KEYS_TAKEN"
    assert not caplog.records
    assert not recwarn.list


def test_asking_for_keys_too_early_is_told_as_the_callers_own() -> None:
    with pytest.raises(LocalError, match=r"so there are no keys\. Wait until") as refused:
        client().keys()
    assert refused.value.code == "DTLS.NOT_ESTABLISHED"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(LocalError) as refused:
        DtlsEndpoint("peer", DtlsIdentity.generate(), expected=[FOREIGN], now=0.0)  # type: ignore[arg-type]
    assert refused.value.code == "DTLS.BAD_ARGUMENT"


# --- datagrams -----------------------------------------------------------------------------------


def test_garbage_is_dropped_and_counted_and_never_raised() -> None:
    pair = link()
    dice = random.Random(3)
    for name in ENDS:
        endpoint = pair.end(name)
        for _ in range(2000):
            endpoint.receive(pair.now, dice.randbytes(dice.randrange(300)))
        endpoint.receive(pair.now, b"")
        endpoint.receive(pair.now, bytes(9217))
        counters = endpoint.counters
        dropped = counters.dropped_not_dtls + counters.dropped_empty + counters.dropped_oversized
        assert dropped + counters.received == 2002
        assert counters.dropped_oversized == 1
        assert counters.without_effect == counters.received
    pair.settle()
    for name in ENDS:
        pair.agreed(name)


def test_any_buffer_of_bytes_is_a_datagram() -> None:
    pair = link()
    for _, datagram in pair.wire:
        pair.server.receive(pair.now, memoryview(bytearray(datagram)))
    assert pair.server.drain()


# --- threads -------------------------------------------------------------------------------------


def test_an_endpoint_may_move_between_threads() -> None:
    pair = link()
    failures: list[BaseException] = []

    def settle() -> None:
        try:
            pair.settle()
        except BaseException as failure:  # told below, by the thread that can
            failures.append(failure)

    worker = threading.Thread(target=settle)
    worker.start()
    worker.join()
    assert failures == []
    pair.client.close(pair.now)
    assert pair.agreed("client").profile == pair.agreed("server").profile


def test_two_threads_in_one_endpoint_get_one_clear_error_and_corrupt_nothing() -> None:
    """A ClientHello is worked on for some 100 µs without the GIL, so calls from another thread
    fall into it. Each of them succeeds or is refused by code; the endpoint goes on.
    """
    refused: list[str] = []
    others: list[BaseException] = []
    done = threading.Event()
    give_up = time.monotonic() + 30.0

    while not refused and time.monotonic() < give_up:
        pair = link()
        started = threading.Barrier(2)

        def disturb(endpoint: DtlsEndpoint, started: threading.Barrier) -> None:
            started.wait()
            while not done.is_set():
                try:
                    endpoint.receive(BEGAN, b"\x16 nothing")
                except LocalError as error:
                    refused.append(error.code)
                except BaseException as error:
                    others.append(error)

        done.clear()
        thread = threading.Thread(target=disturb, args=(pair.server, started))
        thread.start()
        started.wait()
        hello = [datagram for _, datagram in pair.wire]
        for _ in range(20):
            for datagram in hello:
                try:
                    pair.server.receive(BEGAN, datagram)
                except LocalError as error:
                    refused.append(error.code)
        done.set()
        thread.join()
        pair.settle()
        for end in ENDS:
            pair.agreed(end)
    assert others == []
    assert set(refused) == {"DTLS.IN_USE"}


def test_a_policy_is_a_value() -> None:
    assert DtlsPolicy() == ANY
    assert hash(DtlsPolicy()) == hash(ANY)
