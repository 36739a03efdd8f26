"""A fresh key, and the request that proves that we have it (PKCS#10).

The request names nothing: name, usages and length of life are the authority's to know.

Specs: RFC 2986.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealcast.identity.keys import DEFAULT_KIND, PrivateKey, digest_for, generate
from sealcast.identity.keys_at_rest import plain_pem


def fresh_key(kind: str) -> tuple[bytes, bytes]:
    """A new key of a kind, and a request for it; both PEM. IDENTITY.WEAK_KEY."""
    key = generate(kind)
    return plain_pem(key), request_for(key)


def request_for(key: PrivateKey) -> bytes:
    """A request for a key (PEM)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, digest_for(key)).public_bytes(serialization.Encoding.PEM)


def kind_like(leaf: x509.Certificate) -> str:
    """The kind of key that a certificate has; of one that is not made here (RSA) the default."""
    match leaf.public_key():
        case ed25519.Ed25519PublicKey():
            return "ed25519"
        case ec.EllipticCurvePublicKey() as key if isinstance(key.curve, ec.SECP384R1):
            return "p384"
        case _:
            return DEFAULT_KIND
