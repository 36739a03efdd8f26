"""Who shows a token that does not hold, or none."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest

from sealcast.identity import TokenIssuer, TokenKey
from sealcast.testing.node_process import Node

from .conftest import Tokens
from .counters import REFUSALS, Counters
from .dtls import Certificate
from .exchange import SDP, ask, post_offer
from .peer import Offer, Way

ROLES: dict[Way, str] = {"whip": "ingest", "whep": "delivery"}
VERBS: dict[Way, str] = {"whip": "publish", "whep": "watch"}
STREAM = "control"


@pytest.fixture(scope="module")
def fingerprint() -> str:
    return Certificate.make().fingerprint


def segment(fields: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def of_another_node(verb: str) -> str:
    return TokenIssuer(TokenKey.generate()).issue(STREAM, verb, 600, now=time.time())


def unsigned(good: str) -> str:
    """RFC 8725 §2.1: the same claims, and `alg: none`."""
    return f"{segment({'alg': 'none', 'typ': 'JWT'})}.{good.split('.')[1]}."


def signed_with_the_public_key(good: str) -> str:
    """RFC 8725 §2.1: a header that asks for HMAC."""
    _, claims, signature = good.split(".")
    return f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{signature}"


def for_all_streams(good: str) -> str:
    """Claims changed after they were signed."""
    header, claims, signature = good.split(".")
    fields = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{header}.{segment({**fields, 'stream': '*'})}.{signature}"


# What is shown, made of an issuer, a verb and its opposite; status and code.
SHOWN: dict[str, tuple[Callable[[Tokens, str, str], str | None], int, str]] = {
    "no token": (lambda *_: None, 401, "TOKEN.MISSING"),
    "a word": (lambda *_: "letmein", 401, "TOKEN.MALFORMED"),
    "a token of 10 kB": (lambda *_: "x" * 10_000, 401, "TOKEN.MALFORMED"),
    "a token of another node": (
        lambda _, verb, __: of_another_node(verb),
        401,
        "TOKEN.WRONG_SIGNATURE",
    ),
    "a token without a signature": (
        lambda issue, verb, _: unsigned(issue(verb, STREAM)),
        401,
        "TOKEN.MALFORMED",
    ),
    "a token that names another algorithm": (
        lambda issue, verb, _: signed_with_the_public_key(issue(verb, STREAM)),
        401,
        "TOKEN.MALFORMED",
    ),
    "a token that was widened": (
        lambda issue, verb, _: for_all_streams(issue(verb, "other")),
        401,
        "TOKEN.WRONG_SIGNATURE",
    ),
    "an expired token": (
        lambda issue, verb, _: issue(verb, STREAM, lifetime_s=60, began_s_ago=120),
        401,
        "TOKEN.EXPIRED",
    ),
    "a token of tomorrow": (
        lambda issue, verb, _: issue(verb, STREAM, began_s_ago=-86_400),
        401,
        "TOKEN.NOT_YET_VALID",
    ),
    "a token for another stream": (
        lambda issue, verb, _: issue(verb, "control/2"),
        403,
        "TOKEN.WRONG_STREAM",
    ),
    "a token for the other verb": (
        lambda issue, _, other: issue(other, STREAM),
        403,
        "TOKEN.WRONG_VERB",
    ),
}


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("what", SHOWN)
def test_nobody_gets_in_with(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str, way: Way, what: str
) -> None:
    make, status, code = SHOWN[what]
    verb = VERBS[way]
    other = next(known for known in VERBS.values() if known != verb)
    shown = make(tokens, verb, other)
    with counters.rise(REFUSALS, role=ROLES[way], code=code):
        answer = post_offer(attacked, f"/{way}/{STREAM}", shown, Offer(way, fingerprint).text)
        problem = answer.problem(status, code)
    assert shown is None or shown not in json.dumps(problem), "a token is not repeated"
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="sealcast"')


@pytest.mark.parametrize(
    "header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer  ", "bearertoken", "Bearer a b"]
)
def test_a_header_that_is_no_bearer_token_is_refused(
    attacked: Node, counters: Counters, fingerprint: str, header: str
) -> None:
    with counters.rise(REFUSALS, role="ingest", code="TOKEN.MALFORMED"):
        answer = ask(
            attacked,
            "POST",
            f"/whip/{STREAM}",
            headers=[("content-type", SDP), ("authorization", header)],
            body=Offer("whip", fingerprint).text.encode(),
        )
        answer.problem(401, "TOKEN.MALFORMED")


def test_a_token_in_the_address_is_not_taken(
    attacked: Node, tokens: Tokens, counters: Counters, fingerprint: str
) -> None:
    token = tokens("publish", "in-address")
    path = f"/whip/in-address?access_token={token}&token={token}"
    with counters.rise(REFUSALS, role="ingest", code="TOKEN.MISSING"):
        post_offer(attacked, path, None, Offer("whip", fingerprint).text).problem(
            401, "TOKEN.MISSING"
        )


def test_a_token_to_publish_administers_nothing(
    attacked: Node, tokens: Tokens, counters: Counters
) -> None:
    with counters.rise(REFUSALS, role="admin", code="TOKEN.WRONG_VERB"):
        answer = ask(attacked, "GET", "/api/legs", token=tokens("publish", STREAM))
        answer.problem(403, "TOKEN.WRONG_VERB")


def test_an_encoders_certificate_publishes_no_other_stream(
    attacked: Node, counters: Counters, fingerprint: str
) -> None:
    with counters.rise(REFUSALS, role="ingest", code="IDENTITY.NOT_ALLOWED"):
        answer = ask(
            attacked,
            "POST",
            f"/whip/{STREAM}",
            client=attacked.client("encoder/elsewhere"),
            headers=[("content-type", SDP)],
            body=Offer("whip", fingerprint).text.encode(),
        )
        answer.problem(403, "IDENTITY.NOT_ALLOWED")
