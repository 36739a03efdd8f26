"""The decision: one pure function from rules and a question to an answer with its reasons.

    policy         by which proofs the preset of the role `admin` lets anybody administer
    ceiling        what the certificate's profile, the token or the account may do at most
    public         a stream marked public is watched by anybody
    publishers     a stream that lists its publishers has no others
    rules          any that names the caller, the purpose, the stream and the door allows

Does not: know the time, the network or the configuration's file. The node and `sealcast identity
explain` call the same function, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError
from sealcast.identity.tokens import ANY_STREAM
from sealcast.identity.verbs import Verb
from sealcast.permission.rules import Row, Rulebook
from sealcast.permission.subject import Account, Certificate, Nobody, Subject, Token

NOT_ALLOWED: Final = "IDENTITY.NOT_ALLOWED"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `stream` counts for publish and watch only; `door` is a door's name."""

    subject: Subject
    verb: Verb
    door: str
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was looked at: what, whether it speaks for the answer yes, and why."""

    about: str
    holds: bool
    sentence: str


_NO_RULES: Final = Reason("rules", False, "this node has none")


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. Only `decide` makes one. `code` is empty when it is yes; `why` is for the caller:
    it tells nothing of rules that name others.
    """

    asked: Asked
    reasons: tuple[Reason, ...]
    code: str = ""
    why: str = ""

    @property
    def allowed(self) -> bool:
        return not self.code

    def require(self) -> None:
        """Returns for a yes; raises the refusal otherwise."""
        if not self.allowed:
            raise RemoteError(self.code, self.why)


def decide(book: Rulebook, asked: Asked) -> Decision:
    """Whether `asked` is allowed, and every reason in the order in which it was looked at."""
    subject, verb, stream = asked.subject, asked.verb, asked.stream
    if isinstance(subject, Token):
        refused = _beside_the_token(subject, verb, stream)
        if refused is not None:
            code, why = refused
            return Decision(asked, (Reason("token", False, why),), code, why)
    if verb is Verb.WATCH and stream in book.public:
        reason = Reason("stream", True, f"{stream} is public: anybody may watch it")
        return Decision(asked, (reason,))
    if isinstance(subject, Nobody):
        why = "nobody was proved, by certificate, token or password"
        return Decision(asked, (Reason("caller", False, why),), "TOKEN.MISSING", "")
    if not verb.needs_stream and subject.proof not in book.admin_proofs:
        admitted = " or ".join(sorted(book.admin_proofs))
        why = f"To administer, this node's policy admits {admitted}; {subject.proof} came."
        return Decision(asked, (Reason("policy", False, why),), "POLICY.IDENTITY_REFUSED", why)
    ceiling = _ceiling(subject, verb)
    if not ceiling.holds:
        return Decision(asked, (ceiling,), NOT_ALLOWED, _sentence(asked, ceiling.sentence))
    listed = book.publishers.get(stream) if verb is Verb.PUBLISH else None
    if listed is not None:
        named = [who.text for who in listed if who.names(subject)]
        told = f"names {named[0]}" if named else f"does not name {_called(subject)}"
        reason = Reason(f"streams.{stream}.publishers", bool(named), f"the list {told}")
        if named:
            return Decision(asked, (ceiling, reason))
        why = (
            "This stream takes certificates only, no tokens."
            if isinstance(subject, Token)
            else _sentence(asked, "the stream lists its publishers")
        )
        return Decision(asked, (ceiling, reason), NOT_ALLOWED, why)
    rows = tuple(_row(book, row, asked) for row in book.rows) or (_NO_RULES,)
    if any(reason.holds for reason in rows):
        return Decision(asked, (ceiling, *rows))
    why = _sentence(asked, "no rule of this node allows it")
    return Decision(asked, (ceiling, *rows), NOT_ALLOWED, why)


def _beside_the_token(token: Token, verb: Verb, stream: str) -> tuple[str, str] | None:
    if verb not in token.ceiling:
        return "TOKEN.WRONG_VERB", f"It is to {token.verb}, not to {verb}."
    if verb.needs_stream and token.stream not in (stream, ANY_STREAM):
        return "TOKEN.WRONG_STREAM", f"It is for {token.stream!r}."
    return None


def _ceiling(subject: Certificate | Token | Account, verb: Verb) -> Reason:
    match subject:
        case Certificate():
            about, kind = "profile", subject.kind
        case Token():
            about, kind = "token", "the token"
        case Account():
            about, kind = "account", "an account with a password"
    most = " and ".join(verb.words for verb in subject.ceiling)
    return Reason(about, verb in subject.ceiling, f"{kind} may {most}, and no more")


def _row(book: Rulebook, row: Row, asked: Asked) -> Reason:
    about = f"rule {row.number}" + (f" ({row.rule.note})" if row.rule.note else "")
    for objection in _objections(book, row, asked):
        return Reason(about, False, objection)
    named = next(who.text for who in row.who if who.names(asked.subject))
    return Reason(about, True, f"{named} may {asked.verb.words}" + _on(asked))


def _objections(book: Rulebook, row: Row, asked: Asked) -> Iterator[str]:
    rule = row.rule
    if not any(who.names(asked.subject) for who in row.who):
        yield f"names {', '.join(rule.who)}"
    if asked.verb not in rule.may:
        yield f"is to {' and '.join(verb.words for verb in rule.may)}"
    if asked.verb.needs_stream:
        own = row.own and book.own_stream(asked.subject) == asked.stream
        if not own and not any(pattern.matches(asked.stream) for pattern in row.streams):
            told = f"is for {', '.join(rule.streams)}"
            if row.own:
                told += f"; its own stream is {book.own_stream(asked.subject) or 'none'}"
            yield told
    if rule.doors and asked.door not in rule.doors:
        yield f"holds at {' and '.join(rule.doors)}"


def _sentence(asked: Asked, why: str) -> str:
    return (
        f"{_called(asked.subject)} may not {asked.verb.words}{_on(asked)} at {asked.door}: {why}."
    )


def _called(subject: Subject) -> str:
    return repr(subject.name[:200])


def _on(asked: Asked) -> str:
    return f" {asked.stream}" if asked.verb.needs_stream else ""
