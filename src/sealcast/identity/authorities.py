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


def make_root(
    trust_domain: str, key: PrivateKey, now: datetime.datetime, generation: int = 1
) -> x509.Certificate:
    """A root for one trust domain. Its key is needed again only for new issuing authorities."""
    return sign_root(
        Template(
            subject=_subject(f"{trust_domain} root", generation),
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
    generation: int = 1,
) -> x509.Certificate:
    """The authority that issues for one side."""
    return sign(
        Template(
            subject=_subject(f"{trust_domain} {side}s", generation),
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


def constraints_for_servers(hosts: Sequence[str], *, addresses: bool) -> x509.NameConstraints:
    """`hosts` and what is below them; no address, or with `addresses` any.

    Which addresses is checked where they are issued, and the trust domain by its peers: BoringSSL
    refuses every chain in which an address is constrained, Chromium every one in which a URI is,
    whatever the address or the URI (`docs/decisions/0012-name-constraints.md`).
    IDENTITY.BAD_NAME for a host that is none.
    """
    names = [host_name(host) for host in hosts]
    if not names or not all(isinstance(name, x509.DNSName) for name in names):
        raise LocalError("IDENTITY.BAD_NAME", "A server authority needs DNS names to be bound to.")
    return x509.NameConstraints(
        permitted_subtrees=names,
        # Of a kind of name that no subtree mentions every name is permitted (§4.2.1.10).
        excluded_subtrees=None if addresses else _EVERY_ADDRESS,
    )


def check_network(text: str) -> str:
    """`text` itself if it is a network as in 192.0.2.0/24; IDENTITY.BAD_NAME."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        detail = f"Not a network: {text[:60]!r}; one is as in 192.0.2.0/24, with no host's bits."
        raise LocalError("IDENTITY.BAD_NAME", detail) from error
    return text


def _subject(common_name: str, generation: int) -> x509.Name:
    # Each key has a name of its own: verifiers that know several choose by it, and revocation lists
    # are found by it (RFC 5280 §5.1.2.3).
    if generation > 1:
        common_name = f"{common_name} {generation}"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sealcast"),
            # ub-common-name is 64 characters (RFC 5280 appendix A).
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[-64:]),
        ]
    )
