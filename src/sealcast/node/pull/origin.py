"""The node that we take a stream from, at its `secure` door.

Does: connects by mutual TLS, proves that it is the host that the configuration names **and** a node
of our trust domain, before a byte of a request leaves; asks for the stream (WHEP); later shows it a
newer certificate of ours, or takes the question back.

Does not: carry media, retry, or decide what the answer is good for (`pulling`). It blocks: call it
in a thread.

Specs: draft-ietf-wish-whep-03 §4; SPIFFE X509-SVID §4.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from sealcast.agent.https import ANSWER_BYTES, Address, Answer, refusal
from sealcast.client.tls_leg import server_of
from sealcast.client.tls_socket import TlsSocket
from sealcast.codes import CODES
from sealcast.errors import RemoteError, SealcastError
from sealcast.keying.agreement import Identity
from sealcast.node.pull.ends import Ends, check_node
from sealcast.node.pull.paths import NODE_HEADER, PATH_HEADER
from sealcast.permission import identity_of
from sealcast.policy import Policy
from sealcast.tls import TlsError, TlsPolicy
from sealcast.wire import TlsFacts

STEP_S: Final = 5.0
"""For each step: connecting, a piece of the handshake, a piece of the answer."""
_SDP: Final = "application/sdp"
_LOCATION_MOST: Final = 256


@dataclass(frozen=True, slots=True)
class Proved:
    """Who the origin is, and the connection that proved it."""

    identity: Identity
    facts: TlsFacts


@dataclass(frozen=True, slots=True)
class Answered:
    """The origin's answer to an offer. `resource` is the path of the session."""

    sdp: str
    resource: str
    path: str | None
    origin: Proved


class Origin:
    """One origin."""

    def __init__(self, address: Address, trust_domain: str, policy: Policy) -> None:
        self.address = address
        self._trust_domain = trust_domain
        self._policy = TlsPolicy(policy.tls.min_version, policy.tls.max_version, policy.tls.groups)

    def ask(self, stream: str, offer: str, ends: Ends, our_name: str) -> Answered:
        """An offer for `stream`, and the answer; `our_name` is how the node calls itself in paths.

        The origin's own code when it refuses; TLS.SERVER_* and PULL.NOT_A_NODE for an origin that
        is not the one, TLS.REFUSED_* for a certificate of ours that it does not take, and
        CLIENT.BAD_ANSWER.
        """
        headers = {"content-type": _SDP, NODE_HEADER: our_name}
        answer, proved = self._request("POST", f"/whep/{stream}", ends, headers, offer.encode())
        resource = answer.headers.get("location", "")
        is_path = resource.startswith("/") and not resource.startswith("//")
        if not is_path or not resource.isascii() or len(resource) > _LOCATION_MOST:
            # Ours would go wherever it says.
            raise RemoteError("CLIENT.BAD_ANSWER", "Its Location is no path on the same host.")
        text = answer.body.decode("utf-8", "replace")
        return Answered(text, resource, answer.headers.get(PATH_HEADER), proved)

    def renew(self, answered: Answered, ends: Ends) -> Proved:
        """Shows a newer certificate for a session that was opened with another one, and sees the
        origin's of now. As `ask`; PULL.NOT_A_NODE if another node answers there.
        """
        _, proved = self._request("POST", f"{answered.resource}/renewal", ends, {})
        if not proved.identity.same_as(answered.origin.identity):
            raise RemoteError("PULL.NOT_A_NODE", f"{proved.identity.name!r} answered.")
        return proved

    def leave(self, answered: Answered, ends: Ends) -> None:
        """Takes the question back, if the origin can be told."""
        with suppress(SealcastError):
            self._request("DELETE", answered.resource, ends, {})

    def _request(
        self,
        method: str,
        path: str,
        ends: Ends,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> tuple[Answer, Proved]:
        with closing(_Connection(self, ends)) as connection:
            try:
                connection.request(method, path, body=body, headers=dict(headers))
                with connection.getresponse() as response:
                    content = response.read(ANSWER_BYTES + 1)
            except TimeoutError as error:
                raise TlsError("TLS.SERVER_TIMEOUT", f"It is {self.address}.") from error
            except OSError as error:
                words = error.strerror or str(error) or type(error).__name__
                raise TlsError("TLS.SERVER_UNREACHABLE", f"{self.address}: {words}.") from error
            except http.client.HTTPException as error:
                words = f"{self.address} does not speak HTTP: {type(error).__name__}."
                raise RemoteError("CLIENT.BAD_ANSWER", words) from error
            proved = connection.proved
        if len(content) > ANSWER_BYTES or proved is None:
            raise RemoteError("CLIENT.BAD_ANSWER", f"It is over {ANSWER_BYTES} bytes.")
        named = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, named, content)
        if not 200 <= answer.status < 300:
            told = refusal(answer)
            # Its codes become labels of our counters: only those that we know.
            raise told if told.code in CODES else RemoteError("CLIENT.BAD_ANSWER", told.detail)
        return answer, proved

    def connect(self, ends: Ends) -> tuple[TlsSocket, Proved]:
        """A connection to the origin, which is proved."""
        plain = socket.create_connection((self.address.host, self.address.port), STEP_S)
        server = server_of(self.address.host, ends.roots_pem)
        tls = TlsSocket.open(plain, server, ends.shown, policy=self._policy)
        try:
            identity = identity_of(tls.facts.peer)
            check_node(identity, self._trust_domain, f"The certificate of {self.address}")
        except BaseException:
            tls.close()
            raise
        return tls, Proved(identity, tls.facts)


class _Connection(http.client.HTTPConnection):
    """One request's; whom it reaches is proved before the request goes out."""

    def __init__(self, origin: Origin, ends: Ends) -> None:
        super().__init__(origin.address.host, origin.address.port, timeout=STEP_S)
        self.proved: Proved | None = None
        self._origin, self._ends = origin, ends

    def connect(self) -> None:
        self.sock, self.proved = self._origin.connect(self._ends)
