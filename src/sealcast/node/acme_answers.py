"""How a node answers the question of an ACME authority: are these names yours?

Does: opens and closes the answer to a challenge, by a certificate at the public door (tls-alpn-01,
RFC 8737) or in the table that the listener for http-01 (RFC 8555 §8.3) answers from.

Does not: ask for certificates (`sealcast.node.acme_orders`); listen (the front, and
`sealcast.node.acme_http`).
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Final, Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sealcast.node.acme_store import made_key
from sealcast.node.ports import FrontPort

Kind = Literal["tls-alpn-01", "http-01"]

PE_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""RFC 8737 §6.1."""


class Answers(Protocol):
    """Where answers are given. `name` is the host name in question, `token` the challenge's, and
    `authorization` its key authorization (RFC 8555 §8.1)."""

    @property
    def kind(self) -> Kind: ...

    def open(self, name: str, token: str, authorization: str) -> None:
        """From now on the question is answered."""

    def close(self, name: str, token: str) -> None:
        """From now on it is not."""


class TlsAnswers:
    """At a door of the front, while a challenge is open."""

    kind: Final = "tls-alpn-01"

    def __init__(self, front: FrontPort, door: str) -> None:
        self._front, self._door = front, door

    def open(self, name: str, token: str, authorization: str) -> None:
        self._front.set_challenge(self._door, name, challenge_pair(name, authorization))

    def close(self, name: str, token: str) -> None:
        self._front.set_challenge(self._door, name, None)


class HttpAnswers:
    """In a table, by the challenge's token."""

    kind: Final = "http-01"

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def open(self, name: str, token: str, authorization: str) -> None:
        self._open[token] = authorization

    def close(self, name: str, token: str) -> None:
        self._open.pop(token, None)

    def answer(self, token: str) -> str | None:
        """The answer, if that challenge is open."""
        return self._open.get(token)


def challenge_pair(name: str, authorization: str) -> tuple[bytes, bytes]:
    """Certificate and key that answer for `name` (RFC 8737 §3): self-signed, the name alone, and
    the SHA-256 of the key authorization in a critical extension.
    """
    key, key_pem = made_key()
    digest = hashlib.sha256(authorization.encode()).digest()
    nobody = x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        # An OCTET STRING of 32 octets, as DER has it.
        .add_extension(
            x509.UnrecognizedExtension(PE_ACME_IDENTIFIER, b"\x04\x20" + digest), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), key_pem
