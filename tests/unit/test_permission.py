"""Who may do what: patterns, rules, ceilings, and the reasons that a decision gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealcast.errors import RemoteError
from sealcast.identity import Verb
from sealcast.keying.agreement import Identity, Proof
from sealcast.node import config
from sealcast.node.permission import rulebook
from sealcast.permission import (
    NOBODY,
    Account,
    Asked,
    Certificate,
    Decision,
    Pattern,
    Subject,
    Token,
    decide,
    identity_of,
    subject_of,
)
from sealcast.wire import PeerCertificate

DOMAIN = "venue.example"
STAGE = "venue/stage-1"
BEGIN = f'[node]\ntrust_domain = "{DOMAIN}"\n'
VENUES = """
[[permissions]]
note = "the venues"
who = ["encoder/venue-*"]
may = ["publish"]
streams = ["venue/*"]
doors = ["ingest-ts"]
[[permissions]]
who = ["viewer/press-*", "spiffe://press.example/desk/anna", "subject:CN=cdn.example"]
may = ["watch"]
streams = ["venue/**"]
"""


def named(path: str) -> Certificate:
    subject = subject_of(Identity(f"spiffe://{DOMAIN}/{path}", Proof.CERTIFICATE), DOMAIN)
    assert isinstance(subject, Certificate)
    return subject


def foreign(name: str) -> Certificate:
    return Certificate(name, None)


def asked(
    text: str, subject: Subject, verb: str, stream: str = "", door: str = "secure"
) -> Decision:
    return decide(rulebook(config.loads(BEGIN + text)), Asked(subject, Verb(verb), door, stream))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("encoder/venue-1", ["encoder/venue-1"], ["encoder/venue-10", "encoder/venue-1/x"]),
        ("encoder/*", ["encoder/a"], ["encoder", "encoder/", "encoder/a/b", "viewer/a"]),
        ("encoder/venue-*", ["encoder/venue-1", "encoder/venue-"], ["encoder/venue", "encoder/v"]),
        ("*/main", ["a/main"], ["a/b/main", "/main"]),
        ("a*a/x", ["aa/x", "aba/x"], ["a/x", "ab/x"]),
        ("venue/**", ["venue/a", "venue/a/b"], ["venue", "venue/", "venues/a", "venue//a"]),
        ("**", ["a", "a/b/c"], ["", "a//b"]),
        ("a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_a_pattern_matches_whole_names_part_by_part(
    pattern: str, yes: list[str], no: list[str]
) -> None:
    parsed = Pattern.parse(pattern)
    assert [name for name in yes if not parsed.matches(name)] == []
    assert [name for name in no if parsed.matches(name)] == []


@pytest.mark.parametrize(
    "text",
    ["", "a//b", "/a", "a/", "a**", "**/a", "a/**/b", "a*b*c", "a[0-9]", "a b", "é", "a" * 257],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Pattern.parse(text)


def test_a_pattern_made_to_be_slow_is_not() -> None:
    pattern = Pattern.parse("/".join(["a*a"] * 60))
    name = "/".join(["a" * 2000 + "b"] * 60)
    # Two comparisons a part; what backtracks would not be back before this machine is gone.
    assert not pattern.matches(name)


def test_without_rules_of_its_own_a_node_has_the_usual_ones() -> None:
    yes = [
        asked("", named("encoder/venue-1"), "publish", "venue-1"),
        asked("", named("viewer/vera"), "watch", "any/stream"),
        asked("", named("admin/ada"), "watch", "any/stream"),
        asked("", named("admin/ada"), "admin"),
        asked("", named("admin/ada"), "metrics"),
        asked("", Account("ada"), "admin"),
        asked("", Token("t", STAGE, Verb.PUBLISH), "publish", STAGE),
        asked("", Token("t", "*", Verb.ADMIN), "metrics"),
    ]
    no = [
        asked("", named("encoder/venue-1"), "publish", "venue-2"),
        asked("", named("encoder/venue-1"), "watch", "venue-1"),
        asked("", named("encoder/venue-1"), "admin"),
        asked("", named("viewer/vera"), "publish", "venue-1"),
        asked("", named("viewer/vera"), "admin"),
        asked("", named("node/origin"), "watch", "venue-1"),
        asked("", named("service/monitor"), "metrics"),
        asked("", foreign("spiffe://press.example/admin/ada"), "admin"),
        asked("", foreign("spiffe://press.example/viewer/vera"), "watch", STAGE),
        asked("", Account("ada"), "watch", STAGE),
        asked("", NOBODY, "watch", STAGE),
    ]
    assert [decision.asked for decision in yes if not decision.allowed] == []
    assert [decision.asked for decision in no if decision.allowed] == []


def test_own_rules_stand_in_place_of_the_usual_ones() -> None:
    assert asked(VENUES, named("encoder/venue-1"), "publish", STAGE, "ingest-ts").allowed
    assert not asked(VENUES, named("encoder/venue-1"), "publish", STAGE, "secure").allowed
    assert not asked(VENUES, named("encoder/other"), "publish", STAGE, "ingest-ts").allowed
    assert not asked(VENUES, named("encoder/venue-1"), "publish", "venue/a/b", "ingest-ts").allowed
    assert not asked(VENUES, named("encoder/venue-1"), "publish", "venue-1", "ingest-ts").allowed
    assert asked(VENUES, named("viewer/press-7"), "watch", "venue/a/b").allowed
    assert not asked(VENUES, named("viewer/vera"), "watch", STAGE).allowed
    assert not asked(VENUES, named("admin/ada"), "admin").allowed
    assert not asked(VENUES, Token("t", STAGE, Verb.WATCH), "watch", STAGE).allowed


def test_no_rule_at_all_allows_nothing() -> None:
    nothing = f"permissions = []\n{BEGIN}"
    book = rulebook(config.loads(nothing))
    for subject in (named("admin/ada"), Account("ada"), Token("t", "*", Verb.ADMIN)):
        assert not decide(book, Asked(subject, Verb.ADMIN, "secure")).allowed


def test_a_name_of_another_trust_domain_counts_only_in_full() -> None:
    anna = foreign("spiffe://press.example/desk/anna")
    assert asked(VENUES, anna, "watch", STAGE).allowed
    assert not asked(VENUES, foreign("spiffe://press.example/desk/bert"), "watch", STAGE).allowed
    assert not asked(
        VENUES, foreign("spiffe://press.example/viewer/press-7"), "watch", STAGE
    ).allowed
    assert asked(VENUES, foreign("CN=cdn.example"), "watch", STAGE).allowed
    for who in (
        "spiffe://press.example/desk/*",
        "spiffe://press.example",
        "spiffe://other.example/**",
    ):
        text = f'[[permissions]]\nwho = ["{who}"]\nmay = ["watch"]\nstreams = ["**"]\n'
        with pytest.raises(config.ConfigurationRefused) as refused:
            config.loads(BEGIN + text)
        [complaint] = refused.value.complaints
        assert "in full" in complaint.sentence
        assert complaint.line == 4


def test_our_own_names_can_be_written_in_full_and_a_subject_is_never_one() -> None:
    rule = f'[[permissions]]\nwho = ["spiffe://{DOMAIN}/viewer/*", "subject:CN=x"]\n'
    rule += 'may = ["watch"]\nstreams = ["**"]\n'
    assert asked(rule, named("viewer/vera"), "watch", STAGE).allowed
    # What an authority writes into a subject is no SPIFFE name of ours.
    assert not asked(rule, foreign(f"CN=spiffe://{DOMAIN}/viewer/vera"), "watch", STAGE).allowed


def test_a_subject_that_looks_like_a_name_of_ours_names_nobody_of_ours() -> None:
    """There is one way to write our own names, so that a rule can be found by reading them."""
    rule = f'[[permissions]]\nwho = ["subject:spiffe://{DOMAIN}/viewer/vera"]\n'
    rule += 'may = ["watch"]\nstreams = ["**"]\n'
    assert not asked(rule, named("viewer/vera"), "watch", STAGE).allowed


@pytest.mark.parametrize(
    "path",
    [
        "encoder/../admin/ada",
        "encoder/./venue-1",
        "encoder//venue-1",
        "encoder/venue-1/",
        "/encoder/venue-1",
        "encoder/%2e%2e/admin",
        "encoder/Venue-1",
        "Encoder/venue-1",
        "encoder/v\u00e9nue-1",
        "encoder/venue-1\n",
        "encoder/venue-1\x00",
        "encoder/" + "v" * 128,
        "",
    ],
)
def test_what_is_no_name_of_ours_matches_no_pattern_and_has_no_stream(path: str) -> None:
    """Our authority gives no such name, so another one below our roots did: it is a stranger's."""
    subject = named(path)
    assert (subject.path, subject.profile) == (None, None)
    everybody = '[[permissions]]\nwho = ["**", "encoder/**"]\nmay = ["publish"]\n'
    everybody += 'streams = ["{own}", "**"]\n'
    assert not asked(everybody, subject, "publish", STAGE).allowed
    assert rulebook(config.loads(BEGIN)).own_stream(subject) is None


def test_a_policy_that_admits_certificates_only_lets_nobody_else_administer() -> None:
    """The usual rules name tokens and passwords; the policy stands before them."""
    strict = '[policy]\nadmin = "strict"\n'
    for verb in ("admin", "metrics"):
        for subject in (Account("ada"), Token("t", "*", Verb.ADMIN)):
            assert asked("", subject, verb).allowed, verb
            refused = asked(strict, subject, verb)
            assert refused.code == "POLICY.IDENTITY_REFUSED"
            assert "certificate" in refused.why
        assert asked(strict, named("admin/ada"), verb).allowed


def test_no_rule_lifts_a_profile() -> None:
    everything = '[[permissions]]\nwho = ["**", "token", "password", "spiffe://a.example/b"]\n'
    everything += 'may = ["publish", "watch", "admin", "metrics"]\nstreams = ["**"]\n'

    def may(subject: Subject) -> set[str]:
        return {
            verb.value for verb in Verb if asked(everything, subject, verb.value, STAGE).allowed
        }

    assert may(named("encoder/a")) == {"publish"}
    assert may(named("viewer/a")) == {"watch"}
    assert may(named("service/a")) == {"watch", "metrics"}
    assert may(named("node/a")) == {"watch"}
    assert may(named("admin/a")) == {"admin", "metrics", "watch"}
    assert may(named("nobody-knows/a")) == {"publish", "watch", "metrics"}
    assert may(foreign("spiffe://a.example/b")) == {"publish", "watch", "metrics"}
    assert may(Account("ada")) == {"admin", "metrics"}
    assert may(Token("t", STAGE, Verb.WATCH)) == {"watch"}
    assert may(NOBODY) == set()


def test_a_token_is_held_to_its_own_words_with_its_own_codes() -> None:
    token = Token("t", STAGE, Verb.PUBLISH)
    assert asked("", token, "watch", STAGE).code == "TOKEN.WRONG_VERB"
    assert asked("", token, "publish", "venue/other").code == "TOKEN.WRONG_STREAM"
    assert asked("", token, "admin").code == "TOKEN.WRONG_VERB"


def test_a_public_stream_is_watched_by_anybody_and_published_by_nobody_more() -> None:
    text = f'[streams."{STAGE}"]\npublic = true\n'
    for subject in (NOBODY, named("encoder/a"), foreign("CN=x"), Token("t", STAGE, Verb.WATCH)):
        assert asked(text, subject, "watch", STAGE).allowed
    assert asked(text, NOBODY, "publish", STAGE).code == "TOKEN.MISSING"
    assert asked(text, NOBODY, "watch", "venue/stage-2").code == "TOKEN.MISSING"


def test_a_stream_that_lists_its_publishers_has_no_others() -> None:
    text = f'[streams."{STAGE}"]\npublishers = ["encoder/a-*", "token:studio"]\n'
    text += f'[ingest.ts.streams]\n"encoder/venue-1" = "{STAGE}"\n'
    assert asked(text, named("encoder/a-1"), "publish", STAGE).allowed
    assert asked(text, Token("studio", STAGE, Verb.PUBLISH), "publish", STAGE).allowed
    assert not asked(text, Token("other", STAGE, Verb.PUBLISH), "publish", STAGE).allowed
    assert not asked(text, named("encoder/venue-1"), "publish", STAGE).allowed
    assert not asked(text, named("viewer/a-1"), "publish", STAGE).allowed


def test_a_decision_gives_every_reason_in_the_order_of_the_rules() -> None:
    decision = asked(VENUES, named("encoder/venue-1"), "publish", STAGE, "secure")
    assert [(reason.about, reason.holds) for reason in decision.reasons] == [
        ("profile", True),
        ("rule 1 (the venues)", False),
        ("rule 2", False),
    ]
    assert decision.reasons[1].sentence == "holds at ingest-ts"
    assert decision.code == "IDENTITY.NOT_ALLOWED"
    # The caller learns what it asked and that nothing allows it, and nothing about the others.
    assert "encoder/venue-1" in decision.why
    assert "press" not in decision.why
    with pytest.raises(RemoteError, match=r"IDENTITY\.NOT_ALLOWED"):
        decision.require()


def test_a_certificate_with_two_spiffe_names_is_nobody() -> None:
    peer = PeerCertificate(
        subject="CN=x",
        san_uris=(f"spiffe://{DOMAIN}/encoder/a", f"spiffe://{DOMAIN}/admin/ada"),
    )
    with pytest.raises(RemoteError, match="2 SPIFFE"):
        identity_of(peer)


@pytest.mark.parametrize(
    ("rule", "line", "said"),
    [
        ('wo = ["a/b"]\nmay = ["admin"]\n', 4, "did you mean who"),
        ('who = ["a/b"]\nmay = ["fly"]\n', 5, "fly"),
        ('who = []\nmay = ["admin"]\n', 4, "length"),
        ('who = ["a/b"]\nmay = ["publish"]\n', 5, "needs streams"),
        ('who = ["a/b"]\nmay = ["admin"]\nstreams = ["**"]\n', 6, "only publish and watch"),
        ('who = ["a/b"]\nmay = ["watch"]\nstreams = ["a**"]\n', 6, "at most one *"),
        ('who = ["a/b"]\nmay = ["watch"]\nstreams = ["a"]\ndoors = ["front"]\n', 7, "front"),
        ('who = ["bob"]\nmay = ["admin"]\n', 4, "begins with its profile"),
        ('who = ["a/(b|c)+"]\nmay = ["admin"]\n', 4, "letters, digits"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_line(
    rule: str, line: int, said: str
) -> None:
    with pytest.raises(config.ConfigurationRefused) as refused:
        config.loads(BEGIN + "[[permissions]]\n" + rule)
    assert any(
        said in complaint.sentence
        and complaint.line == line
        and complaint.key.startswith("permissions[1]")
        for complaint in refused.value.complaints
    ), refused.value.detail


def test_the_example_of_the_page_means_what_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs/permissions.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert asked(example, named("encoder/venue-1"), "publish", STAGE, "ingest-ts").allowed
    assert not asked(example, named("encoder/venue-1"), "publish", STAGE).allowed
    anna = foreign("spiffe://press.example/desk/anna")
    assert asked(example, anna, "watch", "venue/a/b").allowed
    assert asked(example, named("service/monitor"), "metrics").allowed
    assert not asked(example, named("service/monitor"), "metrics", door="public").allowed
    assert not asked(example, named("service/monitor"), "admin").allowed
    assert asked(example, Account("ada"), "admin", door="public").allowed
    for row in re.findall(r"^\| `([^`]+)` \| (.*) \| (.*)\|$", page, re.MULTILINE):
        pattern, yes, no = row[0], *(re.findall(r"`([^`]+)`", cell) for cell in row[1:])
        if "*" not in pattern:
            continue
        assert [name for name in yes if not Pattern.parse(pattern).matches(name)] == []
        assert [name for name in no if Pattern.parse(pattern).matches(name)] == []


def test_the_effective_rules_read_back_as_themselves() -> None:
    loaded = config.loads(BEGIN + VENUES)
    assert config.loads(config.dumps(loaded)) == loaded
    usual = config.loads(config.dumps(config.Config()))
    assert usual.permissions == config.Config().permissions
