"""Who may do what, as the configuration says.

Does: makes the rules of a configuration into one rulebook, turns what came with a request (a proved
certificate, a token, an administrator's session) into a subject, and asks `sealcast.permission`.
Maps an encoder's certificate to its stream.

Does not: decide (`sealcast.permission.decide` does, for `sealcast identity explain` too), or prove
anything. A certificate was proved in the handshake, by BoringSSL; a token is proved by
`sealcast.identity.TokenVerifier`. What policy asks of the proof is `sealcast.policy`'s.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from sealcast.errors import RemoteError
from sealcast.identity import TokenVerifier, Verb
from sealcast.identity.names import SCHEME
from sealcast.keying.agreement import Identity, Proof
from sealcast.node.config import Config
from sealcast.permission import (
    Account,
    Asked,
    Certificate,
    Decision,
    Rulebook,
    Subject,
    Token,
    decide,
    identity_of,
    subject_of,
)
from sealcast.policy import Role, load
from sealcast.streams import check_stream_name
from sealcast.wire import PeerCertificate

__all__ = ["Permissions", "check_root", "identity_of", "rulebook"]


def rulebook(config: Config) -> Rulebook:
    """The rules of a configuration."""
    return Rulebook.of(
        config.permissions,
        config.node.trust_domain,
        own_streams=config.ingest.ts.streams,
        public=[name for name, rule in config.streams.items() if rule.public],
        publishers={name: rule.publishers for name, rule in config.streams.items()},
        admin_proofs=load(config.policy.admin).proofs(Role.ADMIN),
    )


_ROLES: Final = {
    Verb.PUBLISH: Role.INGEST,
    Verb.WATCH: Role.DELIVERY,
    Verb.ADMIN: Role.ADMIN,
}


def check_root(
    identity: Identity, root_sha256: str, trust_domain: str, own_roots: Container[str]
) -> None:
    """Whether who gave a name might give it: a SPIFFE ID is believed below the roots of its own
    trust domain (SPIFFE Trust Domain and Bundle §4). IDENTITY.NOT_ALLOWED otherwise.
    """
    if identity.name.startswith(f"{SCHEME}{trust_domain}/") and root_sha256 not in own_roots:
        raise RemoteError(
            "IDENTITY.NOT_ALLOWED",
            f"{identity.name[:200]!r} was not issued by the authority of {trust_domain}.",
        )


_NODE: Final = "node"


class Permissions:
    """The rules of one configuration."""

    def __init__(
        self, config: Config, verifier: TokenVerifier, own_roots: Container[str] | None = None
    ) -> None:
        """`own_roots` are the SHA-256 of the roots below which names of our own trust domain are
        believed; None: below any that a door trusts, as with the throw-away authority.
        """
        self._book = rulebook(config)
        self._verifier = verifier
        self._own_roots = own_roots

    def identity_of(self, peer: PeerCertificate | None) -> Identity:
        """The name that a verified certificate proves here; IDENTITY.NOT_ALLOWED for a name of our
        trust domain that another authority gave, which a door trusts for names of its own.
        """
        identity = identity_of(peer)
        if peer is not None and self._own_roots is not None:
            check_root(identity, peer.root_sha256, self._book.trust_domain, self._own_roots)
        return identity

    def is_public(self, stream: str) -> bool:
        """Whether anybody may watch."""
        return stream in self._book.public

    def stream_of(self, identity: Identity) -> str:
        """The stream that an encoder's certificate publishes by MPEG-TS.

        TS.UNKNOWN_IDENTITY for a name that no row of the table and no default covers.
        """
        stream = self._book.own_stream(subject_of(identity, self._book.trust_domain))
        if stream is None:
            raise RemoteError("TS.UNKNOWN_IDENTITY", f"It is {identity.name[:200]!r}.")
        return check_stream_name(stream)

    def roles(self, identity: Identity) -> frozenset[Role] | None:
        """What a certificate is good for at most, for `Channel.roles`; None without one."""
        subject = subject_of(identity, self._book.trust_domain)
        if not isinstance(subject, Certificate):
            return None
        roles = frozenset(_ROLES[verb] for verb in subject.ceiling if verb in _ROLES)
        # What a node watches it hands on: a leg of a role of its own, by a policy of its own.
        return frozenset({Role.NODE}) if self.is_node(identity) and roles else roles

    def is_node(self, identity: Identity) -> bool:
        """Whether a certificate is another node's, by its profile."""
        subject = subject_of(identity, self._book.trust_domain)
        return isinstance(subject, Certificate) and subject.profile == _NODE

    def may_publish(self, stream: str, identity: Identity, door: str) -> Identity:
        """`identity` itself if its certificate may publish `stream`; IDENTITY.NOT_ALLOWED."""
        return self._certified(identity, Verb.PUBLISH, door, stream)

    def publisher(
        self, stream: str, token: str | None, peer: PeerCertificate | None, door: str, now: float
    ) -> Identity:
        """Who publishes: by token, else by certificate. TOKEN.* or IDENTITY.NOT_ALLOWED."""
        check_stream_name(stream)
        if token is not None or peer is None:
            return self._tokened(token or "", Verb.PUBLISH, door, now, stream)
        return self._certified(self.identity_of(peer), Verb.PUBLISH, door, stream)

    def viewer(
        self, stream: str, token: str | None, peer: PeerCertificate | None, door: str, now: float
    ) -> Identity:
        """Who watches. Of a public stream everybody, and then nobody is proved.

        A token that does not hold is refused even there: its holder would not learn otherwise.
        """
        check_stream_name(stream)
        if token is not None:
            return self._tokened(token, Verb.WATCH, door, now, stream)
        return self._certified(self.identity_of(peer), Verb.WATCH, door, stream)

    def administrator(
        self,
        token: str | None,
        peer: PeerCertificate | None,
        door: str,
        now: float,
        *,
        account: str | None = None,
        verb: Verb = Verb.ADMIN,
    ) -> Identity:
        """Who administers (or, with `verb`, reads the counters): by token, by certificate, or by an
        account whose session was proved.
        """
        if token is None and account is not None:
            self._ask(Account(account), verb, door).require()
            return Identity(f"account/{account}", Proof.PASSWORD)
        if token is not None or peer is None:
            return self._tokened(token or "", verb, door, now)
        return self._certified(self.identity_of(peer), verb, door)

    def same_caller(
        self,
        known: Identity,
        stream: str,
        verb: Verb,
        *,
        token: str | None,
        peer: PeerCertificate | None,
        since: float,
        now: float,
    ) -> None:
        """Whether a request on a session comes from who opened it.

        A token that has expired since then still changes and ends what it opened: it opens nothing
        new, and a viewer could not leave otherwise. A session that nobody was proved for is held
        by its address alone, which cannot be guessed.
        """
        if known.proof is Proof.TOKEN:
            try:
                claims = self._verifier.verify(token or "", stream, verb, now)
            except RemoteError as error:
                if error.code != "TOKEN.EXPIRED":
                    raise
                claims = self._verifier.verify(token or "", stream, verb, since)
            same = claims.identity == known
        else:
            same = not known.proved or self.identity_of(peer) == known
        if not same:
            raise RemoteError("IDENTITY.NOT_ALLOWED", "The session was opened by somebody else.")

    def _tokened(self, token: str, verb: Verb, door: str, now: float, stream: str = "") -> Identity:
        claims = self._verifier.read(token, now)
        subject = Token(claims.subject, claims.stream, claims.verb)
        self._ask(subject, verb, door, stream).require()
        return claims.identity

    def _certified(self, identity: Identity, verb: Verb, door: str, stream: str = "") -> Identity:
        subject = subject_of(identity, self._book.trust_domain)
        self._ask(subject, verb, door, stream).require()
        return identity

    def _ask(self, subject: Subject, verb: Verb, door: str, stream: str = "") -> Decision:
        return decide(self._book, Asked(subject, verb, door, stream))
