"""One order at an ACME authority, from the account to the certificate (RFC 8555 §7).

Does: registers the account once, orders, answers the challenges, finalizes with a fresh key, and
asks when to renew (ARI, RFC 9773). Refused nonces are tried again.

Does not: decide when to order (`sealcast.node.acme`), or keep the certificate.

Every call blocks on the network, up to `PATIENCE`. Failures are `RemoteError`s: ACME.UNREACHABLE,
ACME.REFUSED, ACME.CHALLENGE_FAILED, ACME.RATE_LIMITED; and the LocalError ACME.TERMS.

Specs: RFC 8555, RFC 8737, RFC 9773. The protocol itself is certbot's `acme`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.b64 import b64encode
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from sealcast.errors import LocalError, RemoteError
from sealcast.node.acme import RateLimited
from sealcast.node.acme_answers import Answers
from sealcast.node.acme_store import AcmeStore, made_key
from sealcast.node.state_folder import KeyPair

PATIENCE: Final = datetime.timedelta(seconds=120)
"""How long an authority may take over one order."""
_ANSWER_S: Final = 20
_NONCES: Final = 3
_USER_AGENT: Final = "sealcast"
_MOST_WORDS: Final = 400
"""An authority's explanation is told up to here."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Which authority, and as whom. `trust` is a PEM file for one whose own HTTPS certificate is of
    no public authority.
    """

    url: str
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    trust: str = ""


class Orders:
    """Orders at one directory. For one thread at a time."""

    def __init__(self, directory: Directory, store: AcmeStore, answers: Answers) -> None:
        self._directory, self._store, self._answers = directory, store, answers
        self._client: client.ClientV2 | None = None
        self._retry_after: str | None = None

    def order(self, names: Sequence[str]) -> KeyPair:
        """A certificate for these host names, with a key that nobody had before."""
        with self._explained():
            acme = self._connected()
            key, key_pem = made_key()
            request = (
                x509.CertificateSigningRequestBuilder()
                .subject_name(x509.Name([]))
                .add_extension(
                    x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
                    critical=False,
                )
                .sign(key, hashes.SHA256())
            )
            order = acme.new_order(request.public_bytes(Encoding.PEM))
            # The library compares with a naive local time.
            deadline = datetime.datetime.now() + PATIENCE
            with self._answering(acme, order):
                order = acme.poll_authorizations(order, deadline)
            done = acme.finalize_order(order, deadline)
            return KeyPair(done.fullchain_pem.encode(), key_pem)

    def renewal(self, chain_pem: bytes) -> tuple[datetime.datetime | None, datetime.datetime]:
        """When the authority suggests to renew (RFC 9773 §4.2; None if it has no opinion), and when
        to ask again.
        """
        with self._explained():
            suggested, again = self._connected().renewal_time(chain_pem)
        utc = datetime.UTC
        return (None if suggested is None else suggested.astimezone(utc)), again.astimezone(utc)

    @contextmanager
    def _answering(self, acme: client.ClientV2, order: messages.OrderResource) -> Iterator[None]:
        """Every question of an order is answered while this lasts (RFC 8555 §7.5.1)."""
        kind = self._answers.kind
        opened: list[tuple[str, str]] = []
        try:
            for question in order.authorizations:
                body = question.body
                if body.status == messages.STATUS_VALID:
                    continue
                name = body.identifier.value
                # As JSON, since the library no longer knows tls-alpn-01 as a type of its own.
                offered = {one.chall.to_partial_json()["type"]: one for one in body.challenges}
                if kind not in offered:
                    raise RemoteError("ACME.REFUSED", f"It does not offer {kind} for {name}.")
                token = offered[kind].chall.to_partial_json()["token"]
                # RFC 8555 §8.1.
                authorization = f"{token}.{self._thumbprint()}"
                self._answers.open(name, token, authorization)
                opened.append((name, token))
                # An empty object for either kind (§8.3, RFC 8737 §3).
                acme.answer_challenge(
                    offered[kind], challenges.HTTP01Response(key_authorization=authorization)
                )
            yield
        finally:
            for name, token in opened:
                self._answers.close(name, token)

    def _thumbprint(self) -> str:
        key = JWKEC(key=self._store.account_key())
        return b64encode(key.public_key().thumbprint(hashes.SHA256)).decode()

    def _connected(self) -> client.ClientV2:
        if self._client is not None:
            return self._client
        if not self._directory.terms_agreed:
            raise LocalError("ACME.TERMS", f"For {self._directory.url}.")
        key = JWKEC(key=self._store.account_key())
        net = _Patient(key, alg=ES256, user_agent=_USER_AGENT, timeout=_ANSWER_S)
        if self._directory.trust:
            # What `requests` takes for a bundle of its own; the library only hands it on.
            net.verify_ssl = self._directory.trust  # type: ignore[assignment]
        net.session.hooks["response"].append(self._heard)
        acme = client.ClientV2(client.ClientV2.get_directory(self._directory.url, net), net)
        registration = messages.NewRegistration(
            contact=self._directory.contact, terms_of_service_agreed=True
        )
        try:
            acme.new_account(registration)
        except errors.ConflictError as known:
            # The account exists: its key says so, and it tells us its address.
            net.account = messages.RegistrationResource(
                body=messages.Registration(), uri=known.location
            )
        self._client = acme
        return acme

    def _heard(self, response: requests.Response, *_args: Any, **_more: Any) -> None:
        self._retry_after = response.headers.get("Retry-After")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The library's errors as ours, each in one sentence."""
        try:
            yield
        except errors.ValidationError as error:
            raise RemoteError("ACME.CHALLENGE_FAILED", _why_invalid(error)) from error
        except errors.IssuanceError as error:
            raise RemoteError("ACME.REFUSED", _plain(error.error)) from error
        except messages.Error as error:
            if error.code == "accountDoesNotExist":
                # It was forgotten at the other end; the next order registers anew.
                self._client = None
            if error.code == "rateLimited":
                raise RateLimited(_plain(error), _span(self._retry_after)) from error
            raise RemoteError("ACME.REFUSED", _plain(error)) from error
        except errors.TimeoutError as error:
            raise RemoteError(
                "ACME.REFUSED", f"It came to no end within {PATIENCE.seconds} seconds."
            ) from error
        except (requests.RequestException, errors.Error, errors.ARIError, ValueError) as error:
            self._client = None
            cause = error.__cause__ if isinstance(error, errors.ARIError) else error
            raise RemoteError("ACME.UNREACHABLE", _clean(str(cause))) from error


class _Patient(client.ClientNetwork):
    """The library tries a refused nonce once more; an authority of many machines may refuse some in
    a row (RFC 8555 §6.5).
    """

    def post(self, *words: Any, **more: Any) -> requests.Response:
        for _ in range(_NONCES):
            try:
                return super().post(*words, **more)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*words, **more)


def _why_invalid(error: errors.ValidationError) -> str:
    reasons = [
        f"{authorization.body.identifier.value}: {_plain(challenge.error)}"
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]
    return "; ".join(reasons)


def _plain(error: messages.Error) -> str:
    said = [error.detail or error.description or error.typ]
    said += [
        f"{problem.identifier.value if problem.identifier else '?'}: {problem.detail}"
        for problem in error.subproblems or ()
    ]
    return _clean("; ".join(filter(None, said)))


def _clean(text: str) -> str:
    """One line without control characters, of bounded length: others wrote it."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= _MOST_WORDS else line[: _MOST_WORDS - 1] + "…"


def _span(retry_after: str | None) -> datetime.timedelta | None:
    if retry_after is None or not retry_after.isdecimal():
        return None
    return datetime.timedelta(seconds=min(int(retry_after), 7 * 86_400))
