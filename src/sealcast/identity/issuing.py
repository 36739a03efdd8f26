"""Issuing as a pipeline: check the request, fill in, check the certificate, sign.

    order -> check_request -> CheckedOrder -> fill_in -> Template
          -> check_certificate -> CheckedTemplate -> sign_leaf -> certificate

Each step is a function of frozen values; time and serial come in as arguments. What may be signed
has a type of its own, and `check_certificate` is the only maker of it.

Does not: read requests from outside (`requests`), keep anything (`store`), open keys.

Specs: RFC 5280 §4.2.1, SPIFFE X509-SVID §3, §4.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from sealcast.errors import Bug, LocalError
from sealcast.identity.certificates import Signer, Template, sign
from sealcast.identity.keys import PublicKey, check_strength
from sealcast.identity.names import SCHEME, check_name, host_name, spiffe_id
from sealcast.identity.profiles import Profile, Side, backdated, kind_of

MOST_HOSTS: Final = 32
# RFC 5280 §4.1.2.2: positive, at most 20 octets; CA/B BR §7.1: at least 64 bits of chance.
LEAST_SERIAL: Final = 2**64
MOST_SERIAL: Final = 2**159
# ub-common-name (RFC 5280 appendix A).
_LONGEST_COMMON_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for. Without `side` the profile's first, without `lifetime` its whole."""

    name: str
    profile: Profile
    public_key: PublicKey
    side: Side | None = None
    hosts: tuple[str, ...] = ()
    lifetime: datetime.timedelta | None = None


@dataclass(frozen=True, slots=True)
class CheckedOrder:
    """An order that its profile covers. Only `check_request` makes one."""

    name: str
    uri: str
    profile: Profile
    side: Side
    hosts: tuple[x509.DNSName | x509.IPAddress, ...]
    public_key: PublicKey
    lifetime: datetime.timedelta


@dataclass(frozen=True, slots=True)
class CheckedTemplate:
    """A template that may be signed. Only `check_certificate` makes one."""

    template: Template


def check_request(order: Order, trust_domain: str) -> CheckedOrder:
    """The order with everything settled.

    IDENTITY.BAD_NAME, IDENTITY.NOT_OF_PROFILE (with the rule), IDENTITY.WEAK_KEY.
    """
    name, profile = check_name(order.name), order.profile
    if not name.startswith(f"{profile.name}/"):
        raise _not_given(profile, f"its names begin with {profile.name}/, and this is {name!r}")
    side = order.side or profile.sides[0]
    if side not in profile.sides:
        raise _not_given(profile, f"it is for {' or '.join(profile.sides)}s, not for {side}s")
    key = check_strength(order.public_key)
    if (kind := kind_of(key)) not in profile.keys:
        raise _not_given(profile, f"its keys are {', '.join(profile.keys)}; this is {kind}")
    serves = profile.hosts and side is Side.SERVER
    if order.hosts and not serves:
        raise _not_given(profile, "it carries no host names on this side")
    if serves and not 1 <= len(order.hosts) <= MOST_HOSTS:
        raise _not_given(profile, f"a server needs 1 to {MOST_HOSTS} hosts (--host)")
    if any("*" in host for host in order.hosts):
        raise _not_given(profile, "it names every host; none is a wildcard")
    lifetime = order.lifetime or profile.lifetime
    if not datetime.timedelta(0) < lifetime <= profile.lifetime:
        raise _not_given(profile, f"it lasts {_span(profile.lifetime)} at most")
    return CheckedOrder(
        name=name,
        uri=spiffe_id(trust_domain, name),
        profile=profile,
        side=side,
        # In the order that they were given, each once.
        hosts=tuple(dict.fromkeys(host_name(host) for host in order.hosts)),
        public_key=key,
        lifetime=lifetime,
    )


def fill_in(
    order: CheckedOrder,
    issuer: x509.Certificate,
    serial: int,
    now: datetime.datetime,
    issuer_until: int | None = None,
) -> Template:
    """Everything that will stand in the certificate. `issuer_until` is when the issuer is rolled
    out of use, if it is.
    """
    end = issuer.not_valid_after_utc
    if issuer_until is not None:
        end = min(end, datetime.datetime.fromtimestamp(issuer_until, datetime.UTC))
    # The slash keeps verifiers from taking the common name for a host name. The SPIFFE ID is what
    # counts; the subject is for people.
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, order.name[:_LONGEST_COMMON_NAME])]
    )
    return Template(
        subject=subject,
        names=(x509.UniformResourceIdentifier(order.uri), *order.hosts),
        public_key=order.public_key,
        serial=serial,
        not_before=now - backdated(),
        # A leaf that outlives its issuer would end at an unexpected hour.
        not_after=min(now + order.lifetime, end),
        usage=order.side.usage,
    )


def check_certificate(
    template: Template,
    order: CheckedOrder,
    issuer: x509.Certificate,
    now: datetime.datetime,
    networks: Sequence[str] = (),
) -> CheckedTemplate:
    """The template, if what would be signed is what the profile gives. Addresses are of `networks`.

    IDENTITY.AUTHORITY_EXPIRED and, for hosts outside the issuer's constraints or networks,
    IDENTITY.NOT_OF_PROFILE. Everything else that is wrong here is a fault of ours: `Bug` with
    IDENTITY.OUTSIDE_PROFILE.
    """
    if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
        raise LocalError(
            "IDENTITY.AUTHORITY_EXPIRED", f"It ends {issuer.not_valid_after_utc:%Y-%m-%d %H:%M}Z."
        )
    for host in order.hosts:
        if not _within(host, _constraints(issuer), networks):
            raise _not_given(
                order.profile,
                f"{host.value} is outside the hosts that the authority was made for "
                "(--host and --network of `identity init`)",
            )
    uris = [name.value for name in template.names if isinstance(name, _URI)]
    issuer_usage = issuer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    wrong = [
        what
        for what, right in (
            ("SPIFFE ID", uris == [order.uri] and order.uri.startswith(SCHEME)),
            (
                "usage",
                template.usage == order.side.usage and list(issuer_usage) == [template.usage],
            ),
            ("authority", not template.is_authority and template.constraints is None),
            ("serial", LEAST_SERIAL <= template.serial < MOST_SERIAL),
            ("begin", now - backdated() <= template.not_before <= now),
            ("end", now < template.not_after <= min(now + order.lifetime, _end(issuer))),
            ("hosts", len(template.names) == 1 + len(order.hosts)),
            ("key", template.public_key == order.public_key),
        )
        if not right
    ]
    if wrong:
        raise Bug("IDENTITY.OUTSIDE_PROFILE", f"Wrong: {', '.join(wrong)}.")
    return CheckedTemplate(template)


def sign_leaf(checked: CheckedTemplate, signer: Signer) -> x509.Certificate:
    """The certificate."""
    return sign(checked.template, signer)


_URI: Final = x509.UniformResourceIdentifier


def _end(certificate: x509.Certificate) -> datetime.datetime:
    return certificate.not_valid_after_utc


def _span(length: datetime.timedelta) -> str:
    hours = int(length.total_seconds()) // 3600
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"


def _not_given(profile: Profile, rule: str) -> LocalError:
    return LocalError("IDENTITY.NOT_OF_PROFILE", f"Profile {profile.name}: {rule}.")


def _constraints(issuer: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _within(
    host: x509.DNSName | x509.IPAddress,
    constraints: x509.NameConstraints | None,
    networks: Sequence[str],
) -> bool:
    """Whether the issuer may give `host`, and peers that honour its constraints will take it."""
    if isinstance(host, x509.IPAddress):
        return any(host.value in ipaddress.ip_network(network) for network in networks)
    permitted = None if constraints is None else constraints.permitted_subtrees
    # RFC 5280 §4.2.1.10: the name itself, or labels added on its left.
    return any(
        f".{host.value}".endswith(f".{subtree.value}")
        for subtree in permitted or ()
        if isinstance(subtree, x509.DNSName)
    )
