"""How an authority comes to be.

Does: makes an offline root, below it an issuing authority for clients and one for servers, each
with a key of its own, sealed under a passphrase or in a token; lays out the folder, all of it or
nothing.

    DATA/authority.pem        the root: what everybody trusts
    DATA/root/root-key.pem    needed again only for new issuing authorities: take it away
    DATA/issuing/*-key.pem    the keys that work every day
    DATA/store.sqlite         what was issued, used, tried (no secret in it)
    DATA/reserve              room for revocations when the disk is full

Does not: issue to ends (`sealcast.identity.authority`).
"""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealcast.errors import LocalError
from sealcast.identity import certificates
from sealcast.identity.authorities import (
    check_network,
    constraints_for_clients,
    constraints_for_servers,
    make_issuing,
    make_root,
)
from sealcast.identity.authority_keys import InToken, Keeping, Sealed, make, unless_undone
from sealcast.identity.certificates import Signer
from sealcast.identity.crl import sign_root_list
from sealcast.identity.fresh_folder import fresh_folder
from sealcast.identity.keys import DEFAULT_KIND
from sealcast.identity.names import check_trust_domain
from sealcast.identity.private_files import write_private
from sealcast.identity.profiles import Side, issuing_lifetime
from sealcast.identity.reserve import Reserve
from sealcast.identity.store import DONE, Attempt, IssuerRow, RootRow, Store
from sealcast.secret import Secret

ROOT_FILE: Final = "authority.pem"
ROOT_KEY_FILE: Final = "root/root-key.pem"
# No browser verifies a chain that Ed25519 signed.
KINDS: Final = ("p256", "p384")


@dataclass(frozen=True, slots=True)
class Founding:
    """What an authority is made for. `hosts` and what is below them, and `networks`, are all that
    its servers can be called; without hosts it is the trust domain.
    """

    trust_domain: str
    kind: str = DEFAULT_KIND
    hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


def found(
    folder: Path,
    founding: Founding,
    passphrase: Secret | None,
    now: datetime.datetime,
    *,
    who: str,
    root_passphrase: Secret | None = None,
    token: InToken | None = None,
    root_token: InToken | None = None,
) -> None:
    """A new authority in `folder`, which does not exist or is empty: all of it, or nothing.

    `token` and `root_token` have keys made in hardware; then no passphrase is needed for them.

    IDENTITY.ALREADY_INITIALISED, IDENTITY.BAD_NAME, IDENTITY.WEAK_KEY, IDENTITY.NOT_WRITTEN,
    IDENTITY.PASSPHRASE_MISSING, HSM.*.
    """
    issuing: Keeping = token or Sealed(passphrase)
    root: Keeping = root_token or Sealed(root_passphrase or passphrase)
    with fresh_folder(folder) as fresh, unless_undone() as made:
        _fill(fresh.path, founding, issuing, root, made, now, who)
        Reserve(fresh.path).fill()
        fresh.put()


def _fill(
    folder: Path,
    founding: Founding,
    issuing: Keeping,
    of_root: Keeping,
    made: list[str],
    now: datetime.datetime,
    who: str,
) -> None:
    domain = check_trust_domain(founding.trust_domain)
    if founding.kind not in KINDS:
        raise LocalError("IDENTITY.WEAK_KEY", f"An authority's key is {' or '.join(KINDS)}.")
    constraints = {
        Side.CLIENT: constraints_for_clients(domain),
        Side.SERVER: constraints_for_servers(
            founding.hosts or (domain,), addresses=bool(founding.networks)
        ),
    }
    networks = {Side.CLIENT: (), Side.SERVER: tuple(map(check_network, founding.networks))}
    root_key, root_place = make(folder, of_root, f"{domain} root", ROOT_KEY_FILE, founding.kind)
    made.append(root_place)
    root = Signer(make_root(domain, root_key, now), root_key)
    root_pem = certificates.pem(root.certificate)
    write_private(folder / ROOT_FILE, root_pem, mode=0o644)
    at = int(now.timestamp())
    root_serial = f"{root.certificate.serial_number:x}"
    store = Store.create(folder, domain, at)
    with store.writing() as transaction:
        transaction.add_root(
            RootRow(
                serial=root_serial,
                not_after_unix=int(root.certificate.not_valid_after_utc.timestamp()),
                pem=root_pem,
                key_file=root_place,
                made_unix=at,
                since_unix=at,
            )
        )
        for side, bounds in constraints.items():
            key, place = make(
                folder,
                issuing,
                f"{domain} issuing {side}s",
                f"issuing/{side}s-key.pem",
                founding.kind,
            )
            made.append(place)
            certificate = make_issuing(root, side, domain, key, bounds, now)
            transaction.add_issuer(
                IssuerRow(
                    serial=f"{certificate.serial_number:x}",
                    root=root_serial,
                    side=side,
                    not_after_unix=int(certificate.not_valid_after_utc.timestamp()),
                    pem=certificates.pem(certificate),
                    key_file=place,
                    networks=networks[side],
                    since_unix=at,
                )
            )
        sign_root_list(transaction, root, (), now, now + issuing_lifetime())
        transaction.note(Attempt(at, who, "init", domain, "", DONE))
