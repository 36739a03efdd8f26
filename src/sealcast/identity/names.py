"""What an identity may be called.

Does: one grammar for trust domains, for the names of ends (`encoder/venue-1`) and for the host
names and addresses of servers; makes a SPIFFE ID of a name.

Does not: say who may have which name; that is a profile's.

Specs: SPIFFE ID §2 (of which the name is a stricter part: lower case, no empty or dotted parts),
RFC 1123 §2.1.
"""

import ipaddress
import re
from typing import Final

from cryptography import x509

from sealcast.errors import LocalError

LONGEST_NAME: Final = 128
SCHEME: Final = "spiffe://"

_PART: Final = r"[a-z0-9_-][a-z0-9._-]*"
_NAME: Final = re.compile(rf"{_PART}(/{_PART})*")
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,253}")
_HOST: Final = re.compile(r"(\*\.)?[A-Za-z0-9._-]+")
LONGEST_HOST: Final = 253


def check_trust_domain(trust_domain: str) -> str:
    """`trust_domain` itself; IDENTITY.BAD_NAME if it is none."""
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        raise LocalError(
            "IDENTITY.BAD_NAME",
            f"Not a trust domain: {trust_domain[:40]!r}; one is as in venue.example, lower case "
            "and without a scheme.",
        )
    return trust_domain


def is_name(name: str) -> bool:
    """Whether an end can be called that."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """`name` itself; IDENTITY.BAD_NAME if no end can be called that."""
    if not is_name(name):
        raise LocalError("IDENTITY.BAD_NAME", f"It was {name[:40]!r}.")
    return name


def spiffe_id(trust_domain: str, name: str) -> str:
    """The URI that a certificate of `name` carries."""
    return f"{SCHEME}{trust_domain}/{name}"


def host_name(name: str) -> x509.DNSName | x509.IPAddress:
    """A DNS name (in lower case) or an address; IDENTITY.BAD_NAME if it is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name or len(name) > LONGEST_HOST or not _HOST.fullmatch(name):
        raise LocalError(
            "IDENTITY.BAD_NAME",
            f"Not a host name: {name[:40]!r}; one is as in node.venue.example, without a scheme "
            "or a port.",
        )
    return x509.DNSName(name.lower())
