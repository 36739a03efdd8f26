"""The keys that certificates are made for, and which of them are strong enough.

Does: makes keys of the kinds that this authority issues for; judges a key that somebody else made.

Does not: sign, or write keys down (`sealcast.identity.keys_at_rest`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sealcast.errors import LocalError, RemoteError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
SigningKey = PrivateKey | rsa.RSAPrivateKey
"""What an end may sign with. RSA keys are not made here; encoders and tokens bring them."""
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

DEFAULT_KIND: Final = "p256"
KINDS: Final[Mapping[str, Callable[[], PrivateKey]]] = MappingProxyType(
    {
        DEFAULT_KIND: lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
)
"""Kinds of keys that are made here; no browser takes an Ed25519 certificate."""

LEAST_RSA_BITS: Final = 3072
# Verification costs grow with the modulus: a stranger's certificate must not be a burden.
MOST_RSA_BITS: Final = 4096
RSA_EXPONENT: Final = 65537


def generate(kind: str) -> PrivateKey:
    """A fresh key; IDENTITY.WEAK_KEY for a kind that is not made here."""
    make = KINDS.get(kind)
    if make is None:
        raise LocalError("IDENTITY.WEAK_KEY", f"Kinds: {', '.join(KINDS)}; not {kind[:20]!r}.")
    return make()


def check_strength(key: object) -> PublicKey:
    """`key` itself if a certificate may be made for it, else IDENTITY.WEAK_KEY."""
    match key:
        case ed25519.Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey():
            if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
                return key
            raise RemoteError("IDENTITY.WEAK_KEY", f"It is on the curve {key.curve.name}.")
        case rsa.RSAPublicKey():
            if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
                raise RemoteError("IDENTITY.WEAK_KEY", f"It is RSA with {key.key_size} bits.")
            if key.public_numbers().e != RSA_EXPONENT:
                raise RemoteError("IDENTITY.WEAK_KEY", "Its RSA exponent is not 65537.")
            return key
        case _:
            raise RemoteError("IDENTITY.WEAK_KEY", "It is of a kind that no certificate has here.")


def digest_for(key: SigningKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that `key` signs with: as strong as its curve, none for Ed25519 (RFC 8410 §3)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    return hashes.SHA256()
