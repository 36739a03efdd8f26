"""Short-lived tokens, bound to one stream and one purpose.

Does: signs and verifies JSON Web Tokens (RFC 7519) with Ed25519 (RFC 8032, RFC 9864), through
joserfc. The algorithm is fixed here; what a token's header says about it is compared, never obeyed
(RFC 8725).

Does not: remember tokens. One can be used until it expires; its `id` is there to be logged.

The caller must still: keep the key folder private and give the time (`now`, seconds since 1970).
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OKPKey

from sealcast.errors import LocalError, RemoteError
from sealcast.identity.private_files import read_private, write_private
from sealcast.identity.verbs import Verb
from sealcast.keying.agreement import Identity, Proof

ISSUER: Final = "sealcast"
ANY_STREAM: Final = "*"
# What a clock of another machine may differ (RFC 7519 §4.1.4).
LEEWAY_S: Final = 30
LONGEST_TOKEN: Final = 4096
# A token cannot be revoked, so its end must be near (RFC 8725 §3.10 leaves the length to us).
LONGEST_LIFETIME_S: Final = 24 * 3600
# RFC 9864: the fully specified name; "EdDSA" is deprecated.
_ALGORITHM: Final = "Ed25519"
_CURVE: Final = "Ed25519"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """A verified token. Only `TokenVerifier.verify` makes one."""

    id: str
    subject: str
    stream: str
    verb: Verb
    issued_unix: int
    expires_unix: int

    @property
    def identity(self) -> Identity:
        """The end that showed the token."""
        return Identity(self.subject, Proof.TOKEN)


class TokenKey:
    """The node's signing key."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    @staticmethod
    def generate() -> "TokenKey":
        return TokenKey(OKPKey.generate_key(_CURVE, private=True))

    @staticmethod
    def load_or_create(path: Path) -> "TokenKey":
        """The key in `path` (a JWK, mode 0600); a missing file is made.

        IDENTITY.KEY_EXPOSED if others could read it, IDENTITY.CERTIFICATE_MALFORMED if it is
        damaged.
        """
        if not path.exists():
            made = TokenKey.generate()
            write_private(path, json.dumps(made._key.as_dict(private=True)).encode())
            return made
        try:
            fields = json.loads(read_private(path))
            if not isinstance(fields, dict) or "d" not in fields or fields.get("crv") != _CURVE:
                raise ValueError("not a private key of this curve")
            return TokenKey(OKPKey.import_key(fields))
        except (ValueError, JoseError) as error:
            # The key's own bytes must not come out with the error.
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is {path.name}.") from error

    def sign(self, claims: dict[str, object]) -> str:
        return jwt.encode({"alg": _ALGORITHM, "typ": "JWT"}, claims, self._key, [_ALGORITHM])

    def open(self, token: str) -> dict[str, object]:
        """The claims of a token with a good signature; raises joserfc's errors."""
        opened: dict[str, object] = jwt.decode(token, self._key, [_ALGORITHM]).claims
        return opened


class TokenIssuer:
    """Makes tokens."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    def issue(
        self, stream: str, verb: Verb | str, lifetime_s: int, subject: str = "", *, now: float
    ) -> str:
        """A token for `stream` (or `ANY_STREAM` for admin) and `verb`, valid for `lifetime_s`.

        Without a `subject` it gets a fresh name: two tokens are then two identities.
        """
        if lifetime_s <= 0:
            raise LocalError("CONFIG.BAD_VALUE", "A token's lifetime is at least one second.")
        if lifetime_s > LONGEST_LIFETIME_S:
            raise LocalError("TOKEN.TOO_LONG_LIVED", f"{lifetime_s} s were asked for.")
        token_id = secrets.token_hex(8)
        return self._key.sign(
            {
                "iss": ISSUER,
                "sub": subject or f"token-{token_id}",
                "jti": token_id,
                "iat": int(now),
                "nbf": int(now),
                "exp": int(now) + lifetime_s,
                "stream": stream,
                "verb": str(Verb(verb)),
            }
        )


class TokenVerifier:
    """The only maker of `TokenClaims`."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    def verify(self, token: str, stream: str, verb: Verb | str, now: float) -> TokenClaims:
        """What the token says, if it admits `verb` on `stream` at `now`.

        Codes, in the order of the checks: those of `read`, TOKEN.WRONG_VERB, TOKEN.WRONG_STREAM.
        """
        claims = self.read(token, now)
        if claims.verb is not Verb(verb):
            raise RemoteError("TOKEN.WRONG_VERB", f"It is to {claims.verb}, not to {verb}.")
        if claims.stream not in (stream, ANY_STREAM):
            raise RemoteError("TOKEN.WRONG_STREAM", f"It is for {claims.stream!r}.")
        return claims

    def read(self, token: str, now: float) -> TokenClaims:
        """What the token says, if this node signed it and it holds at `now`; what for is the
        caller's to look at.

        Codes, in the order of the checks: TOKEN.MISSING (empty), TOKEN.MALFORMED,
        TOKEN.WRONG_SIGNATURE, TOKEN.NOT_YET_VALID, TOKEN.EXPIRED, TOKEN.TOO_LONG_LIVED. Nothing of
        an unsigned token is believed or repeated.
        """
        if not token:
            raise RemoteError("TOKEN.MISSING")
        if len(token) > LONGEST_TOKEN:
            raise RemoteError("TOKEN.MALFORMED", f"It is longer than {LONGEST_TOKEN} characters.")
        try:
            claims = _typed(self._key.open(token))
        except BadSignatureError:
            raise RemoteError("TOKEN.WRONG_SIGNATURE") from None
        except (JoseError, ValueError, TypeError, KeyError):
            raise RemoteError("TOKEN.MALFORMED", "It is not a token of this kind.") from None
        if claims.issued_unix > now + LEEWAY_S:
            raise RemoteError(
                "TOKEN.NOT_YET_VALID", f"It begins in {claims.issued_unix - int(now)} s."
            )
        if claims.expires_unix <= now:
            raise RemoteError("TOKEN.EXPIRED", f"It ended {int(now) - claims.expires_unix} s ago.")
        if claims.expires_unix - claims.issued_unix > LONGEST_LIFETIME_S:
            raise RemoteError("TOKEN.TOO_LONG_LIVED")
        return claims


def _typed(claims: dict[str, object]) -> TokenClaims:
    """Raises ValueError, TypeError or KeyError for anything that `TokenIssuer` would not sign."""
    texts = {}
    for name in ("iss", "sub", "jti", "stream", "verb"):
        value = claims[name]
        if not isinstance(value, str):
            raise TypeError(name)
        texts[name] = value
    times = {}
    for name in ("iat", "exp"):
        value = claims[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(name)
        times[name] = value
    if texts["iss"] != ISSUER:
        raise ValueError("iss")
    return TokenClaims(
        id=texts["jti"],
        subject=texts["sub"],
        stream=texts["stream"],
        verb=Verb(texts["verb"]),
        issued_unix=times["iat"],
        expires_unix=times["exp"],
    )
