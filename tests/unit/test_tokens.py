"""Tokens admit one purpose on one stream for a while, and nothing else."""

import base64
import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from sealcast.errors import LocalError, RemoteError
from sealcast.identity import TokenIssuer, TokenKey, TokenVerifier, Verb
from sealcast.identity.tokens import ANY_STREAM, ISSUER, LEEWAY_S
from sealcast.keying import Proof

NOW = 1_800_000_000.5
STREAM = "venue/stage-1"
KEY = TokenKey.generate()
VERIFIER = TokenVerifier(KEY)


def issued(verb: Verb = Verb.PUBLISH, stream: str = STREAM, subject: str = "alice") -> str:
    return TokenIssuer(KEY).issue(stream, verb, 3600, subject, now=NOW)


def code_of(token: str, *, stream: str = STREAM, verb: str = "publish", now: float = NOW) -> str:
    with pytest.raises(RemoteError) as refused:
        VERIFIER.verify(token, stream, verb, now)
    assert token == "" or token not in str(refused.value)
    return refused.value.code


def test_a_token_admits_what_it_was_issued_for() -> None:
    claims = VERIFIER.verify(issued(), STREAM, Verb.PUBLISH, NOW)
    assert (claims.subject, claims.stream, claims.verb) == ("alice", STREAM, Verb.PUBLISH)
    assert claims.expires_unix == int(NOW) + 3600
    assert claims.identity.proof is Proof.TOKEN


def test_without_a_subject_two_tokens_are_two_identities() -> None:
    first, second = (
        VERIFIER.verify(issued(subject=""), STREAM, "publish", NOW).identity for _ in range(2)
    )
    assert not first.same_as(second)


def test_an_admin_token_is_for_every_stream() -> None:
    token = issued(Verb.ADMIN, ANY_STREAM)
    assert VERIFIER.verify(token, "any/stream", Verb.ADMIN, NOW).verb is Verb.ADMIN


def test_no_token_is_asked_for() -> None:
    assert code_of("") == "TOKEN.MISSING"


def test_a_token_for_another_stream_is_refused() -> None:
    assert code_of(issued(), stream="venue/stage-2") == "TOKEN.WRONG_STREAM"


def test_a_token_for_another_purpose_is_refused() -> None:
    assert code_of(issued(Verb.WATCH)) == "TOKEN.WRONG_VERB"
    assert code_of(issued(Verb.ADMIN, ANY_STREAM)) == "TOKEN.WRONG_VERB"


def test_a_token_ends_on_the_second() -> None:
    assert VERIFIER.verify(issued(), STREAM, "publish", int(NOW) + 3599)
    assert code_of(issued(), now=int(NOW) + 3600) == "TOKEN.EXPIRED"


def test_a_token_from_the_future_is_refused_beyond_the_leeway() -> None:
    assert VERIFIER.verify(issued(), STREAM, "publish", NOW - LEEWAY_S)
    assert code_of(issued(), now=NOW - LEEWAY_S - 1) == "TOKEN.NOT_YET_VALID"


def test_a_token_of_another_node_is_refused() -> None:
    foreign = TokenIssuer(TokenKey.generate()).issue(STREAM, "publish", 60, "alice", now=NOW)
    assert code_of(foreign) == "TOKEN.WRONG_SIGNATURE"


def test_a_changed_token_is_refused() -> None:
    head, body, signature = issued().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["verb"] = "admin"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert code_of(f"{head}.{changed}.{signature}", verb="admin") == "TOKEN.WRONG_SIGNATURE"


def encoded(fields: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def test_a_token_cannot_choose_its_algorithm() -> None:
    _, body, signature = issued().split(".")
    for algorithm in ("none", "None", "HS256", "ES256", "EdDSA"):
        head = encoded({"alg": algorithm, "typ": "JWT"})
        assert code_of(f"{head}.{body}.{signature}") == "TOKEN.MALFORMED"
        assert code_of(f"{head}.{body}.") == "TOKEN.MALFORMED"


def test_a_token_signed_with_the_public_key_as_a_password_is_refused() -> None:
    public = json.dumps(KEY._key.as_dict(private=False)).encode()
    forged = jwt.encode({"alg": "HS256"}, {"verb": "publish"}, OctKey.import_key(public))
    assert code_of(forged) == "TOKEN.MALFORMED"


MALFORMED = [
    "x",
    "a.b.c",
    "....",
    "é.é.é",
    "\x00",
    "x" * 5000,
    f"{encoded({'alg': 'Ed25519'})}.{encoded({})}.",
    f"{encoded({'alg': 'Ed25519', 'crit': ['x']})}.{encoded({})}.AAAA",
]


@pytest.mark.parametrize("token", MALFORMED)
def test_garbage_is_no_token(token: str) -> None:
    assert code_of(token) in ("TOKEN.MALFORMED", "TOKEN.WRONG_SIGNATURE")


CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "sub": "alice",
    "jti": "1",
    "iat": int(NOW),
    "exp": int(NOW) + 60,
    "stream": STREAM,
    "verb": "publish",
}


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"sub": None},
        {"exp": "never"},
        {"exp": True},
        {"iat": 1.5},
        {"verb": "own"},
        {"stream": ["*"]},
    ],
)
def test_a_signed_token_of_another_shape_is_refused(change: dict[str, object]) -> None:
    assert VERIFIER.verify(KEY.sign(CLAIMS), STREAM, "publish", NOW)
    assert code_of(KEY.sign({**CLAIMS, **change})) == "TOKEN.MALFORMED"


@pytest.mark.parametrize("missing", sorted(CLAIMS))
def test_a_signed_token_that_lacks_a_claim_is_refused(missing: str) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    assert code_of(KEY.sign(claims)) == "TOKEN.MALFORMED"


def test_the_key_is_kept_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token-key.json"
    token = TokenIssuer(TokenKey.load_or_create(path)).issue(STREAM, "watch", 60, now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = TokenVerifier(TokenKey.load_or_create(path))
    assert again.verify(token, STREAM, "watch", NOW).verb is Verb.WATCH


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token-key.json"
    TokenKey.load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(LocalError) as refused:
        TokenKey.load_or_create(path)
    assert refused.value.code == "IDENTITY.KEY_EXPOSED"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"kty":"OKP","crv":"Ed25519","x":"AA"}'])
def test_a_damaged_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token-key.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(LocalError) as refused:
        TokenKey.load_or_create(path)
    assert refused.value.code == "IDENTITY.CERTIFICATE_MALFORMED"
    assert path.read_text() == content


def test_a_lifetime_of_nothing_is_refused() -> None:
    with pytest.raises(LocalError):
        TokenIssuer(KEY).issue(STREAM, "watch", 0, now=NOW)


def test_a_token_for_longer_than_a_day_is_neither_issued_nor_believed() -> None:
    with pytest.raises(LocalError) as refused:
        TokenIssuer(KEY).issue(STREAM, "publish", 24 * 3600 + 1, now=NOW)
    assert refused.value.code == "TOKEN.TOO_LONG_LIVED"
    year = {"iss": "sealcast", "sub": "a", "jti": "b", "stream": STREAM, "verb": "publish"}
    token = KEY.sign({**year, "iat": int(NOW), "exp": int(NOW) + 365 * 24 * 3600})
    with pytest.raises(RemoteError) as unbelieved:
        TokenVerifier(KEY).verify(token, STREAM, "publish", NOW)
    assert unbelieved.value.code == "TOKEN.TOO_LONG_LIVED"
