"""The authority of a trust domain.

Does: issues by profile, for keys made here or for requests from outside; gives one-time enrolment
tokens; revokes; remembers everything, refusals included. Works without the root's key.

Does not: judge handshakes; that is BoringSSL's alone. It is made by `sealcast.identity.founding`.

The caller must still: give the time, say who asks (`who`, for the journal), hand out what came.

Specs: RFC 5280, SPIFFE X509-SVID.
"""

import datetime
import functools
import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.identity import authority_keys, certificates, crl
from sealcast.identity.certificates import Signer
from sealcast.identity.issued import Certified, Issued
from sealcast.identity.issuing import (
    CheckedOrder,
    Order,
    check_certificate,
    check_request,
    fill_in,
    sign_leaf,
)
from sealcast.identity.keys import DEFAULT_KIND, PublicKey, generate
from sealcast.identity.keys_at_rest import plain_pem
from sealcast.identity.names import check_name, spiffe_id
from sealcast.identity.profiles import Side, profile
from sealcast.identity.renewal_time import renew_at
from sealcast.identity.renewing import (
    Presented,
    Window,
    check_renewable,
    check_same_holder,
    lifetime_again,
    window,
)
from sealcast.identity.requests import key_of_request
from sealcast.identity.revocation import LISTED_AFTER_ITS_END_S, Reason
from sealcast.identity.standing import in_force, trusted
from sealcast.identity.store import (
    DONE,
    Attempt,
    IssuedRow,
    IssuerRow,
    Store,
    TokenRow,
    Writing,
)
from sealcast.secret import Secret

THE_NODE: Final = "this node"
"""`who` of a node that issues for its own doors."""
TOKEN_LIFETIME: Final = datetime.timedelta(minutes=15)

Unlock = Callable[[], Secret]
"""Gives the passphrase when a key must be opened; its refusal goes to the journal too."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asks for, unchecked."""

    name: str
    profile: str
    side: Side | None = None
    hosts: tuple[str, ...] = ()
    lifetime: datetime.timedelta | None = None


@dataclass(frozen=True, slots=True)
class RevokedNow:
    """What a revocation has ended, the first time: certificates by serial, a number of tokens."""

    name: str
    serials: tuple[str, ...]
    tokens: int


class Authority:
    """An authority that was founded. Threads and processes may use the same one at once."""

    def __init__(self, folder: Path, store: Store, unlock: Unlock) -> None:
        self.folder = folder
        self.store = store
        self.trust_domain = store.trust_domain()
        self._unlock = unlock
        self._signers: dict[str, Signer] = {}

    @staticmethod
    def open(folder: Path, unlock: Unlock) -> "Authority":
        """The authority in `folder`; IDENTITY.NO_AUTHORITY, IDENTITY.STORE_DAMAGED."""
        return Authority(folder, Store.open(folder), unlock)

    def root_pem(self, now: datetime.datetime) -> bytes:
        """The root above what is issued now, as PEM."""
        return in_force(self.store.roots(), now).pem

    def bundle_pem(self, now: datetime.datetime) -> bytes:
        """All roots that are trusted now, the newest first: what doors and ends must trust. More
        than one while the root is being rolled.
        """
        return b"".join(row.pem for row in trusted(self.store.roots(), now))

    def fingerprint(self, now: datetime.datetime) -> str:
        """SHA-256 of the root above what is issued now, as `AB:CD:…`."""
        return certificates.fingerprint(x509.load_pem_x509_certificate(self.root_pem(now)))

    def issuer(self, side: Side, now: datetime.datetime) -> IssuerRow:
        """The issuing authority that issues for a side now."""
        return in_force(self.store.issuers(side), now)

    def issue(
        self, wanted: Wanted, now: datetime.datetime, *, who: str, kind: str = DEFAULT_KIND
    ) -> Issued:
        """A certificate with a fresh key. The key is nowhere but in the answer."""
        with self.noting("issue", wanted, now, who):
            key = generate(kind)
            done = self._certify("issue", wanted, key.public_key(), now, who)
        return Issued(
            name=done.name,
            chain_pem=done.chain_pem,
            key_pem=plain_pem(key),
            serial=done.serial,
            not_after_unix=done.not_after_unix,
        )

    def sign(
        self, request: bytes, wanted: Wanted, now: datetime.datetime, *, who: str
    ) -> Certified:
        """A certificate for a request (PKCS#10, PEM)."""
        with self.noting("sign", wanted, now, who):
            return self._certify("sign", wanted, self._key_of(request, wanted), now, who)

    def make_token(self, wanted: Wanted, now: datetime.datetime, *, who: str) -> Secret:
        """A token with which whoever holds it gets one certificate, as `wanted`, in 15 minutes."""
        with self.noting("token", wanted, now, who):
            # The name and the profile must fit now; the key is checked when it comes.
            chosen = profile(wanted.profile)
            probe = generate(DEFAULT_KIND).public_key()
            checked = check_request(_order(wanted, probe), self.trust_domain)
            text = _token_text()
            at = int(now.timestamp())
            with self.store.writing() as transaction:
                transaction.add_token(
                    TokenRow(
                        digest=_digest(text),
                        name=checked.name,
                        profile=chosen.name,
                        side=checked.side,
                        hosts=wanted.hosts,
                        made_unix=at,
                        made_by=who,
                        expires_unix=at + int(TOKEN_LIFETIME.total_seconds()),
                    )
                )
                transaction.note(Attempt(at, who, "token", checked.name, chosen.name, DONE))
        return Secret(text)

    def enrol(
        self, request: bytes, token: str, wanted: Wanted, now: datetime.datetime, *, who: str
    ) -> Certified:
        """A certificate for a request, against a token; the token is then used.

        Besides the refusals of `sign`: IDENTITY.TOKEN_UNKNOWN, IDENTITY.TOKEN_OTHER,
        IDENTITY.TOKEN_EXPIRED, IDENTITY.TOKEN_USED. A refused request leaves the token unused.
        """
        with self.noting("enrol", wanted, now, who):
            key = self._key_of(request, wanted)
            return self._certify("enrol", wanted, key, now, who, token=_digest(token))

    def revoke(
        self,
        name: str,
        reason: Reason,
        now: datetime.datetime,
        *,
        who: str,
        serial: str | None = None,
    ) -> RevokedNow:
        """Revokes every certificate of `name` that lives or ended a few days ago, and its unused
        tokens, or only the certificate `serial`. What was revoked before stays as it was. No key is
        opened.

        IDENTITY.BAD_NAME; IDENTITY.UNKNOWN if `name` never had that certificate, or any, nor a
        token; IDENTITY.NOT_A_REASON.
        """
        with self.noting("revoke", Wanted(name, name.partition("/")[0]), now, who):
            check_name(name)
            if reason is Reason.CA_COMPROMISE:
                raise LocalError("IDENTITY.NOT_A_REASON", "That is an authority's: roll it.")
            known = [row.serial for row in self.store.issued(name)]
            asked = any(row.name == name for row in self.store.tokens())
            if (serial not in known) if serial is not None else not (known or asked):
                what = f"a certificate of {name!r:.128}"
                if serial is not None:
                    what += f" with the serial {serial[:60]!r}"
                raise LocalError("IDENTITY.UNKNOWN", f"There is no record of {what}.")
            # A name begins with its profile (`check_request`).
            of = name.partition("/")[0]
            at = int(now.timestamp())
            # What has expired by this clock lives by the right one, if this one is ahead.
            after = at - LISTED_AFTER_ITS_END_S
            with self.store.writing() as transaction:
                serials = transaction.revoke(name, serial, reason, at, after=after)
                ended = 0
                if serial is None:
                    ended = transaction.revoke_tokens(name, at, after=after)
                # With nothing left to revoke the wish is noted all the same.
                for each in (*serials,) or (None,):
                    transaction.note(Attempt(at, who, "revoke", name, of, DONE, serial=each))
        return RevokedNow(name, tuple(serials), ended)

    def crl(self, issuer: str, now: datetime.datetime) -> bytes:
        """The revocation list (DER) of an issuing authority, by its serial or as the one that
        issues now for a `Side`, or of a root, by its serial or as "root".

        It is the last one until something changed or a day is over; then a key is opened.
        IDENTITY.NO_ISSUER.
        """
        serial = issuer
        if issuer == "root":
            serial = in_force(self.store.roots(), now).serial
        elif issuer in tuple(Side):
            serial = self.issuer(Side(issuer), now).serial
        for row in trusted(self.store.issuers(), now):
            if row.serial == serial:
                return crl.newest(self.store, row, functools.partial(self._signer, row), now)
        of_root = self.store.crl(serial, int(now.timestamp()))
        if of_root is None:
            raise LocalError("IDENTITY.NO_ISSUER", f"It was {issuer[:60]!r}.")
        return of_root.der

    def crls(self, now: datetime.datetime) -> list[bytes]:
        """The lists (DER) of all authorities that are trusted, roots and issuing ones: what a
        verifier needs that checks whole chains.
        """
        serials = [row.serial for row in trusted(self.store.roots(), now)]
        serials += [row.serial for row in trusted(self.store.issuers(), now)]
        return [self.crl(serial, now) for serial in serials]

    def renew_by(self, serial: str, now: datetime.datetime) -> datetime.datetime:
        """When the holder of this certificate is to renew it: at two thirds of its life, earlier
        when its authority is rolled (`sealcast.identity.renewal_time`). What is overdue is due now.

        IDENTITY.UNKNOWN.
        """
        row = self.store.certificate(serial)
        if row is None:
            raise LocalError("IDENTITY.UNKNOWN", f"It was serial {serial[:60]!r}.")
        return max(renew_at(row, self.store.issuers(row.side), self.store.roots()), now)

    def token(self, token: str) -> TokenRow | None:
        """What a token was made for; None if it never was."""
        return self.store.token(_digest(token))

    def renew(
        self,
        request: bytes,
        presented: Presented,
        now: datetime.datetime,
        *,
        who: str,
        serial: str | None = None,
    ) -> Certified:
        """The next certificate for whoever proved to hold this one: same name, profile, side, hosts
        and length of life, for the key of the request. With `serial` (lower hex) the next of
        another certificate of the same holder.

        IDENTITY.RENEW_UNKNOWN, IDENTITY.RENEW_REVOKED, IDENTITY.RENEW_EXPIRED, and the refusals of
        `sign`.
        """
        row = self.store.certificate(serial or presented.key)
        wanted = Wanted("", "")
        if row is not None:
            lifetime = lifetime_again(row, self._ends_unix(row))
            wanted = Wanted(row.name, row.profile, row.side, row.hosts, lifetime)
        with self.noting("renew", wanted, now, who):
            self._renewable(self.store.certificate, presented, serial, now)
            key = self._key_of(request, wanted)

            def again(transaction: Writing) -> None:
                # In the transaction that signs: it may have been revoked in between.
                self._renewable(transaction.issued_as, presented, serial, now)

            return self._certify("renew", wanted, key, now, who, check=again)

    def renewal_window(
        self, presented: Presented, now: datetime.datetime, serial: str | None = None
    ) -> Window:
        """When the holder of a certificate should renew it; in the past when that is at once. The
        refusals and `serial` of `renew`.
        """
        row = self._renewable(self.store.certificate, presented, serial, now)
        return window(row, renew_at(row, self.store.issuers(row.side), self.store.roots()))

    @staticmethod
    def _renewable(
        found: Callable[[str], IssuedRow | None],
        presented: Presented,
        serial: str | None,
        now: datetime.datetime,
    ) -> IssuedRow:
        shown = check_renewable(found(presented.key), presented, now)
        return shown if serial is None else check_same_holder(found(serial), shown, now)

    def _ends_unix(self, row: IssuedRow) -> int:
        """The end of the authority that issued `row`."""
        (issuer,) = (one for one in self.store.issuers(row.side) if one.serial == row.issuer)
        until = issuer.until_unix
        return issuer.not_after_unix if until is None else min(issuer.not_after_unix, until)

    def _key_of(self, request: bytes, wanted: Wanted) -> PublicKey:
        chosen, name = profile(wanted.profile), check_name(wanted.name)
        return key_of_request(
            request,
            name=name,
            uri=spiffe_id(self.trust_domain, name),
            side=wanted.side or chosen.sides[0],
            hosts={host.lower() for host in wanted.hosts},
        )

    def _certify(
        self,
        action: str,
        wanted: Wanted,
        key: PublicKey,
        now: datetime.datetime,
        who: str,
        token: bytes | None = None,
        check: Callable[[Writing], None] | None = None,
    ) -> Certified:
        """The pipeline, and its record. What is signed leaves only after it is on the disk."""
        order = check_request(_order(wanted, key), self.trust_domain)
        issuer = self.issuer(order.side, now)
        signer = self._signer(issuer)
        at = int(now.timestamp())
        with self.store.writing() as transaction:
            if token is not None:
                _use(transaction, token, order, wanted, at)
            if check is not None:
                check(transaction)
            serial = x509.random_serial_number()
            template = fill_in(order, signer.certificate, serial, now, issuer.until_unix)
            checked = check_certificate(template, order, signer.certificate, now, issuer.networks)
            leaf = sign_leaf(checked, signer)
            row = IssuedRow(
                serial=f"{serial:x}",
                issuer=issuer.serial,
                name=order.name,
                uri=order.uri,
                profile=order.profile.name,
                side=order.side,
                hosts=tuple(str(host.value) for host in order.hosts),
                not_before_unix=int(leaf.not_valid_before_utc.timestamp()),
                not_after_unix=int(leaf.not_valid_after_utc.timestamp()),
                issued_unix=at,
                issued_by=who,
                token=token,
                pem=certificates.pem(leaf),
            )
            transaction.add_issued(row)
            transaction.note(
                Attempt(at, who, action, row.name, row.profile, DONE, serial=row.serial)
            )
        return Certified(
            name=row.uri,
            chain_pem=row.pem + issuer.pem,
            serial=row.serial,
            not_after_unix=row.not_after_unix,
        )

    def _signer(self, issuer: IssuerRow) -> Signer:
        """The refusals of `authority_keys.signer`."""
        known = self._signers.get(issuer.serial)
        if known is not None:
            return known
        signer = authority_keys.signer(self.folder, issuer.key_file, issuer.pem, self._unlock)
        return self._signers.setdefault(issuer.serial, signer)

    @contextmanager
    def noting(
        self, action: str, wanted: Wanted, now: datetime.datetime, who: str
    ) -> Iterator[None]:
        """What is refused in this block stands in the journal by its code. (A success is noted
        where it happens.)
        """
        try:
            yield
        except SealcastError as error:
            attempt = Attempt(
                int(now.timestamp()), who, action, _name(wanted), _profile(wanted), error.code
            )
            # Where the store itself is what refuses, there is nowhere to write.
            with suppress(LocalError):
                self.store.note(attempt)
            raise


def _order(wanted: Wanted, key: PublicKey) -> Order:
    return Order(
        name=wanted.name,
        profile=profile(wanted.profile),
        public_key=key,
        side=wanted.side,
        hosts=wanted.hosts,
        lifetime=wanted.lifetime,
    )


def _use(
    transaction: Writing, digest: bytes, order: CheckedOrder, wanted: Wanted, now: int
) -> None:
    held = transaction.token(digest)
    if held is None:
        raise RemoteError("IDENTITY.TOKEN_UNKNOWN")
    asked = (order.name, order.profile.name, order.side, wanted.hosts)
    if asked != (held.name, held.profile, held.side, held.hosts):
        # Whose it is, is not told to whoever holds it.
        raise RemoteError("IDENTITY.TOKEN_OTHER", f"It was used for {order.name!r}.")
    if held.revoked_unix is not None:
        raise RemoteError("IDENTITY.TOKEN_REVOKED")
    if not transaction.use_token(digest, now):
        if held.used_unix is not None:
            raise RemoteError("IDENTITY.TOKEN_USED")
        raise RemoteError("IDENTITY.TOKEN_EXPIRED", f"It ended {now - held.expires_unix} s ago.")


def _token_text() -> str:
    """256 bits, not beginning with a dash: after `--token` one in 64 would be read as an option."""
    while (text := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return text


def _digest(token: str) -> bytes:
    # The token has 256 bits of chance: there is nothing for a slower hash to protect.
    return hashlib.sha256(token.encode()).digest()


# What is no name may be anything that was typed by mistake, a secret among it.
def _name(wanted: Wanted) -> str:
    try:
        return check_name(wanted.name)
    except LocalError:
        return "(not a name)"


def _profile(wanted: Wanted) -> str:
    try:
        return profile(wanted.profile).name
    except LocalError:
        return "(not a profile)"
