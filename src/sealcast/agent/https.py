"""Requests to a node: one at a time, TLS proved, bounded, with every failure in our words.

Does: HTTPS by the standard library. Redirects are not followed: a token would go to another host.

Does not: use the machine's own trust store, or a proxy of the environment: a node is trusted by its
authority alone.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from sealcast.agent.by_token import ByToken, TokenConnection, told
from sealcast.errors import LocalError, RemoteError
from sealcast.tls import TlsError

TIMEOUT_S: Final = 10.0
"""For each step of a request: connecting, the handshake, a piece of the answer."""
ANSWER_BYTES: Final = 64 * 1024

# X509_V_ERR_*: openssl/x509_vfy.h.
_OTHER_NAME: Final = (62, 64)
_ALERTS: Final = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "IDENTITY.RENEW_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "IDENTITY.RENEW_REVOKED",
    "SSLV3_ALERT_BAD_CERTIFICATE": "AGENT.CERTIFICATE_REFUSED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "AGENT.CERTIFICATE_REFUSED",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "AGENT.CERTIFICATE_REFUSED",
    "TLSV1_ALERT_UNKNOWN_CA": "AGENT.CERTIFICATE_REFUSED",
    "TLSV1_ALERT_ACCESS_DENIED": "AGENT.CERTIFICATE_REFUSED",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "AGENT.CERTIFICATE_REFUSED",
}
"""By the alert's name in OpenSSL: what the node says of our certificate."""


@dataclass(frozen=True, slots=True)
class Address:
    """A node's door: `https://HOST[:PORT]`."""

    host: str
    port: int

    @staticmethod
    def of(url: str) -> Address:
        """CLIENT.BAD_ADDRESS for anything else."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
            parts = urlsplit("")
        beyond = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if parts.scheme != "https" or not host or beyond:
            raise LocalError("CLIENT.BAD_ADDRESS", f"{url[:200]!r} is not https://HOST:PORT.")
        return Address(host, port or 443)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Proving = ssl.SSLContext | ByToken


def proving(roots_pem: bytes, client: tuple[Path, Path] | None = None) -> Proving:
    """What takes only nodes of these authorities, and shows `client` (chain, key).

    IDENTITY.CERTIFICATE_MALFORMED; of a key in a token its refusals.
    """
    if client is not None and (by_token := ByToken.of(roots_pem, *client)) is not None:
        return by_token
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
        if client is not None:
            context.load_cert_chain(*client)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise LocalError(
            "IDENTITY.CERTIFICATE_MALFORMED", f"{type(error).__name__} while reading the files."
        ) from error
    return context


def ask(
    address: Address,
    context: Proving,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own, and its answer if that is a success.

    The node's own code when it refuses; AGENT.NODE_UNPROVED, CLIENT.UNREACHABLE, CLIENT.BAD_ANSWER;
    and IDENTITY.RENEW_EXPIRED, IDENTITY.RENEW_REVOKED or AGENT.CERTIFICATE_REFUSED when the node's
    alert says that of our certificate.
    """
    with closing(_connection(address, context)) as connection:
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            with connection.getresponse() as response:
                content = response.read(ANSWER_BYTES + 1)
        except TlsError as error:
            raise told(error, address) from error
        except ssl.SSLCertVerificationError as error:
            raise LocalError("AGENT.NODE_UNPROVED", _why(error, address)) from error
        except ssl.SSLError as error:
            reason = str(error.reason)
            # An alert in an answer to our certificate comes after the handshake (RFC 8446 §4.4.2).
            if (code := _ALERTS.get(reason)) is not None:
                raise RemoteError(code, f"{address} says so.") from error
            raise LocalError("CLIENT.UNREACHABLE", f"{address}: TLS failed: {reason}.") from error
        except OSError as error:
            words = error.strerror or str(error) or type(error).__name__
            raise LocalError("CLIENT.UNREACHABLE", f"{address}: {words}.") from error
        except http.client.HTTPException as error:
            raise RemoteError(
                "CLIENT.BAD_ANSWER", f"{address} does not speak HTTP: {type(error).__name__}."
            ) from error
        if len(content) > ANSWER_BYTES:
            raise RemoteError("CLIENT.BAD_ANSWER", f"It is over {ANSWER_BYTES} bytes.")
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            content,
        )
    if not 200 <= answer.status < 300:
        raise refusal(answer)
    return answer


def _connection(address: Address, context: Proving) -> http.client.HTTPConnection:
    if isinstance(context, ByToken):
        return TokenConnection(address.host, address.port, TIMEOUT_S, context)
    return http.client.HTTPSConnection(
        address.host, address.port, timeout=TIMEOUT_S, context=context
    )


def _why(error: ssl.SSLCertVerificationError, address: Address) -> str:
    match error.verify_code:
        case code if code in _OTHER_NAME:
            return f"Its certificate is not for {address.host!r}."
        case 10:
            return "Its certificate has expired, by this machine's clock."
        case 9:
            return "Its certificate is not valid yet, by this machine's clock."
        case _:
            return f"{error.verify_message}."


class _Problem(msgspec.Struct):
    """The members of a problem document that are read (RFC 9457)."""

    code: str = ""
    detail: str = ""
    title: str = ""


def refusal(answer: Answer) -> RemoteError:
    """What the node said in an answer that is no success, in its own words."""
    try:
        told = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        told = _Problem()
    said = told.detail or ("" if told.code else told.title)
    # Words from outside go to a terminal and a log: one line, and not without end.
    words = "".join(letter if letter.isprintable() else "?" for letter in said)[:400]
    return RemoteError(
        told.code[:64] or "CLIENT.BAD_ANSWER", words or ("" if told.code else f"{answer.status}.")
    )
