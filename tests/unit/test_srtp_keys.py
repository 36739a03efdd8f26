"""Keys: how they come in, that they never show, how they change, and when they end."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from tests.unit.srtp_packets import SSRC, ends, fresh, rtcp, rtp

from sealcast import Secret, SrtpProfile, SrtpReceiver, SrtpSender
from sealcast.codes import CODES
from sealcast.errors import (
    BadKey,
    BadOption,
    HeaderNotProtected,
    KeyExpired,
    KeyInUse,
    KeyUsedBefore,
    LocalError,
    NullCipherRefused,
    SourceExhausted,
    SourceNotDeclared,
    SourceStarted,
    TooManySources,
    UnencryptedControlPacket,
    UnknownKeyIdentifier,
)
from sealcast.srtp import KeyNearlySpent, KeySpent

GCM = SrtpProfile.AEAD_AES_128_GCM


def test_a_key_may_be_bytes_a_buffer_or_a_secret() -> None:
    key, salt = fresh(GCM)
    with SrtpSender(GCM, key, salt, key_reuse_for_tests=True) as sender:
        expected = sender.protect(rtp(1))
    for kind in (bytearray, memoryview, Secret):
        with SrtpSender(GCM, kind(key), kind(salt), key_reuse_for_tests=True) as sender:
            assert sender.protect(rtp(1)) == expected


def test_a_secret_is_still_the_callers_to_wipe() -> None:
    key, salt = map(Secret, fresh(GCM))
    sender, receiver = SrtpSender(GCM, key, salt), SrtpReceiver(GCM, key, salt)
    key.wipe()
    salt.wipe()
    assert (len(key), len(salt)) == (0, 0)
    assert receiver.unprotect(sender.protect(rtp(1))) == rtp(1)


def test_a_secret_is_lent_read_only_and_wiped_all_the_same() -> None:
    secret = Secret(b"sixteen bytes...")
    with secret.lend() as view:
        assert bytes(view) == b"sixteen bytes..."
        assert view.readonly
        secret.wipe()
        assert bytes(view) == bytes(16)
    assert not secret


@pytest.mark.parametrize("profile", SrtpProfile)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_key_or_salt_of_the_wrong_length_is_refused_with_both_lengths(
    profile: SrtpProfile, off: int
) -> None:
    key, salt = fresh(profile)
    for kind in (SrtpSender, SrtpReceiver):
        with pytest.raises(BadKey) as refused:
            kind(profile, bytes(len(key) + off), salt, null_cipher=True)
        assert refused.value.detail == (
            f"{profile} takes a master key of {len(key)} bytes, got {len(key) + off}."
        )
        assert isinstance(refused.value, LocalError)
        with pytest.raises(BadKey, match=f"a master salt of {len(salt)} bytes"):
            kind(profile, key, bytes(len(salt) + off), null_cipher=True)


def test_an_error_about_a_key_does_not_show_it() -> None:
    key = b"\xabSECRETSECRETSECRET"
    with pytest.raises(BadKey) as refused:
        SrtpSender(GCM, key, bytes(12))
    assert "SECRET" not in str(refused.value)
    assert "SECRET" not in repr(refused.value)


def test_a_second_living_sender_with_the_same_key_and_salt_is_refused() -> None:
    key, salt = fresh(GCM)
    first = SrtpSender(GCM, key, salt)
    with pytest.raises(KeyInUse, match="A living sender has the same master key and salt"):
        SrtpSender(GCM, Secret(key), Secret(salt))
    SrtpReceiver(GCM, key, salt)
    first.close()
    second = SrtpSender(GCM, key, salt)
    del second
    SrtpSender(GCM, key, salt)


def test_a_key_that_protected_a_packet_is_refused_after_its_sender_is_gone() -> None:
    key, salt = fresh(GCM)
    with SrtpSender(GCM, key, salt, ssrcs={SSRC}) as first:
        first.protect(rtp(1))
    with pytest.raises(KeyUsedBefore, match="declare disjoint sets"):
        SrtpSender(GCM, key, salt)
    with pytest.raises(KeyUsedBefore):
        ends(mki=b"1")[0].add_key(b"2", key, salt)
    SrtpSender(GCM, key, salt, ssrcs={SSRC + 1}).close()
    SrtpSender(GCM, key, salt, key_reuse_for_tests=True).close()


def test_two_senders_share_a_key_if_both_declare_sources_and_share_none() -> None:
    key, salt = fresh(GCM)
    first = SrtpSender(GCM, key, salt, ssrcs={1, 2})
    second = SrtpSender(GCM, key, salt, ssrcs=[3])
    with pytest.raises(KeyInUse):
        SrtpSender(GCM, key, salt, ssrcs={2, 9})
    with pytest.raises(KeyInUse):
        SrtpSender(GCM, key, salt)
    first.protect(rtp(1, ssrc=2))
    second.protect(rtp(1, ssrc=3))
    with pytest.raises(SourceNotDeclared):
        second.protect(rtp(1, ssrc=2))


def test_a_context_remembers_a_bounded_number_of_sources() -> None:
    sender, receiver = ends(max_ssrcs=2)
    spare, _ = ends()
    for ssrc in (1, 2):
        receiver.unprotect(sender.protect(rtp(1, ssrc=ssrc)))
    with pytest.raises(TooManySources):
        sender.protect(rtp(1, ssrc=3))
    assert {one.ssrc for one in receiver.statistics()} == {1, 2}
    spare.close()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"replay_window": 63}, "a multiple of 64 packets from 64 to 32768, got 63"),
        ({"replay_window": 65_536}, "got 65536"),
        ({"key_derivation_rate": 3}, "a power of two up to 2.24, got 3"),
        ({"rtp_lifetime": (10, 5)}, "0 < soft <= hard"),
        ({"rtcp_lifetime": (1, 2**31 + 1)}, "hard <= 2147483648"),
        ({"mki": bytes(129)}, "at most 128 bytes, got 129"),
        ({"encrypted_extensions": [0]}, "from 1 to 255, got 0"),
        ({"replay_window": -1}, "replay_window is a whole number from 0 to .* got -1"),
        ({"replay_window": 2**70}, "replay_window is a whole number .* got 1180591620717411303424"),
        ({"replay_window": 2**200}, "replay_window is a whole number .* got one beyond"),
        ({"max_ssrcs": -1}, "max_ssrcs is a whole number .* got -1"),
        ({"max_ssrcs": 0}, "max_ssrcs is from 1 to 65536, got 0"),
        ({"max_ssrcs": 2**63}, "max_ssrcs is from 1 to 65536, got 9223372036854775808"),
        ({"ssrcs": []}, "ssrcs names one SSRC at least"),
        ({"ssrcs": [-1]}, "ssrcs is a whole number .* got -1"),
        ({"ssrcs": [2**32]}, "ssrcs is a whole number from 0 to 2.32 - 1, got 4294967296"),
        ({"ssrcs": [1, 2, 3], "max_ssrcs": 2}, "declares 3 SSRCs and max_ssrcs is 2"),
        ({"ssrcs": range(65_537)}, "max_ssrcs is from 1 to 65536, got 65537"),
        # More than memory has room for; no more of them are asked for than are needed.
        ({"ssrcs": range(2**32)}, "max_ssrcs is from 1 to 65536, got 65537"),
        ({"key_derivation_rate": -1}, "key_derivation_rate is a whole number .* got -1"),
        ({"key_derivation_rate": 2**40}, "key_derivation_rate is a whole number"),
        ({"encrypted_extensions": [256]}, "encrypted_extensions is a whole number .* got 256"),
        ({"encrypted_extensions": [-1]}, "encrypted_extensions is a whole number .* got -1"),
        ({"rtp_lifetime": (-1, 1)}, "rtp_lifetime is a whole number .* got -1"),
        ({"rtcp_lifetime": (1, 2**64)}, "rtcp_lifetime is a whole number"),
        ({"rtp_lifetime": (1, 2, 3)}, "lifetime is a pair of whole numbers"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_a_sentence(
    option: dict[str, Any], said: str
) -> None:
    for kind in (SrtpSender, SrtpReceiver):
        with pytest.raises(BadOption, match=said) as refused:
            kind(GCM, *fresh(GCM), **option)
        assert refused.value.code == "SRTP.BAD_OPTION"


@pytest.mark.parametrize("profile", [None, 5, b"AEAD_AES_128_GCM"])
def test_what_is_no_profile_is_refused_by_its_name(profile: Any) -> None:
    for kind in (SrtpSender, SrtpReceiver):
        with pytest.raises(TypeError, match="profile must be an SrtpProfile, not"):
            kind(profile, *fresh(GCM))


def test_a_rollover_counter_and_its_ssrc_have_32_bits() -> None:
    for context in ends():
        for ssrc, roc, said in [
            (9, 2**32, "roc is a whole number from 0 to 2.32 - 1, got 4294967296"),
            (9, -1, "roc is a whole number"),
            (2**32, 0, "ssrc is a whole number"),
        ]:
            with pytest.raises(BadOption, match=said):
                context.set_roc(ssrc, roc)
        context.set_roc(2**32 - 1, 2**32 - 1)


def test_all_the_sources_that_are_declared_are_served() -> None:
    sender, receiver = ends(ssrcs=range(100))
    for ssrc in range(100):
        receiver.unprotect(sender.protect(rtp(1, ssrc=ssrc)))
    with pytest.raises(SourceNotDeclared):
        sender.protect(rtp(1, ssrc=100))
    assert len(receiver.statistics()) == 100


def test_what_the_table_says_of_a_key_is_not_said_again() -> None:
    key = fresh(GCM)
    first = SrtpSender(GCM, *key)
    with pytest.raises(KeyInUse) as refused:
        SrtpSender(GCM, *key)
    first.close()
    row = CODES["SRTP.KEY_IN_USE"]
    assert str(refused.value) == f"SRTP.KEY_IN_USE: {row.sentence} {row.remedy}"


def test_the_two_ways_to_encrypt_a_header_exclude_each_other() -> None:
    with pytest.raises(BadOption, match="exclude each other"):
        SrtpSender(GCM, *fresh(GCM), encrypted_extensions=[1], cryptex=True)
    with pytest.raises(BadOption, match='got "perhaps"'):
        SrtpReceiver(GCM, *fresh(GCM), cryptex="perhaps")  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", [SrtpProfile.NULL_SHA1_80, SrtpProfile.NULL_SHA1_32])
def test_a_profile_that_does_not_encrypt_must_be_asked_for_by_name(profile: SrtpProfile) -> None:
    for kind in (SrtpSender, SrtpReceiver):
        with pytest.raises(NullCipherRefused):
            kind(profile, *fresh(profile))
        kind(profile, *fresh(profile), null_cipher=True)


def test_a_key_changes_without_a_lost_packet() -> None:
    old, new = fresh(GCM), fresh(GCM)
    sender = SrtpSender(GCM, *old, mki=b"\x01")
    receiver = SrtpReceiver(GCM, *old, mki=b"\x01")
    assert sender.rtp_overhead == GCM.rtp_overhead + 1
    early = [sender.protect(rtp(number)) for number in range(3)]
    sender.add_key(b"\x02", *new)
    receiver.add_key(b"\x02", *map(Secret, new))
    sender.use_key(b"\x02")
    late = [sender.protect(rtp(number)) for number in range(3, 6)]
    assert receiver.unprotect_many(late + early) == [rtp(n) for n in (3, 4, 5, 0, 1, 2)]
    assert (sender.mkis, receiver.mkis) == ([b"\x01", b"\x02"], [b"\x01", b"\x02"])
    receiver.remove_key(b"\x01")
    sender.use_key(b"\x01")
    with pytest.raises(UnknownKeyIdentifier):
        receiver.unprotect(sender.protect(rtp(6)))


def test_identifiers_are_taken_once_and_known() -> None:
    sender, _ = ends(mki=b"a")
    calls: list[Callable[[], None]] = [
        lambda: sender.add_key(b"a", *fresh(GCM)),
        lambda: sender.add_key(b"long", *fresh(GCM)),
        lambda: sender.use_key(b"z"),
        lambda: sender.remove_key(b"z"),
        lambda: sender.remove_key(b"a"),
        lambda: sender.add_key(b"b", b"short", bytes(12)),
    ]
    for call in calls:
        with pytest.raises(BadKey):
            call()


def test_the_end_of_a_key_is_announced_and_then_comes() -> None:
    sender, receiver = ends(rtp_lifetime=(3, 5), rtcp_lifetime=(1, 1))
    assert sender.events() == []
    packets = [sender.protect(rtp(number)) for number in range(5)]
    soft, hard = sender.events()
    assert isinstance(soft, KeyNearlySpent)
    assert (soft.protocol, soft.remaining, soft.mki) == ("SRTP", 2, b"")
    assert soft.code == "SRTP.KEY_NEARLY_SPENT"
    assert isinstance(hard, KeySpent)
    assert sender.events() == []
    with pytest.raises(KeyExpired):
        sender.protect(rtp(5))
    assert receiver.unprotect_many(packets) == [rtp(number) for number in range(5)]
    assert receiver.events() == [soft, hard]
    sender.protect_rtcp(rtcp(1))
    with pytest.raises(KeyExpired):
        sender.protect_rtcp(rtcp(2))


def test_the_last_index_of_a_source_is_not_the_end_of_the_key() -> None:
    sender, _ = ends(mki=b"a")
    sender.set_roc(SSRC, 2**32 - 1)
    sender.protect(rtp(65_535))
    sender.add_key(b"b", *fresh(GCM))
    sender.use_key(b"b")
    with pytest.raises(SourceExhausted, match="another SSRC: a new key does not"):
        sender.protect(rtp(0))
    assert sender.totals().refused == {"SRTP.SSRC_EXHAUSTED": 1}
    sender.protect(rtp(0, ssrc=SSRC + 1))


def test_a_source_starts_at_the_rollover_counter_that_was_set() -> None:
    sender, receiver = ends()
    for context in (sender, receiver):
        context.set_roc(SSRC, 7)
    assert receiver.unprotect(sender.protect(rtp(9))) == rtp(9)
    (stream,) = receiver.statistics()
    assert (stream.roc, stream.highest_index) == (7, (7 << 16) + 9)
    with pytest.raises(SourceStarted):
        receiver.set_roc(SSRC, 8)


def test_statistics_are_per_source_typed_and_frozen() -> None:
    sender, receiver = ends()
    packet = sender.protect(rtp(1))
    receiver.unprotect(packet)
    receiver.unprotect_rtcp(sender.protect_rtcp(rtcp(1)))
    receiver.unprotect_many([packet, packet, packet[:-1] + b"\0", b""])
    (stream,) = receiver.statistics()
    assert (stream.ssrc, stream.rtp_packets, stream.rtp_bytes) == (SSRC, 1, len(rtp(1)))
    assert (stream.rtcp_packets, stream.rtcp_bytes) == (1, len(rtcp(1)))
    assert (stream.replayed, stream.highest_rtcp_index) == (3, 0)
    assert receiver.totals().refused == {"SRTP.MALFORMED": 1, "SRTP.REPLAYED": 3}
    assert "0xcafebabe" in repr(stream)
    assert stream == receiver.statistics()[0]
    with pytest.raises(AttributeError):
        stream.replayed = 0  # type: ignore[misc]


def test_unencrypted_reports_are_taken_only_by_who_asked_for_them() -> None:
    key, salt = fresh(GCM)
    sender = SrtpSender(GCM, key, salt, unencrypted_srtcp=True)
    strict = SrtpReceiver(GCM, key, salt)
    lenient = SrtpReceiver(GCM, key, salt, unencrypted_srtcp=True)
    report = sender.protect_rtcp(rtcp(1))
    assert rtcp(1) in report
    with pytest.raises(UnencryptedControlPacket):
        strict.unprotect_rtcp(report)
    assert lenient.unprotect_rtcp(report) == rtcp(1)


def with_extension(sequence: int) -> bytes:
    """A packet with a CSRC and a one-byte-header extension whose element 1 is b'level'."""
    plain = bytearray(rtp(sequence))
    plain[0] = 0x91
    elements = b"\x14level\0\0"
    return bytes(plain[:12] + b"\0\0\0\7" + b"\xbe\xde\0\2" + elements + plain[12:])


@pytest.mark.parametrize("profile", [GCM, SrtpProfile.AES128_CM_SHA1_80])
def test_chosen_elements_of_the_header_extension_are_encrypted(profile: SrtpProfile) -> None:
    sender, receiver = ends(profile, encrypted_extensions={1})
    protected = sender.protect(with_extension(1))
    assert b"level" not in protected
    assert b"\xbe\xde" in protected
    assert receiver.unprotect(protected) == with_extension(1)


@pytest.mark.parametrize("profile", [GCM, SrtpProfile.AES128_CM_SHA1_80])
def test_cryptex_hides_the_whole_extension_and_the_csrcs(profile: SrtpProfile) -> None:
    key, salt = fresh(profile)
    sender = SrtpSender(profile, key, salt, cryptex=True)
    words: tuple[Literal["accepted", "required"], ...] = ("accepted", "required")
    for word in words:
        receiver = SrtpReceiver(profile, key, salt, cryptex=word)
        sequence = 1 if word == "accepted" else 2
        protected = sender.protect(with_extension(sequence))
        assert b"level" not in protected
        assert b"\0\0\0\7" not in protected[12:16]
        assert receiver.unprotect(protected) == with_extension(sequence)
        target = bytearray(200)
        length = sender.protect_into(with_extension(sequence + 10), target)
        assert receiver.unprotect(target[:length]) == with_extension(sequence + 10)


def test_cryptex_that_is_required_refuses_a_clear_header() -> None:
    key, salt = fresh(GCM)
    sender = SrtpSender(GCM, key, salt)
    with pytest.raises(HeaderNotProtected):
        SrtpReceiver(GCM, key, salt, cryptex="required").unprotect(
            sender.protect(with_extension(1))
        )


def test_a_key_derivation_rate_changes_the_keys_on_both_sides() -> None:
    sender, receiver = ends(SrtpProfile.AES128_CM_SHA1_80, key_derivation_rate=4)
    packets = [sender.protect(rtp(number)) for number in range(20)]
    assert receiver.unprotect_many(packets) == [rtp(number) for number in range(20)]


def test_a_secret_goes_to_the_native_side_without_being_revealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reveal(_: Secret) -> bytes:
        raise AssertionError("a copy of the key was made in Python")

    monkeypatch.setattr(Secret, "reveal", reveal)
    key, salt = map(Secret, fresh(GCM))
    sender, receiver = SrtpSender(GCM, key, salt), SrtpReceiver(GCM, key, salt)
    assert receiver.unprotect(sender.protect(rtp(1))) == rtp(1)
