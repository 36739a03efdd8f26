"""What an attacker without keys can send to a `DtlsEndpoint`, and what becomes of it.

Before the keys nothing is authenticated, so an endpoint may be ended, by name and never by a
traceback, and a fresh one succeeds. After them nothing that is forged has any effect. At any time
memory is bounded.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sealcast._core", reason="the native module is not built")
from tests.properties.dtls_records import (
    ALERT,
    ALERTS,
    CERTIFICATE,
    CLIENT_HELLO,
    DTLS_1_0,
    DTLS_1_2,
    DTLS_1_3,
    HANDSHAKE,
    WARNING,
    alert,
    client_hello,
    fragment,
    hello_datagram,
    record,
)
from tests.unit.dtls_link import ENDS, V1_2, V1_3, End, Link, link, other

from sealcast.codes import CODES
from sealcast.dtls import (
    Closed,
    DtlsEndpoint,
    DtlsIdentity,
    KeysAgreed,
    PeerRefused,
)

POLICIES = {"1.2": V1_2, "1.3": V1_3}
PAGE = 4096
FOREIGN = "sha-256 " + ":".join(["AB"] * 32)


def resident() -> int:
    """This process's memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def server() -> DtlsEndpoint:
    return DtlsEndpoint("server", DtlsIdentity.generate(), expected=[FOREIGN], now=0.0)


def assert_ended_by_name_or_not_at_all(pair: Link, end: End) -> None:
    told = pair.told[end]
    endings = [event for event in told if isinstance(event, PeerRefused | Closed)]
    assert len(endings) <= 1
    for event in endings:
        assert event.code in CODES
    assert told == [] or isinstance(told[-1], KeysAgreed | PeerRefused | Closed)


def assert_alive(pair: Link) -> None:
    """Each end still hears the other."""
    before = {end: list(pair.told[end]) for end in ENDS}
    pair.run(lambda _: False, within_s=5.0)
    assert pair.told == before
    pair.client.close(pair.now)
    pair.run(lambda link: len(link.told["server"]) > len(before["server"]))
    assert pair.closed("server").code == "DTLS.CLOSED"


# --- floods --------------------------------------------------------------------------------------


def test_a_flood_of_client_hellos_to_one_endpoint_costs_bounded_memory_and_no_answers() -> None:
    endpoint, hellos = server(), [hello_datagram() for _ in range(2000)]
    endpoint.receive(0.0, hellos[0])
    answer = sum(map(len, endpoint.drain()))
    for hello in hellos:
        endpoint.receive(0.0, hello)
    endpoint.drain()
    before, began, sent = resident(), time.process_time(), 0
    for _ in range(10):
        for hello in hellos:
            endpoint.receive(0.0, hello)
        sent += sum(map(len, endpoint.drain()))
    each_us = (time.process_time() - began) / 20_000 * 1e6
    grown = resident() - before
    print(f"20,000 ClientHellos: {each_us:.1f} µs of CPU each, {grown} bytes more memory")
    assert grown < 1 << 20
    assert sent <= answer, "who floods is answered once"
    assert endpoint.events() == []


def test_a_flood_of_half_open_endpoints_costs_what_a_caller_can_count_on() -> None:
    """Every ClientHello from a new address may be worth an endpoint; the caller bounds them."""
    identity = DtlsIdentity.generate()

    def half_open() -> DtlsEndpoint:
        endpoint = DtlsEndpoint("server", identity, expected=[FOREIGN], now=0.0)
        endpoint.receive(0.0, hello_datagram())
        assert endpoint.drain()
        return endpoint

    warm = [half_open() for _ in range(50)]
    before, began = resident(), time.process_time()
    held = [half_open() for _ in range(1000)]
    each_us = (time.process_time() - began) / len(held) * 1e6
    each_bytes = (resident() - before) / len(held)
    print(f"a half-open endpoint: {each_us:.0f} µs of CPU, {each_bytes / 1000:.0f} kB of memory")
    assert each_bytes < 64_000
    for endpoint in [*held, *warm]:
        endpoint.tick(20.0)
        (event,) = endpoint.events()
        assert isinstance(event, Closed)
        assert event.code == "DTLS.TIMEOUT"


def test_an_answer_is_no_lever_for_an_attack_on_a_third_party() -> None:
    """A small ClientHello is answered with less than ten times its size, and then only at timers.
    That is why no endpoint may be fed from an address that nobody proved (RFC 9147 §5.1).
    """
    hello = hello_datagram()
    endpoint = server()
    endpoint.receive(0.0, hello)
    answer = sum(map(len, endpoint.drain()))
    print(f"{len(hello)} bytes in, {answer} bytes out")
    assert answer < 10 * len(hello)


# --- alerts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", POLICIES)
@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize("number", ALERTS)
def test_an_alert_injected_into_a_handshake_ends_it_by_name_and_a_fresh_one_succeeds(
    version: str, victim: End, number: int
) -> None:
    policy = POLICIES[version]
    pair = link(policy, policy)
    pair.end(victim).receive(pair.now, alert(number, sequence=2))
    pair.run(lambda link: link.is_decided(victim), within_s=30.0)
    assert_ended_by_name_or_not_at_all(pair, victim)
    for event in pair.told[victim]:
        if isinstance(event, Closed) and event.alert_received is not None:
            assert event.alert_received == ALERTS[number]
    if not isinstance(pair.told[victim][-1], KeysAgreed):
        fresh = link(policy, policy).settle()
        fresh.agreed(victim)


@pytest.mark.parametrize("version", POLICIES)
@pytest.mark.parametrize("victim", ENDS)
def test_forged_alerts_after_the_handshake_do_nothing(version: str, victim: End) -> None:
    pair = link(POLICIES[version], POLICIES[version]).settle()
    endpoint = pair.end(victim)
    pair.run(lambda _: False, within_s=2.0)
    before = endpoint.counters
    forged = [
        alert(number, level=level, epoch=epoch, sequence=sequence)
        for number in ALERTS
        for level in (WARNING, 2)
        for epoch in (0, 1, 2, 3, 4, 0xFFFF)
        for sequence in (0, 1, 100, (1 << 48) - 1)
    ]
    for datagram in forged:
        endpoint.receive(pair.now, datagram)
    after = endpoint.counters
    assert after.without_effect - before.without_effect == len(forged)
    assert endpoint.drain() == []
    assert endpoint.events() == []
    assert_alive(pair)


@pytest.mark.parametrize("version", POLICIES)
@pytest.mark.parametrize("victim", ENDS)
def test_forged_plaintext_records_after_the_handshake_do_nothing(version: str, victim: End) -> None:
    pair = link(POLICIES[version], POLICIES[version]).settle()
    pair.run(lambda _: False, within_s=2.0)
    endpoint = pair.end(victim)
    dice = random.Random(5)
    for kind in range(20, 27):
        for epoch in (0, 1, 2, 3, 7):
            for _ in range(20):
                body = dice.randbytes(dice.randrange(1, 200))
                number = dice.randrange(1 << 48)
                endpoint.receive(pair.now, record(kind, body, epoch=epoch, number=number))
    for message in range(12):
        endpoint.receive(
            pair.now, record(HANDSHAKE, fragment(client_hello(), message=message), number=message)
        )
    # The unified header of 1.3 (RFC 9147 §4): any epoch, any length.
    for first in range(0x20, 0x40):
        endpoint.receive(pair.now, bytes((first,)) + dice.randbytes(60))
    assert endpoint.events() == []
    assert_alive(pair)


@pytest.mark.parametrize("version", POLICIES)
def test_the_whole_handshake_replayed_after_it_changes_nothing(version: str) -> None:
    pair = link(POLICIES[version], POLICIES[version]).settle()
    pair.run(lambda _: False, within_s=2.0)
    told = {end: list(pair.told[end]) for end in ENDS}
    for sender, datagram in list(pair.wire) * 3:
        pair.end(other(sender)).receive(pair.now, datagram)
    pair.run(lambda _: False, within_s=2.0)
    assert pair.told == told
    assert_alive(pair)


# --- fragments -----------------------------------------------------------------------------------

HUGE = (1 << 24) - 1


def bombs() -> dict[str, list[bytes]]:
    """Fragments that mean to cost memory or time, or to confuse."""
    true = client_hello()
    half = len(true) // 2
    parts = (
        fragment(true[:half], length=len(true)),
        fragment(true[half:], length=len(true), offset=half),
    )
    return {
        "a message of 16 MB, begun": [record(HANDSHAKE, fragment(b"x" * 900, length=HUGE))],
        "16 MB messages under every number": [
            record(HANDSHAKE, fragment(b"x" * 900, length=HUGE, message=number), number=number)
            for number in range(3000)
        ],
        "big messages that could be": [
            record(
                HANDSHAKE,
                fragment(b"x", kind=CERTIFICATE, length=16_000, message=number),
                number=number,
            )
            for number in range(1, 3000)
        ],
        "parts of one octet in disorder": [
            record(
                HANDSHAKE,
                fragment(true[at : at + 1], length=len(true), offset=at),
                number=number,
            )
            for number, at in enumerate(sorted(range(1, len(true)), key=lambda at: at * 7919 % 997))
        ],
        "parts that overlap and differ": [
            record(HANDSHAKE, fragment(bytes([n]) * 60, length=len(true), offset=n), number=n)
            for n in range(1, 100)
        ],
        "parts past the end": [
            record(HANDSHAKE, fragment(b"x" * 50, length=40, offset=n), number=n) for n in range(60)
        ],
        "empty parts": [
            record(HANDSHAKE, fragment(b"", length=len(true), offset=n % 90), number=n)
            for n in range(2000)
        ],
        "parts that claim more than they hold": [
            record(HANDSHAKE, fragment(b"x" * 10, length=500, claimed=400), number=n)
            for n in range(60)
        ],
        "a length that changes": [
            record(HANDSHAKE, parts[0]),
            record(HANDSHAKE, fragment(true[half:], length=len(true) + 9, offset=half), number=1),
        ],
        "a kind that changes": [
            record(HANDSHAKE, parts[0]),
            record(
                HANDSHAKE,
                fragment(true[half:], kind=CERTIFICATE, length=len(true), offset=half),
                number=1,
            ),
        ],
        "a message within a message": [record(HANDSHAKE, fragment(fragment(true) * 3))],
        "300 records in one datagram": [record(HANDSHAKE, fragment(b"", length=9)) * 300],
        "an empty record of each kind": [record(kind, b"") for kind in range(20, 27)],
    }


@pytest.mark.parametrize("bomb", bombs())
@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize("version", POLICIES)
def test_fragment_bombs_cost_bounded_memory_and_end_by_name_or_not_at_all(
    bomb: str, victim: End, version: str
) -> None:
    pair = link(POLICIES[version], POLICIES[version])
    endpoint, datagrams = pair.end(victim), bombs()[bomb]
    before = resident()
    for datagram in datagrams:
        endpoint.receive(pair.now, datagram)
    grown = resident() - before
    # One message under assembly may take 16 kB (the engine's limit for a handshake message), and
    # few are assembled at a time.
    assert grown < 1 << 20, f"{grown} bytes"
    pair.settle(40.0)
    assert_ended_by_name_or_not_at_all(pair, victim)
    if not isinstance(pair.told[victim][-1], KeysAgreed):
        link(POLICIES[version], POLICIES[version]).settle().agreed(victim)


@pytest.mark.parametrize("bomb", bombs())
@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize("version", POLICIES)
def test_fragment_bombs_after_the_handshake_do_nothing(
    bomb: str, victim: End, version: str
) -> None:
    pair = link(POLICIES[version], POLICIES[version]).settle()
    pair.run(lambda _: False, within_s=2.0)
    for datagram in bombs()[bomb]:
        pair.end(victim).receive(pair.now, datagram)
    assert pair.end(victim).events() == []
    assert_alive(pair)


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0x0000, 0x0100, 0x0300, 0x0303, 0x0304, 0xFD00, 0xFFFF])
def test_records_of_another_version_are_dropped(version: int) -> None:
    endpoint = server()
    for kind in (HANDSHAKE, ALERT):
        endpoint.receive(0.0, record(kind, fragment(client_hello()), version=version))
    counters = endpoint.counters
    assert counters.dropped_not_dtls + counters.without_effect == 2
    assert endpoint.events() == []
    assert endpoint.drain() == []


def test_a_client_hello_of_dtls_1_0_is_refused_by_its_version() -> None:
    endpoint = server()
    endpoint.receive(0.0, hello_datagram(version=DTLS_1_0))
    (event,) = endpoint.events()
    assert isinstance(event, PeerRefused)
    assert (event.code, event.alert_sent) == ("DTLS.VERSION_REFUSED", "protocol_version")


def test_a_client_hello_with_null_encryption_only_is_refused_by_its_cipher() -> None:
    endpoint = server()
    endpoint.receive(0.0, hello_datagram(suites=(0,)))
    (event,) = endpoint.events()
    assert isinstance(event, PeerRefused)
    assert (event.code, event.alert_sent) == ("DTLS.NO_COMMON_CIPHER", "handshake_failure")


# --- anything ------------------------------------------------------------------------------------

RECORDS = st.builds(
    record,
    st.integers(20, 26),
    st.one_of(
        st.binary(max_size=120),
        st.builds(
            fragment,
            st.binary(max_size=120),
            kind=st.sampled_from([CLIENT_HELLO, 2, 3, 4, 8, 11, 12, 13, 14, 15, 16, 20, 24]),
            length=st.one_of(st.none(), st.integers(0, HUGE)),
            message=st.integers(0, 5),
            offset=st.integers(0, 200),
            claimed=st.one_of(st.none(), st.integers(0, 200)),
        ),
    ),
    epoch=st.integers(0, 4),
    number=st.integers(0, (1 << 48) - 1),
    version=st.sampled_from([DTLS_1_0, DTLS_1_2, DTLS_1_3]),
)
DATAGRAMS = st.one_of(
    st.binary(max_size=300), st.lists(RECORDS, min_size=1, max_size=3).map(b"".join)
)


@settings(max_examples=150, deadline=None)
@given(
    hostile=st.lists(st.tuples(st.sampled_from(ENDS), DATAGRAMS), max_size=30),
    version=st.sampled_from(sorted(POLICIES)),
    flight=st.integers(0, 8),
)
def test_whatever_is_sent_at_whatever_time_ends_by_name_or_not_at_all(
    hostile: list[tuple[End, bytes]], version: str, flight: int
) -> None:
    pair = link(POLICIES[version], POLICIES[version], handshake_timeout=3.0)
    pair.run(lambda link: len(link.wire) >= flight)
    was_agreed = {end: any(isinstance(e, KeysAgreed) for e in pair.told[end]) for end in ENDS}
    for victim, datagram in hostile:
        pair.end(victim).receive(pair.now, datagram)
    pair.settle()
    for end in ENDS:
        assert_ended_by_name_or_not_at_all(pair, end)
        if all(was_agreed.values()):
            assert isinstance(pair.told[end][-1], KeysAgreed)
