"""Certificates as data, right or wrong, and the bytes that they become.

Does: a `Made` says every field of a certificate; `der` lays it out and signs it. Whatever an
issuer may do wrong is a field with another value.

Does not: know what is right; RFC 5280 does, and the cases say which section of it.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import random_serial_number
from tests.interop import der

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)

SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
CODE_SIGNING, ANY_USAGE = "1.3.6.1.5.5.7.3.3", "2.5.29.37.0"

DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, KEY_CERT_SIGN, CRL_SIGN = 0x80, 0x20, 0x04, 0x02
"""Bits of the first octet of a key usage (RFC 5280 §4.2.1.3)."""


def extension(number: str, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(
        der.oid(number), *((der.boolean(True),) if critical else ()), der.octets(value)
    )


def basic_constraints(*, ca: bool, path_len: int | None = None, critical: bool = True) -> bytes:
    fields = [der.boolean(True)] if ca else []
    if path_len is not None:
        fields.append(der.integer(path_len))
    return extension("2.5.29.19", der.sequence(*fields), critical=critical)


def key_usage(bits: int, *, critical: bool = True) -> bytes:
    unused = (bits & -bits).bit_length() - 1
    return extension("2.5.29.15", der.bits(bytes((bits,)), unused=unused), critical=critical)


def extended_usage(*usages: str, critical: bool = False) -> bytes:
    return extension("2.5.29.37", der.sequence(*map(der.oid, usages)), critical=critical)


def subject_key(key: Key) -> bytes:
    return extension("2.5.29.14", der.octets(key_id(key)))


def authority_key(identifier: bytes) -> bytes:
    return extension("2.5.29.35", der.sequence(der.implicit(0, identifier)))


def alternative_names(*names: bytes, critical: bool = False) -> bytes:
    return extension("2.5.29.17", der.sequence(*names), critical=critical)


def constraints(
    permitted: tuple[bytes, ...] = (), excluded: tuple[bytes, ...] = (), *, critical: bool = True
) -> bytes:
    """RFC 5280 §4.2.1.10; each a GeneralName, or what follows from `subtree`."""
    fields = [
        der.explicit(number, *map(der.sequence, names))
        for number, names in enumerate((permitted, excluded))
        if names
    ]
    return extension("2.5.29.30", der.sequence(*fields), critical=critical)


def unknown(*, critical: bool, length: int = 4) -> bytes:
    """An extension that nobody has a meaning for (an arc for examples)."""
    return extension("2.999.1", der.octets(bytes(length)), critical=critical)


def dns(text: str | bytes) -> bytes:
    return der.implicit(2, text if isinstance(text, bytes) else text.encode())


def uri(text: str | bytes) -> bytes:
    return der.implicit(6, text if isinstance(text, bytes) else text.encode())


def email(text: str) -> bytes:
    return der.implicit(1, text.encode())


def address(text: str) -> bytes:
    return der.implicit(7, ipaddress.ip_address(text).packed)


def network(text: str) -> bytes:
    bounds = ipaddress.ip_network(text)
    return der.implicit(7, bounds.network_address.packed + bounds.netmask.packed)


def directory(name: bytes) -> bytes:
    return der.explicit(4, name)


def named(common_name: str, kind: int = der.UTF8) -> bytes:
    value = der.tlv(kind, common_name.encode())
    return der.sequence(der.tlv(der.SET, der.sequence(der.oid("2.5.4.3"), value)))


NOBODY = der.sequence()
"""A name without attributes."""


@dataclass(frozen=True, slots=True)
class Made:
    """One certificate. `issuer` and `signer` are data of their own, so that they may disagree."""

    subject: bytes
    key: Key
    issuer: bytes
    signer: Key
    extensions: tuple[bytes, ...] = ()
    version: int = 3
    serial: bytes = b""
    not_before: bytes = der.moment(NOW - DAY)
    not_after: bytes = der.moment(NOW + 30 * DAY)
    hashed: type[hashes.HashAlgorithm] = hashes.SHA256
    pss: bool = False
    said_algorithm: bytes = b""
    """What the signed part says of the algorithm, if not the truth."""
    spoil: Callable[[bytes], bytes] = bytes
    """Changes the finished bytes."""

    def but(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def without(self, number: str) -> Self:
        """Without the extensions of this number."""
        kept = tuple(one for one in self.extensions if der.oid(number) not in one[:20])
        return replace(self, extensions=kept)

    def with_(self, *extensions: bytes) -> Self:
        return replace(self, extensions=self.extensions + extensions)

    def der(self) -> bytes:
        algorithm = _algorithm(self.signer, self.hashed, pss=self.pss)
        fields = [
            *([der.explicit(0, der.integer(self.version - 1))] if self.version > 1 else []),
            self.serial or der.integer(random_serial_number()),
            self.said_algorithm or algorithm,
            self.issuer,
            der.sequence(self.not_before, self.not_after),
            self.subject,
            self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            *([der.explicit(3, der.sequence(*self.extensions))] if self.extensions else []),
        ]
        signed = der.sequence(*fields)
        signature = _sign(self.signer, signed, self.hashed, pss=self.pss)
        return self.spoil(der.sequence(signed, algorithm, der.bits(signature)))


def key_id(key: Key) -> bytes:
    """RFC 7093 §2 method 1: the leftmost 160 bits of the SHA-256."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize()[:20]


_ALGORITHMS = {
    ("ec", "sha1"): der.sequence(der.oid("1.2.840.10045.4.1")),
    ("ec", "sha256"): der.sequence(der.oid("1.2.840.10045.4.3.2")),
    ("ec", "sha384"): der.sequence(der.oid("1.2.840.10045.4.3.3")),
    ("rsa", "md5"): der.sequence(der.oid("1.2.840.113549.1.1.4"), der.NULL),
    ("rsa", "sha1"): der.sequence(der.oid("1.2.840.113549.1.1.5"), der.NULL),
    ("rsa", "sha256"): der.sequence(der.oid("1.2.840.113549.1.1.11"), der.NULL),
}
_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.NULL)
_PSS = der.sequence(
    der.oid("1.2.840.113549.1.1.10"),
    # RFC 4055 §3.1: hash, mask generation by the same hash, salt as long as the hash.
    der.sequence(
        der.explicit(0, _SHA256),
        der.explicit(1, der.sequence(der.oid("1.2.840.113549.1.1.8"), _SHA256)),
        der.explicit(2, der.integer(32)),
    ),
)


def _algorithm(key: Key, hashed: type[hashes.HashAlgorithm], *, pss: bool) -> bytes:
    if pss:
        return _PSS
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return der.sequence(der.oid("1.3.101.112"))
    family = "ec" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa"
    return _ALGORITHMS[family, hashed().name]


def _sign(key: Key, signed: bytes, hashed: type[hashes.HashAlgorithm], *, pss: bool) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(signed, ec.ECDSA(hashed()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    scheme = padding.PSS(padding.MGF1(hashed()), 32) if pss else padding.PKCS1v15()
    return key.sign(signed, scheme, hashed())
