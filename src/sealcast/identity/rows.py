"""The rows of an authority's store, as the rest of the program has them.

Does: names and types what stands in each table of `store.sql`; times are seconds since 1970.

Does not: write or ask for them (`sealcast.identity.store`).
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Final

from sealcast.identity.profiles import Side

DONE: Final = "done"
"""The outcome of an attempt that succeeded."""


@dataclass(frozen=True, slots=True)
class RootRow:
    """A root. Its issuing authorities issue from `since_unix` on; from `until_unix` on it is
    trusted no more. `key_file` is where its key was first: a file, relative to the folder of the
    store, or a `pkcs11:` URI.
    """

    serial: str
    not_after_unix: int
    pem: bytes
    key_file: str
    made_unix: int
    since_unix: int
    until_unix: int | None = None

    @staticmethod
    def of(row: sqlite3.Row) -> "RootRow":
        return RootRow(
            serial=row["serial"],
            not_after_unix=row["not_after"],
            pem=row["pem"],
            key_file=row["key_file"],
            made_unix=row["made_at"],
            since_unix=row["since"],
            until_unix=row["until"],
        )


@dataclass(frozen=True, slots=True)
class IssuerRow:
    """An issuing authority. `key_file` is relative to the folder of the store, or a `pkcs11:` URI;
    servers may have addresses in `networks`. It issues from `since_unix` on, until there is a newer
    one, and counts as revoked from `until_unix` on.
    """

    serial: str
    root: str
    side: Side
    not_after_unix: int
    pem: bytes
    key_file: str
    networks: tuple[str, ...]
    since_unix: int
    until_unix: int | None = None
    why: str | None = None

    @staticmethod
    def of(row: sqlite3.Row) -> "IssuerRow":
        return IssuerRow(
            serial=row["serial"],
            root=row["root"],
            side=Side(row["side"]),
            not_after_unix=row["not_after"],
            pem=row["pem"],
            key_file=row["key_file"],
            networks=tuple(json.loads(row["networks"])),
            since_unix=row["since"],
            until_unix=row["until"],
            why=row["why"],
        )


@dataclass(frozen=True, slots=True)
class IssuedRow:
    """A certificate that was issued. `token` is the digest of the token that was used."""

    serial: str
    issuer: str
    name: str
    uri: str
    profile: str
    side: Side
    hosts: tuple[str, ...]
    not_before_unix: int
    not_after_unix: int
    issued_unix: int
    issued_by: str
    token: bytes | None
    pem: bytes
    revoked_unix: int | None = None
    revoked_why: str | None = None

    @staticmethod
    def of(row: sqlite3.Row) -> "IssuedRow":
        return IssuedRow(
            serial=row["serial"],
            issuer=row["issuer"],
            name=row["name"],
            uri=row["uri"],
            profile=row["profile"],
            side=Side(row["side"]),
            hosts=tuple(json.loads(row["hosts"])),
            not_before_unix=row["not_before"],
            not_after_unix=row["not_after"],
            issued_unix=row["issued_at"],
            issued_by=row["issued_by"],
            token=row["token"],
            pem=row["pem"],
            revoked_unix=row["revoked_at"],
            revoked_why=row["revoked_why"],
        )


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An enrolment token, by its digest."""

    digest: bytes
    name: str
    profile: str
    side: Side
    hosts: tuple[str, ...]
    made_unix: int
    made_by: str
    expires_unix: int
    used_unix: int | None = None
    revoked_unix: int | None = None

    @staticmethod
    def of(row: sqlite3.Row) -> "TokenRow":
        return TokenRow(
            digest=row["digest"],
            name=row["name"],
            profile=row["profile"],
            side=Side(row["side"]),
            hosts=tuple(json.loads(row["hosts"])),
            made_unix=row["made_at"],
            made_by=row["made_by"],
            expires_unix=row["expires_at"],
            used_unix=row["used_at"],
            revoked_unix=row["revoked_at"],
        )


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A revocation list. `lists` is a digest of what it says."""

    issuer: str
    number: int
    made_unix: int
    next_unix: int
    lists: bytes
    der: bytes

    @staticmethod
    def of(row: sqlite3.Row) -> "CrlRow":
        return CrlRow(
            issuer=row["issuer"],
            number=row["number"],
            made_unix=row["made_at"],
            next_unix=row["next_at"],
            lists=row["lists"],
            der=row["der"],
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """An entry of the journal. `outcome` is `done` or the code of the refusal."""

    at_unix: int
    who: str
    action: str
    name: str
    profile: str
    outcome: str
    serial: str | None = None
