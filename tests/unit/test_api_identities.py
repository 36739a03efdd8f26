"""`GET /api/identities` and the ends of certificates on the metrics page."""

from __future__ import annotations

import asyncio
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
            found(folder, Founding(DOMAIN), passphrase, today(), who="ada")
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


def test_a_node_without_an_authority_says_so_to_administrators_alone() -> None:
    async def check() -> None:
        node = Node()
        async with node.client:
            problem(await node.ask("GET", "/api/identities"), 401, "TOKEN.MISSING")
            told = (await node.ask("GET", "/api/identities", connection=ADMIN)).json()
        assert told == {"trust_domain": None, "authorities": [], "identities": []}

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
