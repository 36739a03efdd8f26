"""`sealcast identity explain`: the answer of the node, with every step and an exit code."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.founded import DOMAIN, PASSPHRASE, living, today

from sealcast.cli import main
from sealcast.identity import ThrowAwayAuthority, TokenIssuer, TokenKey, Verb
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.revocation import Reason
from sealcast.node import config
from sealcast.node.doors import plans
from sealcast.node.explain import Presented, Question, explain_certificate
from sealcast.testing.requirement import require

STAGE = "venue/stage-1"
RULES = f"""
[[permissions]]
note = "the venues"
who = ["encoder/venue-*"]
may = ["publish"]
streams = ["venue/*"]
[[permissions]]
who = ["token"]
may = ["watch"]
streams = ["**"]
[ingest.ts.streams]
"encoder/venue-1" = "{STAGE}"
"""


class Site:
    """A node's configuration with its authority, and certificates from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority: Authority = living(folder / "authority")
        passphrase = folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(PASSPHRASE)
        self.state = folder / "state"
        self.config = folder / "sealcast.toml"
        self.without_authority = (
            f'[node]\nstate_dir = "{self.state}"\ntrust_domain = "{DOMAIN}"\n{RULES}'
        )
        self.settings = (
            f'{self.without_authority}[identity]\nauthority = "{folder / "authority"}"\n'
            f'passphrase_file = "{passphrase}"\n'
        )
        self.config.write_text(self.settings)

    def certificate(self, name: str) -> Path:
        made = self.authority.issue(Wanted(name, name.partition("/")[0]), today(), who="test")
        file = self.folder / f"{name.replace('/', '-')}.pem"
        file.write_bytes(made.chain_pem)
        return file

    def explain(self, *words: str) -> int:
        try:
            main(["identity", "explain", *words, "--config", str(self.config)])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    require("core")
    monkeypatch.delenv("SEALCAST_IDENTITY_DATA", raising=False)
    return Site(tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def steps(door: dict[str, Any]) -> dict[str, str]:
    return {step["about"]: step["answer"] for step in door["steps"]}


def test_a_yes_is_told_step_by_step_with_the_rule_that_allows_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.certificate("encoder/venue-1")
    assert site.explain(str(file), "--verb", "publish", "--stream", STAGE) == 0
    said = capsys.readouterr().out
    assert f"spiffe://{DOMAIN}/encoder/venue-1" in said
    assert f"publish {STAGE} at ingest-ts: yes" in said
    assert "yes  rule 1 (the venues)  encoder/venue-* may publish" in said
    assert "has not revoked it" in said
    assert "allowed at secure, ingest-ts" in said
    assert not site.state.exists(), "asking makes nothing"


def test_a_refusal_has_its_code_its_reasons_and_the_exit_code_3(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(site.certificate("encoder/venue-1"))
    assert site.explain(file, "--verb", "publish", "--stream", "other/stage", "--json") == 3
    answer = told(capsys)
    assert not answer["allowed"]
    secure, ts = answer["doors"]
    assert (ts["door"], steps(ts)["stream"], ts["code"]) == (
        "ingest-ts",
        "no",
        "IDENTITY.NOT_ALLOWED",
    )
    assert steps(secure)["rule 1 (the venues)"] == "no"
    assert steps(secure)["chain"] == "yes"
    words = (file, "--verb", "publish", "--stream", STAGE, "--door", "public", "--json")
    assert site.explain(*words) == 3
    [public] = told(capsys)["doors"]
    assert (steps(public)["certificate"], public["code"]) == ("unknown", "TOKEN.MISSING")
    assert site.explain(file, "--verb", "admin", "--json") == 3
    assert steps(told(capsys)["doors"][0])["profile"] == "no"


def test_a_revoked_certificate_is_refused_and_the_authority_says_why(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.certificate("encoder/venue-1")
    site.authority.revoke("encoder/venue-1", Reason.KEY_COMPROMISE, today(), who="ada")
    assert site.explain(str(file), "--verb", "publish", "--stream", STAGE, "--json") == 3
    [_secure, ts] = told(capsys)["doors"]
    assert (steps(ts)["revocation"], ts["code"]) == ("no", "IDENTITY.REVOKED")
    assert any("keyCompromise" in step["sentence"] for step in ts["steps"])


def test_what_does_not_lead_to_the_doors_bundle_is_refused_as_the_door_would(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle.pem"
    now = datetime.datetime.now(datetime.UTC)
    bundle.write_bytes(ThrowAwayAuthority.create(DOMAIN, now).root_pem)
    site.config.write_text(site.settings + f'[doors.secure]\nclient_ca = "{bundle}"\n')
    words = (str(site.certificate("encoder/venue-2")), "--verb", "publish", "--stream", "venue/a")
    assert site.explain(*words, "--door", "secure", "--json") == 3
    [secure] = told(capsys)["doors"]
    assert (steps(secure)["chain"], secure["code"]) == ("no", "TLS.UNKNOWN_CA")


def test_an_expired_certificate_is_told_with_its_day(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.certificate("viewer/vera")
    presented = Presented.read(file.read_bytes())
    later = presented.leaf.not_valid_after_utc + datetime.timedelta(days=1)
    explained = explain_certificate(
        config.load(site.config), presented, Question(Verb.WATCH, STAGE, later), "secure"
    )
    assert not explained.allowed
    assert explained.code == "TLS.CERTIFICATE_EXPIRED"


def test_a_token_is_explained_too(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key = TokenKey.load_or_create(site.state / "token-key.json")
    file = site.folder / "token"

    def words(verb: str) -> tuple[str, ...]:
        return ("--token-file", str(file), "--verb", verb, "--stream", STAGE, "--json")

    file.write_text(TokenIssuer(key).issue(STAGE, Verb.WATCH, 60, "vera", now=time.time()) + "\n")
    assert site.explain(*words("watch")) == 0
    token = file.read_text().strip()
    answer = capsys.readouterr().out
    assert token not in answer
    assert "vera" in answer
    assert site.explain(*words("publish")) == 3
    assert {door["code"] for door in told(capsys)["doors"]} == {"TOKEN.WRONG_VERB"}
    file.write_text("nonsense")
    assert site.explain(*words("watch")) == 3
    assert {door["code"] for door in told(capsys)["doors"]} == {"TOKEN.MALFORMED"}


@pytest.mark.parametrize(
    "words",
    [
        ("no-such.pem", "--verb", "admin"),
        ("no-such.pem", "--verb", "publish"),
        ("--verb", "admin"),
        ("no-such.pem", "--token-file", "x", "--verb", "admin"),
    ],
)
def test_what_cannot_be_found_out_is_neither_a_yes_nor_a_no(
    site: Site, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.explain(*words) in (1, 2)
    assert "sealcast: " in capsys.readouterr().err


def test_without_the_doors_trust_bundle_there_is_no_yes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.write_text(site.settings + '[doors.secure]\nclient_ca = "/nowhere/ca.pem"\n')
    file = str(site.certificate("admin/ada"))
    assert site.explain(file, "--verb", "admin") == 1
    assert "/nowhere/ca.pem" in capsys.readouterr().err


def test_whom_spiffe_trusts_only_the_running_node_can_say(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    spiffe = '[spiffe]\nsocket = "unix:///run/spire.sock"\n[doors.secure]\nclient_ca = "spiffe"\n'
    site.config.write_text(site.without_authority + spiffe)
    file = str(site.certificate("admin/ada"))
    assert site.explain(file, "--verb", "admin", "--door", "secure") == 1
    assert "sealcast doors --running" in capsys.readouterr().err


def test_the_door_for_a_cdn_proves_nobody_by_a_certificate(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.write_text(site.settings + '[doors.origin]\nbind = ["127.0.0.1:0"]\n')
    file = str(site.certificate("admin/ada"))
    assert site.explain(file, "--verb", "admin", "--door", "origin", "--json") == 3
    [origin] = told(capsys)["doors"]
    assert steps(origin)["door"] == "no"


def test_a_public_door_that_may_be_shown_a_certificate_is_asked_too(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    text = site.settings + '[doors.public]\nclient_certificate = "optional"\n'
    site.config.write_text(text.replace('may = ["watch"]', 'may = ["watch", "publish"]'))
    file = str(site.certificate("encoder/venue-1"))
    assert site.explain(file, "--verb", "publish", "--stream", STAGE, "--json") == 0
    assert [door["door"] for door in told(capsys)["doors"]] == ["public", "secure", "ingest-ts"]


def test_every_door_of_a_node_can_be_asked_about(site: Site) -> None:
    settings = config.load(site.config)
    presented = Presented.read(site.certificate("admin/ada").read_bytes())
    question = Question(Verb.ADMIN, "", today())
    for plan in plans(settings):
        assert explain_certificate(settings, presented, question, plan.name).steps
