"""What each door demands, and what it shows.

Does: says of every door, open or shut: where it listens, whether it asks for a certificate and of
which authorities, which TLS it speaks and by which policy, what it shows and until when. From the
configuration and the files that it names, without a node (`report`: what the next start would
find), or of the doors of a running one (`report_of_running`). What cannot be read or was refused
becomes a complaint of that door.

Does not: make, renew or open anything, or ask for a passphrase.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError, SealcastError
from sealcast.identity.private_files import read_private
from sealcast.identity.throw_away import ROOT_FILE
from sealcast.node.acme_store import AcmeStore
from sealcast.node.certificate_sources import first_certificate
from sealcast.node.config import Config
from sealcast.node.config_words import ACME, WORDS
from sealcast.node.door_keeping import DoorKeeper
from sealcast.node.doors import ORIGIN, ROLES, Plan, plans
from sealcast.node.own_authority import node_name, open_authority
from sealcast.node.state_folder import SERVER
from sealcast.node.trust_expiry import certificates_of

_DAY: Final = 24 * 3600
_NODES: Final = "a certificate of the profile node, and a rule that lets it watch"
_SPEAKS: Final = {"https": "HTTPS", "tls_ingest": "MPEG-TS over TLS"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that a door shows or trusts. `days_left` is negative once it has expired."""

    name: str
    serial: str
    since_unix: int
    until_unix: int
    days_left: float

    @staticmethod
    def of(certificate: x509.Certificate, now: datetime.datetime) -> Certificate:
        until = int(certificate.not_valid_after_utc.timestamp())
        return Certificate(
            name=_called(certificate),
            serial=f"{certificate.serial_number:x}",
            since_unix=int(certificate.not_valid_before_utc.timestamp()),
            until_unix=until,
            days_left=round((until - now.timestamp()) / _DAY, 1),
        )


@dataclass(slots=True)
class DoorReport:
    """One door. `shows` is None where the node makes a certificate when it starts; `publish_by` is
    what proves a publisher at it, empty where nobody publishes.
    """

    door: str
    open: bool
    addresses: list[str]
    speaks: str
    role: str
    client_certificate: str
    authorities: list[Certificate]
    authorities_from: str
    tls_versions: list[str]
    groups: list[str]
    policy: str
    publish_by: list[str]
    expired_grace_s: int
    shows: Certificate | None
    shows_from: str
    shows_kind: str
    """own, file, acme or spiffe."""
    nodes: str = ""
    """What another node is asked for that would take a stream here; empty where none can."""
    complaints: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def report(config: Config, now: datetime.datetime) -> list[DoorReport]:
    """Every door, the shut ones too."""
    own = _Own(config, now)
    return [_door(plan, own, now) for plan in plans(config)]


class _Own:
    """What doors show and trust that name no files: the authority's, or the throw-away one's."""

    def __init__(self, config: Config, now: datetime.datetime) -> None:
        self._config = config
        self.complaints: list[str] = []
        self.shows: x509.Certificate | None = None
        self.trusts: list[x509.Certificate] = []
        self.name = "the throw-away authority"
        try:
            self._read(config, now)
        except SealcastError as error:
            self.complaints.append(str(error))

    def of_acme(self, complaints: list[str]) -> x509.Certificate | None:
        """What the last order got; None before the first."""
        try:
            pair = AcmeStore(self._config.state_dir(), self._config.acme.directory).pair()
        except SealcastError as error:
            complaints.append(str(error))
            return None
        return None if pair is None else first_certificate(pair.chain_pem)

    def _read(self, config: Config, now: datetime.datetime) -> None:
        folder = config.state_dir()
        if not config.identity.authority:
            # Before the first start there is nothing, and that is nothing to complain of.
            self.trusts = _certificates(folder / ROOT_FILE) if _there(folder / ROOT_FILE) else []
            chain = folder / f"{SERVER}.pem"
            self.shows = _certificates(chain)[0] if _there(chain) else None
            return
        self.name = config.identity.authority
        authority = open_authority(config)
        if authority is None:
            return
        self.name = f"the authority of {authority.trust_domain}"
        self.trusts = x509.load_pem_x509_certificates(authority.bundle_pem(now))
        name = node_name(config.node.names[0])
        issued = [row for row in authority.store.issued(name) if row.side == "server"]
        self.shows = first_certificate(issued[0].pem) if issued else None


def _door(plan: Plan, own: _Own, now: datetime.datetime) -> DoorReport:
    door = plan.door
    complaints: list[str] = []
    shows, shows_from = own.shows, own.name
    uses_own = not door.certificate
    if door.certificate == ACME:
        shows_from = "ACME"
        kept = own.of_acme(complaints)
        shows = kept or shows
    elif door.certificate in WORDS:
        # Only a running node knows it.
        shows_from, shows = door.certificate, None
    elif door.certificate:
        shows_from, shows = door.certificate, None
        try:
            shows = _certificates(Path(door.certificate))[0]
            _check_key(Path(door.key))
        except SealcastError as error:
            complaints.append(str(error))
    trusts: list[x509.Certificate] = []
    trusts_from = ""
    if plan.client_auth != "none":
        trusts, trusts_from = own.trusts, own.name
        uses_own = uses_own or not door.client_ca
        if door.client_ca in WORDS:
            trusts_from, trusts = door.client_ca, []
        elif door.client_ca:
            trusts_from, trusts = door.client_ca, []
            try:
                trusts = _certificates(Path(door.client_ca))
            except SealcastError as error:
                complaints.append(str(error))
    if uses_own:
        complaints += own.complaints
    made = _report(
        plan,
        addresses=list(door.bind),
        shows=shows,
        shows_from=shows_from,
        trusts=trusts,
        trusts_from=trusts_from,
        complaints=complaints,
        now=now,
    )
    shown = [] if made.shows is None else [made.shows]
    made.complaints += [
        f"{each.name} expired {-each.days_left:g} days ago."
        for each in (*shown, *made.authorities)
        # What the node issues to itself it issues anew when it starts.
        if each.days_left < 0 and (each is not made.shows or door.key)
    ]
    return made


def report_of_running(keeper: DoorKeeper, now: datetime.datetime) -> list[DoorReport]:
    """The open doors of this node, with what they work with now."""
    made = []
    for kept in keeper.doors():
        bundle, shown = kept.door.bundle, certificates_of(kept.pair.chain_pem)
        refused = [] if kept.told is None else [": ".join(kept.told)]
        made.append(
            _report(
                kept.door.plan,
                addresses=kept.door.addresses,
                shows=shown[0] if shown else None,
                shows_from=kept.door.pair.name,
                trusts=[] if kept.roots is None else certificates_of(kept.roots),
                trusts_from="" if bundle is None else bundle.name,
                complaints=refused,
                now=now,
            )
        )
    return made


def _report(
    plan: Plan,
    *,
    addresses: list[str],
    shows: x509.Certificate | None,
    shows_from: str,
    trusts: Sequence[x509.Certificate],
    trusts_from: str,
    complaints: list[str],
    now: datetime.datetime,
) -> DoorReport:
    policy, speaks = plan.policy, _SPEAKS[plan.kind]
    return DoorReport(
        door=plan.name,
        open=bool(addresses),
        addresses=addresses,
        speaks=f"{speaks}, reading only" if plan.name == ORIGIN else speaks,
        role=ROLES[plan.name].value,
        client_certificate=plan.client_auth,
        authorities=[Certificate.of(each, now) for each in trusts],
        authorities_from=trusts_from,
        tls_versions=list(dict.fromkeys((policy.tls.min_version, policy.tls.max_version))),
        groups=list(policy.tls.groups),
        policy=policy.name,
        publish_by=[proof.value for proof in plan.publish_by],
        expired_grace_s=policy.identities.expired_grace_s,
        shows=None if shows is None else Certificate.of(shows, now),
        shows_from=shows_from,
        shows_kind=_kind(plan.door.certificate),
        nodes=_NODES if plan.kind == "https" and _takes_nodes(plan) else "",
        complaints=complaints,
    )


def _kind(said: str) -> str:
    if said in WORDS:
        return said
    return "file" if said else "own"


def _called(certificate: x509.Certificate) -> str:
    """By its subject; where that is empty (public authorities, SPIFFE), by its names."""
    if subject := certificate.subject.rfc4514_string():
        return subject
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    kinds = (x509.DNSName, x509.UniformResourceIdentifier)
    return ", ".join(name for kind in kinds for name in names.get_values_for_type(kind))


def _takes_nodes(plan: Plan) -> bool:
    """At `origin` a certificate is the CDN's, and nobody's right."""
    return plan.client_auth != "none" and plan.name != ORIGIN


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise LocalError("CONFIG.BAD_VALUE", f"{path}: {error.strerror}.") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    path = path.expanduser()
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{path} is not PEM.") from error


def _check_key(path: Path) -> None:
    """Whether the node could read it."""
    path = path.expanduser()
    try:
        read_private(path)
    except OSError as error:
        raise LocalError("IDENTITY.KEY_UNREADABLE", f"{path}: {error.strerror}.") from error
