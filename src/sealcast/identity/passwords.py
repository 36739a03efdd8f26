"""Passwords of administrators, and what stands behind them at rest.

Does: derives a key from a password by Argon2id and seals an account's one-time-code secret under
it. So one operation answers whether the password is right, and a stolen file holds neither the
password nor the second factor: whoever has the file must guess the password, at Argon2id's price,
before there is a secret to make codes with.

Does not: decide who logs in (`sealcast.identity.accounts`).

The caller must still: allow few of these at once; each takes 64 MiB and about a sixth of a second.

Specs: RFC 9106 §4 (the second recommended option), RFC 8439 (the sealing), RFC 8265 §4.2 in part
(a password is compared in Normalization Form C).
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from sealcast.errors import LocalError
from sealcast.secret import Secret

LEAST: Final = 12
MOST: Final = 512
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Price:
    """What one guess costs (RFC 9106 §3.1: t, p, m)."""

    passes: int = 3
    lanes: int = 4
    memory_kib: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret under a password."""

    price: Price
    salt: bytes
    nonce: bytes
    box: bytes

    @staticmethod
    def decoy(length: int, price: Price) -> Sealed:
        """One that no password opens: for an account that there is not, at the same price."""
        return Sealed(
            price,
            os.urandom(_SALT_BYTES),
            os.urandom(_NONCE_BYTES),
            os.urandom(length + _TAG_BYTES),
        )


def check_password(password: Secret) -> Secret:
    """`password` itself; ADMIN.PASSWORD_LENGTH if it is too short or too long.

    NIST SP 800-63B §3.1.1: length is what is asked for, no kinds of characters.
    """
    try:
        length = len(_text(password))
    except UnicodeDecodeError:
        raise LocalError("ADMIN.PASSWORD_LENGTH", "It is not UTF-8.") from None
    if not LEAST <= length <= MOST:
        raise LocalError("ADMIN.PASSWORD_LENGTH", f"It has {length} characters.")
    return password


def seal(password: Secret, secret: Secret, name: str, price: Price) -> Sealed:
    """`secret` under `password`, for the account `name` and no other."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    box = _box(password, salt, price).encrypt(nonce, secret.reveal(), name.encode())
    return Sealed(price, salt, nonce, box)


def unseal(password: Secret, sealed: Sealed, name: str) -> Secret | None:
    """What was sealed; None if the password is another one. The time is that of the price."""
    box = _box(password, sealed.salt, sealed.price)
    try:
        return Secret(box.decrypt(sealed.nonce, sealed.box, name.encode()))
    except InvalidTag:
        return None


def _box(password: Secret, salt: bytes, price: Price) -> ChaCha20Poly1305:
    try:
        text = _text(password).encode()
    except UnicodeDecodeError:
        text = password.reveal()
    key = Argon2id(
        salt=salt,
        length=_KEY_BYTES,
        iterations=price.passes,
        lanes=price.lanes,
        memory_cost=price.memory_kib,
    ).derive(text)
    return ChaCha20Poly1305(key)


def _text(password: Secret) -> str:
    return unicodedata.normalize("NFC", password.reveal().decode("utf-8"))
