"""One-time codes from an authenticator app.

Does: makes secrets, their address for an app (`otpauth://`), and says which time step a code
belongs to.

Does not: remember which codes were used; the step that it answers is there to be remembered.

Specs: RFC 6238 (TOTP: 30 s, six digits, SHA-1, as every app does by default), RFC 4226 §4 R6 (160
bits), §5.3; Key URI Format of the authenticator apps.
"""

from __future__ import annotations

import base64
import hmac
import os
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from sealcast.secret import Secret

STEP_S: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20
# RFC 6238 §5.2: one step for a slow clock, and as many for a fast one.
_AROUND: Final = (0, -1, 1)


def new_secret() -> Secret:
    return Secret(os.urandom(SECRET_BYTES))


def code_at(secret: Secret, now: float) -> str:
    """The code of the moment (`now` in seconds since 1970)."""
    return _code(secret, int(now) // STEP_S)


def step_of(secret: Secret, code: str, now: float) -> int | None:
    """The time step that `code` belongs to, of now and one to either side; None for none of them.

    All are compared, in constant time, whichever fits.
    """
    digits = code.encode("utf-8", "replace")
    found = None
    for around in _AROUND:
        step = int(now) // STEP_S + around
        if hmac.compare_digest(_code(secret, step).encode(), digits) and found is None:
            found = step
    return found


def address(secret: Secret, account: str, issuer: str) -> str:
    """What an authenticator app reads, from a QR code or typed."""
    text = base64.b32encode(secret.reveal()).decode().rstrip("=")
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    told = {"secret": text, "issuer": issuer, "algorithm": "SHA1"}
    told |= {"digits": str(DIGITS), "period": str(STEP_S)}
    return f"otpauth://totp/{label}?{urlencode(told, quote_via=quote)}"


def _code(secret: Secret, step: int) -> str:
    # SHA-1 is HMAC's hash here, whose strength does not rest on collisions (RFC 6194 §3.3).
    hotp = HOTP(secret.reveal(), DIGITS, SHA1())  # noqa: S303
    return hotp.generate(max(step, 0)).decode()
