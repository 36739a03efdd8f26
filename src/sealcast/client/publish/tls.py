"""A TLS client without a socket: bytes in, bytes out.

Does: names what a connection needs of TLS (`TlsClient`), and does it with Python's `ssl`: TLS 1.3
alone, the node proved against the authority and by its name, our certificate shown.

Does not: own a connection, or wait.

Specs: RFC 8446; §6.1 (close_notify), §4.4.2.4 (the server judges our certificate after our
handshake is over: a refusal comes as an alert later).
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Final, Protocol

from sealcast.errors import RemoteError

_READ: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a handshake agreed on, in the registries' words."""

    version: str
    cipher: str


class TlsClient(Protocol):
    """One association. Every call may leave bytes for the peer: take them with `outgoing`."""

    @property
    def negotiated(self) -> Negotiated | None:
        """None until the handshake is over on our side."""

    def begin(self) -> None:
        """Make the first flight."""

    def receive(self, data: bytes) -> bytes | None:
        """Take what came; the plain bytes in it, None after the peer's close_notify.

        CLIENT.NODE_UNPROVED, PUBLISH.REFUSED (an alert), PUBLISH.NODE_GONE (no TLS at all).
        """

    def send(self, data: bytes) -> None:
        """Protect plain bytes; only after the handshake."""

    def close(self) -> None:
        """Say that no more comes (close_notify)."""

    def outgoing(self) -> bytes:
        """What is to be sent to the peer."""


class PythonTls:
    """`TlsClient` by Python's `ssl`."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._received = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._outgoing, server_hostname=server_name)
        self._negotiated: Negotiated | None = None

    @property
    def negotiated(self) -> Negotiated | None:
        return self._negotiated

    def begin(self) -> None:
        self._shake_hands()

    def receive(self, data: bytes) -> bytes | None:
        self._received.write(data)
        try:
            if self._negotiated is None:
                self._shake_hands()
            return b"" if self._negotiated is None else self._plain()
        except ssl.SSLCertVerificationError as error:
            raise RemoteError("CLIENT.NODE_UNPROVED", f"{error.verify_message}.") from error
        except ssl.SSLError as error:
            raise _refusal(error) from error

    def send(self, data: bytes) -> None:
        self._tls.write(data)

    def close(self) -> None:
        # It waits for the peer's close_notify, which comes or does not.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        cipher = self._tls.cipher()
        version = (self._tls.version() or "").replace("TLSv", "TLS ")
        self._negotiated = Negotiated(version, cipher[0] if cipher else "")

    def _plain(self) -> bytes | None:
        plain = b""
        while True:
            try:
                part = self._tls.read(_READ)
            except ssl.SSLWantReadError:
                return plain
            except ssl.SSLZeroReturnError:
                return None
            if not part:
                return None
            plain += part


def _refusal(error: ssl.SSLError) -> RemoteError:
    """An alert as it is named in RFC 8446 §6.2; OpenSSL has it as `TLSV1_ALERT_UNKNOWN_CA`."""
    reason = error.reason or str(error)
    _, is_alert, alert = reason.partition("ALERT_")
    if is_alert:
        return RemoteError("PUBLISH.REFUSED", f"Its alert is {alert.lower()}.")
    return RemoteError("PUBLISH.NODE_GONE", f"OpenSSL says {reason.lower().replace('_', ' ')}.")
