"""What must be known of an H264 access unit before it is handed on: key frame, parameter sets.

Does: finds NAL units in Annex B bytes; keeps the newest parameter sets and puts them before every
key frame that comes without; reads the three bytes that SDP calls profile-level-id.

Does not: parse a slice, decode, or judge the profile.

Specs: ITU-T H.264 Annex B and §7.4.1 (NAL unit types), RFC 6184 §8.1 (profile-level-id).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

IDR: Final = 5
SPS: Final = 7
PPS: Final = 8
START_CODE: Final = b"\x00\x00\x00\x01"
_SHORT_START_CODE: Final = b"\x00\x00\x01"

PARAMETER_SETS_LIMIT: Final = 32
"""Parameter sets kept per kind: H264 has ids 0 to 31 for SPS; more PPS than this is no encoder."""


def nal_units(access_unit: bytes) -> Iterator[bytes]:
    """The NAL units of an access unit, without start codes and trailing zero bytes (Annex B)."""
    begin = access_unit.find(_SHORT_START_CODE)
    while begin >= 0:
        begin += len(_SHORT_START_CODE)
        end = access_unit.find(_SHORT_START_CODE, begin)
        unit = access_unit[begin : end if end >= 0 else None].rstrip(b"\x00")
        if unit:
            yield unit
        begin = end


def nal_type(unit: bytes) -> int:
    """The type of a NAL unit (§7.4.1)."""
    return unit[0] & 0x1F


def profile_level_id(sps: bytes) -> str | None:
    """`42e01f` and the like: profile_idc, constraint flags, level_idc (RFC 6184 §8.1)."""
    return sps[1:4].hex() if len(sps) >= 4 else None


@dataclass(slots=True)
class ParameterSets:
    """The newest parameter sets of a stream."""

    profile_level_id: str | None = None
    _sps: dict[bytes, bytes] = field(default_factory=dict)
    _pps: dict[bytes, bytes] = field(default_factory=dict)

    def complete(self, access_unit: bytes) -> tuple[bytes, bool]:
        """An access unit with its parameter sets in front, and whether it is a key frame.

        Only an IDR picture is a key frame here: a browser starts at nothing else.
        """
        kinds = set()
        for unit in nal_units(access_unit):
            kind = nal_type(unit)
            kinds.add(kind)
            if kind == SPS:
                self.profile_level_id = profile_level_id(unit) or self.profile_level_id
                self._keep(self._sps, unit)
            elif kind == PPS:
                self._keep(self._pps, unit)
        if IDR not in kinds:
            return access_unit, False
        missing = [
            *(() if SPS in kinds else self._sps.values()),
            *(() if PPS in kinds else self._pps.values()),
        ]
        prefix = b"".join(START_CODE + unit for unit in missing)
        return (prefix + access_unit if prefix else access_unit), True

    @staticmethod
    def _keep(kept: dict[bytes, bytes], unit: bytes) -> None:
        # The id is an Exp-Golomb number near the front (SPS: after three bytes). The bits before
        # and with it decide whether a set replaces another; for the ids in use (0 to 6) one byte
        # holds them.
        key = unit[4:5] if nal_type(unit) == SPS else unit[1:2]
        key = bytes([_exp_golomb_prefix(key[0])]) if key else b""
        kept.pop(key, None)
        kept[key] = unit
        while len(kept) > PARAMETER_SETS_LIMIT:
            kept.pop(next(iter(kept)))


def _exp_golomb_prefix(byte: int) -> int:
    """The Exp-Golomb number at the front of a byte; the whole byte when it does not fit."""
    zeros = 8 - byte.bit_length()
    if zeros > 3:
        return 128 + byte
    return (byte >> (7 - 2 * zeros)) - 1
