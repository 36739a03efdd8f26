"""Requests to a node where our key is in a token: HTTP over our own TLS, which asks it to sign.

Does: a connection as `http.client` has them, and what its failures mean in the agent's codes.

Does not: send (`sealcast.agent.https`).
"""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealcast.client.tls_identity import load_identity
from sealcast.client.tls_leg import server_of
from sealcast.client.tls_socket import TlsSocket
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.identity.key_places import uri_in
from sealcast.identity.private_files import read_private
from sealcast.tls import TlsError, TlsIdentity

_MEANINGS: Final = {
    "TLS.REFUSED_AS_REVOKED": "IDENTITY.RENEW_REVOKED",
    "TLS.REFUSED_AS_EXPIRED": "IDENTITY.RENEW_EXPIRED",
    "TLS.REFUSED_AS_UNKNOWN": "AGENT.CERTIFICATE_REFUSED",
    "TLS.REFUSED_CERTIFICATE": "AGENT.CERTIFICATE_REFUSED",
    "TLS.CERTIFICATE_REQUIRED": "AGENT.CERTIFICATE_REFUSED",
}
_UNPROVED: Final = (
    "TLS.SERVER_UNKNOWN_CA",
    "TLS.SERVER_EXPIRED",
    "TLS.SERVER_NOT_YET_VALID",
    "TLS.SERVER_WRONG_USAGE",
    "TLS.SERVER_NAME_MISMATCH",
    "TLS.SERVER_CERTIFICATE_REFUSED",
)


@dataclass(frozen=True, slots=True)
class ByToken:
    """Whom to take for the node, and who we are."""

    roots_pem: bytes
    identity: TlsIdentity

    @staticmethod
    def of(roots_pem: bytes, chain: Path, key: Path) -> ByToken | None:
        """None where the key is in its file. What `load_identity` refuses."""
        try:
            kept = uri_in(read_private(key))
        except OSError:
            return None  # whoever reads the files says so
        return None if kept is None else ByToken(roots_pem, load_identity(chain, kept))


class TokenConnection(http.client.HTTPConnection):
    """A connection on which our certificate is shown."""

    def __init__(self, host: str, port: int, timeout_s: float, by: ByToken) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._by = by

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        server = server_of(self.host, self._by.roots_pem)
        self.sock = TlsSocket.open(plain, server, self._by.identity)


def told(error: TlsError, place: object) -> SealcastError:
    """What the agent says of it."""
    if (code := _MEANINGS.get(error.code)) is not None:
        return RemoteError(code, f"{place} says so.")
    if error.code in _UNPROVED:
        return LocalError("AGENT.NODE_UNPROVED", error.detail)
    return LocalError("CLIENT.UNREACHABLE", f"{place}: {error.detail}")
