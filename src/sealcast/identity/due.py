"""What ends soon: certificates of ends, issuing authorities, roots, bundles from outside.

Does: lists everything that somebody relies on now with its end, and says what of it is due.

An end is due in the last third of its life: by then it should have renewed (at two thirds,
`sealcast.identity.renewal_time`), so either nothing renews it or that is broken. For long lives the
question's own `within` comes first. An authority is due while there is still time for a whole life
of what it issues; what is being rolled ends by plan and is not due.

Does not: renew, or look at what others issued unless a bundle is given.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity.authority import Authority
from sealcast.identity.profiles import profiles
from sealcast.identity.renewal_time import renew_at
from sealcast.identity.standing import in_force
from sealcast.identity.store import IssuedRow


class Kind(StrEnum):
    """What a certificate is."""

    END = "end"
    ISSUER = "issuer"
    ROOT = "root"
    BUNDLE = "bundle"
    """An authority of others, which a door or somebody else here trusts."""
    FILE = "file"
    """What a door shows from files that somebody else writes (cert-manager, Vault)."""
    ACME = "acme"
    SPIFFE = "spiffe"


@dataclass(frozen=True, slots=True)
class Lasting:
    """A certificate that somebody relies on, and its time; `not_after_unix` is until when it is
    taken, which a roll may have brought nearer. `warn_s` is how long before its end it
    is due at the latest; `renew_unix` is when its holder should renew it, if one should.
    """

    kind: Kind
    name: str
    side: str
    serial: str
    not_before_unix: int
    not_after_unix: int
    warn_s: int
    renew_unix: int | None = None
    holder: str = ""
    """Who shows or trusts it, where that is not the name."""

    def left_s(self, now: datetime.datetime) -> int:
        """Seconds that are left; negative when it has expired."""
        return self.not_after_unix - int(now.timestamp())

    def is_due(self, within: datetime.timedelta, now: datetime.datetime) -> bool:
        """Whether somebody should look. An end that expired is shown as long as it would have been
        shown before: people come and go, and nobody misses what ended long ago. A door that shows
        or trusts what has expired does so today.
        """
        if self.kind in (Kind.ISSUER, Kind.ROOT):
            return self.left_s(now) <= max(within.total_seconds(), self.warn_s)
        shown = min(within.total_seconds(), self.warn_s)
        if self.kind is not Kind.END:
            return self.left_s(now) <= shown
        return -shown < self.left_s(now) <= shown


def newest(authority: Authority) -> dict[tuple[str, str], IssuedRow]:
    """The certificate that counts of each end and side: the newest that was not revoked."""
    found: dict[tuple[str, str], IssuedRow] = {}
    for row in authority.store.issued():
        if row.revoked_unix is None:
            found.setdefault((row.name, row.side.value), row)
    return found


def revoked(authority: Authority) -> list[IssuedRow]:
    """Of each end and side that has none but revoked certificates, the newest of them."""
    found: dict[tuple[str, str], IssuedRow] = {}
    living: set[tuple[str, str]] = set()
    for row in authority.store.issued():
        end = (row.name, row.side.value)
        found.setdefault(end, row)
        if row.revoked_unix is None:
            living.add(end)
    return [row for end, row in found.items() if end not in living]


def everything(authority: Authority, now: datetime.datetime) -> list[Lasting]:
    """What this authority stands for: its roots, its issuing authorities, every end's newest
    certificate that was not revoked; those that are in force, in this order.
    """
    store = authority.store
    issuers, roots = store.issuers(), store.roots()
    root = in_force(roots, now)
    lasting = [
        Lasting(
            kind=Kind.ROOT,
            name=authority.trust_domain,
            side="",
            serial=root.serial,
            not_before_unix=root.made_unix,
            not_after_unix=root.not_after_unix,
            warn_s=_LONGEST_S,
        )
    ]
    for side in dict.fromkeys(row.side for row in issuers):
        issuer = in_force([row for row in issuers if row.side is side], now)
        lasting.append(
            Lasting(
                kind=Kind.ISSUER,
                name=authority.trust_domain,
                side=side,
                serial=issuer.serial,
                not_before_unix=issuer.since_unix,
                not_after_unix=issuer.not_after_unix,
                warn_s=_LONGEST_S,
            )
        )
    rolled = {issuer.serial: issuer.until_unix for issuer in issuers}
    lasting += [
        Lasting(
            kind=Kind.END,
            name=row.name,
            side=row.side,
            serial=row.serial,
            not_before_unix=row.not_before_unix,
            # With its issuer at the latest: a roll ends what did not renew.
            not_after_unix=min(row.not_after_unix, rolled[row.issuer] or row.not_after_unix),
            warn_s=(row.not_after_unix - row.issued_unix) // 3,
            renew_unix=int(renew_at(row, issuers, roots).timestamp()),
        )
        for row in sorted(newest(authority).values(), key=lambda row: (row.name, row.side))
    ]
    return lasting


def of_bundle(pem: bytes, what: str) -> list[Lasting]:
    """The certificates of a bundle from outside, which `what` names.

    IDENTITY.CERTIFICATE_MALFORMED.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is {what}.") from None
    return [
        Lasting(
            kind=Kind.BUNDLE,
            name=one.subject.rfc4514_string(),
            side="",
            serial=f"{one.serial_number:x}",
            not_before_unix=int(one.not_valid_before_utc.timestamp()),
            not_after_unix=int(one.not_valid_after_utc.timestamp()),
            # Nobody here renews it: the question alone says when it is due.
            warn_s=int((one.not_valid_after_utc - one.not_valid_before_utc).total_seconds()),
            holder=what,
        )
        for one in certificates
    ]


def due(
    lasting: Sequence[Lasting], within: datetime.timedelta, now: datetime.datetime
) -> list[Lasting]:
    """Those of them that are due, what ends first first."""
    return sorted(
        (one for one in lasting if one.is_due(within, now)), key=lambda one: one.not_after_unix
    )


_LONGEST_S: Final = max(int(one.lifetime.total_seconds()) for one in profiles().values())
