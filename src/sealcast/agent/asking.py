"""A fresh key, or the one in our token, and the request that proves that we have it (PKCS#10).

The request names nothing: name, usages and length of life are the authority's to know.

Specs: RFC 2986.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealcast.errors import LocalError
from sealcast.identity import key_uri, pkcs11
from sealcast.identity.key_places import uri_in
from sealcast.identity.keys import DEFAULT_KIND, SigningKey, digest_for, generate
from sealcast.identity.keys_at_rest import plain_pem


def fresh_key(kind: str) -> tuple[bytes, bytes]:
    """A new key of a kind, and a request for it; both PEM. IDENTITY.WEAK_KEY."""
    key = generate(kind)
    return plain_pem(key), request_for(key)


def key_in_token(uri: str, kind: str) -> tuple[bytes, bytes]:
    """The key at a `pkcs11:` URI, made there if there is none: what a key file says of it, and a
    request. The refusals of `sealcast.identity.pkcs11`.
    """
    place = key_uri.parse(uri)
    try:
        key = pkcs11.open_key(place)
    except LocalError as error:
        if error.code != "HSM.NO_KEY":
            raise
        key = pkcs11.make_key(place, kind)
    return f"{place}\n".encode(), request_for(key)


def next_key(leaf: x509.Certificate, key: bytes) -> tuple[bytes, bytes]:
    """What a renewal asks for: a fresh key like the one of `leaf`; one in a token (as the key file
    `key` says) is asked for again, since it cannot have been copied.
    """
    uri = uri_in(key)
    if uri is None:
        return fresh_key(kind_like(leaf))
    return key, request_for(pkcs11.open_key(key_uri.parse(uri)))


def request_for(key: SigningKey) -> bytes:
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
