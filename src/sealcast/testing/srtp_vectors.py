"""The vectors of `vectors/srtp`: one loader, for every file and every shape of case.

Does: reads every JSON file of the folder and gives each case a type by the fields it has. A case
of a shape that is not known here is an error, so that no file can be forgotten.

Does not: run them; `tests/vectors` does, and `crates/srtp` runs the same files in Rust.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sealcast.srtp import SrtpProfile

FOLDER = Path(__file__).parents[3] / "vectors" / "srtp"


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Session keys of one purpose, as derived from a master key."""

    purpose: Literal["rtp", "rtcp", "rtp_header"]
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
class AeadPacket:
    """One packet under session keys at a stated index (RFC 7714)."""

    source: str
    profile: SrtpProfile
    rtcp: bool
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
    """Packets in sending order under a master key."""

    source: str
    profile: SrtpProfile
    master_key: bytes
    master_salt: bytes
    packets: tuple[Packet, ...]


Case = Derivation | AeadPacket | Stream

# Fields that say what a case is.
_DERIVATION = frozenset({"source", "profile", "master_key", "master_salt", "rtp", "rtcp"})
_AEAD = frozenset({"source", "profile", "kind", "key", "salt", "index", "plain", "protected"})
_STREAM = frozenset({"source", "profile", "master_key", "master_salt", "packets"})


def files() -> list[Path]:
    """Every file of vectors."""
    return sorted(FOLDER.glob("*.json"))


def cases(path: Path) -> Iterator[Case]:
    """The cases of one file; ValueError for one whose shape is not known."""
    content = json.loads(path.read_text("utf-8"))
    for number, case in enumerate(content["cases"]):
        fields = frozenset(case)
        if fields == _STREAM:
            yield _stream(case)
        elif fields == _AEAD:
            yield _aead(case)
        elif _STREAM - {"packets"} <= fields <= _DERIVATION:
            yield _derivation(case)
        else:
            raise ValueError(f"{path.name}, case {number}: no case has the fields {sorted(fields)}")


def _derivation(case: Mapping[str, Any]) -> Derivation:
    purposes: tuple[Literal["rtp", "rtcp"], ...] = ("rtp", "rtcp")
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
            for purpose in purposes
            if case.get(purpose)
        ),
    )


def _aead(case: Mapping[str, Any]) -> AeadPacket:
    return AeadPacket(
        case["source"],
        SrtpProfile(case["profile"]),
        case["kind"] == "rtcp",
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
    )
