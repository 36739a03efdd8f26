"""Why somebody would be let in, or not: everything that a node looks at, in its order, with nobody
there.

Does: asks the judges that a running node asks, in the order in which it asks them: the door's
engine of the chain, the authority of the revocation, the policy of the proof, and at last
`sealcast.permission.decide` of the rules. What cannot be told from here (no authority at hand) is
said to be unknown and refuses nothing.

Does not: prove that anybody holds the certificate's key; only a handshake can. Does not change
anything: a state folder that is not there is not made.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509

from sealcast.errors import LocalError, RemoteError
from sealcast.identity import TokenVerifier, Verb
from sealcast.identity.authority import Authority
from sealcast.identity.revocation import Revocations
from sealcast.identity.throw_away import ROOT_FILE
from sealcast.keying.agreement import Identity, Proof
from sealcast.node.config import Config
from sealcast.node.config_words import WORDS
from sealcast.node.doors import INGEST_TS, ORIGIN, Plan, plans
from sealcast.node.own_authority import OwnRoots, open_authority
from sealcast.node.permission import check_root, rulebook
from sealcast.node.ports import native_refusal
from sealcast.permission import (
    NOBODY,
    Asked,
    Certificate,
    Subject,
    Token,
    decide,
    identity_of,
    subject_of,
)
from sealcast.policy import Role, load
from sealcast.wire import PeerCertificate

Answer = Literal["yes", "no", "unknown"]
_VERDICT: Final = "verdict"
_PEER = msgspec.json.Decoder(PeerCertificate)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. `code` is set on the one that refuses."""

    about: str
    answer: Answer
    sentence: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """What one door would say."""

    door: str
    steps: tuple[Step, ...]
    allowed: bool

    @property
    def code(self) -> str:
        """Of the refusal; empty for a yes, and for a door that is not there."""
        return next((step.code for step in self.steps if step.code), "")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, whoever asks. `stream` counts for publish and watch."""

    verb: Verb
    stream: str
    now: datetime.datetime


@dataclass(frozen=True, slots=True)
class Presented:
    """A chain that somebody would present, and what it says."""

    chain_pem: bytes
    leaf: x509.Certificate
    peer: PeerCertificate

    @staticmethod
    def read(chain_pem: bytes) -> Presented:
        """IDENTITY.CERTIFICATE_MALFORMED for what holds no certificate."""
        from sealcast._core import read_certificate

        try:
            leaf = x509.load_pem_x509_certificate(chain_pem)
            return Presented(chain_pem, leaf, _PEER.decode(read_certificate(chain_pem)))
        except Exception as error:
            if not isinstance(error, ValueError) and native_refusal(error) is None:
                raise
            raise LocalError(
                "IDENTITY.CERTIFICATE_MALFORMED", "It begins with no certificate in PEM."
            ) from error


def doors_for(config: Config, verb: Verb, *, by_token: bool) -> tuple[str, ...]:
    """The doors at which such a proof can be shown for such a purpose."""
    doors = [plan for plan in plans(config) if plan.name != ORIGIN]
    if by_token:
        return tuple(plan.name for plan in doors if plan.kind == "https")
    return tuple(
        plan.name
        for plan in doors
        if plan.client_auth != "none" and (verb is Verb.PUBLISH or plan.kind == "https")
    )


def _bundle(config: Config, plan: Plan, now: datetime.datetime) -> tuple[str, bytes]:
    """The authorities whose certificates a door admits: where they stand, and they.

    IDENTITY.CERTIFICATE_MALFORMED: without them nothing can be said, and no yes may come of that.
    """
    own = None if plan.door.client_ca else open_authority(config)
    if own is not None:
        return f"the authority of {own.trust_domain}", own.bundle_pem(now)
    named = plan.door.client_ca
    if named in WORDS:
        raise LocalError(
            "IDENTITY.CERTIFICATE_MALFORMED",
            f"Whom the door {plan.name} trusts comes from {named}, and only the running node has "
            "it: sealcast doors --running shows it.",
        )
    file = Path(named).expanduser() if named else config.state_dir() / ROOT_FILE
    try:
        return str(file), file.read_bytes()
    except OSError as error:
        raise LocalError(
            "IDENTITY.CERTIFICATE_MALFORMED", f"The trust bundle {file}: {error.strerror}."
        ) from error


def explain_certificate(
    config: Config,
    presented: Presented,
    question: Question,
    door: str,
    authority: Authority | None = None,
) -> Explained:
    """What the node would say to the holder of a certificate at a door."""
    [plan] = [plan for plan in plans(config) if plan.name == door]
    steps = list(_door_steps(plan, question))
    subject: Subject = NOBODY
    if plan.client_auth == "none":
        steps.append(
            Step("certificate", "unknown", "this door asks for none, so nobody is proved by one")
        )
    else:
        steps += _proof_steps(config, plan, presented, question, authority)
        try:
            identity = identity_of(presented.peer)
            _check_root(config, plan, presented, identity, question.now)
            subject = subject_of(identity, config.node.trust_domain)
        except RemoteError as error:
            steps.append(Step("name", "no", error.detail, error.code))
            return _explained(door, steps)
        steps += _stream_steps(config, plan, identity, question)
        steps += _policy_steps(config, Proof.CERTIFICATE, question)
    return _explained(door, [*steps, *_rule_steps(config, subject, question, door)])


def explain_token(
    config: Config, token: str, verifier: TokenVerifier, question: Question, door: str
) -> Explained:
    """What the node would say to whoever shows a token at a door."""
    [plan] = [plan for plan in plans(config) if plan.name == door]
    steps = list(_door_steps(plan, question))
    if door == INGEST_TS:
        steps.append(Step("token", "no", "MPEG-TS carries no tokens"))
        return _explained(door, steps)
    if plan.client_auth == "required":
        steps.append(Step("certificate", "unknown", "this door demands one beside the token"))
    try:
        claims = verifier.read(token, question.now.timestamp())
    except RemoteError as error:
        steps.append(Step("token", "no", _spoken(error), error.code))
        return _explained(door, steps)
    purpose = f"{claims.verb} {claims.stream}" if claims.verb.needs_stream else str(claims.verb)
    until = datetime.datetime.fromtimestamp(claims.expires_unix, datetime.UTC)
    told = f"{claims.subject}, to {purpose}, until {_time(until)}, signed by this node"
    steps.append(Step("token", "yes", told))
    steps += _policy_steps(config, Proof.TOKEN, question)
    subject = Token(claims.subject, claims.stream, claims.verb)
    return _explained(door, [*steps, *_rule_steps(config, subject, question, door)])


def _door_steps(plan: Plan, question: Question) -> Iterator[Step]:
    if not plan.door.bind:
        yield Step("door", "no", f"{plan.name} is shut: its bind is empty")
    elif plan.kind == "tls_ingest" and question.verb is not Verb.PUBLISH:
        yield Step("door", "no", f"{plan.name} takes publishers by MPEG-TS and nothing else")
    elif plan.name == ORIGIN:
        told = "origin answers what viewers read, and nobody is proved there by a certificate"
        yield Step("door", "no", told)
    else:
        yield Step("door", "yes", f"{plan.name} at {', '.join(plan.door.bind)}")


def _proof_steps(
    config: Config,
    plan: Plan,
    presented: Presented,
    question: Question,
    authority: Authority | None,
) -> Iterator[Step]:
    from sealcast._core import judge_chain

    yield _validity(presented.leaf, question.now)
    where, bundle = _bundle(config, plan, question.now)
    try:
        code, told = judge_chain(presented.chain_pem, bundle)
    except Exception as error:
        refusal = native_refusal(error)
        if refusal is None:
            raise
        raise LocalError(refusal.code, f"The trust bundle {where}: {refusal.detail}.") from error
    if code is None:
        yield Step("chain", "yes", f"it leads to an authority that the door trusts: {where}")
    else:
        yield Step("chain", "no", told, code)
    yield _revocation(presented, authority)


def _validity(leaf: x509.Certificate, now: datetime.datetime) -> Step:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begin:
        told = f"not valid before {_time(begin)}"
        return Step("validity", "no", told, "TLS.CERTIFICATE_NOT_YET_VALID")
    if now > end:
        return Step("validity", "no", f"over since {_time(end)}", "TLS.CERTIFICATE_EXPIRED")
    return Step("validity", "yes", f"until {_time(end)}, {_left(end - now)} left")


def _check_root(
    config: Config, plan: Plan, presented: Presented, identity: Identity, now: datetime.datetime
) -> None:
    """As the node does where it has an authority of its own; IDENTITY.NOT_ALLOWED."""
    from sealcast._core import judge_chain

    own = open_authority(config)
    if own is not None:
        code, root = judge_chain(presented.chain_pem, _bundle(config, plan, now)[1])
        # A chain that does not hold has its own step.
        if code is None:
            check_root(identity, root, config.node.trust_domain, OwnRoots(own, now))


def _revocation(presented: Presented, authority: Authority | None) -> Step:
    if authority is None:
        return Step("revocation", "unknown", "no authority is at hand to ask")
    told = f"the authority of {authority.trust_domain}"
    revocations = Revocations(authority.store)
    try:
        revoked = {(row.authority_key, row.serial): row for row in revocations.poll() or ()}
    finally:
        revocations.close()
    # An issuing authority that was rolled out of use stands among them too.
    for certificate in x509.load_pem_x509_certificates(presented.chain_pem):
        row = revoked.get((_authority_key(certificate), f"{certificate.serial_number:x}"))
        if row is not None:
            at = datetime.datetime.fromtimestamp(row.at_unix, datetime.UTC)
            why = f"{told} revoked {row.name} at {_time(at)}: {row.reason}"
            return Step("revocation", "no", why, "IDENTITY.REVOKED")
    serial = f"{presented.leaf.serial_number:x}"
    if any(row.serial == serial for row in authority.store.issued()):
        return Step("revocation", "yes", f"{told} has not revoked it")
    return Step("revocation", "unknown", f"{told} did not issue it")


def _authority_key(certificate: x509.Certificate) -> str:
    """The subject key identifier of whoever issued it; empty if it does not say (RFC 5280
    §4.2.1.1)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    return (found.value.key_identifier or b"").hex()


def _stream_steps(
    config: Config, plan: Plan, identity: Identity, question: Question
) -> Iterator[Step]:
    if plan.kind != "tls_ingest":
        return
    subject = subject_of(identity, config.node.trust_domain)
    own = rulebook(config).own_stream(subject) if isinstance(subject, Certificate) else None
    if own is None:
        told = "MPEG-TS names no stream, and neither ingest.ts.streams nor its name says one"
        yield Step("stream", "no", told, "TS.UNKNOWN_IDENTITY")
    elif own != question.stream:
        told = f"by MPEG-TS it publishes {own}, by its name or ingest.ts.streams, and no other"
        yield Step("stream", "no", told, "IDENTITY.NOT_ALLOWED")
    else:
        yield Step("stream", "yes", f"by MPEG-TS it publishes {own}")


def _policy_steps(config: Config, proof: Proof, question: Question) -> Iterator[Step]:
    """Of publishing and watching; for administration it stands in the decision itself."""
    if question.verb is Verb.PUBLISH:
        role, name = Role.INGEST, config.policy.ingest
    elif question.verb is Verb.WATCH:
        role, name = Role.DELIVERY, config.policy.delivery
    else:
        return
    admitted = load(name).proofs(role)
    told = f"for {role}, {name} admits {' or '.join(admitted)}"
    if proof in admitted:
        yield Step("policy", "yes", told)
    else:
        yield Step("policy", "no", told, "POLICY.IDENTITY_REFUSED")


def _rule_steps(config: Config, subject: Subject, question: Question, door: str) -> Iterator[Step]:
    decision = decide(rulebook(config), Asked(subject, question.verb, door, question.stream))
    for reason in decision.reasons:
        yield Step(reason.about, "yes" if reason.holds else "no", reason.sentence)
    if decision.allowed:
        yield Step(_VERDICT, "yes", "the rules allow it")
    else:
        yield Step(_VERDICT, "no", decision.why or "nobody is proved", decision.code)


def _explained(door: str, steps: list[Step]) -> Explained:
    # Of the rules one is enough; the verdict says whether there was one.
    refused = any(step.answer == "no" and not step.about.startswith("rule ") for step in steps)
    return Explained(door, tuple(steps), not refused)


def _spoken(error: RemoteError) -> str:
    return " ".join(part for part in (error.row.sentence, error.detail) if part)


def _time(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def _left(rest: datetime.timedelta) -> str:
    hours = int(rest.total_seconds() // 3600)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h"
