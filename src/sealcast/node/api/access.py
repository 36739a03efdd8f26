"""Who sends a request, from its bearer token, its connection or an administrator's session."""

from __future__ import annotations

import time

from starlette.requests import Request

from sealcast.errors import RemoteError
from sealcast.identity import Verb
from sealcast.keying.agreement import Identity, Proof
from sealcast.node.api.admin import Logins
from sealcast.node.api.front_only import facts_of
from sealcast.node.permission import Permissions
from sealcast.node.sessions import Caller, Held
from sealcast.policy import Role


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer` (RFC 6750 §2.1), None without one.

    A token in the address is not looked for: addresses end up in logs.
    """
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RemoteError("TOKEN.MALFORMED", "The header is not: Authorization: Bearer TOKEN.")
    return token.strip()


class Access:
    """Asks the node's permissions on behalf of a request."""

    def __init__(self, permissions: Permissions, logins: Logins) -> None:
        self._permissions = permissions
        self._logins = logins

    def publisher(self, request: Request, stream: str) -> Caller:
        """Who publishes."""
        facts = facts_of(request)
        who = self._permissions.publisher(
            stream, bearer(request), facts.facts.peer, facts.door, time.time()
        )
        return _caller(request, who, self._permissions.roles(who))

    def viewer(self, request: Request, stream: str) -> Caller:
        """Who watches; of a public stream perhaps nobody who is known."""
        facts = facts_of(request)
        who = self._permissions.viewer(
            stream, bearer(request), facts.facts.peer, facts.door, time.time()
        )
        public = self._permissions.is_public(stream)
        role = Role.NODE if self._permissions.is_node(who) else Role.DELIVERY
        roles = self._permissions.roles(who)
        return _caller(request, who, roles, public=public, role=role)

    def administrator(self, request: Request) -> Identity:
        """Who administers."""
        return self._node(request, Verb.ADMIN)

    def monitor(self, request: Request) -> Identity:
        """Who reads the counters."""
        return self._node(request, Verb.METRICS)

    def _node(self, request: Request, verb: Verb) -> Identity:
        facts, token, account = facts_of(request), bearer(request), None
        if token is None and facts.facts.peer is None:
            session = self._logins.of(request)
            account = None if session is None else session.account
        return self._permissions.administrator(
            token, facts.facts.peer, facts.door, time.time(), account=account, verb=verb
        )

    def holder(self, request: Request, session: Held) -> None:
        """Whether the request comes from who opened the session."""
        self._permissions.same_caller(
            session.identity,
            session.stream,
            session.verb,
            token=bearer(request),
            peer=facts_of(request).facts.peer,
            since=session.created_unix,
            now=time.time(),
        )


def _caller(
    request: Request,
    identity: Identity,
    roles: frozenset[Role] | None,
    *,
    public: bool = False,
    role: Role = Role.INGEST,
) -> Caller:
    facts = facts_of(request)
    return Caller(
        identity=identity,
        tls_version=facts.facts.version or None,
        address=facts.peer,
        public=public,
        certificate=facts.facts.peer if identity.proof is Proof.CERTIFICATE else None,
        roles=roles,
        door=facts.door,
        role=role,
    )
