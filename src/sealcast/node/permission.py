"""Who may do what, as the configuration says.

Does: turns a proved certificate or a bearer token into an identity that may publish, watch or
administer, or refuses with a code. Maps an encoder's certificate to its stream.

Does not: prove anything. A certificate was proved in the handshake, by BoringSSL; a token is
proved by `sealcast.identity.TokenVerifier`. What policy asks of the proof is `sealcast.policy`'s.
"""

from __future__ import annotations

from sealcast.errors import RemoteError
from sealcast.identity import TokenVerifier, Verb
from sealcast.identity.tokens import ANY_STREAM
from sealcast.keying.agreement import UNPROVED, Identity, Proof
from sealcast.node.config import Config, StreamRule
from sealcast.streams import check_stream_name
from sealcast.wire import PeerCertificate

ENCODER = "encoder/"
ADMIN = "admin/"
VIEWER = "viewer/"
_BY_TOKEN = "token"  # noqa: S105 - a word of the configuration
_NO_RULE = StreamRule()


def identity_of(peer: PeerCertificate | None) -> Identity:
    """The name that a verified certificate proves: its SPIFFE ID, else its subject."""
    if peer is None:
        return UNPROVED
    spiffe = next((uri for uri in peer.san_uris if uri.startswith("spiffe://")), None)
    return Identity(spiffe or peer.subject or f"serial {peer.serial}", Proof.CERTIFICATE)


class Permissions:
    """The rules of one configuration."""

    def __init__(self, config: Config, verifier: TokenVerifier) -> None:
        self._config = config
        self._verifier = verifier

    def is_public(self, stream: str) -> bool:
        """Whether anybody may watch."""
        return self._rule(stream).public

    def stream_of(self, identity: Identity) -> str:
        """The stream that an encoder's certificate publishes by MPEG-TS.

        TS.UNKNOWN_IDENTITY for a name that no row of the table and no default covers.
        """
        path = self._path(identity)
        named = None if path is None else self._config.ingest.ts.streams.get(path)
        if named is not None:
            return named
        if path is None or not path.startswith(ENCODER):
            raise RemoteError("TS.UNKNOWN_IDENTITY", f"It is {identity.name[:200]!r}.")
        return check_stream_name(path.removeprefix(ENCODER))

    def may_publish(self, stream: str, identity: Identity) -> Identity:
        """`identity` itself if its certificate may publish `stream`; IDENTITY.NOT_ALLOWED."""
        admitted = self._rule(stream).publishers
        if admitted:
            allowed = identity.name in admitted
        else:
            try:
                allowed = self.stream_of(identity) == stream
            except RemoteError:
                allowed = False
        if identity.proof is not Proof.CERTIFICATE or not allowed:
            raise RemoteError(
                "IDENTITY.NOT_ALLOWED", f"{identity.name!r} may not publish {stream!r}."
            )
        return identity

    def publisher(
        self, stream: str, token: str | None, peer: PeerCertificate | None, now: float
    ) -> Identity:
        """Who publishes: by token, else by certificate. TOKEN.* or IDENTITY.NOT_ALLOWED."""
        check_stream_name(stream)
        if token is not None or peer is None:
            claims = self._verifier.verify(token or "", stream, Verb.PUBLISH, now)
            admitted = self._rule(stream).publishers
            if admitted and _BY_TOKEN not in admitted:
                raise RemoteError(
                    "IDENTITY.NOT_ALLOWED", "This stream takes certificates only, no tokens."
                )
            return claims.identity
        return self.may_publish(stream, identity_of(peer))

    def viewer(
        self, stream: str, token: str | None, peer: PeerCertificate | None, now: float
    ) -> Identity:
        """Who watches. Of a public stream everybody, and then nobody is proved.

        A token that does not hold is refused even there: its holder would not learn otherwise.
        """
        check_stream_name(stream)
        if token is not None:
            return self._verifier.verify(token, stream, Verb.WATCH, now).identity
        identity = identity_of(peer)
        path = self._path(identity)
        if path is not None and path.startswith((VIEWER, ADMIN)):
            return identity
        if self.is_public(stream):
            return identity
        if identity.proved:
            raise RemoteError(
                "IDENTITY.NOT_ALLOWED", f"{identity.name!r} is not called viewer/NAME."
            )
        raise RemoteError("TOKEN.MISSING")

    def administrator(
        self, token: str | None, peer: PeerCertificate | None, now: float
    ) -> Identity:
        """Who administers: an admin token, or a certificate called admin/…."""
        if token is not None or peer is None:
            return self._verifier.verify(token or "", ANY_STREAM, Verb.ADMIN, now).identity
        identity = identity_of(peer)
        path = self._path(identity)
        if path is None or not path.startswith(ADMIN):
            raise RemoteError(
                "IDENTITY.NOT_ALLOWED", f"{identity.name!r} is not called admin/NAME."
            )
        return identity

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
            same = not known.proved or identity_of(peer) == known
        if not same:
            raise RemoteError("IDENTITY.NOT_ALLOWED", "The session was opened by somebody else.")

    def _rule(self, stream: str) -> StreamRule:
        return self._config.streams.get(stream, _NO_RULE)

    def _path(self, identity: Identity) -> str | None:
        """What follows the trust domain in a SPIFFE ID of ours."""
        prefix = f"spiffe://{self._config.node.trust_domain}/"
        if identity.proof is not Proof.CERTIFICATE or not identity.name.startswith(prefix):
            return None
        return identity.name.removeprefix(prefix)
