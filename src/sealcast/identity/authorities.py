"""The certificates of authorities: an offline root, and below it one for clients, one for servers.

Does: makes a root, and issuing authorities that are limited three times over: to one side of the
handshake (extended key usage), to one trust domain and its hosts (name constraints), and to leaves
(path length).

Does not: keep keys.

Specs: RFC 5280 §4.2.1.9, §4.2.1.10, §4.2.1.12.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from sealcast.errors import LocalError
from sealcast.identity.certificates import Signer, Template, sign, sign_root
from sealcast.identity.keys import PrivateKey
from sealcast.identity.names import SCHEME, host_name
from sealcast.identity.profiles import Side, backdated, issuing_lifetime, root_lifetime

_EVERY_ADDRESS: Final = (
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
)
# RFC 5280 §4.2.1.10: every name is made of the empty one by adding labels.
_EVERY_HOST: Final = x509.DNSName("")


def make_root(trust_domain: str, key: PrivateKey, now: datetime.datetime) -> x509.Certificate:
    """A root for one trust domain. Its key is needed again only for new issuing authorities."""
    return sign_root(
        Template(
            subject=_subject(f"{trust_domain} root"),
            names=(x509.UniformResourceIdentifier(f"{SCHEME}{trust_domain}"),),
            public_key=key.public_key(),
            serial=x509.random_serial_number(),
            not_before=now - backdated(),
            not_after=now + root_lifetime(),
            usage=None,
            path_length=1,
        ),
        key,
    )


def make_issuing(
    root: Signer,
    side: Side,
    trust_domain: str,
    key: PrivateKey,
    constraints: x509.NameConstraints,
    now: datetime.datetime,
) -> x509.Certificate:
    """The authority that issues for one side."""
    return sign(
        Template(
            subject=_subject(f"{trust_domain} {side}s"),
            names=(x509.UniformResourceIdentifier(f"{SCHEME}{trust_domain}"),),
            public_key=key.public_key(),
            serial=x509.random_serial_number(),
            not_before=now - backdated(),
            not_after=min(now + issuing_lifetime(), root.certificate.not_valid_after_utc),
            usage=side.usage,
            path_length=0,
            constraints=constraints,
        ),
        root,
    )


def constraints_for_clients(trust_domain: str) -> x509.NameConstraints:
    """SPIFFE IDs of the trust domain; no host, no address."""
    return x509.NameConstraints(
        permitted_subtrees=[x509.UniformResourceIdentifier(trust_domain)],
        excluded_subtrees=[_EVERY_HOST, *_EVERY_ADDRESS],
    )


def constraints_for_servers(
    trust_domain: str, hosts: Sequence[str], networks: Sequence[str]
) -> x509.NameConstraints:
    """SPIFFE IDs of the trust domain; `hosts` and what is below them; addresses in `networks` only.

    IDENTITY.BAD_NAME for a host or a network that is none.
    """
    within = [x509.IPAddress(_network(network)) for network in networks]
    names = [host_name(host) for host in hosts]
    if not names or not all(isinstance(name, x509.DNSName) for name in names):
        raise LocalError("IDENTITY.BAD_NAME", "A server authority needs DNS names to be bound to.")
    # Of a kind of name that no subtree permits, every name is permitted (§4.2.1.10): a family of
    # addresses without a network is excluded as a whole.
    families = {network.value.version for network in within if isinstance(network.value, _NETWORKS)}
    others = [
        every
        for every in _EVERY_ADDRESS
        if isinstance(every.value, _NETWORKS) and every.value.version not in families
    ]
    return x509.NameConstraints(
        permitted_subtrees=[x509.UniformResourceIdentifier(trust_domain), *names, *within],
        excluded_subtrees=others or None,
    )


_NETWORKS: Final = (ipaddress.IPv4Network, ipaddress.IPv6Network)


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sealcast"),
            # ub-common-name is 64 characters (RFC 5280 appendix A).
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[-64:]),
        ]
    )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise LocalError("IDENTITY.BAD_NAME", f"Not a network: {text[:60]!r}.") from error
