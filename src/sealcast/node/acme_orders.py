"""One order at an ACME authority, from the account to the certificate (RFC 8555 §7).

Does: orders, answers the challenges, finalizes with a fresh key, and asks when to renew (ARI, RFC
9773); an order says which certificate it replaces. Refused nonces are tried again.

Does not: decide when to order (`sealcast.node.acme`), make accounts (`acme_account`), or keep the
certificate.

Every call blocks on the network, up to `PATIENCE`. Failures are `RemoteError`s: ACME.UNREACHABLE,
ACME.REFUSED, ACME.CHALLENGE_FAILED, ACME.RATE_LIMITED, ACME.BINDING; and `LocalError`s: ACME.TERMS,
IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED.

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
from josepy.json_util import field as json_field
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from sealcast.errors import LocalError, RemoteError
from sealcast.node.acme import RateLimited
from sealcast.node.acme_account import Binding, enter
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
    no public authority; `binding` is for one that wants its customers' accounts bound.
    """

    url: str
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    trust: str = ""
    binding: Binding | None = None


class Orders:
    """Orders at one directory. For one thread at a time."""

    def __init__(self, directory: Directory, store: AcmeStore, answers: Answers) -> None:
        self._directory, self._store, self._answers = directory, store, answers
        self._client: client.ClientV2 | None = None
        self._retry_after: str | None = None

    def order(self, names: Sequence[str], replaces: bytes | None = None) -> KeyPair:
        """A certificate for these host names, with a key that nobody had before. `replaces` is the
        chain (PEM) of the one whose place it takes: an authority that suggests times to renew
        (ARI) does not count such an order against its limits (RFC 9773 §5).
        """
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
            order = self._new_order(acme, request.public_bytes(Encoding.PEM), replaces)
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

    def _new_order(
        self, acme: client.ClientV2, request_pem: bytes, replaces: bytes | None
    ) -> messages.OrderResource:
        net = acme.net
        name = None if replaces is None else certificate_id(replaces)
        if name is not None and isinstance(net, _Patient) and _suggests_times(acme):
            net.replaces = name
            try:
                return acme.new_order(request_pem)
            except errors.ConflictError:
                pass  # It was replaced already (409); this is an order all the same.
            except messages.Error as error:
                if error.code == "rateLimited":
                    raise
                # It is another account's, or forgotten.
            finally:
                net.replaces = None
        return acme.new_order(request_pem)

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
        enter(acme, net, key, self._directory.contact, self._directory.binding)
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


class _Replacement(messages.NewOrder):
    """An order that says which certificate it replaces; the library's has no such field."""

    replaces: str = json_field("replaces")


class _Patient(client.ClientNetwork):
    """The library tries a refused nonce once more; an authority of many machines may refuse some in
    a row (RFC 8555 §6.5).
    """

    replaces: str | None = None
    """The identifier of the certificate that the next order replaces."""

    def post(self, url: str, obj: Any, *words: Any, **more: Any) -> requests.Response:
        if self.replaces is not None and isinstance(obj, messages.NewOrder):
            obj = _Replacement(**dict(obj), replaces=self.replaces)
        for _ in range(_NONCES):
            try:
                return super().post(url, obj, *words, **more)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(url, obj, *words, **more)


def _suggests_times(acme: client.ClientV2) -> bool:
    """Whether the authority knows of replacements: "Clients SHOULD NOT include this field" where no
    renewalInfo is advertised (RFC 9773 §5).
    """
    try:
        return bool(acme.directory["renewalInfo"])
    except KeyError:
        return False


def certificate_id(chain_pem: bytes) -> str | None:
    """What a certificate is called to its authority (RFC 9773 §4.1): its issuer's key identifier
    and its serial as DER has it, in base64url. None for one whose issuer is not named by its key.
    """
    try:
        leaf = x509.load_pem_x509_certificate(chain_pem)
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    if issuer.key_identifier is None:
        return None
    serial = leaf.serial_number
    # An INTEGER is signed: one whose first bit is set has a zero octet before it.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return ".".join(b64encode(part).decode() for part in (issuer.key_identifier, octets))


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
