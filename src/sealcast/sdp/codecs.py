"""Codecs by the names that the rest of the house uses, and how well an offered one fits.

Does: knows the media types of RFC 6184, RFC 7741, RFC 9628, the AV1 payload format and RFC 7587,
and their parameters that decide whether two ends understand each other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from sealcast.sdp.h264 import IMPLIED, ProfileLevel
from sealcast.sdp.offer import Codec, OfferedSection

CodecName = Literal["H264", "H265", "VP8", "VP9", "AV1", "opus"]

_NAMES: Final[Mapping[tuple[str, str], CodecName]] = MappingProxyType(
    {
        ("video", "h264"): "H264",
        ("video", "h265"): "H265",
        ("video", "vp8"): "VP8",
        ("video", "vp9"): "VP9",
        ("video", "av1"): "AV1",
        ("audio", "opus"): "opus",
    }
)
_CLOCKS: Final[Mapping[CodecName, int]] = MappingProxyType(
    {"H264": 90_000, "H265": 90_000, "VP8": 90_000, "VP9": 90_000, "AV1": 90_000, "opus": 48_000}
)
# Parameters of the only profile that every decoder has (RFC 9628 §6, AV1 RTP §7.2.2).
_PROFILE_KEY: Final[Mapping[CodecName, str]] = MappingProxyType(
    {"VP9": "profile-id", "AV1": "profile"}
)

# In the order in which an answer states them.
H264_KEYS: Final = ("level-asymmetry-allowed", "packetization-mode", "profile-level-id")


def name_of(section: OfferedSection, codec: Codec) -> CodecName | None:
    """The codec's name here; None for one that is not carried, or has an odd clock."""
    name = _NAMES.get((section.kind, codec.name.lower()))
    return name if name is not None and codec.clock_rate == _CLOCKS[name] else None


def carried(section: OfferedSection) -> tuple[tuple[CodecName, Codec], ...]:
    """What of a section could be carried, in the offer's order.

    H264 only with packetization-mode 1 (the relay sends fragments), VP9 and AV1 in profile 0.
    """
    found = []
    for codec in section.codecs:
        name = name_of(section, codec)
        if name is None:
            continue
        if name == "H264" and (codec.parameter("packetization-mode") != "1" or not _level(codec)):
            continue
        if name in _PROFILE_KEY and codec.parameter(_PROFILE_KEY[name], "0") != "0":
            continue
        found.append((name, codec))
    return tuple(found)


def h264_profile(codec: Codec) -> ProfileLevel:
    """What an H264 type states, or what leaving it out implies. Only for types from `carried`."""
    return _level(codec) or IMPLIED


def _level(codec: Codec) -> ProfileLevel | None:
    try:
        return ProfileLevel.parse(codec.parameter("profile-level-id", str(IMPLIED)))
    except ValueError:
        return None


def h264_parameters(codec: Codec, profile: ProfileLevel) -> tuple[tuple[str, str], ...]:
    """The answer's parameters for an H264 type (RFC 6184 §8.2.2)."""
    values = {
        "level-asymmetry-allowed": "1" if allows_asymmetry(codec) else "",
        "packetization-mode": "1",
        "profile-level-id": str(profile),
    }
    return tuple((key, values[key]) for key in H264_KEYS if values[key])


def allows_asymmetry(codec: Codec) -> bool:
    return codec.parameter("level-asymmetry-allowed") == "1"


def plain_parameters(name: CodecName) -> tuple[tuple[str, str], ...]:
    """The answer's parameters for a codec of which only profile 0 is taken."""
    key = _PROFILE_KEY.get(name)
    return () if key is None else ((key, "0"),)


def listed(section: OfferedSection) -> str:
    """The offered codecs as a sentence may name them."""
    names = list(dict.fromkeys(codec.name[:20] for codec in section.codecs))
    helpers = ("red", "ulpfec", "flexfec-03", "telephone-event", "CN")
    shown = [name for name in names if name.isascii() and name not in helpers][:12]
    return ", ".join(shown) or "none"
