"""Private keys as files hold them.

Does: writes and reads keys as PEM, in clear for ends that start unattended, encrypted under a
passphrase for authorities.

Does not: use the PBES2 of `cryptography`'s own writer, whose PBKDF2 runs 2,048 rounds: a graphics
card undoes that. Sealed keys are PKCS#8 with scrypt (RFC 7914 §7) instead, which `cryptography` and
``openssl pkey`` both read.

The caller must still: put them into private files.

Specs: RFC 5958 (PKCS#8), RFC 8018 (PBES2), RFC 7914 (scrypt).
"""

import base64
import os
from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sealcast.errors import LocalError
from sealcast.identity.keys import PrivateKey
from sealcast.secret import Secret

# RFC 7914 §6 has N, r, p. 16 MiB is the most that OpenSSL reads without being told to.
SCRYPT_N: Final = 2**14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 5
_KEY_BYTES: Final = 32


def plain_pem(key: PrivateKey) -> bytes:
    """The key as PEM without encryption: for ends that start unattended, in a private file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


# RFC 8018 appendix A.4 and RFC 7914 §7, as far as they are written here.
@asn1.sequence
class _ScryptParams:
    salt: bytes
    cost: int
    block_size: int
    parallelization: int
    key_length: int


@asn1.sequence
class _Kdf:
    algorithm: x509.ObjectIdentifier
    parameters: _ScryptParams


@asn1.sequence
class _Scheme:
    algorithm: x509.ObjectIdentifier
    iv: bytes


@asn1.sequence
class _Pbes2Params:
    kdf: _Kdf
    scheme: _Scheme


@asn1.sequence
class _Pbes2:
    algorithm: x509.ObjectIdentifier
    parameters: _Pbes2Params


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _Pbes2
    data: bytes


_PBES2: Final = x509.ObjectIdentifier("1.2.840.113549.1.5.13")
_SCRYPT: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11591.4.11")
_AES256_CBC: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.1.42")


def sealed_pem(key: PrivateKey, passphrase: Secret) -> bytes:
    """The key as PEM, encrypted under `passphrase` (scrypt, AES-256-CBC).

    The mode has no tag of its own: who opens the key compares it with its certificate.
    """
    plain = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    salt, iv = os.urandom(16), os.urandom(16)
    kdf = Scrypt(salt=salt, length=_KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(
        algorithms.AES256(kdf.derive(passphrase.reveal())), modes.CBC(iv)
    ).encryptor()
    data = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    params = _ScryptParams(
        salt=salt,
        cost=SCRYPT_N,
        block_size=SCRYPT_R,
        parallelization=SCRYPT_P,
        key_length=_KEY_BYTES,
    )
    info = _EncryptedPrivateKeyInfo(
        algorithm=_Pbes2(
            algorithm=_PBES2,
            parameters=_Pbes2Params(
                kdf=_Kdf(algorithm=_SCRYPT, parameters=params),
                scheme=_Scheme(algorithm=_AES256_CBC, iv=iv),
            ),
        ),
        data=data,
    )
    return _pem("ENCRYPTED PRIVATE KEY", asn1.encode_der(info))


def open_pem(pem: bytes, passphrase: Secret | None, what: str) -> PrivateKey:
    """The private key in `pem`; `what` is the file's name, for the refusal.

    IDENTITY.PASSPHRASE_MISSING, IDENTITY.PASSPHRASE_WRONG, IDENTITY.CERTIFICATE_MALFORMED.
    """
    sealed = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem
    if sealed and passphrase is None:
        raise LocalError("IDENTITY.PASSPHRASE_MISSING", f"{what} is encrypted.")
    try:
        key = serialization.load_pem_private_key(
            pem, passphrase.reveal() if sealed and passphrase is not None else None
        )
    except Exception:
        # Nothing of what a damaged file holds may come out with the error. A wrong passphrase and
        # damage cannot be told apart for certain: one wrong key in 256 leaves good padding.
        if sealed:
            raise LocalError("IDENTITY.PASSPHRASE_WRONG", f"It does not open {what}.") from None
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is {what}.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{what} is no ECDSA or Ed25519 key.")
    return key


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
