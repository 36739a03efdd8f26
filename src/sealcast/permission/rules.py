"""Rules as an operator writes them, and as they are looked at.

Does: types a rule of the configuration (`Rule`), parses the words that name callers (`Who`) and
puts everything that a decision needs into one frozen value (`Rulebook`).

Does not: decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from sealcast.identity.names import SCHEME
from sealcast.identity.verbs import Verb
from sealcast.keying.agreement import Proof
from sealcast.permission.pattern import REST, Pattern
from sealcast.permission.subject import Account, Certificate, Subject, Token

DoorName = Literal["public", "secure", "ingest-ts", "origin"]
OWN: Final = "{own}"
"""In a rule's streams: the stream that a certificate is for, by `ingest.ts.streams` or its name."""
TOKEN: Final = "token"  # noqa: S105 - a word of the configuration
PASSWORD: Final = "password"  # noqa: S105 - a word of the configuration
SUBJECT: Final = "subject:"
_ENCODER: Final = "encoder/"


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One rule: who may do what, on which streams, at which doors."""

    who: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="names of this trust domain, with * and ** (encoder/venue-*, viewer/**); "
            "names of others in full (spiffe://…), or subject:CN=…; token or token:NAME for "
            "tokens; password or password:NAME for administrators with a password",
        ),
    ]
    may: Annotated[list[Verb], Meta(min_length=1, description="publish, watch, admin, metrics")]
    streams: Annotated[
        list[str],
        Meta(
            description="for publish and watch: names with * and **; {own} is the stream that a "
            "certificate is for (ingest.ts.streams, else NAME of encoder/NAME)"
        ),
    ] = []
    doors: Annotated[list[DoorName], Meta(description="where it holds; empty: at every door")] = []
    note: Annotated[str, Meta(max_length=200, description="for people; explain prints it")] = ""


def usual_rules() -> list[Rule]:
    """What holds where a configuration has no rules of its own; `sealcast config` prints it."""
    return [
        Rule(
            who=["encoder/**"],
            may=[Verb.PUBLISH],
            streams=[OWN],
            note="an encoder publishes its own stream",
        ),
        Rule(who=["viewer/**", "admin/**"], may=[Verb.WATCH], streams=[REST]),
        Rule(who=["admin/**", PASSWORD], may=[Verb.ADMIN, Verb.METRICS]),
        Rule(
            who=[TOKEN],
            may=[Verb.PUBLISH, Verb.WATCH, Verb.ADMIN, Verb.METRICS],
            streams=[REST],
            note="a token says itself what it is for",
        ),
    ]


@dataclass(frozen=True, slots=True)
class Who:
    """Words that name callers. Only `parse` makes one."""

    text: str
    _matches: Callable[[Subject], bool] = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str, trust_domain: str) -> Who:
        """What the words stand for; ValueError with a sentence for anything else."""
        kind, colon, rest = text.partition(":")
        if kind == TOKEN:
            return Who(text, _of_kind(Token, rest if colon else None))
        if kind == PASSWORD:
            return Who(text, _of_kind(Account, rest if colon else None))
        if text.startswith(SUBJECT):
            return Who(text, _exactly(text.removeprefix(SUBJECT)))
        own = f"{SCHEME}{trust_domain}/"
        if text.startswith(SCHEME) and not text.startswith(own):
            if "*" in text or "/" not in text.removeprefix(SCHEME):
                raise ValueError("a name of another trust domain is written in full, without *")
            return Who(text, _exactly(text))
        pattern = Pattern.parse(text.removeprefix(own))
        if "/" not in pattern.text and pattern.text != REST:
            raise ValueError("a name begins with its profile, as in encoder/venue-1")
        return Who(
            text,
            lambda subject: (
                isinstance(subject, Certificate)
                and subject.path is not None
                and pattern.matches(subject.path)
            ),
        )

    def names(self, subject: Subject) -> bool:
        return self._matches(subject)


def _of_kind(kind: type[Token | Account], name: str | None) -> Callable[[Subject], bool]:
    pattern = None if name is None else Pattern.parse(name)
    return lambda subject: (
        isinstance(subject, kind) and (pattern is None or pattern.matches(subject.name))
    )


def _exactly(name: str) -> Callable[[Subject], bool]:
    if not name:
        raise ValueError("it names nobody")
    # Never a name of ours: those are matched by path alone, so there is one way to write them.
    return lambda subject: (
        isinstance(subject, Certificate) and subject.path is None and subject.name == name
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A rule, parsed. `number` counts from 1, as an operator counts."""

    number: int
    rule: Rule
    who: tuple[Who, ...]
    streams: tuple[Pattern, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All that a decision looks at."""

    trust_domain: str
    rows: tuple[Row, ...]
    own_streams: Mapping[str, str] = field(default_factory=dict)
    """By path (encoder/NAME) or full name of another trust domain."""
    public: frozenset[str] = frozenset()
    """Streams that anybody may watch."""
    publishers: Mapping[str, tuple[Who, ...]] = field(default_factory=dict)
    """Streams that list who publishes them."""
    admin_proofs: frozenset[Proof] = frozenset(Proof)
    """By which proofs the policy lets anybody administer or read the counters."""

    @staticmethod
    def of(
        rules: Sequence[Rule],
        trust_domain: str,
        *,
        own_streams: Mapping[str, str] | None = None,
        public: Sequence[str] = (),
        publishers: Mapping[str, Sequence[str]] | None = None,
        admin_proofs: Sequence[Proof] = tuple(Proof),
    ) -> Rulebook:
        """The rules, parsed; ValueError where `rule_flaws` would complain."""
        return Rulebook(
            trust_domain=trust_domain,
            rows=tuple(
                Row(
                    number,
                    rule,
                    tuple(Who.parse(who, trust_domain) for who in rule.who),
                    tuple(Pattern.parse(text) for text in rule.streams if text != OWN),
                    OWN in rule.streams,
                )
                for number, rule in enumerate(rules, 1)
            ),
            own_streams=dict(own_streams or {}),
            public=frozenset(public),
            publishers={
                stream: tuple(Who.parse(who, trust_domain) for who in listed)
                for stream, listed in (publishers or {}).items()
                if listed
            },
            admin_proofs=frozenset(admin_proofs),
        )

    def own_stream(self, subject: Subject) -> str | None:
        """The stream that a certificate is for."""
        if not isinstance(subject, Certificate):
            return None
        named = self.own_streams.get(subject.name if subject.path is None else subject.path)
        if named is None and subject.path is not None and subject.path.startswith(_ENCODER):
            return subject.path.removeprefix(_ENCODER)
        return named


def rule_flaws(rule: Rule, trust_domain: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a rule beyond its types: the key, and a sentence."""
    for text in rule.who:
        try:
            Who.parse(text, trust_domain)
        except ValueError as error:
            yield "who", f"{text!r}: {error}"
    for text in rule.streams:
        if text == OWN:
            continue
        try:
            Pattern.parse(text)
        except ValueError as error:
            yield "streams", f"{text!r}: {error}"
    needs = [verb.value for verb in rule.may if verb.needs_stream]
    if needs and not rule.streams:
        yield "may", f"to {' and '.join(needs)} it needs streams"
    if rule.streams and not needs:
        # Whoever wrote it believes that an administrator can be held to a stream.
        yield "streams", "only publish and watch are held to streams"
