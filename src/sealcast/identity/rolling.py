"""New authorities in place of the old ones, which are trusted for a stated time yet.

Does: makes new issuing authorities, signed by the root, whose key has to be brought for it; or a
new root with issuing authorities of its own. Says beforehand who has to renew by when (`plan`), and
changes nothing then.

    roll            now |--both trusted, the new one issues------------------| until
    roll, new root  now |--both trusted, the old one issues--| since --new---| until

A new root needs its first half: everybody gets the bundle with both roots at the next renewal, and
only then meets a certificate below the new one. The old root's key is not needed for that: a root
whose key was lost can be rolled. No cross certificate: a root is good for one authority below it
(its path length), so that none could stand between.

Does not: reach anybody. Ends renew when `Authority.renew_by` says so; a node's doors and bundles
follow by themselves; what people copied by hand they have to copy again.

Specs: RFC 5280 §4.2.1.9, RFC 4210 §4.4 (of which the overlap, not the cross certificates).
"""

import dataclasses
import datetime
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError, SealcastError
from sealcast.identity import certificates
from sealcast.identity.authorities import make_issuing, make_root
from sealcast.identity.authority import THE_NODE, Authority
from sealcast.identity.authority_keys import InToken, Keeping, Sealed, make, signer, unless_undone
from sealcast.identity.certificates import Signer
from sealcast.identity.crl import Entry, sign_root_list
from sealcast.identity.founding import ROOT_FILE
from sealcast.identity.key_uri import is_key_uri
from sealcast.identity.keys import check_strength
from sealcast.identity.private_files import hand_out
from sealcast.identity.profiles import kind_of
from sealcast.identity.renewal_time import renew_at
from sealcast.identity.revocation import Reason
from sealcast.identity.standing import in_force, trusted
from sealcast.identity.store import DONE, Attempt, IssuedRow, IssuerRow, RootRow, Writing
from sealcast.secret import Secret

# A renewal, and another try of it, should fit in; a real roll has days.
LEAST_OVERLAP: Final = datetime.timedelta(seconds=10)
USUAL_OVERLAP: Final = datetime.timedelta(days=7)
OVERLAP_AFTER_A_THEFT: Final = datetime.timedelta(hours=1)
"""Long enough for every agent to ask, hear of it and renew."""


@dataclass(frozen=True, slots=True)
class Roll:
    """What is wanted. `compromised`: a key was stolen, so that renewals are due at once."""

    overlap: datetime.timedelta
    compromised: bool = False
    root: bool = False

    @property
    def why(self) -> Reason:
        return Reason.CA_COMPROMISE if self.compromised else Reason.SUPERSEDED


@dataclass(frozen=True, slots=True)
class Holder:
    """An end whose certificate the roll ends before its time.

    `how` it came is the journal's word: issue and sign are people's (or the node's, for its own
    doors), enrol and renew are the end's. `seen_unix` is when it last got one; `late` says that it
    should have renewed since.
    """

    name: str
    side: str
    serial: str
    how: str
    by: str
    seen_unix: int
    renew_unix: int
    not_after_unix: int
    late: bool

    @property
    def by_hand(self) -> bool:
        """Nobody saw it renew by itself: somebody has to bring it a new certificate."""
        return self.how in ("issue", "sign") and self.by != THE_NODE


@dataclass(frozen=True, slots=True)
class Plan:
    """What a roll means: who has to renew before `until`, those at risk first; how many others end
    by themselves before that.
    """

    since: datetime.datetime
    until: datetime.datetime
    holders: tuple[Holder, ...]
    others: int

    @property
    def at_risk(self) -> tuple[Holder, ...]:
        """Those that nothing shows to renew in time."""
        return tuple(holder for holder in self.holders if holder.by_hand or holder.late)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a roll needs. `root_key` is the file with the root's key; without one, where it was when
    the root was made. New keys are made where the old ones are: in their token, or in files, under
    `passphrase` and, a root's, under `root_passphrase`.
    """

    passphrase: Secret | None
    root_passphrase: Secret | None
    root_key: Path | None = None


def plan(authority: Authority, wanted: Roll, now: datetime.datetime) -> Plan:
    """The rehearsal: nothing is written, no key is opened.

    IDENTITY.ROLL_UNDER_WAY, IDENTITY.OVERLAP_TOO_SHORT.
    """
    old = _Old.of(authority, wanted, now)
    since, until = _moments(wanted, now)
    ended = {
        row.serial: dataclasses.replace(
            row, until_unix=_sooner(row.until_unix, until), why=wanted.why
        )
        for row in old.issuers
    }
    # As the store will say it; of the new ones only their beginning counts.
    issuers = [
        dataclasses.replace(row, serial=f"new {row.side}", since_unix=int(since.timestamp()))
        for row in old.newest
    ]
    issuers += [ended.get(row.serial, row) for row in authority.store.issuers()]
    roots = authority.store.roots()
    if wanted.root:
        at = int(now.timestamp())
        new = dataclasses.replace(roots[0], made_unix=at, since_unix=int(since.timestamp()))
        roots = [new, *roots]
    return _plan(authority, now, since, until, ended, issuers, roots)


def roll(
    authority: Authority, wanted: Roll, keys: Keys, now: datetime.datetime, *, who: str
) -> Plan:
    """Rolls: all of it or nothing.

    Besides what `plan` refuses: IDENTITY.ROOT_KEY_MISSING, IDENTITY.KEY_EXPOSED,
    IDENTITY.PASSPHRASE_*, TLS.KEY_MISMATCH, IDENTITY.NOT_WRITTEN, IDENTITY.STORE_LOCKED.
    """
    at = int(now.timestamp())
    try:
        meant = plan(authority, wanted, now)
        with unless_undone() as made:
            _roll(authority, wanted, keys, made, now, who)
        hand_out(authority.folder / ROOT_FILE, authority.bundle_pem(now), mode=0o644)
    except SealcastError as error:
        with suppress(LocalError):
            authority.store.note(Attempt(at, who, "roll", authority.trust_domain, "", error.code))
        raise
    return meant


@dataclass(frozen=True, slots=True)
class _Old:
    """What is there before: the root below which is issued, its issuing authorities that are not
    over, of these the newest of each side; and roots that were announced and have not begun.
    """

    root: RootRow
    issuers: tuple[IssuerRow, ...]
    newest: tuple[IssuerRow, ...]
    announced: tuple[RootRow, ...]

    @staticmethod
    def of(authority: Authority, wanted: Roll, now: datetime.datetime) -> "_Old":
        if wanted.overlap < LEAST_OVERLAP:
            raise LocalError(
                "IDENTITY.OVERLAP_TOO_SHORT", f"It was {wanted.overlap.total_seconds():.0f} s."
            )
        roots = trusted(authority.store.roots(), now)
        root = in_force(roots, now)
        announced = tuple(row for row in roots if row.since_unix > root.since_unix)
        if announced and not wanted.root:
            since = datetime.datetime.fromtimestamp(announced[0].since_unix, datetime.UTC)
            raise LocalError(
                "IDENTITY.ROLL_UNDER_WAY", f"A new root begins {since:%Y-%m-%d %H:%M}Z."
            )
        issuers = tuple(trusted(authority.store.issuers(), now))
        newest = tuple(
            in_force([row for row in issuers if row.side is side], now)
            for side in dict.fromkeys(row.side for row in issuers)
        )
        return _Old(root, issuers, newest, announced)


def _moments(wanted: Roll, now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    """From when the new ones issue, until when the old ones are trusted."""
    return (now + wanted.overlap / 2 if wanted.root else now), now + wanted.overlap


def _sooner(known: int | None, until: datetime.datetime) -> int:
    at = int(until.timestamp())
    return at if known is None else min(known, at)


def _roll(
    authority: Authority,
    wanted: Roll,
    keys: Keys,
    made: list[str],
    now: datetime.datetime,
    who: str,
) -> None:
    old = _Old.of(authority, wanted, now)
    since, until = _moments(wanted, now)
    for issuer in old.newest:
        # Nodes have one passphrase for all keys: a wrong one must not come to light in an hour.
        signer(authority.folder, issuer.key_file, issuer.pem, lambda: keys.passphrase)
    generation = len(authority.store.roots()) + 1
    if wanted.root:
        key, root_file = make(
            authority.folder,
            _where(old.root.key_file, keys.root_passphrase),
            f"{authority.trust_domain} root {generation} {secrets.token_hex(4)}",
            f"root/root-key-{generation}.pem",
            _kind(old.root.pem),
        )
        made.append(root_file)
        root = Signer(make_root(authority.trust_domain, key, now, generation), key)
    else:
        root, root_file = _root_signer(authority, old.root, keys), ""
        if now >= root.certificate.not_valid_after_utc:
            raise LocalError("IDENTITY.AUTHORITY_EXPIRED", "It is the root: roll it too, --root.")
    new = []
    for issuer in old.newest:
        new.append(_successor(authority, issuer, root, keys.passphrase, now, since))
        made.append(new[-1].key_file)
    at = int(now.timestamp())
    with authority.store.writing() as transaction:
        if _Old.of(authority, wanted, now) != old:
            raise LocalError("IDENTITY.STORE_LOCKED", "Another process rolled it meanwhile.")
        if wanted.root:
            transaction.add_root(_root_row(root, root_file, at, int(since.timestamp())))
            transaction.end_root(old.root.serial, int(until.timestamp()))
            for announced in old.announced:
                # It never began: nothing hangs from it.
                transaction.end_root(announced.serial, at)
        unbegun = {row.serial for row in old.announced}
        for row in old.issuers:
            end = at if row.root in unbegun else int(until.timestamp())
            transaction.end_issuer(row.serial, end, wanted.why)
        for successor in new:
            transaction.add_issuer(successor)
        ended = () if wanted.root else (*_of_root(authority, old.root, old.issuers, until, wanted),)
        last = max(row.not_after_unix for row in new)
        _sign_lists(transaction, root, ended, now, datetime.datetime.fromtimestamp(last, _UTC))
        transaction.note(Attempt(at, who, "roll", authority.trust_domain, "", DONE))


_UTC: Final = datetime.UTC


def _root_row(root: Signer, key_file: str, made: int, since: int) -> RootRow:
    return RootRow(
        serial=f"{root.certificate.serial_number:x}",
        not_after_unix=int(root.certificate.not_valid_after_utc.timestamp()),
        pem=certificates.pem(root.certificate),
        key_file=key_file,
        made_unix=made,
        since_unix=since,
    )


def _successor(
    authority: Authority,
    issuer: IssuerRow,
    root: Signer,
    passphrase: Secret | None,
    now: datetime.datetime,
    since: datetime.datetime,
) -> IssuerRow:
    """The next issuing authority of a side, as bound as the last one; its key is on the disk."""
    generation = len(authority.store.issuers(issuer.side)) + 1
    # Two that roll at once must not write over one another's keys.
    mark = f"{generation}-{secrets.token_hex(4)}"
    key, key_file = make(
        authority.folder,
        _where(issuer.key_file, passphrase),
        f"{authority.trust_domain} issuing {issuer.side}s {mark}",
        f"issuing/{issuer.side}s-key-{mark}.pem",
        _kind(issuer.pem),
    )
    bounds = x509.load_pem_x509_certificate(issuer.pem).extensions
    certificate = make_issuing(
        root,
        issuer.side,
        authority.trust_domain,
        key,
        bounds.get_extension_for_class(x509.NameConstraints).value,
        now,
        generation,
    )
    return IssuerRow(
        serial=f"{certificate.serial_number:x}",
        root=f"{root.certificate.serial_number:x}",
        side=issuer.side,
        not_after_unix=int(certificate.not_valid_after_utc.timestamp()),
        pem=certificates.pem(certificate),
        key_file=key_file,
        networks=issuer.networks,
        since_unix=int(since.timestamp()),
    )


def _of_root(
    authority: Authority,
    root: RootRow,
    ending: Sequence[IssuerRow],
    until: datetime.datetime,
    wanted: Roll,
) -> list[Entry]:
    """Everything that the root's lists have to name, sooner or later."""
    over = {row.serial: row for row in authority.store.issuers() if row.root == root.serial}
    entries = [
        Entry(row.serial, row.until_unix, row.why or Reason.UNSPECIFIED.value)
        for row in over.values()
        if row.until_unix is not None and row not in ending
    ]
    entries += [Entry(r.serial, _sooner(r.until_unix, until), wanted.why) for r in ending]
    return sorted(entries)


def _sign_lists(
    transaction: Writing,
    root: Signer,
    entries: Sequence[Entry],
    now: datetime.datetime,
    next_update: datetime.datetime,
) -> None:
    """One list for now and one for each end that is ahead, to be published from then on."""
    at = int(now.timestamp())
    for moment in sorted({at, *(entry.at_unix for entry in entries if entry.at_unix > at)}):
        over = [entry for entry in entries if entry.at_unix <= moment]
        made = datetime.datetime.fromtimestamp(moment, _UTC)
        sign_root_list(transaction, root, over, made, next_update)


def _root_signer(authority: Authority, root: RootRow, keys: Keys) -> Signer:
    where = root.key_file if keys.root_key is None else str(keys.root_key.absolute())
    if not is_key_uri(where) and not (path := authority.folder / where).exists():
        raise LocalError("IDENTITY.ROOT_KEY_MISSING", f"It is not {path}.")
    return signer(authority.folder, where, root.pem, lambda: keys.root_passphrase)


def _where(old: str, passphrase: Secret | None) -> Keeping:
    """Where the new key is made: where the old one is."""
    return InToken.beside(old) or Sealed(passphrase)


def _kind(pem: bytes) -> str:
    return kind_of(check_strength(x509.load_pem_x509_certificate(pem).public_key()))


# ---- the rehearsal ------------------------------------------------------------------------------


def _plan(
    authority: Authority,
    now: datetime.datetime,
    since: datetime.datetime,
    until: datetime.datetime,
    ended: dict[str, IssuerRow],
    issuers: Sequence[IssuerRow],
    roots: Sequence[RootRow],
) -> Plan:
    at = int(now.timestamp())
    how = {entry.serial: entry.action for entry in authority.store.journal() if entry.serial}
    newest: dict[tuple[str, str], IssuedRow] = {}
    for row in authority.store.issued():
        if row.revoked_unix is None and row.not_after_unix > at and row.issuer in ended:
            newest.setdefault((row.name, row.side), row)
    holders = [
        Holder(
            name=row.name,
            side=row.side,
            serial=row.serial,
            how=how.get(row.serial, "issue"),
            by=row.issued_by,
            seen_unix=row.issued_unix,
            renew_unix=max(at, int(renew_at(row, issuers, roots).timestamp())),
            not_after_unix=row.not_after_unix,
            late=renew_at(row, (), ()) < now,
        )
        for row in newest.values()
        if row.not_after_unix > (ended[row.issuer].until_unix or 0)
    ]
    holders.sort(key=lambda one: (not one.late, not one.by_hand, one.name, one.side))
    return Plan(since, until, tuple(holders), len(newest) - len(holders))
