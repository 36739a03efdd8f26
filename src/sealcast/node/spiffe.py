"""A node's identity from a SPIFFE Workload API: the pair that doors show, the bundle they trust.

Does: holds the stream of X509-SVIDs open (the library beneath connects again by itself), and hands
what came last to the doors' sources, pair and bundle of one message together. An identity of
another trust domain than the node's is refused and the old one stays; so it does while the agent is
away.

Does not: swap anything at a door (`sealcast.node.door_keeping`); attest anybody: the agent at the
other end of the socket does. Does not use bundles of federated trust domains: `docs/spiffe.md` says
why.

Specs: SPIFFE Workload API §5 (X.509-SVID profile), SPIFFE Workload Endpoint §3.
"""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe.errors import PySpiffeError
from spiffe.workloadapi.workload_api_client import StreamCancelHandler, WorkloadApiClient
from spiffe.workloadapi.x509_context import X509Context

from sealcast.errors import LocalError, RemoteError
from sealcast.node.state_folder import KeyPair

FIRST_S: Final = 15.0
"""How long a node that starts waits for its identity."""
AGAIN: Final = datetime.timedelta(seconds=5)
"""After an answer that cannot be used the stream is opened anew this much later."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one message of the Workload API gave."""

    name: str
    pair: KeyPair
    roots_pem: bytes


class Workload:
    """The stream of one Workload API."""

    def __init__(self, socket: str, trust_domain: str) -> None:
        """SPIFFE.UNREACHABLE if there is no such socket."""
        self.socket, self._trust_domain = socket, trust_domain
        self._given: Given | None = None
        self._failure: RemoteError | None = None
        self._ended_at: datetime.datetime | None = None
        self._told = threading.Event()
        self._lock = threading.Lock()
        self._stream: StreamCancelHandler | None = None
        try:
            self._client = WorkloadApiClient(socket)
        except PySpiffeError as error:
            raise LocalError("SPIFFE.UNREACHABLE", f"{socket}: {error}.") from error
        self._open()

    def first(self) -> Given:
        """Waits for the first identity.

        SPIFFE.NO_IDENTITY if none comes in time, SPIFFE.BAD_IDENTITY.
        """
        self._told.wait(FIRST_S)
        given, failure = self.now()
        if given is not None:
            return given
        if failure is not None:
            raise failure
        raise RemoteError(
            "SPIFFE.NO_IDENTITY", f"{self.socket} gave none within {FIRST_S:g} seconds."
        )

    def now(self) -> tuple[Given | None, RemoteError | None]:
        """What came last that can be used; and why something newer cannot."""
        with self._lock:
            return self._given, self._failure

    def keep_on(self, now: datetime.datetime) -> None:
        """Opens the stream anew if it ended on something that cannot be used."""
        with self._lock:
            if self._stream is not None:
                return
            if self._ended_at is None or now < self._ended_at:
                # The first look after the end, or a clock that was set back.
                self._ended_at = now
            if now < self._ended_at + AGAIN:
                return
            self._ended_at = None
        self._open()

    def close(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.cancel()
        self._client.close()

    def _open(self) -> None:
        self._stream = self._client.stream_x509_contexts(self._take_in, self._ended)

    def _take_in(self, context: X509Context) -> None:
        """Called in a thread of the library."""
        svid = context.default_svid
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        failure = None
        if svid.spiffe_id.trust_domain.name != self._trust_domain:
            failure = f"It names {svid.spiffe_id}, and this node is of {self._trust_domain}."
        elif bundle is None or not bundle.x509_authorities:
            failure = f"It names {svid.spiffe_id}, without the authorities of its trust domain."
        if failure is not None or bundle is None:
            with self._lock:
                self._failure = RemoteError("SPIFFE.BAD_IDENTITY", failure or "")
            self._told.set()
            return
        pem, authorities = Encoding.PEM, bundle.x509_authorities
        chain = b"".join(each.public_bytes(pem) for each in svid.cert_chain)
        key = svid.private_key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
        # A set has no order of its own, and another order would look like another bundle.
        roots = b"".join(sorted(each.public_bytes(pem) for each in authorities))
        with self._lock:
            self._given = Given(str(svid.spiffe_id), KeyPair(chain, key), roots)
            self._failure = None
        self._told.set()

    def _ended(self, error: Exception) -> None:
        """The stream is over: by an answer that the library cannot use or try again."""
        with self._lock:
            self._failure = RemoteError("SPIFFE.BAD_IDENTITY", f"{error}.")
            self._stream = None
        self._told.set()


class SpiffePair:
    """The X509-SVID as what a door shows."""

    def __init__(self, workload: Workload) -> None:
        """Waits; the codes of `Workload.first`."""
        self._workload, self._given = workload, workload.first()

    @property
    def name(self) -> str:
        return f"the SPIFFE Workload API, {self._given.name}"

    def current(self) -> KeyPair:
        return self._given.pair

    def look(self, now: datetime.datetime) -> bool:
        self._workload.keep_on(now)
        given, failure = self._workload.now()
        before = self._given.pair
        self._given = given or self._given
        if failure is not None:
            raise failure
        return self._given.pair != before


class SpiffeBundle:
    """The authorities of the node's trust domain."""

    def __init__(self, workload: Workload) -> None:
        """Waits; the codes of `Workload.first`."""
        self._workload, self._roots_pem = workload, workload.first().roots_pem

    @property
    def name(self) -> str:
        return "the SPIFFE Workload API"

    def current(self) -> bytes:
        return self._roots_pem

    def look(self, now: datetime.datetime) -> bool:
        self._workload.keep_on(now)
        given, _ = self._workload.now()
        before, self._roots_pem = self._roots_pem, given.roots_pem if given else self._roots_pem
        return self._roots_pem != before
