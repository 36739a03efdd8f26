"""profile-level-id, against RFC 6184 §8.1."""

import pytest

from sealcast.sdp.h264 import Profile, ProfileLevel

PROFILES = [
    ("42e01f", Profile.CONSTRAINED_BASELINE),  # browsers
    ("42c01f", Profile.CONSTRAINED_BASELINE),  # x264
    ("42401f", Profile.CONSTRAINED_BASELINE),
    ("4d801f", Profile.CONSTRAINED_BASELINE),
    ("58c01f", Profile.CONSTRAINED_BASELINE),
    ("42001f", Profile.BASELINE),
    ("58801f", Profile.BASELINE),
    ("58001f", Profile.EXTENDED),
    ("4d001f", Profile.MAIN),
    ("4d401f", Profile.MAIN),  # x264
    ("640028", Profile.HIGH),
    ("640c1f", Profile.CONSTRAINED_HIGH),
    ("f4001f", Profile.HIGH_444),  # Chromium, as a receiver
    ("6e0028", Profile.OTHER),
]


@pytest.mark.parametrize(("text", "profile"), PROFILES)
def test_the_profile_is_read_from_idc_and_constraints(text: str, profile: Profile) -> None:
    parsed = ProfileLevel.parse(text)
    assert parsed.profile is profile
    assert str(parsed) == text


@pytest.mark.parametrize("text", ["", "42e0", "42e01g", "42e01f00", "\u0664\u0662e01f", "+2e01f"])
def test_anything_but_six_hexadecimal_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="six hexadecimal digits"):
        ProfileLevel.parse(text)


DECODABLE = [
    ("42c01f", "42e01f", True),
    ("42c01f", "42001f", True),
    ("42c01f", "4d001f", True),
    ("42001f", "42e01f", True),
    ("4d401f", "42e01f", False),
    ("4d401f", "64001f", True),
    ("640028", "4d001f", False),
    ("640028", "64001f", True),
    ("640028", "f4001f", True),
    ("640c28", "64001f", True),
    ("6e0028", "6e001f", True),
    ("6e0028", "64001f", False),
    ("f40028", "64001f", False),
]


@pytest.mark.parametrize(("stream", "decoder", "fits"), DECODABLE)
def test_a_decoder_takes_the_profiles_that_its_own_includes(
    stream: str, decoder: str, fits: bool
) -> None:
    assert ProfileLevel.parse(stream).decoded_by(ProfileLevel.parse(decoder)) is fits


def test_level_1b_stands_between_1_and_1_1() -> None:
    one, one_b, one_one = (ProfileLevel.parse(text) for text in ("42e00a", "42f00b", "42e00b"))
    assert one.level < one_b.level < one_one.level
    assert one_b.title == "constrained baseline at level 1b"
