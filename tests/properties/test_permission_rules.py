"""Laws that the decision keeps for any rules and any caller."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sealcast.identity import Verb
from sealcast.identity.profiles import profiles
from sealcast.permission import (
    NOBODY,
    Account,
    Asked,
    Certificate,
    Decision,
    Pattern,
    Rule,
    Rulebook,
    Subject,
    Token,
    decide,
)
from sealcast.permission.rules import DoorName, rule_flaws

DOMAIN = "venue.example"
DOORS: list[DoorName] = ["public", "secure", "ingest-ts"]
WORDS = ["a", "b", "stage-1", "venue"]

parts = st.sampled_from([*WORDS, "*", "a*", "*1", "st*1"])
stream_patterns = st.builds(
    lambda found, rest: "/".join([*found, *(["**"] if rest else [])]),
    st.lists(parts, min_size=1, max_size=3),
    st.booleans(),
) | st.sampled_from(["**", "{own}"])
streams = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("/".join)
profile_names = st.sampled_from([*profiles(), "unheard-of"])
paths = st.builds(lambda profile, rest: f"{profile}/{rest}", profile_names, streams)
foreigners = st.sampled_from(
    ["spiffe://other.example/admin/ada", "spiffe://other.example/encoder/a", "CN=cdn"]
)
whos = st.one_of(
    st.builds(
        lambda profile, rest: f"{profile}/{rest}",
        profile_names,
        st.sampled_from(["*", "**", "a", "a*"]),
    ),
    st.sampled_from(["**", "token", "token:a*", "password", "password:a", "subject:CN=cdn"]),
    foreigners.filter(lambda name: name.startswith("spiffe://")),
)
rules = st.builds(
    lambda who, may, on, doors: Rule(
        who=who,
        may=may,
        streams=on if any(verb.needs_stream for verb in may) else [],
        doors=doors,
    ),
    st.lists(whos, min_size=1, max_size=3),
    st.lists(st.sampled_from(Verb), min_size=1, max_size=4),
    st.lists(stream_patterns, min_size=1, max_size=3),
    st.lists(st.sampled_from(DOORS), max_size=2),
)
certificates = st.one_of(
    paths.map(lambda path: Certificate(f"spiffe://{DOMAIN}/{path}", path)),
    foreigners.map(lambda name: Certificate(name, None)),
)
subjects: st.SearchStrategy[Subject] = st.one_of(
    certificates,
    st.builds(Token, st.sampled_from(["a", "b"]), streams | st.just("*"), st.sampled_from(Verb)),
    st.sampled_from(["a", "b"]).map(Account),
    st.just(NOBODY),
)
questions = st.builds(
    Asked, subjects, st.sampled_from(Verb), st.sampled_from([str(door) for door in DOORS]), streams
)


def book(of: list[Rule]) -> Rulebook:
    return Rulebook.of(of, DOMAIN)


def answer(of: list[Rule], asked: Asked) -> Decision:
    return decide(book(of), asked)


@given(st.lists(rules, max_size=5), questions)
def test_what_is_made_here_is_what_a_file_may_hold(of: list[Rule], asked: Asked) -> None:
    assert [flaw for rule in of for flaw in rule_flaws(rule, DOMAIN)] == []
    assert answer(of, asked) == answer(of, asked)


@given(questions)
def test_nothing_is_allowed_without_a_rule(asked: Asked) -> None:
    assert not answer([], asked).allowed


@given(st.lists(rules, max_size=5), rules, st.integers(0, 5), questions)
def test_one_rule_more_never_takes_a_permission_away(
    of: list[Rule], more: Rule, at: int, asked: Asked
) -> None:
    if answer(of, asked).allowed:
        assert answer([*of[:at], more, *of[at:]], asked).allowed


@given(
    st.lists(rules, max_size=5).flatmap(lambda of: st.tuples(st.just(of), st.permutations(of))),
    questions,
)
def test_the_order_of_the_rules_means_nothing(
    orders: tuple[list[Rule], list[Rule]], asked: Asked
) -> None:
    first, second = (answer(of, asked) for of in orders)
    assert (first.allowed, first.code, first.why) == (second.allowed, second.code, second.why)


@given(st.lists(rules, max_size=5), questions)
def test_rules_together_allow_what_one_of_them_allows(of: list[Rule], asked: Asked) -> None:
    alone = [answer([rule], asked).allowed for rule in of]
    assert answer(of, asked).allowed == any(alone)


@given(st.lists(rules, max_size=5), certificates, st.sampled_from(Verb), streams)
def test_no_rule_goes_beyond_a_profile(
    of: list[Rule], subject: Certificate, verb: Verb, stream: str
) -> None:
    if any(answer(of, Asked(subject, verb, door, stream)).allowed for door in DOORS):
        assert verb in subject.ceiling
        if verb is Verb.ADMIN:
            assert subject.path is not None
            assert subject.path.startswith("admin/")


@given(st.lists(rules, max_size=5), questions)
def test_an_answer_has_a_reason_that_decides_it(of: list[Rule], asked: Asked) -> None:
    decision = answer(of, asked)
    assert decision.reasons
    if decision.allowed:
        assert all(reason.about.startswith("rule") for reason in decision.reasons[1:])
        assert any(reason.holds for reason in decision.reasons[1:])
    else:
        assert not decision.reasons[-1].holds
        assert decision.code


@given(st.lists(rules, max_size=5), questions, foreigners)
def test_a_stranger_matches_no_pattern(of: list[Rule], asked: Asked, name: str) -> None:
    stranger = Asked(Certificate(name, None), asked.verb, asked.door, asked.stream)
    if answer(of, stranger).allowed:
        assert any(name in {who, who.removeprefix("subject:")} for rule in of for who in rule.who)


@given(stream_patterns.filter(lambda text: text != "{own}"), streams)
def test_a_pattern_without_a_star_is_a_name(text: str, stream: str) -> None:
    pattern = Pattern.parse(text)
    if pattern.is_exact:
        assert pattern.matches(stream) == (text == stream)
    if text == "**":
        assert pattern.matches(stream)
