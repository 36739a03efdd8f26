"""The vectors of `vectors/srtp`: one loader, for every file and every shape of case.

`vectors/srtp/README.md` says what each field means.

Does: reads every JSON file of the folder and gives each case a type by the fields it has. A case
of a shape that is not known here is an error, so that no file can be forgotten.

Does not: run them; `tests/vectors` does, and `crates/srtp` runs the same files in Rust.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sealcast.srtp import SrtpProfile

FOLDER = Path(__file__).parents[3] / "vectors" / "srtp"


Purpose = Literal["rtp", "rtcp", "rtp_header"]


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Session keys of one purpose, as derived from a master key."""

    purpose: Purpose
    encryption: bytes
    authentication: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class Derivation:
    """A master key and what is derived from it (RFC 3711 §4.3)."""

    source: str
    profile: SrtpProfile
    master_key: bytes
    master_salt: bytes
    derived: tuple[SessionKeys, ...]


@dataclass(frozen=True, slots=True)
class Keystream:
    """The ends of an AES-CM keystream of `length` bytes: SSRC 0, index 0 (RFC 3711 §4.1.1)."""

    source: str
    profile: SrtpProfile
    key: bytes
    salt: bytes
    length: int
    first: bytes
    last: bytes


@dataclass(frozen=True, slots=True)
class AeadPacket:
    """One packet under session keys at a stated index (RFC 7714)."""

    source: str
    profile: SrtpProfile
    rtcp: bool
    encrypted: bool
    key: bytes
    salt: bytes
    index: int
    plain: bytes
    protected: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a stream, before and after protection."""

    rtcp: bool
    plain: bytes
    protected: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """Packets in sending order under a master key, and what both ends were told besides."""

    source: str
    profile: SrtpProfile
    master_key: bytes
    master_salt: bytes
    packets: tuple[Packet, ...]
    mki: bytes
    key_derivation_rate: int
    elements: frozenset[int]
    cryptex: bool
    unencrypted_srtcp: bool
    roc: int
    cut_tag_len: int | None


Case = Derivation | Keystream | AeadPacket | Stream

# Fields that say what a case is; those of the second set may be absent.
_KEYS = frozenset({"source", "profile", "master_key", "master_salt"})
_PURPOSES: Final[tuple[Purpose, ...]] = ("rtp", "rtcp", "rtp_header")
_KEYSTREAM = frozenset({"source", "profile", "key", "salt", "len", "first", "last"})
_AEAD = frozenset(
    {"source", "profile", "kind", "key", "salt", "index", "plain", "protected", "is_encrypted"}
)
_TOLD = frozenset(
    {
        "mki",
        "key_derivation_rate",
        "elements",
        "cryptex",
        "unencrypted_srtcp",
        "roc",
        "cut_tag_len",
    }
)


def files() -> list[Path]:
    """Every file of vectors."""
    return sorted(FOLDER.glob("*.json"))


def cases(path: Path) -> Iterator[Case]:
    """The cases of one file; ValueError for one whose shape is not known."""
    content = json.loads(path.read_text("utf-8"))
    for number, case in enumerate(content["cases"]):
        fields = frozenset(case)
        if _KEYS | {"packets"} <= fields <= _KEYS | {"packets"} | _TOLD:
            yield _stream(case)
        elif _KEYS < fields <= _KEYS | set(_PURPOSES):
            yield _derivation(case)
        elif fields == _KEYSTREAM:
            yield _keystream(case)
        elif fields == _AEAD:
            yield _aead(case)
        else:
            raise ValueError(f"{path.name}, case {number}: no case has the fields {sorted(fields)}")


def _derivation(case: Mapping[str, Any]) -> Derivation:
    return Derivation(
        case["source"],
        SrtpProfile(case["profile"]),
        bytes.fromhex(case["master_key"]),
        bytes.fromhex(case["master_salt"]),
        tuple(
            SessionKeys(
                purpose,
                bytes.fromhex(case[purpose]["encryption"]),
                bytes.fromhex(case[purpose]["authentication"]),
                bytes.fromhex(case[purpose]["salt"]),
            )
            for purpose in _PURPOSES
            if purpose in case
        ),
    )


def _keystream(case: Mapping[str, Any]) -> Keystream:
    return Keystream(
        case["source"],
        SrtpProfile(case["profile"]),
        bytes.fromhex(case["key"]),
        bytes.fromhex(case["salt"]),
        case["len"],
        bytes.fromhex(case["first"]),
        bytes.fromhex(case["last"]),
    )


def _aead(case: Mapping[str, Any]) -> AeadPacket:
    return AeadPacket(
        case["source"],
        SrtpProfile(case["profile"]),
        case["kind"] == "rtcp",
        case["is_encrypted"],
        bytes.fromhex(case["key"]),
        bytes.fromhex(case["salt"]),
        case["index"],
        bytes.fromhex(case["plain"]),
        bytes.fromhex(case["protected"]),
    )


def _stream(case: Mapping[str, Any]) -> Stream:
    return Stream(
        case["source"],
        SrtpProfile(case["profile"]),
        bytes.fromhex(case["master_key"]),
        bytes.fromhex(case["master_salt"]),
        tuple(
            Packet(
                one["kind"] == "rtcp",
                bytes.fromhex(one["plain"]),
                bytes.fromhex(one["protected"]),
            )
            for one in case["packets"]
        ),
        bytes.fromhex(case.get("mki", "")),
        case.get("key_derivation_rate", 0),
        frozenset(case.get("elements", ())),
        case.get("cryptex", False),
        case.get("unencrypted_srtcp", False),
        case.get("roc", 0),
        case.get("cut_tag_len"),
    )
