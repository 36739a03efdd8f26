"""Every published vector, through Python; the same files run in `crates/srtp`."""

from pathlib import Path
from typing import Any, Literal

import pytest
from tests.unit.srtp_packets import flipped

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender
from sealcast._core import (
    srtp_known_aead_open,
    srtp_known_aead_seal,
    srtp_known_keystream,
    srtp_known_session_keys,
)
from sealcast.testing.srtp_vectors import (
    AeadPacket,
    Case,
    Derivation,
    Keystream,
    Stream,
    cases,
    files,
)

ALL = [
    pytest.param(case, id=f"{path.stem} {number} {case.profile}")
    for path in files()
    for number, case in enumerate(cases(path))
]


@pytest.mark.parametrize("case", ALL)
def test_the_vector_holds(case: Case) -> None:
    match case:
        case Derivation():
            derives(case)
        case Keystream():
            enciphers(case)
        case AeadPacket():
            seals_and_opens(case)
        case Stream():
            protects(case)
            opens(case)


def derives(case: Derivation) -> None:
    assert case.derived
    for expected in case.derived:
        keys = srtp_known_session_keys(
            case.profile, case.master_key, case.master_salt, expected.purpose, 0
        )
        assert keys == [expected.encryption, expected.authentication, expected.salt]


def enciphers(case: Keystream) -> None:
    stream = srtp_known_keystream(case.profile, case.key, case.salt, 0, 0, case.length)
    assert len(stream) == case.length
    assert stream.startswith(case.first)
    assert stream.endswith(case.last)


def seals_and_opens(case: AeadPacket) -> None:
    keys = (case.profile, case.key, case.salt)
    sealed = srtp_known_aead_seal(*keys, case.plain, case.index, case.rtcp, case.encrypted)
    assert sealed == case.protected
    assert srtp_known_aead_open(*keys, case.protected, case.index, case.rtcp) == case.plain


def told(case: Stream) -> dict[str, Any]:
    """What both ends of the stream are told besides their keys."""
    return {
        "mki": case.mki,
        "key_derivation_rate": case.key_derivation_rate,
        "encrypted_extensions": case.elements or None,
        "unencrypted_srtcp": case.unencrypted_srtcp,
        "null_cipher": case.profile.startswith("NULL_"),
    }


def start(context: SrtpSender | SrtpReceiver, case: Stream) -> None:
    if case.roc:
        for ssrc in {one.plain[8:12] for one in case.packets if not one.rtcp}:
            context.set_roc(int.from_bytes(ssrc, "big"), case.roc)


def rtcp_index(case: Stream, protected: bytes) -> int:
    """What an SRTCP packet carries; without an AEAD the identifier and the tag stand behind it."""
    end = len(protected) - len(case.mki)
    if not case.profile.startswith("AEAD_"):
        end -= case.profile.rtcp_overhead - 4
    return int.from_bytes(protected[end - 4 : end], "big") & 0x7FFF_FFFF


def protects(case: Stream) -> None:
    next_index = 0
    keys = (case.profile, case.master_key, case.master_salt)
    with SrtpSender(*keys, cryptex=case.cryptex, key_reuse_for_tests=True, **told(case)) as sender:
        start(sender, case)
        for packet in case.packets:
            if not packet.rtcp:
                made = sender.protect(packet.plain)
            else:
                # libsrtp counts up before it sends, so its first SRTCP index is 1.
                for _ in range(next_index, rtcp_index(case, packet.protected)):
                    sender.protect_rtcp(packet.plain)
                next_index = rtcp_index(case, packet.protected) + 1
                made = sender.protect_rtcp(packet.plain)
            if case.cut_tag_len is not None:
                made = made[: len(packet.plain) + case.cut_tag_len]
            assert made == packet.protected


def receiver_of(case: Stream) -> SrtpReceiver:
    cryptex: Literal["required"] | None = "required" if case.cryptex else None
    keys = (case.profile, case.master_key, case.master_salt)
    receiver = SrtpReceiver(*keys, cryptex=cryptex, **told(case))
    start(receiver, case)
    return receiver


def opens(case: Stream) -> None:
    if case.cut_tag_len is not None:
        return
    receiver = receiver_of(case)
    for packet in case.packets:
        unprotect = receiver.unprotect_rtcp if packet.rtcp else receiver.unprotect
        assert unprotect(packet.protected) == packet.plain


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.stem))
def test_a_damaged_vector_does_not_hold(path: Path) -> None:
    case = next(iter(cases(path)))
    match case:
        case Stream():
            opened = receiver_of(case).unprotect_many(
                flipped(one.protected) for one in case.packets if not one.rtcp
            )
            assert opened
            assert not any(isinstance(one, bytes) for one in opened)
        case AeadPacket():
            keys = (case.profile, flipped(case.key), case.salt)
            sealed = srtp_known_aead_seal(*keys, case.plain, case.index, case.rtcp, case.encrypted)
            assert sealed != case.protected
        case Keystream():
            keys = (case.profile, flipped(case.key), case.salt)
            assert not srtp_known_keystream(*keys, 0, 0, 64).startswith(case.first[:16])
        case Derivation():
            keys = (case.profile, flipped(case.master_key), case.master_salt)
            assert srtp_known_session_keys(*keys, "rtp", 0)[0] != case.derived[0].encryption


def test_every_profile_has_a_stream_of_another_maker() -> None:
    made = {case.profile for path in files() for case in cases(path) if isinstance(case, Stream)}
    assert made == set(SrtpProfile)
