"""Profiles: what a certificate may be, as dated data.

Does: reads `profiles.toml`, strictly typed. Does not: let a profile be edited at run time.
"""

import datetime
import difflib
import functools
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from sealcast.errors import LocalError
from sealcast.identity.keys import PublicKey
from sealcast.identity.verbs import Verb

KeyKind = Literal["p256", "p384", "ed25519", "rsa"]


class Side(StrEnum):
    """Which end of a handshake a certificate is for. Each side has its own issuing authority."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def usage(self) -> x509.ObjectIdentifier:
        """The one extended key usage of this side (RFC 5280 §4.2.1.12)."""
        return _USAGES[self]


_USAGES: Final = {
    Side.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Side.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
}


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the file; `name` is also the first part of the names that it is for."""

    name: str = ""
    summary: str
    lifetime_hours: int
    sides: tuple[Side, ...]
    hosts: bool
    keys: tuple[KeyKind, ...]
    may: tuple[Verb, ...]

    @property
    def lifetime(self) -> datetime.timedelta:
        return datetime.timedelta(hours=self.lifetime_hours)


class _Authorities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    root_days: int
    issuing_days: int


class _Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    list_hours: int
    list_fresh_hours: int


class _Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    summary: str
    may: tuple[Verb, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dated: datetime.date
    backdated_s: int
    authorities: _Authorities
    revocation: _Revocation
    profiles: dict[str, Profile]
    others: _Ceiling
    accounts: _Ceiling


@functools.cache
def _file() -> _File:
    text = resources.files("sealcast.identity").joinpath("profiles.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _File)


@functools.cache
def profiles() -> Mapping[str, Profile]:
    """All of them by name."""
    return {
        name: msgspec.structs.replace(profile, name=name)
        for name, profile in _file().profiles.items()
    }


def profile(name: str) -> Profile:
    """The profile called `name`; IDENTITY.UNKNOWN_PROFILE for any other."""
    found = profiles().get(name)
    if found is None:
        near = difflib.get_close_matches(name[:40], profiles(), n=1)
        hint = (
            f"; did you mean {near[0]!r}?" if near else ". A name begins with it: encoder/venue-1."
        )
        raise LocalError("IDENTITY.UNKNOWN_PROFILE", f"It was {name[:40]!r}{hint}")
    return found


def others_may() -> tuple[Verb, ...]:
    """What the holder of a certificate without one of these profiles may do at most."""
    return _file().others.may


def accounts_may() -> tuple[Verb, ...]:
    """What an administrator with a password may do at most."""
    return _file().accounts.may


def backdated() -> datetime.timedelta:
    """How long before its issue a certificate's time begins."""
    return datetime.timedelta(seconds=_file().backdated_s)


def root_lifetime() -> datetime.timedelta:
    return datetime.timedelta(days=_file().authorities.root_days)


def issuing_lifetime() -> datetime.timedelta:
    return datetime.timedelta(days=_file().authorities.issuing_days)


def list_lifetime() -> datetime.timedelta:
    """How long a revocation list is good for."""
    return datetime.timedelta(hours=_file().revocation.list_hours)


def list_fresh() -> datetime.timedelta:
    """After how long there is a new one, even if nothing changed."""
    return datetime.timedelta(hours=_file().revocation.list_fresh_hours)


def kind_of(key: PublicKey) -> KeyKind:
    """The kind of a key whose strength was checked."""
    match key:
        case ed25519.Ed25519PublicKey():
            return "ed25519"
        case ec.EllipticCurvePublicKey():
            return "p384" if isinstance(key.curve, ec.SECP384R1) else "p256"
        case _:
            return "rsa"
