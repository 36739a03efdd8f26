"""Administration by password and code: logging in, logging out, who is logged in.

    POST /api/admin/login    {"account", "password", "code"} → a session in a cookie
    POST /api/admin/logout   ends it
    GET  /api/admin/session  who asks, by cookie, certificate or token

Does: holds logins up by `LoginPace`, computes one at a time, answers every refusal alike and at the
same time, whatever was wrong; writes into the log who came in and who left, and who knew a password
without its code. Requests with a cookie that change something must come from a page of this origin
(Fetch, `Origin`), beside what SameSite=Strict does.

Does not: check a password (`sealcast.identity.accounts`) or say what an administrator may do
(`sealcast.permission`).

Specs: RFC 6265bis §4.1.3.2 (`__Host-`), §5.2 (SameSite).
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Annotated, Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import RemoteError
from sealcast.identity.accounts import Accounts, LoggedIn, LoginRefused
from sealcast.node.admin_sessions import AdminSession, AdminSessions
from sealcast.node.api.body import read_body
from sealcast.node.api.cors import is_own_origin
from sealcast.node.api.front_only import facts_of
from sealcast.node.login_pace import LoginPace
from sealcast.node.tries import site_of
from sealcast.secret import Secret

COOKIE: Final = "__Host-sealcast-admin"
_BODY_BYTES: Final = 4096
_WAITING: Final = 8
"""Logins that wait for their turn; each is computed in a fraction of a second."""
_KEPT: Final = 4
"""More of them, for those whose account was entered from their address before: strangers from many
addresses fill the places above."""
ANSWERED_AFTER_S: Final = 1.0
"""A refusal is answered at a whole multiple of this after it was asked: that a transaction was
written, or that there is no such account, is not to be seen in the time."""
_TOLD_S: Final = 60.0
_FRESH: Final = {"cache-control": "no-store"}
_SAFE: Final = frozenset({"GET", "HEAD"})

_log = structlog.get_logger()


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    account: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]
    code: Annotated[str, msgspec.Meta(max_length=16)]


_DECODER: Final = msgspec.json.Decoder(_Login)


class TooManyLogins(RemoteError):  # noqa: N818 - named for what happened
    """ADMIN.TOO_MANY, with the seconds to wait."""

    def __init__(self, wait_s: int) -> None:
        super().__init__("ADMIN.TOO_MANY", f"The next one is taken in {wait_s} s.")
        self.retry_after_s = wait_s


class Logins:
    """Who may try, who got in, whose session a request has."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._pace = LoginPace()
        self._sessions = AdminSessions()
        self._one = asyncio.Lock()
        self._waiting = 0
        self._untold = 0
        self._told_at = -math.inf

    async def enter(self, asked: _Login, address: str, door: str) -> tuple[LoggedIn, str]:
        """Who it is, and a session's secret. ADMIN.REFUSED, ADMIN.TOO_MANY."""
        began = time.monotonic()
        account, place = asked.account.strip().lower(), site_of(address)
        wait = self._pace.attempt(account, address, began)
        places = _WAITING + (_KEPT if self._pace.knows(account, address, began) else 0)
        if wait == 0 and self._waiting >= places:
            wait = 2
        if wait:
            self._refused(began)
            raise TooManyLogins(wait)
        try:
            who = await self._in_turn(account, asked)
        except LoginRefused as error:
            if error.why.knew_the_password:
                # Never by chance: an administrator who mistyped, or somebody with her password.
                _log.warning(
                    "right password, no entry", account=account, address=place, why=str(error.why)
                )
            else:
                self._refused(began)
            gone = time.monotonic() - began
            await asyncio.sleep(math.ceil(gone / ANSWERED_AFTER_S) * ANSWERED_AFTER_S - gone)
            raise
        now = time.monotonic()
        self._pace.succeeded(account, address, now)
        _log.info("administrator came in", account=who.name, address=place, door=door)
        return who, self._sessions.open(who, door, now)

    async def _in_turn(self, account: str, asked: _Login) -> LoggedIn:
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(
                    self._accounts.log_in,
                    account,
                    Secret(asked.password),
                    asked.code.replace(" ", ""),
                    time.time(),
                )
        finally:
            self._waiting -= 1

    def leave(self, secret: str, address: str) -> None:
        session = self._sessions.close(secret)
        if session is not None:
            place = site_of(address)
            _log.info("administrator left", account=session.account, address=place)

    def of(self, request: Request) -> AdminSession | None:
        """The session of a request; None without a cookie.

        ADMIN.SESSION_OVER for a cookie of none; HTTP.FORBIDDEN_ORIGIN where something is changed by
        a page of another origin.
        """
        secret = request.cookies.get(COOKIE)
        if secret is None:
            return None
        if request.method not in _SAFE:
            check_origin(request)
        session = self._sessions.find(secret, facts_of(request).door, time.monotonic())
        if session is None:
            raise RemoteError("ADMIN.SESSION_OVER")
        if self._accounts.epoch(session.account) != session.epoch:
            self._sessions.close(secret)
            raise RemoteError("ADMIN.SESSION_OVER")
        return session

    def _refused(self, now: float) -> None:
        """In the log at most once a minute: anybody can make as many as they like."""
        self._untold += 1
        if now - self._told_at >= _TOLD_S:
            _log.info("logins refused", at_least=self._untold)
            self._untold, self._told_at = 0, now


def check_origin(request: Request) -> None:
    """HTTP.FORBIDDEN_ORIGIN unless a page of this origin asks. Every browser says so (Fetch)."""
    origin = request.headers.get("origin")
    if origin is None or not is_own_origin(request, origin):
        raise RemoteError("HTTP.FORBIDDEN_ORIGIN", f"It is {(origin or 'not said')[:100]!r}.")


class AdminApi:
    """The handlers."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    def routes(self) -> list[BaseRoute]:
        """Without `/api/admin/session`, which asks for any administrator (`state`)."""
        return [
            Route("/api/admin/login", self._login, methods=["POST"]),
            Route("/api/admin/logout", self._logout, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        # Before the body: a page of another origin could log its victim in as somebody else.
        check_origin(request)
        body = await read_body(request, "application/json", _BODY_BYTES)
        try:
            asked = _DECODER.decode(body)
        except msgspec.MsgspecError as error:
            # What the parser says could hold what was typed.
            raise RemoteError("HTTP.MALFORMED", "It takes account, password and code.") from error
        facts = facts_of(request)
        who, secret = await self._logins.enter(asked, facts.peer, facts.door)
        response = JSONResponse({"account": who.name}, headers=_FRESH)
        response.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="strict")
        return response

    async def _logout(self, request: Request) -> Response:
        check_origin(request)
        secret = request.cookies.get(COOKIE)
        if secret is not None:
            self._logins.leave(secret, facts_of(request).peer)
        response = Response(status_code=204, headers=_FRESH)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response
