"""One table of profiles, in both languages."""

import pytest
from tests.unit.srtp_packets import ends, rtcp, rtp

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender
from sealcast._core import srtp_profile_table
from sealcast.errors import UnknownProfile


def test_the_table_is_the_one_of_the_native_side() -> None:
    table = [
        (
            str(one),
            one.dtls_id,
            one.sdes_name,
            one.key_len,
            one.salt_len,
            one.rtp_overhead,
            one.rtcp_overhead,
        )
        for one in SrtpProfile
    ]
    assert table == srtp_profile_table()


@pytest.mark.parametrize("profile", SrtpProfile)
def test_packets_grow_by_what_the_table_says_and_open_to_what_they_were(
    profile: SrtpProfile,
) -> None:
    sender, receiver = ends(profile)
    assert sender.profile is receiver.profile is profile
    assert (sender.rtp_overhead, sender.rtcp_overhead) == (
        profile.rtp_overhead,
        profile.rtcp_overhead,
    )
    protected = sender.protect(rtp(1))
    assert len(protected) == len(rtp(1)) + profile.rtp_overhead
    assert receiver.unprotect(protected) == rtp(1)
    protected = sender.protect_rtcp(rtcp())
    assert len(protected) == len(rtcp()) + profile.rtcp_overhead
    assert receiver.unprotect_rtcp(protected) == rtcp()


@pytest.mark.parametrize("profile", SrtpProfile)
def test_the_payload_is_hidden_by_every_profile_that_encrypts(profile: SrtpProfile) -> None:
    sender, _ = ends(profile)
    hidden = b"sound or picture" not in sender.protect(rtp(1))
    assert hidden is not profile.startswith("NULL_")


@pytest.mark.parametrize("make", [SrtpProfile, lambda name: SrtpSender(name, b"", b"")])
def test_a_profile_that_does_not_exist_is_refused_with_those_that_do(make: type) -> None:
    with pytest.raises(UnknownProfile, match=r".ROT13. is none of AES128_CM_SHA1_80") as refused:
        make("ROT13")
    assert refused.value.code == "SRTP.UNKNOWN_PROFILE"


def test_a_profile_of_another_type_is_refused_by_type() -> None:
    with pytest.raises(TypeError):
        SrtpReceiver(7, b"", b"")  # type: ignore[arg-type]
