"""What a running node answers, and what `sealcast identity explain` says it would: the same."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.own_authority import PASSPHRASE, found_own

from sealcast.identity import Verb
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.profiles import Side
from sealcast.node import config
from sealcast.node.doors import SECURE
from sealcast.node.explain import Presented, Question, explain_certificate
from sealcast.secret import Secret
from sealcast.testing.node_process import TRUST_DOMAIN, Client, Node, running_node
from sealcast.testing.requirement import require

RULES = """
[[permissions]]
who = ["encoder/venue-*"]
may = ["publish"]
streams = ["venue/*", "{own}"]
[[permissions]]
who = ["viewer/**", "spiffe://press.example/viewer/anna"]
may = ["watch"]
streams = ["venue/**"]
[[permissions]]
who = ["admin/ada"]
may = ["admin", "metrics"]
[[permissions]]
who = ["service/monitor"]
may = ["metrics"]
[[permissions]]
who = ["admin/ada", "encoder/venue-1"]
may = ["watch"]
streams = ["venue/stage-1"]
[streams.listed]
publishers = ["encoder/listed", "viewer/vera"]
[streams.open]
public = true
"""
NAMES = (
    *("encoder/venue-1", "encoder/listed", "viewer/vera", "admin/ada", "admin/bob"),
    *("service/monitor", "node/edge"),
)
STREAMS = ("venue/stage-1", "venue/a/b", "venue-1", "listed", "open")


class Site:
    """A node with an authority of its own that trusts a partner's at the door `secure` too."""

    def __init__(self, node: Node, partner: Authority, press: Authority, folder: Path) -> None:
        self.node = node
        self.partner = partner
        """It issues names of our trust domain, as nobody could keep it from doing."""
        self.press = press
        """It issues names of its own."""
        self._folder = folder
        self._issued = 0

    def client(self, name: str, authority: Authority | None = None) -> Client:
        """A client certificate, of the node's own authority if none is given."""
        assert self.node.own is not None
        self._issued += 1
        now = datetime.datetime.now(datetime.UTC)
        wanted = Wanted(name, name.partition("/")[0], side=Side.CLIENT)
        issued = (authority or self.node.own.authority).issue(wanted, now, who="test")
        chain, key = issued.save(self._folder / "clients", f"client-{self._issued}")
        return Client(issued.name, chain, key)

    def answer(self, client: Client, verb: Verb, stream: str) -> str:
        """The code of the node's refusal; empty where it went on."""
        if verb.needs_stream:
            path = f"/{'whip' if verb is Verb.PUBLISH else 'whep'}/{stream}"
            status, body = self.node.request("POST", path, client=client, body=b"{}")
            code = str(json.loads(body)["code"])
            # What comes after the question who may: the body is of no type that it takes.
            return "" if (status, code) == (415, "HTTP.WRONG_TYPE") else code
        path = "/metrics" if verb is Verb.METRICS else "/api/legs"
        status, body = self.node.request("GET", path, client=client)
        return "" if status == 200 else str(json.loads(body)["code"])

    def explained(self, client: Client, verb: Verb, stream: str) -> str:
        now = datetime.datetime.now(datetime.UTC)
        told = explain_certificate(
            config.load(self.node.config),
            Presented.read(client.chain.read_bytes()),
            Question(verb, stream if verb.needs_stream else "", now),
            SECURE,
        )
        assert told.allowed == (told.code == ""), told
        return told.code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require("core")
    folder = tmp_path_factory.mktemp("permissions")
    own = found_own(folder / "own")
    partner = _found(folder / "partner", TRUST_DOMAIN)
    press = _found(folder / "press", "press.example")
    now = datetime.datetime.now(datetime.UTC)
    bundle = folder / "bundle.pem"
    bundle.write_bytes(b"".join(each.bundle_pem(now) for each in (own.authority, partner, press)))
    secure = f'client_ca = "{bundle}"'
    with running_node(folder / "node", own=own, settings=RULES, secure=secure) as node:
        node.secrets.add("the passphrase", PASSPHRASE)
        yield Site(node, partner, press, folder)


def _found(folder: Path, trust_domain: str) -> Authority:
    now = datetime.datetime.now(datetime.UTC)
    found(folder, Founding(trust_domain), Secret(PASSPHRASE), now, who="test")
    return Authority.open(folder, lambda: Secret(PASSPHRASE))


def test_the_node_and_explain_give_the_same_answer_to_every_question(site: Site) -> None:
    asked, allowed = 0, 0
    for name in NAMES:
        client = site.client(name)
        for verb in Verb:
            for stream in STREAMS if verb.needs_stream else ("",):
                said = site.answer(client, verb, stream)
                assert site.explained(client, verb, stream) == said, (name, verb, stream)
                asked += 1
                allowed += said == ""
    # Neither of the two says the same to everything.
    assert 10 < allowed < asked - 10


def test_another_authority_at_a_door_gives_no_names_of_our_trust_domain(site: Site) -> None:
    thief = site.client("admin/ada", site.partner)
    assert site.answer(site.client("admin/ada"), Verb.ADMIN, "") == ""
    assert site.answer(thief, Verb.ADMIN, "") == "IDENTITY.NOT_ALLOWED"
    assert site.explained(thief, Verb.ADMIN, "") == "IDENTITY.NOT_ALLOWED"
    assert site.answer(thief, Verb.WATCH, "venue/stage-1") == "IDENTITY.NOT_ALLOWED"


def test_a_name_of_its_own_trust_domain_is_believed_and_counts_in_full(site: Site) -> None:
    anna = site.client("viewer/anna", site.press)
    assert site.answer(anna, Verb.WATCH, "venue/stage-1") == ""
    assert site.explained(anna, Verb.WATCH, "venue/stage-1") == ""
    bert = site.client("viewer/bert", site.press)
    assert site.answer(bert, Verb.WATCH, "venue/stage-1") == "IDENTITY.NOT_ALLOWED"
    assert site.explained(bert, Verb.WATCH, "venue/stage-1") == "IDENTITY.NOT_ALLOWED"
