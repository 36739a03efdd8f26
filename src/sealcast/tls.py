"""One TLS connection that we open, without sockets or threads.

Does: TLS 1.3, and 1.2 with ECDHE and an AEAD, by our core (BoringSSL): bytes go in and come out.
The server proves itself by a chain to the roots that were given and by one name; our own
certificate is shown when the server asks for it, signed by a key in PEM or by whoever holds it (a
token: `sealcast.identity.key_places`). Facts afterwards; one code when it fails.

Does not: open sockets, or know the time (`sealcast.client.tls_leg` does both). Resumes no session,
sends no early data, trusts no root that was not given to it.

The caller must still: send what `take` gives, after every call; read until nothing comes; answer
`signature_wanted`; limit the handshake's time. In 1.3 the server judges our certificate after our
side is open: a refusal comes with the first read.

Specs: RFC 8446, RFC 5246, RFC 5280, RFC 6066 §3 (SNI), RFC 7301 (ALPN).
"""

from collections.abc import Callable
from dataclasses import dataclass

from sealcast import _core, wire
from sealcast.errors import LocalError, RemoteError, SealcastError
from sealcast.secret import Secret
from sealcast.wire import TlsFacts, Version

Signer = Callable[[str, bytes], bytes]
"""Signs: the scheme's name (RFC 8446 §4.2.3, as `ecdsa_secp256r1_sha256`), the message; gives the
signature as TLS has it (ECDSA as DER). It may raise any `SealcastError`.
"""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What a connection may agree to. `groups` are in order, best first; if 1.2 is admitted they
    limit the curves of certificates too.
    """

    min_version: Version = "1.2"
    max_version: Version = "1.3"
    groups: tuple[str, ...] = ("X25519MLKEM768", "X25519", "P-256", "P-384")


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Whom we call: PEM roots, and the one name that its certificate must carry.

    `dns` is compared as RFC 6125 §6.4 says, `uri` (a SPIFFE ID) and `address` octet by octet.
    `sni` is the name that is asked for; without it `dns`.
    """

    roots: bytes
    dns: str | None = None
    uri: str | None = None
    address: str | None = None
    sni: str | None = None


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Our certificate chain (PEM, leaf first), and its key: unencrypted PEM, or who signs."""

    chain_pem: bytes
    key: Secret | Signer


@dataclass(frozen=True, slots=True)
class SignatureWanted:
    """What the handshake waits for; `signer` makes it."""

    scheme: str
    message: bytes
    signer: Signer


class TlsError(RemoteError):
    """A connection that failed: a code, and the alerts that passed, by their registered names."""

    def __init__(
        self,
        code: str,
        detail: str,
        alert_sent: str | None = None,
        alert_received: str | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.alert_sent = alert_sent
        self.alert_received = alert_received

    def __reduce__(self) -> tuple[type["TlsError"], tuple[str | None, ...]]:
        return TlsError, (self.code, self.detail, self.alert_sent, self.alert_received)


class TlsClient:
    """One connection. One thread at a time: TLS.IN_USE; not in a child of a fork: TLS.FORKED."""

    def __init__(
        self,
        server: TlsServer,
        identity: TlsIdentity | None = None,
        *,
        policy: TlsPolicy | None = None,
        alpn: tuple[str, ...] = (),
    ) -> None:
        """Begins: the ClientHello waits in `take`.

        LocalError: TLS.BAD_POLICY, TLS.UNREADABLE_CERTIFICATE, TLS.UNREADABLE_KEY,
        TLS.KEY_MISMATCH, TLS.CERTIFICATE_EXPIRED, TLS.CERTIFICATE_NOT_YET_VALID.
        """
        policy = policy or TlsPolicy()
        spec = wire.TlsClientSpec(
            min_version=policy.min_version,
            max_version=policy.max_version,
            groups=":".join(policy.groups),
            alpn=alpn,
            peer_uri=server.uri,
            peer_dns=server.dns,
            peer_address=server.address,
            sni=server.sni,
        )
        chain = None if identity is None else identity.chain_pem
        key = None if identity is None else identity.key
        self._signer = None if isinstance(key, Secret) else key
        key_pem = key.reveal() if isinstance(key, Secret) else None
        self._signer_failed: SealcastError | None = None
        try:
            self._core = _core.TlsClient(wire.encode(spec), server.roots, chain, key_pem)
        except _core.CoreError as error:
            raise _local(error) from None

    def receive(self, data: bytes) -> None:
        """Take what the server sent, in pieces of any size. Whatever it holds, it raises nothing:
        see `failure`.
        """
        try:
            self._core.receive(data)
        except _core.CoreError as error:
            raise _local(error) from None

    def receive_end(self) -> None:
        """The server's bytes have ended."""
        try:
            self._core.receive_end()
        except _core.CoreError as error:
            raise _local(error) from None

    def take(self) -> bytes:
        """What is to be sent now, in order."""
        try:
            return self._core.take()
        except _core.CoreError as error:
            raise _local(error) from None

    def read(self, most: int = 65_536) -> bytes:
        """Up to `most` bytes of plaintext; none when nothing more is there. Then look at `failure`
        and `is_over`.
        """
        try:
            return self._core.read(most)
        except _core.CoreError as error:
            raise _local(error) from None

    def write(self, data: bytes) -> None:
        """Seal `data`. LocalError TLS.NOT_OPEN before the handshake is over and after the end."""
        try:
            self._core.write(data)
        except _core.CoreError as error:
            raise _local(error) from None

    def close(self) -> None:
        """Say that nothing more comes from us (close_notify); the server may still send."""
        try:
            self._core.close()
        except _core.CoreError as error:
            raise _local(error) from None

    @property
    def signature_wanted(self) -> SignatureWanted | None:
        """The signature that the handshake waits for: make it wherever it may take its time, then
        call `sign` or `decline_to_sign`.
        """
        try:
            wanted = self._core.signature_wanted()
        except _core.CoreError as error:
            raise _local(error) from None
        if wanted is None or self._signer is None:
            return None
        return SignatureWanted(*wanted, self._signer)

    def sign(self, signature: bytes) -> None:
        """The signature that was wanted."""
        try:
            self._core.sign(signature)
        except _core.CoreError as error:
            raise _local(error) from None

    def decline_to_sign(self, why: Exception) -> None:
        """There will be no signature: the connection ends, and the server is told internal_error.

        `failure` is then `why` if it has a code of its own, else TLS.SIGNER_FAILED.
        """
        if not isinstance(why, SealcastError):
            # What a foreign signer says may hold anything; its kind is enough to go by.
            why = LocalError("TLS.SIGNER_FAILED", f"It raised {type(why).__name__}.")
        try:
            self._core.decline_to_sign(why.code)
        except _core.CoreError as error:
            raise _local(error) from None
        self._signer_failed = why

    @property
    def facts(self) -> TlsFacts | None:
        """What was negotiated, once the handshake is over."""
        try:
            facts = self._core.facts()
        except _core.CoreError as error:
            raise _local(error) from None
        return None if facts is None else wire.decode_facts(facts)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: it failed, or the server said that it was the end."""
        return self._end() is not None

    @property
    def failure(self) -> SealcastError | None:
        """Why the connection is over; None while it is not, or if it ended as it should."""
        end = self._end()
        if end is None or end.code is None:
            return None
        if self._signer_failed is not None:
            return self._signer_failed
        return TlsError(end.code, end.detail, end.alert_sent, end.alert_received)

    def _end(self) -> wire.TlsEnd | None:
        try:
            end = self._core.end()
        except _core.CoreError as error:
            raise _local(error) from None
        return None if end is None else wire.decode_tls_end(end)


def _local(error: _core.CoreError) -> LocalError:
    return LocalError(error.code, error.detail)
