"""Certificates over HTTP: the authority's roots, enrolment, renewal.

Does: hands out the roots and what was revoked; gives a certificate for a signing request with a
one-time token (any door), or for one that comes over mutual TLS from whoever holds the certificate
before (`secure`); says when to renew. Bodies are bounded, refusals counted by address and
certificate, and the store and the keys are worked in threads, a few at a time. What everybody may
ask is answered from memory, behind one thread of its own: however many ask, who renews finds the
others free.

Does not: believe what a request says of itself. Who renews is what the front says of the
connection. What enrols is what the token was made for.

The request is one PEM block (PKCS#10), the answer a chain without the root, so that ``openssl`` and
``curl`` are enough:

    curl --cacert authority.pem -H 'content-type: application/x-pem-file'
         -H "authorization: Bearer $TOKEN" --data-binary @venue-1.csr https://NODE/identity/enrol

Specs: RFC 2986 (PKCS#10), RFC 8555 §9.1 (the chain's media type), RFC 2585 §4.2 (the list's),
RFC 9773 §4.1, §4.2 (renewal information), RFC 6750 (the token).
"""

from __future__ import annotations

import asyncio
import datetime
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sealcast.errors import RemoteError, SealcastError
from sealcast.identity.authority import Authority
from sealcast.identity.enrolling import enrol_with_token
from sealcast.identity.issued import Certified
from sealcast.identity.published import Published, Words
from sealcast.identity.renewing import Presented
from sealcast.identity.requests import LONGEST_REQUEST
from sealcast.node import limits
from sealcast.node.api.access import bearer
from sealcast.node.api.body import read_body
from sealcast.node.api.front_only import facts_of
from sealcast.node.tries import Tries, site_of

PEM_TYPE: Final = "application/x-pem-file"
CHAIN_TYPE: Final = "application/pem-certificate-chain"
CRL_TYPE: Final = "application/pkix-crl"
_FRESH: Final = {"cache-control": "no-store"}

T = TypeVar("T")


class IdentityApi:
    """The handlers, with what they need. `secure_port` is where renewals come in, if it is known
    beforehand; `now` is the authority's clock.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        secure_port: int | None = None,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._authority = authority
        self._secure_port = secure_port
        self._now = now
        self._tries = Tries(
            burst=limits.TRIES_BURST, per_minute=limits.TRIES_A_MINUTE, most=limits.TRIES_KEPT
        )
        self._renewed = Tries(
            burst=limits.RENEWALS_BURST, per_minute=limits.RENEWALS_A_MINUTE, most=limits.TRIES_KEPT
        )
        self._public = _FromMemory(Published(authority))
        self._at_work = asyncio.Semaphore(limits.AUTHORITY_THREADS)
        self._waiting = 0

    def routes(self) -> list[BaseRoute]:
        """`/identity`, `/identity/authority.pem`, `/identity/crl/ISSUER.crl`, `/identity/enrol`,
        `/identity/renew`, `/identity/renewal`.
        """
        return [
            Route("/identity", self._directory, methods=["GET"]),
            Route("/identity/authority.pem", self._root, methods=["GET"]),
            Route("/identity/crl/{issuer}.crl", self._crl, methods=["GET"]),
            Route("/identity/enrol", self._enrol, methods=["POST"]),
            Route("/identity/renew", self._renew, methods=["POST"]),
            Route("/identity/renewal", self._renewal, methods=["GET"]),
        ]

    async def _directory(self, request: Request) -> Response:
        """Where everything is. The host is the one that was asked: whoever asks has proved it."""
        found = {
            "trust_domain": self._authority.trust_domain,
            "authority": "/identity/authority.pem",
            "enrol": "/identity/enrol",
        }
        host = request.url.hostname
        if self._secure_port is not None and host:
            shown = f"[{host}]" if ":" in host else host
            found["secure"] = f"https://{shown}:{self._secure_port}"
        return JSONResponse(found, headers=_FRESH)

    async def _root(self, _request: Request) -> Response:
        """What to trust: one root, or two while it is being rolled. Of a node that is not proved
        yet it must be compared with a fingerprint that came another way.
        """
        words = await self._public.words(self._now())
        return Response(words.bundle_pem, media_type=PEM_TYPE, headers=_FRESH)

    async def _crl(self, request: Request) -> Response:
        """What an authority has revoked, for those who cannot ask the node (RFC 5280 §5). The
        issuer is a serial, or `client`, `server` or `root`.
        """
        words = await self._public.words(self._now())
        der = words.list_of(request.path_params["issuer"])
        return Response(der, media_type=CRL_TYPE, headers=_FRESH)

    async def _enrol(self, request: Request) -> Response:
        site = site_of(facts_of(request).peer)
        self._tries.check(site, time.monotonic())
        try:
            token = bearer(request)
            if token is None:
                raise RemoteError("TOKEN.MISSING", "It is one of `sealcast identity token`.")
            asked = await read_body(request, PEM_TYPE, LONGEST_REQUEST)
            query = request.query_params
            done = await self._in_thread(
                lambda: enrol_with_token(
                    self._authority,
                    asked,
                    token,
                    self._now(),
                    who=site,
                    name=query.get("name"),
                    profile=query.get("profile"),
                )
            )
        except SealcastError as refusal:
            if refusal.http_status < 500:
                self._tries.refused(site, time.monotonic())
            raise
        return _certified(done)

    async def _renew(self, request: Request) -> Response:
        presented = _presented(request)
        # Not only refusals count: one certificate could else fill the store with its successors.
        self._renewed.check(presented.key, time.monotonic())
        self._renewed.refused(presented.key, time.monotonic())
        asked, serial = await read_body(request, PEM_TYPE, LONGEST_REQUEST), _serial(request)
        who = f"renewal of {serial or presented.key}"
        return _certified(
            await self._in_thread(
                lambda: self._authority.renew(asked, presented, self._now(), who=who, serial=serial)
            )
        )

    async def _renewal(self, request: Request) -> Response:
        presented = _presented(request)
        serial = _serial(request)
        window = await self._in_thread(
            lambda: self._authority.renewal_window(presented, self._now(), serial)
        )
        told = {
            "suggestedWindow": {
                "start": f"{window.begins:%Y-%m-%dT%H:%M:%SZ}",
                "end": f"{window.ends:%Y-%m-%dT%H:%M:%SZ}",
            }
        }
        # RFC 9773 §4.3: how long to wait before the next question.
        life = (window.ends - self._now()).total_seconds()
        again = min(limits.RENEWAL_AGAIN_S, max(1, int(life / 4)))
        return JSONResponse(told, headers={**_FRESH, "retry-after": str(again)})

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """The store waits for the disk and for other processes: not in the event loop."""
        if self._waiting >= limits.AUTHORITY_QUEUE:
            raise RemoteError("HTTP.TOO_MANY", "The authority has as many requests as it takes.")
        self._waiting += 1
        try:
            async with self._at_work:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


class _FromMemory:
    """What the authority tells everybody; looked at by one thread, for all who ask together."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._thread = ThreadPoolExecutor(1, "published")
        self._look: asyncio.Future[Words] | None = None
        self._last: Words | None = None

    async def words(self, now: datetime.datetime) -> Words:
        """As of now; as of before where a look takes long or fails. IDENTITY.STORE_* if there is
        nothing yet.
        """
        if self._look is None or self._look.done():
            loop = asyncio.get_running_loop()
            self._look = loop.run_in_executor(self._thread, self._published.look, now)
        look = self._look
        if self._last is not None:
            await asyncio.wait({look}, timeout=limits.PUBLISHED_S)
            if not look.done():
                return self._last
        try:
            # Not cancelled with one of those who wait for it.
            self._last = await asyncio.shield(look)
        except SealcastError:
            if self._last is None:
                raise
        return self._last


def _presented(request: Request) -> Presented:
    """The certificate of the connection, proved in its handshake."""
    peer = facts_of(request).facts.peer
    if peer is None:
        raise RemoteError("IDENTITY.RENEW_NO_CERTIFICATE")
    return Presented(peer.serial, peer.sha256)


def _serial(request: Request) -> str | None:
    """Of another certificate of the same holder, as the store writes it."""
    given = request.query_params.get("serial")
    if given is None:
        return None
    if not re.fullmatch(r"[0-9A-Fa-f]{1,40}", given):
        raise RemoteError("HTTP.MALFORMED", "serial is 1 to 40 hexadecimal digits.")
    return given.lower().lstrip("0")


def _certified(done: Certified) -> Response:
    return Response(done.chain_pem, status_code=201, media_type=CHAIN_TYPE, headers=_FRESH)
