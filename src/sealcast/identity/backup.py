"""Copies of an authority: for a machine that burns, and for one that is replaced.

Does: packs the whole folder into one tar file while nodes work on: the store as of one moment
(SQLite's own online copy), the keys as they are, which is sealed under their passphrase. Unpacks
one into a new folder and makes good what can be made good.

An old copy has forgotten what came after it, and that matters in three ways:

- tokens that were used since would be good again: all open ones are revoked;
- what was revoked since would be good again: revocation lists that were published since bring it
  back (`lists`), and a node ends those legs anew;
- what was issued since is unknown, so that it can be neither revoked nor renewed: only a roll ends
  it (`sealcast.identity.rolling`).

Serials are random and the numbers of lists follow the clock: neither collides with what the lost
one gave out. Two copies that both run do the same harm all the time, so whoever restores has to say
that the old one is gone.

Does not: hold passphrases, or keys that are in a token.
"""

import datetime
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sealcast.errors import LocalError
from sealcast.identity import certificates
from sealcast.identity.authority import Authority
from sealcast.identity.fresh_folder import fresh_folder
from sealcast.identity.private_files import write_private
from sealcast.identity.reserve import Reserve
from sealcast.identity.revocation import LISTED_AFTER_ITS_END_S, Reason
from sealcast.identity.store import DONE, STORE_FILE, Attempt, IssuerRow, Store

_MANIFEST: Final = "backup.json"
_FORMAT: Final = 1
_KEPT: Final = re.compile(r"authority\.pem|(issuing|root)/[A-Za-z0-9_-][A-Za-z0-9._-]*\.pem")


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, and what did not. `made_unix` is when the copy was made: later things are
    missing. `again` are the serials that lists revoked anew; `unknown` how many serials of the
    lists were issued after the copy, `skipped` how many lists are of authorities that were made
    after it.
    """

    trust_domain: str
    made_unix: int
    tokens: int
    again: tuple[str, ...]
    unknown: int
    skipped: int


def pack(authority: Authority, now: datetime.datetime, *, who: str) -> bytes:
    """The copy, as a tar file. IDENTITY.STORE_*, IDENTITY.KEY_UNREADABLE."""
    at = int(now.timestamp())
    authority.store.note(Attempt(at, who, "backup", authority.trust_domain, "", DONE))
    # The store before the keys: each key is on the disk before the store knows its authority.
    contents = {STORE_FILE: authority.store.copied()}
    for path in sorted(authority.folder.rglob("*.pem")):
        name = path.relative_to(authority.folder).as_posix()
        if _KEPT.fullmatch(name):
            try:
                contents[name] = path.read_bytes()
            except OSError as error:
                raise LocalError("IDENTITY.KEY_UNREADABLE", f"{path}: {error.strerror}.") from error
    manifest = {
        "format": _FORMAT,
        "trust_domain": authority.trust_domain,
        "made_unix": at,
        "sha256": {name: hashlib.sha256(one).hexdigest() for name, one in contents.items()},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in {_MANIFEST: json.dumps(manifest).encode(), **contents}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), at, 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def restore(
    packed: bytes,
    folder: Path,
    now: datetime.datetime,
    *,
    who: str,
    lists: Sequence[bytes] = (),
) -> Restored:
    """Unpacks a copy into `folder`, which does not exist or is empty: all of it, or nothing.
    `lists` are revocation lists (PEM) that were published since.

    IDENTITY.BACKUP_DAMAGED, IDENTITY.ALREADY_INITIALISED, IDENTITY.NOT_WRITTEN,
    IDENTITY.STORE_DAMAGED, IDENTITY.LIST_REFUSED.
    """
    made_unix, contents = _unpacked(packed)
    at = int(now.timestamp())
    with fresh_folder(folder) as fresh:
        for name, content in contents.items():
            mode = 0o644 if name == "authority.pem" else 0o600
            write_private(fresh.path / name, content, mode=mode)
        store = Store.open(fresh.path)
        _check_whole(store)
        revoked, skipped = _revoked_since(store, lists)
        with store.writing() as transaction:
            after = at - LISTED_AFTER_ITS_END_S
            tokens = transaction.revoke_tokens(None, at, after=after)
            again: list[str] = []
            unknown = 0
            for serial, reason in revoked.items():
                row = store.certificate(serial)
                if row is None:
                    unknown += 1
                else:
                    again += transaction.revoke(row.name, serial, reason, at, after=after)
            domain = store.trust_domain()
            transaction.note(Attempt(at, who, "restore", domain, "", DONE))
        Reserve(fresh.path).fill()
        fresh.put()
    return Restored(domain, made_unix, tokens, tuple(again), unknown, skipped)


def _unpacked(packed: bytes) -> tuple[int, Mapping[str, bytes]]:
    """When it was made, and its files by name: exactly those that its manifest has."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                known = member.name in (_MANIFEST, STORE_FILE) or _KEPT.fullmatch(member.name)
                if content is None or not known or member.name in found:
                    raise LocalError("IDENTITY.BACKUP_DAMAGED", f"It has {member.name!r:.60}.")
                found[member.name] = content.read()
        manifest = json.loads(found.pop(_MANIFEST))
        made_unix, digests = int(manifest["made_unix"]), dict(manifest["sha256"])
        fits = manifest["format"] == _FORMAT and STORE_FILE in found
    except (tarfile.TarError, KeyError, TypeError, ValueError, EOFError) as error:
        raise LocalError(
            "IDENTITY.BACKUP_DAMAGED", "It is no file of `identity backup`."
        ) from error
    if not fits or digests != {n: hashlib.sha256(one).hexdigest() for n, one in found.items()}:
        raise LocalError("IDENTITY.BACKUP_DAMAGED", "Its content is not what it was made with.")
    return made_unix, found


def _check_whole(store: Store) -> None:
    with store.telling():
        connection = store.connect()
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        finally:
            connection.close()
    if verdict != "ok":
        raise LocalError("IDENTITY.STORE_DAMAGED", f"{verdict}."[:200])


def _revoked_since(store: Store, lists: Sequence[bytes]) -> tuple[dict[str, str], int]:
    """Serials with the reasons for which lists of these authorities revoke them; how many lists
    cannot be judged. Of a roll after the copy there are such beside others; a file of nothing else
    is somebody else's.
    """
    issuers = {certificates.key_id(row.pem): row for row in store.issuers()}
    roots = {certificates.key_id(row.pem) for row in store.roots()}
    found: dict[str, str] = {}
    skipped = 0
    for made in map(_each, lists):
        known = 0
        for one in made:
            key_id = _key_id(one)
            issuer = issuers.get(key_id)
            if issuer is not None:
                if not _is_of(one, issuer):
                    raise LocalError("IDENTITY.LIST_REFUSED", "Its signature does not hold.")
                found |= {f"{entry.serial_number:x}": _reason(entry) for entry in one}
            # What a root lists is in the store with its authorities.
            known += issuer is not None or key_id in roots
        if not known:
            raise LocalError("IDENTITY.LIST_REFUSED", "No list of the file is of this authority.")
        skipped += len(made) - known
    return found, skipped


def _key_id(one: x509.CertificateRevocationList) -> str:
    try:
        names = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    return (names.key_identifier or b"").hex()


def _each(pem: bytes) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----"
    blocks = [block + end for block in pem.split(end)[:-1]]
    try:
        if not blocks:
            return [x509.load_der_x509_crl(pem)]
        return [x509.load_pem_x509_crl(block) for block in blocks]
    except ValueError:
        raise LocalError("IDENTITY.LIST_REFUSED", "It is no revocation list.") from None


def _is_of(one: x509.CertificateRevocationList, issuer: IssuerRow) -> bool:
    key = x509.load_pem_x509_certificate(issuer.pem).public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and one.is_signature_valid(key)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        name = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        return Reason(name).value
    except (ValueError, x509.ExtensionNotFound):
        return Reason.UNSPECIFIED.value
