"""Enrolment and renewal over HTTP, as the application answers them."""

from __future__ import annotations

import asyncio
import collections
import datetime
import functools
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from tests.unit.application import Node, problem
from tests.unit.founded import DOMAIN, ENCODER, living, request, today

from sealcast.errors import LocalError
from sealcast.identity import certificates
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.requests import LONGEST_REQUEST
from sealcast.identity.revocation import Reason
from sealcast.identity.store import RootRow, Store
from sealcast.identity.throw_away import ThrowAwayAuthority
from sealcast.node import limits

PEM = "application/x-pem-file"
WANTED = Wanted(ENCODER, "encoder")
SHOWN = 10
"""The first connection that shows a certificate of the authority."""

Check = Callable[[Node, Authority], Awaitable[None]]


def with_an_authority(check: Check) -> Callable[[], None]:
    @functools.wraps(check)
    def run() -> None:
        async def once(folder: Path) -> None:
            authority = living(folder / "authority")
            node = Node(authority=authority)
            async with node.client:
                await check(node, authority)

        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(once(Path(folder)))

    # Else pytest looks for fixtures of the names of its arguments.
    del run.__dict__["__wrapped__"]
    return run


def token(authority: Authority, wanted: Wanted = WANTED) -> str:
    return authority.make_token(wanted, today(), who="ada").reveal().decode()


def peer_of(chain_pem: bytes) -> dict[str, Any]:
    """What the front says of a connection that showed this chain; serials as BoringSSL has them."""
    leaf = x509.load_pem_x509_certificate(chain_pem)
    digits = f"{leaf.serial_number:X}"
    serial = digits if len(digits) % 2 == 0 else f"0{digits}"
    return {"serial": serial, "sha256": certificates.fingerprint(leaf), "subject": "CN=x"}


async def enrol(
    node: Node, text: str | None, body: bytes | None = None, query: str = "", **more: Any
) -> httpx.Response:
    more.setdefault("media_type", PEM)
    asked = request() if body is None else body
    return await node.post(f"/identity/enrol{query}", asked, text, **more)


@with_an_authority
async def test_the_root_and_the_places_are_told_to_everybody(
    node: Node, authority: Authority
) -> None:
    root = await node.ask("GET", "/identity/authority.pem")
    assert root.headers["content-type"] == PEM
    assert root.content == authority.bundle_pem(today())
    places = (await node.ask("GET", "/identity")).json()
    assert places["trust_domain"] == DOMAIN
    assert places["secure"] == "https://node.example:8444"


@with_an_authority
async def test_what_was_revoked_is_told_to_everybody(node: Node, authority: Authority) -> None:
    held = authority.issue(WANTED, today(), who="ada")
    authority.revoke(ENCODER, Reason.KEY_COMPROMISE, today(), who="ada")
    answer = await node.ask("GET", "/identity/crl/client.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    (entry,) = x509.load_der_x509_crl(answer.content)
    assert f"{entry.serial_number:x}" == held.serial
    problem(await node.ask("GET", "/identity/crl/abc.crl"), 404, "IDENTITY.NO_ISSUER")


@with_an_authority
async def test_a_list_names_what_was_revoked_since_the_last_one(
    node: Node, authority: Authority
) -> None:
    told = []
    for number in range(3):
        name = f"encoder/number-{number}"
        authority.issue(Wanted(name, "encoder"), today(), who="ada")
        authority.revoke(name, Reason.KEY_COMPROMISE, today(), who="ada")
        answer = await node.ask("GET", "/identity/crl/client.crl")
        told.append(len(x509.load_der_x509_crl(answer.content)))
    assert told == [1, 2, 3]


@with_an_authority
async def test_what_everybody_may_ask_is_answered_from_memory(
    node: Node, authority: Authority
) -> None:
    addresses = ("/identity", "/identity/authority.pem", "/identity/crl/client.crl")
    for address in addresses:
        assert (await node.ask("GET", address)).status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_rows", lambda *_: pytest.fail("the store was read"))
        for _ in range(100):
            for address in addresses:
                assert (await node.ask("GET", address)).status_code == 200
            problem(await node.ask("GET", "/identity/crl/abc.crl"), 404, "IDENTITY.NO_ISSUER")


@with_an_authority
async def test_a_flood_of_public_questions_holds_up_no_renewal(
    node: Node, authority: Authority
) -> None:
    """All who ask for the roots and lists wait for a store that does not answer them."""
    held = authority.issue(WANTED, today(), who="ada")
    node.front.shown[SHOWN] = peer_of(held.chain_pem)
    come, bundle_pem = threading.Event(), authority.bundle_pem

    def slow(now: datetime.datetime) -> bytes:
        come.wait(60)
        return bundle_pem(now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authority, "bundle_pem", slow)
        addresses = ["/identity/authority.pem", "/identity/crl/client.crl"] * 200
        flood = [asyncio.create_task(node.ask("GET", address)) for address in addresses]
        await asyncio.sleep(0)
        renewed = await node.post("/identity/renew", request(), media_type=PEM, connection=SHOWN)
        assert renewed.status_code == 201, renewed.text
        assert not any(asked.done() for asked in flood)
        come.set()
        answers = await asyncio.gather(*flood)
    assert {answer.status_code for answer in answers} == {200}


@with_an_authority
async def test_a_store_that_does_not_answer_is_answered_for_by_what_was_known(
    node: Node, authority: Authority
) -> None:
    known = await node.ask("GET", "/identity/authority.pem")
    authority.issue(WANTED, today(), who="ada")
    come, roots = threading.Event(), authority.store.roots

    def slow() -> list[RootRow]:
        come.wait(60)
        return roots()

    def broken() -> list[RootRow]:
        raise LocalError("IDENTITY.STORE_FULL", "as a test asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PUBLISHED_S", 0.01)
        patch.setattr(authority.store, "roots", slow)
        again = await node.ask("GET", "/identity/authority.pem")
        assert (again.status_code, again.content) == (200, known.content)
        come.set()
        patch.setattr(limits, "PUBLISHED_S", 60.0)
        assert (await node.ask("GET", "/identity/authority.pem")).status_code == 200
        authority.issue(WANTED, today(), who="ada")
        patch.setattr(authority.store, "roots", broken)
        assert (await node.ask("GET", "/identity/authority.pem")).content == known.content


@with_an_authority
async def test_a_store_that_was_never_read_is_told_by_its_code(
    node: Node, authority: Authority
) -> None:
    def broken() -> list[RootRow]:
        raise LocalError("IDENTITY.STORE_FULL", "as a test asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authority.store, "roots", broken)
        problem(await node.ask("GET", "/identity/authority.pem"), 500, "IDENTITY.STORE_FULL")
    assert (await node.ask("GET", "/identity/authority.pem")).status_code == 200


@with_an_authority
async def test_a_token_and_a_request_are_answered_with_a_chain(
    node: Node, authority: Authority
) -> None:
    answer = await enrol(node, token(authority), query=f"?name={ENCODER}&profile=encoder")
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/pem-certificate-chain"
    assert answer.headers["cache-control"] == "no-store"
    leaf, issuer = x509.load_pem_x509_certificates(answer.content)
    leaf.verify_directly_issued_by(issuer)
    (row,) = authority.store.issued(ENCODER)
    assert f"{leaf.serial_number:x}" == row.serial
    assert row.issued_by == "192.0.2.9"


@with_an_authority
async def test_each_refusal_of_an_enrolment_is_a_problem_and_uses_nothing_up(
    node: Node, authority: Authority
) -> None:
    good = token(authority)
    problem(await enrol(node, None), 401, "TOKEN.MISSING")
    unknown = await enrol(node, "x" * 43)
    problem(unknown, 401, "IDENTITY.TOKEN_UNKNOWN")
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    problem(await enrol(node, good, query="?name=encoder/b"), 403, "IDENTITY.TOKEN_OTHER")
    problem(await enrol(node, good, query="?profile=viewer"), 403, "IDENTITY.TOKEN_OTHER")
    problem(await enrol(node, good, b"nonsense"), 400, "IDENTITY.REQUEST_MALFORMED")
    named = request(subject="venue-2")
    problem(await enrol(node, good, named), 422, "IDENTITY.REQUEST_NAME")
    problem(await enrol(node, good, media_type="text/plain"), 415, "HTTP.WRONG_TYPE")
    problem(await enrol(node, good, b"x" * (LONGEST_REQUEST + 1)), 413, "HTTP.TOO_LARGE")
    problem(await node.ask("GET", "/identity/enrol"), 405, "HTTP.METHOD_NOT_ALLOWED")
    assert authority.store.issued() == []
    assert (await enrol(node, good)).status_code == 201
    problem(await enrol(node, good), 409, "IDENTITY.TOKEN_USED")


@with_an_authority
async def test_fifty_at_once_with_one_token_get_one_certificate(
    node: Node, authority: Authority
) -> None:
    text = token(authority)
    answers = await asyncio.gather(*(enrol(node, text) for _ in range(50)))
    told = collections.Counter(answer.status_code for answer in answers)
    assert told == {201: 1, 409: 49}
    assert len(authority.store.issued(ENCODER)) == 1


@with_an_authority
async def test_guesses_are_bounded_by_address_and_flood_no_journal(
    node: Node, authority: Authority
) -> None:
    before = len(authority.store.journal())
    for _ in range(limits.TRIES_BURST):
        problem(await enrol(node, "x" * 43), 401, "IDENTITY.TOKEN_UNKNOWN")
    late = await enrol(node, "x" * 43)
    problem(late, 429, "IDENTITY.TOO_MANY_TRIES")
    assert "retry-after" in late.headers
    assert len(authority.store.journal()) == before
    assert node.board.refused["signalling", "IDENTITY.TOKEN_UNKNOWN"] == limits.TRIES_BURST


@with_an_authority
async def test_whoever_shows_a_certificate_gets_the_next_one(
    node: Node, authority: Authority
) -> None:
    held = authority.issue(WANTED, today(), who="ada")
    node.front.shown[SHOWN] = peer_of(held.chain_pem)
    answer = await node.post("/identity/renew", request(), media_type=PEM, connection=SHOWN)
    assert answer.status_code == 201
    new, old = authority.store.issued(ENCODER)
    assert new.issued_by == f"renewal of {old.serial}"
    when = await node.ask("GET", "/identity/renewal", connection=SHOWN)
    assert when.status_code == 200
    assert set(when.json()["suggestedWindow"]) == {"start", "end"}
    assert int(when.headers["retry-after"]) > 0


@with_an_authority
async def test_a_renewal_without_a_certificate_of_ours_is_refused(
    node: Node, authority: Authority
) -> None:
    for method, path in (("POST", "/identity/renew"), ("GET", "/identity/renewal")):
        none = await node.ask(method, path, request(), media_type=PEM)
        problem(none, 403, "IDENTITY.RENEW_NO_CERTIFICATE")
        foreign = ThrowAwayAuthority.create(DOMAIN, today()).issue_client(ENCODER, today())
        node.front.shown[SHOWN] = peer_of(foreign.chain_pem)
        answer = await node.ask(method, path, request(), media_type=PEM, connection=SHOWN)
        problem(answer, 403, "IDENTITY.RENEW_UNKNOWN")
    assert authority.store.issued() == []


@with_an_authority
async def test_one_certificate_does_not_fill_the_store_with_its_successors(
    node: Node, authority: Authority
) -> None:
    held = authority.issue(WANTED, today(), who="ada")
    node.front.shown[SHOWN] = peer_of(held.chain_pem)
    for _ in range(limits.RENEWALS_BURST):
        answer = await node.post("/identity/renew", request(), media_type=PEM, connection=SHOWN)
        assert answer.status_code == 201
    late = await node.post("/identity/renew", request(), media_type=PEM, connection=SHOWN)
    problem(late, 429, "IDENTITY.TOO_MANY_TRIES")
    assert len(authority.store.issued(ENCODER)) == 1 + limits.RENEWALS_BURST


def test_a_node_without_an_authority_has_none_of_these_addresses() -> None:
    async def ask() -> None:
        node = Node()
        async with node.client:
            for path in ("/identity", "/identity/authority.pem", "/identity/renewal"):
                problem(await node.ask("GET", path), 404, "HTTP.NOT_FOUND")

    asyncio.run(ask())
