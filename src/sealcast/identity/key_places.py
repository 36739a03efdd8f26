"""A private key wherever it lives: in a private file, or in a token.

Does: opens both by the one word that a configuration or a command has for it; signs handshakes with
either, in the terms of TLS.

Does not: open keys that are encrypted under a passphrase: an end starts unattended. (An authority's
keys are opened by `sealcast.identity.authority_keys`.)

Specs: RFC 8446 §4.2.3 (signature schemes), RFC 7512 (`pkcs11:`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from sealcast.errors import LocalError
from sealcast.identity import key_uri, pkcs11
from sealcast.identity.keys import SigningKey
from sealcast.identity.private_files import read_private


def load_key(where: str | Path) -> SigningKey:
    """The key in a file, or the one that a `pkcs11:` URI names; a file may hold such a URI instead
    of a key (`read_key`).

    Of a file: IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED, IDENTITY.PASSPHRASE_MISSING (it is
    encrypted), IDENTITY.CERTIFICATE_MALFORMED. Of a token: HSM.BAD_URI and what
    `sealcast.identity.pkcs11.open_key` refuses.
    """
    if isinstance(where, str) and key_uri.is_key_uri(where):
        return pkcs11.open_key(key_uri.parse(where))
    path = Path(where)
    try:
        content = read_private(path)
    except OSError as error:
        raise LocalError("IDENTITY.KEY_UNREADABLE", f"{path}: {error.strerror}.") from error
    return read_key(content, path.name)


def uri_in(content: bytes) -> str | None:
    """The `pkcs11:` URI that a key file holds in place of a key; None if it holds none.

    So that an end's folder looks the same wherever its key is: what swaps or reads key files need
    not know.
    """
    text = content.strip().decode("ascii", "replace")
    return text if key_uri.is_key_uri(text) else None


def read_key(content: bytes, what: str) -> SigningKey:
    """The key that a key file's `content` is, or names; `what` is its name, for the refusal."""
    uri = uri_in(content)
    if uri is not None:
        return pkcs11.open_key(key_uri.parse(uri))
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError:
        raise LocalError("IDENTITY.PASSPHRASE_MISSING", f"{what} is encrypted.") from None
    except (ValueError, UnsupportedAlgorithm):
        # Nothing of what a damaged file holds may come out with the error.
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is {what}.") from None
    if not isinstance(
        key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    ):
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{what} holds no key that signs.")
    return key


_Scheme = Callable[[SigningKey, bytes], bytes]


def _ecdsa(algorithm: hashes.HashAlgorithm) -> _Scheme:
    def sign(key: SigningKey, message: bytes) -> bytes:
        # In TLS 1.2 these schemes name a hash and leave the curve open (RFC 8446 §4.2.3); in 1.3
        # the engine chooses the one of the certificate's curve.
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _other_kind()
        return key.sign(message, ec.ECDSA(algorithm))

    return sign


def _rsa(scheme: padding.AsymmetricPadding, algorithm: hashes.HashAlgorithm) -> _Scheme:
    def sign(key: SigningKey, message: bytes) -> bytes:
        if not isinstance(key, rsa.RSAPrivateKey):
            raise _other_kind()
        return key.sign(message, scheme, algorithm)

    return sign


def _pss(algorithm: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)


def _ed25519(key: SigningKey, message: bytes) -> bytes:
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _other_kind()
    return key.sign(message)


def _other_kind() -> LocalError:
    return LocalError("TLS.SIGNER_FAILED", "The key is of another kind than its certificate's.")


_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
SCHEMES: Final[Mapping[str, _Scheme]] = MappingProxyType(
    {
        "ecdsa_secp256r1_sha256": _ecdsa(_SHA256),
        "ecdsa_secp384r1_sha384": _ecdsa(_SHA384),
        "ed25519": _ed25519,
        "rsa_pss_rsae_sha256": _rsa(_pss(_SHA256), _SHA256),
        "rsa_pss_rsae_sha384": _rsa(_pss(_SHA384), _SHA384),
        "rsa_pss_rsae_sha512": _rsa(_pss(_SHA512), _SHA512),
        "rsa_pkcs1_sha256": _rsa(padding.PKCS1v15(), _SHA256),
        "rsa_pkcs1_sha384": _rsa(padding.PKCS1v15(), _SHA384),
        "rsa_pkcs1_sha512": _rsa(padding.PKCS1v15(), _SHA512),
    }
)
"""What a key signs a handshake with, by the names of RFC 8446 §4.2.3."""


def sign_handshake(key: SigningKey, scheme: str, message: bytes) -> bytes:
    """The signature over a handshake's `message` by `scheme`, one of `SCHEMES`.

    TLS.SIGNER_FAILED if the key is of another kind; of a token, its refusals.
    """
    sign = SCHEMES.get(scheme)
    if sign is None:
        raise LocalError("TLS.SIGNER_FAILED", f"No key here signs by {scheme[:40]!r}.")
    return sign(key, message)
