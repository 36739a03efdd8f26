"""Every published vector, through Python; the same files run in `crates/srtp`."""

from pathlib import Path

import pytest
from tests.unit.srtp_packets import flipped

from sealcast import SrtpReceiver, SrtpSender
from sealcast._core import (
    srtp_known_aead_open,
    srtp_known_aead_seal,
    srtp_known_session_keys,
)
from sealcast.testing.srtp_vectors import AeadPacket, Case, Derivation, Stream, cases, files

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
        case AeadPacket():
            seals_and_opens(case)
        case Stream():
            protects_and_opens(case)


def derives(case: Derivation) -> None:
    assert case.derived
    for expected in case.derived:
        keys = srtp_known_session_keys(
            case.profile, case.master_key, case.master_salt, expected.purpose, 0
        )
        assert keys == [expected.encryption, expected.authentication, expected.salt]


def seals_and_opens(case: AeadPacket) -> None:
    stated = (case.profile, case.key, case.salt)
    sealed = srtp_known_aead_seal(*stated, case.plain, case.index, case.rtcp)
    assert sealed == case.protected
    assert srtp_known_aead_open(*stated, case.protected, case.index, case.rtcp) == case.plain


def protects_and_opens(case: Stream) -> None:
    keys = (case.profile, case.master_key, case.master_salt)
    receiver = SrtpReceiver(*keys)
    with SrtpSender(*keys) as sender:
        # libsrtp starts at SRTCP index 1, RFC 3711 §3.4 at 0.
        reports = [one.plain for one in case.packets if one.rtcp]
        if "libsrtp" in case.source and reports:
            sender.protect_rtcp(reports[0])
        for packet in case.packets:
            protect = sender.protect_rtcp if packet.rtcp else sender.protect
            unprotect = receiver.unprotect_rtcp if packet.rtcp else receiver.unprotect
            assert protect(packet.plain) == packet.protected
            assert unprotect(packet.protected) == packet.plain


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_damaged_vector_does_not_hold(path: Path) -> None:
    case = next(iter(cases(path)))
    match case:
        case Stream():
            opened = SrtpReceiver(case.profile, case.master_key, case.master_salt).unprotect_many(
                flipped(one.protected) for one in case.packets if not one.rtcp
            )
            assert not any(isinstance(one, bytes) for one in opened)
        case AeadPacket():
            sealed = srtp_known_aead_seal(
                case.profile, flipped(case.key), case.salt, case.plain, case.index, case.rtcp
            )
            assert sealed != case.protected
        case Derivation():
            keys = srtp_known_session_keys(
                case.profile, flipped(case.master_key), case.master_salt, "rtp", 0
            )
            assert all(keys[0] != one.encryption for one in case.derived)
