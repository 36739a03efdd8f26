"""`GET /api/identities` and the ends of certificates on the metrics page."""

from __future__ import annotations

import asyncio
import datetime
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.unit.application import STREAM, Node, offer, problem
from tests.unit.founded import today
from tests.unit.native_stand_ins import ADMIN, ENCODER

from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.revocation import Reason
from sealcast.secret import Secret

# As the configuration and the certificates of the stand-ins have it.
DOMAIN, VENUE = "sealcast.internal", "encoder/venue-1"


def with_an_authority(check: Callable[[Node, Authority], Awaitable[None]]) -> Callable[[], None]:
    """A test on a fresh node that has an authority of its own."""

    def run() -> None:
        async def once(authority: Authority) -> None:
            node = Node(authority=authority)
            async with node.client:
                await check(node, authority)

        with tempfile.TemporaryDirectory() as scratch:
            folder, passphrase = Path(scratch) / "authority", Secret("correct horse battery")
            # Long enough ago for what has ended since.
            began = today() - datetime.timedelta(days=60)
            found(folder, Founding(DOMAIN), passphrase, began, who="ada")
            asyncio.run(once(Authority.open(folder, lambda: passphrase)))

    run.__name__ = check.__name__
    return run


@with_an_authority
async def test_each_identity_is_listed_with_its_legs_and_the_days_it_has_left(
    node: Node, authority: Authority
) -> None:
    now = today()
    issued = authority.issue(Wanted(VENUE, "encoder"), now, who="ada")
    authority.issue(Wanted("encoder/idle", "encoder"), today(), who="grace")
    authority.issue(Wanted("encoder/lost", "encoder"), today(), who="ada")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, now, who="ada")
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), connection=ENCODER)
    assert answer.status_code == 201, answer.text
    told = (await node.ask("GET", "/api/identities", connection=ADMIN)).json()
    assert told["trust_domain"] == DOMAIN
    assert [one["kind"] for one in told["authorities"]] == ["root", "issuer", "issuer"]
    idle, lost, venue = told["identities"]
    assert (idle["name"], idle["issued_by"], idle["legs"]) == ("encoder/idle", "grace", [])
    assert (idle["revoked_unix"], idle["revoked_why"]) == (None, None)
    assert (lost["name"], lost["revoked_why"]) == ("encoder/lost", "keyCompromise")
    assert lost["revoked_unix"] == int(now.timestamp())
    assert (lost["renew_unix"], lost["due"], lost["legs"]) == (None, False, [])
    assert (venue["uri"], venue["serial"]) == (f"spiffe://{DOMAIN}/{VENUE}", issued.serial)
    assert (venue["profile"], venue["side"], venue["due"]) == ("encoder", "client", False)
    assert 89 < venue["days_left"] <= 90
    assert venue["renew_unix"] < venue["not_after_unix"] == issued.not_after_unix
    assert venue["left_s"] <= venue["not_after_unix"] - int(now.timestamp())
    [leg] = venue["legs"]
    [known] = node.board.ledger.living()
    assert leg == {"id": known.id, "role": "ingest", "way": "whip", "stream": STREAM}


@with_an_authority
async def test_an_end_that_enrolled_again_after_it_was_revoked_is_listed_once_and_alive(
    node: Node, authority: Authority
) -> None:
    authority.issue(Wanted(VENUE, "encoder"), today(), who="ada")
    authority.revoke(VENUE, Reason.SUPERSEDED, today(), who="ada")
    again = authority.issue(Wanted(VENUE, "encoder"), today(), who="ada")
    told = (await node.ask("GET", "/api/identities", connection=ADMIN)).json()
    [only] = told["identities"]
    assert (only["serial"], only["revoked_why"]) == (again.serial, None)


async def _names(node: Node, query: str) -> list[str]:
    told = (await node.ask("GET", f"/api/identities{query}", connection=ADMIN)).json()
    assert told["total"] == 4
    assert len(told["authorities"]) == 3, "a filter is for ends"
    return [one["name"] for one in told["identities"]]


@with_an_authority
async def test_ends_are_found_by_name_by_how_they_stand_and_by_their_legs(
    node: Node, authority: Authority
) -> None:
    now, month = today(), datetime.timedelta(days=30)
    late = now - 0.8 * month
    authority.issue(Wanted(VENUE, "encoder"), now, who="ada")
    authority.issue(Wanted("encoder/venue-2", "encoder", lifetime=month), late, who="ada")
    authority.issue(Wanted("encoder/lost", "encoder"), now, who="ada")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, now, who="ada")
    authority.issue(Wanted("viewer/vera", "viewer"), now - datetime.timedelta(days=1), who="ada")
    answer = await node.post(f"/whip/{STREAM}", offer("sendonly"), connection=ENCODER)
    assert answer.status_code == 201, answer.text
    for query, names in (
        ("", ["encoder/lost", VENUE, "encoder/venue-2", "viewer/vera"]),
        ("?name=venue", [VENUE, "encoder/venue-2"]),
        ("?name=VENUE-2", ["encoder/venue-2"]),
        ("?name=encoder/venue-*", [VENUE, "encoder/venue-2"]),
        ("?name=viewer/**", ["viewer/vera"]),
        ("?name=venue-*", []),
        ("?state=valid", [VENUE]),
        ("?state=due", ["encoder/venue-2"]),
        ("?state=expired&state=revoked", ["encoder/lost", "viewer/vera"]),
        ("?legs=live", [VENUE]),
        ("?legs=live&state=due", []),
        ("?name=encoder/*&state=due&state=valid", [VENUE, "encoder/venue-2"]),
    ):
        assert await _names(node, query) == names, query
    told = (await node.ask("GET", "/api/identities", connection=ADMIN)).json()
    assert [one["state"] for one in told["identities"]] == ["revoked", "valid", "due", "expired"]
    assert {one["state"] for one in told["authorities"]} == {"valid"}


@with_an_authority
async def test_a_filter_that_is_not_understood_is_refused_and_not_left_out(
    node: Node, authority: Authority
) -> None:
    for query, said in (
        ("state=expird", "revoked, expired, due, valid"),
        ("state=", "revoked, expired, due, valid"),
        ("stat=due", "'stat' is not name, state or legs"),
        ("legs=dead", "legs is live"),
        ("legs=live&legs=live", "given once"),
        ("name=a&name=b", "given once"),
        ("name=a**", "at most one"),
        ("name=%3Cscript%3E", "names are of letters"),
        (f"name={'a' * 300}", "at most 256"),
    ):
        refused = await node.ask("GET", f"/api/identities?{query}", connection=ADMIN)
        assert said in problem(refused, 400, "HTTP.MALFORMED")["detail"], query


def test_a_node_without_an_authority_says_so_to_administrators_alone() -> None:
    async def check() -> None:
        node = Node()
        async with node.client:
            problem(await node.ask("GET", "/api/identities"), 401, "TOKEN.MISSING")
            told = (await node.ask("GET", "/api/identities", connection=ADMIN)).json()
        assert told == {"trust_domain": None, "authorities": [], "total": 0, "identities": []}

    asyncio.run(check())


@with_an_authority
async def test_the_list_is_for_administrators(node: Node, authority: Authority) -> None:
    problem(await node.ask("GET", "/api/identities"), 401, "TOKEN.MISSING")
    refused = await node.ask("GET", "/api/identities", connection=ENCODER)
    problem(refused, 403, "IDENTITY.NOT_ALLOWED")


@with_an_authority
async def test_a_store_that_cannot_be_read_is_a_problem_and_the_metrics_keep_their_dates(
    node: Node, authority: Authority
) -> None:
    authority.issue(Wanted(VENUE, "encoder"), today(), who="ada")
    before = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    authority.store.file.rename(authority.folder / "away")
    answer = await node.ask("GET", "/api/identities", connection=ADMIN)
    problem(answer, 500, "IDENTITY.STORE_DAMAGED")
    after = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    name = "sealcast_certificate_expiration_timestamp_seconds"
    assert [line for line in before.splitlines() if name in line] == [
        line for line in after.splitlines() if name in line
    ]


@with_an_authority
async def test_the_ends_of_certificates_are_metrics_named_as_cert_managers(
    node: Node, authority: Authority
) -> None:
    issued = authority.issue(Wanted(VENUE, "encoder"), today(), who="ada")
    page = (await node.ask("GET", "/metrics", connection=ADMIN)).text
    labels = f'{{kind="end",name="{VENUE}",side="client"}}'
    for what, expected in (
        ("expiration", issued.not_after_unix),
        ("renewal", int(authority.renew_by(issued.serial, today()).timestamp())),
    ):
        name = f"sealcast_certificate_{what}_timestamp_seconds"
        found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", page, re.MULTILINE)
        assert found is not None, page
        assert float(found[1]) == expected
        assert f"# HELP {name} " in page
    assert page.count('kind="issuer"') == 2
    assert page.count('kind="root"') == 1
