"""H264's profile-level-id (RFC 6184 §8.1): what a stream is, and what a decoder takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Profile(StrEnum):
    """Sets of coding tools."""

    CONSTRAINED_BASELINE = "constrained baseline"
    BASELINE = "baseline"
    EXTENDED = "extended"
    MAIN = "main"
    CONSTRAINED_HIGH = "constrained high"
    HIGH = "high"
    HIGH_444 = "high 4:4:4 predictive"
    OTHER = "another profile"


# Which decoders take a stream of the profile on the left, besides those of the profile itself
# (ITU-T H.264 annex A.2). Chromium offers to receive "high 4:4:4 predictive" and no "high".
# DEVIATES annex A.2.1: baseline counts as constrained baseline. It differs by slice groups and
# arbitrary slice order, which no encoder in the field uses and no browser checks for.
_FROM_HIGH: Final = frozenset({Profile.HIGH, Profile.HIGH_444})
_FROM_MAIN: Final = _FROM_HIGH | {Profile.MAIN}
_FROM_BASELINE: Final = _FROM_MAIN | {
    Profile.CONSTRAINED_BASELINE,
    Profile.BASELINE,
    Profile.EXTENDED,
    Profile.CONSTRAINED_HIGH,
}
_ALSO: Final[Mapping[Profile, frozenset[Profile]]] = MappingProxyType(
    {
        Profile.CONSTRAINED_BASELINE: _FROM_BASELINE,
        Profile.BASELINE: _FROM_BASELINE,
        Profile.MAIN: _FROM_MAIN,
        Profile.CONSTRAINED_HIGH: _FROM_HIGH,
        Profile.HIGH: _FROM_HIGH,
    }
)


@dataclass(frozen=True, slots=True)
class ProfileLevel:
    """profile_idc, the constraint flags, level_idc."""

    profile_idc: int
    constraints: int
    level_idc: int

    @staticmethod
    def parse(text: str) -> "ProfileLevel":
        """Six hexadecimal digits; ValueError for anything else."""
        if len(text) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in text):
            raise ValueError("a profile-level-id has six hexadecimal digits")
        return ProfileLevel(*bytes.fromhex(text))

    def __str__(self) -> str:
        return bytes((self.profile_idc, self.constraints, self.level_idc)).hex()

    @property
    def profile(self) -> Profile:
        """RFC 6184 §8.1, table 5, read by the flags that decide."""
        set0, set1, set2 = (bool(self.constraints & bit) for bit in (0x80, 0x40, 0x20))
        match self.profile_idc:
            case 66:
                return Profile.CONSTRAINED_BASELINE if set1 else Profile.BASELINE
            case 77:
                return Profile.CONSTRAINED_BASELINE if set0 else Profile.MAIN
            case 88 if set0:
                return Profile.CONSTRAINED_BASELINE if set1 else Profile.BASELINE
            case 88:
                return Profile.MAIN if set1 and not set2 else Profile.EXTENDED
            case 100:
                both = self.constraints & 0x0C == 0x0C
                return Profile.CONSTRAINED_HIGH if both else Profile.HIGH
            case 244:
                return Profile.HIGH_444
            case _:
                return Profile.OTHER

    @property
    def level(self) -> float:
        """The level as a number that orders: 3.1 is 31, 1b stands between 1 and 1.1."""
        is_1b = self.level_idc == 11 and self.constraints & 0x10
        if self.level_idc == 9 or (is_1b and self.profile_idc in (66, 77, 88)):
            return 10.5
        return float(self.level_idc)

    @property
    def title(self) -> str:
        """As a sentence may call it."""
        level = "1b" if self.level == 10.5 else f"{self.level_idc / 10:.1f}"
        return f"{self.profile} at level {level}"

    def same_profile(self, other: "ProfileLevel") -> bool:
        if self.profile is Profile.OTHER:
            return (self.profile_idc, self.constraints) == (other.profile_idc, other.constraints)
        return self.profile is other.profile

    def decoded_by(self, decoder: "ProfileLevel") -> bool:
        """Whether a decoder of `decoder`'s profile has the tools for this stream."""
        return self.same_profile(decoder) or decoder.profile in _ALSO.get(self.profile, frozenset())


# What a missing profile-level-id stands for (RFC 6184 §8.1): baseline at level 1.
IMPLIED: Final = ProfileLevel(66, 0, 10)
