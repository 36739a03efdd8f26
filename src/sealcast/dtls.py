"""One end of a DTLS-SRTP association, without sockets, threads or a clock of its own.

Does: DTLS 1.3 (RFC 9147) and 1.2 (RFC 6347) in both roles, with certificates on both sides. The
peer proves itself by a promised fingerprint (RFC 8122) or by an authority's certificate
(RFC 5280), inside the handshake; only then are there keys (RFC 5764), as a handle. Datagrams and
the time go in, datagrams and events come out::

    endpoint = DtlsEndpoint("client", identity, expected=[fingerprint], now=clock())
    while ...:
        for datagram in endpoint.drain():
            send(datagram)
        for event in endpoint.events():
            ...
        # wait for a datagram until endpoint.deadline, then one of
        endpoint.receive(clock(), datagram)
        endpoint.tick(clock())

Does not: open sockets, send application data, resume sessions or renegotiate. What arrives and is
no DTLS, does not authenticate or comes too late is dropped and counted (`counters`), never raised.

Specs: RFC 9147, RFC 6347, RFC 8446, RFC 5764, RFC 8122, RFC 5280, RFC 7983.

The caller must still: hand in only datagrams from an address that answered (ICE, or a cookie of its
own): the first flights are not authenticated, and whoever can send into them ends a handshake; then
make a fresh endpoint. Call `tick` at `deadline` for as long as the association lives. Use an
endpoint from one thread at a time, any thread; a call made while another thread is inside one is
refused with ``DTLS.IN_USE`` and changes nothing. An endpoint and its keys belong to the process
that made them: in a child of `os.fork` every call on them is refused with ``DTLS.FORKED``.
"""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from sealcast import _core, wire
from sealcast.errors import LocalError, RemoteError
from sealcast.secret import Secret
from sealcast.srtp import SrtpProfile
from sealcast.wire import DtlsCounters, PeerCertificate, TlsFacts, Version

__all__ = [
    "Authority",
    "Closed",
    "DtlsCounters",
    "DtlsEndpoint",
    "DtlsEvent",
    "DtlsIdentity",
    "DtlsPolicy",
    "HandshakeCompleted",
    "KeyMaterialRevealed",
    "KeysAgreed",
    "PeerCertificate",
    "PeerRefused",
    "RevealedKeys",
    "SrtpKeys",
    "TlsFacts",
]

Role = Literal["client", "server"]

_LOG = logging.getLogger(__name__)

_HASHES: Final = ("sha-256", "sha-384", "sha-512")

# Longest time that a caller may set, in seconds; as in `crates/core/src/dtls.rs`.
_LONGEST_S: Final = 1 << 32

# The codes by which this end refuses a peer. All others end an association without a judgement on
# who is there: time, an alert of the peer, a close, a broken handshake.
_REFUSALS: Final = frozenset(
    {
        "DTLS.CERTIFICATE_EXPIRED",
        "DTLS.CERTIFICATE_NOT_YET_VALID",
        "DTLS.CERTIFICATE_REFUSED",
        "DTLS.FINGERPRINT_MISMATCH",
        "DTLS.NAME_MISMATCH",
        "DTLS.NO_COMMON_CIPHER",
        "DTLS.NO_COMMON_GROUP",
        "DTLS.NO_PEER_CERTIFICATE",
        "DTLS.NO_SRTP_PROFILE",
        "DTLS.UNKNOWN_CA",
        "DTLS.VERSION_REFUSED",
        "DTLS.WRONG_USAGE",
    }
)


class KeyMaterialRevealed(UserWarning):
    """Master keys left their handle as bytes. Right in a test; anywhere else look at who asked."""


class DtlsIdentity:
    """One end's certificate and key. May serve many endpoints; the key never leaves it."""

    __slots__ = ("_handle",)

    def __init__(self, handle: _core.MediaIdentity) -> None:
        """Use `generate` or `from_pem`."""
        self._handle = handle

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh self-signed ECDSA P-256 certificate, valid for a day, that nothing links to
        another one: its fingerprint is its only proof.
        """
        return cls(_core.MediaIdentity.generate())

    @classmethod
    def from_pem(cls, chain: bytes | str, key: Secret) -> Self:
        """Read a PEM chain, leaf first, and its unencrypted PEM key.

        The key is a `Secret` so that no log or traceback shows it; TypeError if it is not.
        Raises LocalError: ``TLS.UNREADABLE_CERTIFICATE``, ``TLS.UNREADABLE_KEY``,
        ``TLS.KEY_MISMATCH``, ``TLS.CERTIFICATE_EXPIRED``, ``TLS.CERTIFICATE_NOT_YET_VALID`` (by
        the system's clock).
        """
        _typed("key", key, Secret, "a sealcast.Secret: Secret(pem)")
        try:
            return cls(_core.MediaIdentity.from_pem(_octets(chain), key.reveal()))
        except _core.CoreError as error:
            raise _local(error) from None

    def fingerprint(self, algorithm: str = "sha-256") -> str:
        """The certificate's fingerprint as SDP writes it: ``sha-256 AB:CD:…`` (RFC 8122 §5).

        `algorithm` is sha-256, sha-384 or sha-512; LocalError ``DTLS.BAD_ARGUMENT`` otherwise.
        """
        _typed("algorithm", algorithm, str, "a str")
        if algorithm.lower() not in _HASHES:
            raise _bad(f"algorithm is {', '.join(_HASHES)}, got {algorithm!r}")
        return f"{algorithm.lower()} {self._handle.fingerprint(algorithm)}"

    def __repr__(self) -> str:
        return f"DtlsIdentity({self.fingerprint()!r})"


@dataclass(frozen=True, slots=True)
class DtlsPolicy:
    """The outcomes that an endpoint may agree to. There is nothing weaker to be had.

    `groups` and `srtp_profiles` are in order, best first; of the profiles the DTLS server chooses.
    If 1.2 is admitted, `groups` must have P-256: there it limits certificates too.
    """

    min_version: Version = "1.2"
    max_version: Version = "1.3"
    groups: tuple[str, ...] = ("X25519MLKEM768", "X25519", "P-256", "P-384")
    srtp_profiles: tuple[str, ...] = ("AEAD_AES_128_GCM", "AEAD_AES_256_GCM")


@dataclass(frozen=True, slots=True)
class Authority:
    """Who issues the certificates that are believed, and the name that the peer's must carry.

    `roots` is a PEM bundle. `uri` is compared octet by octet with the certificate's URI names (a
    SPIFFE ID), `dns` as RFC 6125 §6.4 says; give at most one. Without a name, any certificate of
    the authority with a usage for the peer's role is believed. Dates are judged by the system's
    clock.
    """

    roots: bytes | str
    uri: str | None = None
    dns: str | None = None

    def judge(self, chain: Sequence[bytes], role: Role) -> None:
        """Judge certificates (DER, the leaf first) outside a handshake, as an endpoint would judge
        a peer in `role` that presents them: the same engine and the same questions (RFC 5280 §6).

        What only a handshake can ask, nobody asked: who holds the key, which algorithm signs, how
        long a chain may be on the wire.

        Raises RemoteError with the code of the refusal (``DTLS.UNKNOWN_CA``, …), LocalError if the
        authority itself cannot be used.
        """
        try:
            _core.judge_peer(list(chain), _octets(self.roots), role, self.uri, self.dns)
        except _core.CoreError as error:
            if error.code in _REFUSALS:
                raise RemoteError(error.code, error.detail) from None
            raise _local(error) from None


@dataclass(frozen=True, slots=True)
class RevealedKeys:
    """Both directions' SRTP master keys and salts (RFC 5764 §4.2)."""

    profile: SrtpProfile
    send_key: Secret
    send_salt: Secret
    receive_key: Secret
    receive_salt: Secret


class SrtpKeys:
    """The keys that a handshake agreed on, as a handle. They leave it once, whichever way."""

    __slots__ = ("_handle",)

    def __init__(self, handle: _core.SrtpKeys) -> None:
        """Use `KeysAgreed.keys` or `DtlsEndpoint.keys`."""
        self._handle = handle

    @property
    def profile(self) -> SrtpProfile:
        """The SRTP profile that they are for."""
        return SrtpProfile(self._handle.profile)

    @property
    def is_taken(self) -> bool:
        """Whether they have left."""
        return self._handle.is_taken

    def contexts(
        self,
        *,
        replay_window: int = 1024,
        max_ssrcs: int | None = None,
        key_derivation_rate: int = 0,
        rtp_lifetime: tuple[int, int] | None = None,
        rtcp_lifetime: tuple[int, int] | None = None,
        encrypted_extensions: Iterable[int] | None = None,
        cryptex: Literal["accepted", "required"] | None = None,
        unencrypted_srtcp: bool = False,
    ) -> tuple[_core.SrtpSender, _core.SrtpReceiver]:
        """Take the keys into this end's `SrtpSender` and `SrtpReceiver` (see `sealcast.srtp`): what
        the one protects the peer opens, and the other opens what the peer protects. The keys are
        never bytes in Python.

        The options are those of the two constructors and go to both contexts; the peer must have
        agreed to `key_derivation_rate`, `encrypted_extensions` (RFC 6904) and `cryptex` (RFC 9335:
        with either word the sender protects all headers, "accepted" lets the receiver take clear
        ones).

        Raises LocalError ``DTLS.KEYS_TAKEN`` if they have left before, and `BadOption`, which
        leaves them where they are.
        """
        try:
            return self._handle.contexts(
                replay_window=replay_window,
                max_ssrcs=max_ssrcs,
                key_derivation_rate=key_derivation_rate,
                rtp_lifetime=rtp_lifetime,
                rtcp_lifetime=rtcp_lifetime,
                encrypted_extensions=encrypted_extensions,
                cryptex=cryptex,
                unencrypted_srtcp=unencrypted_srtcp,
            )
        except _core.CoreError as error:
            raise _local(error) from None

    def reveal(self) -> RevealedKeys:
        """Take the keys out as bytes, for tests and interop. It warns (`KeyMaterialRevealed`) and
        logs, and the handle is empty afterwards.

        Raises LocalError ``DTLS.KEYS_TAKEN`` if they have left before.
        """
        if self.is_taken:
            raise LocalError("DTLS.KEYS_TAKEN", "They have left this handle.")
        sentence = f"SRTP master keys ({self.profile}) were revealed as bytes"
        # Both before anything leaves: a filter that makes the warning an error keeps the keys in.
        _LOG.warning(sentence)
        warnings.warn(sentence, KeyMaterialRevealed, stacklevel=2)
        try:
            send_key, send_salt, receive_key, receive_salt = map(Secret, self._handle.reveal())
        except _core.CoreError as error:
            raise _local(error) from None
        return RevealedKeys(self.profile, send_key, send_salt, receive_key, receive_salt)

    def __repr__(self) -> str:
        return f"SrtpKeys({self.profile!r}, {'taken' if self.is_taken else 'untouched'})"


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The peer proved itself and the handshake is over. `KeysAgreed` comes right after it.

    `proved_by` says how; `proved` is the fingerprint that matched (``sha-256 AB:…``) or, with an
    authority, the name that was asked for, else the certificate's subject.
    """

    facts: TlsFacts
    proved_by: Literal["fingerprint", "authority"]
    proved: str


@dataclass(frozen=True, slots=True)
class KeysAgreed:
    """There are SRTP keys, for `profile`."""

    profile: SrtpProfile
    keys: SrtpKeys = field(compare=False)


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """This end refused the peer: by its identity, or for want of anything in common that the policy
    admits. The association is over.

    `code` is a row of `sealcast.codes`, `detail` the evidence. The alerts are named as the registry
    has them (``bad_certificate``); `None` if none went that way.
    """

    code: str
    detail: str
    alert_sent: str | None = None
    alert_received: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The association ended otherwise: ``DTLS.CLOSED`` (the peer closed), ``DTLS.PEER_ALERT``,
    ``DTLS.TIMEOUT`` or ``DTLS.FAILED``.

    Before the handshake is over an alert is unauthenticated: a fresh endpoint may succeed.
    """

    code: str
    detail: str
    alert_sent: str | None = None
    alert_received: str | None = None


DtlsEvent = HandshakeCompleted | KeysAgreed | PeerRefused | Closed
"""`PeerRefused` or `Closed` is the last event of an endpoint, and comes once. After `close` of this
end there is none: the caller knows."""


class DtlsEndpoint:
    """One end of a DTLS-SRTP association.

    Times are seconds on any monotonic clock of the caller's; within an endpoint they never run
    backwards: an earlier one counts as the latest seen.
    """

    __slots__ = ("_core",)

    def __init__(
        self,
        role: Role,
        identity: DtlsIdentity,
        *,
        now: float,
        expected: Sequence[str] | None = None,
        authority: Authority | bytes | str | None = None,
        policy: DtlsPolicy | None = None,
        mtu: int = 1200,
        handshake_timeout: float = 20.0,
        initial_timeout: float = 0.4,
    ) -> None:
        """Begin; a client's first flight can be drained at once.

        The peer proves itself by one of the `expected` fingerprints (``sha-256 AB:CD:…``, as SDP
        writes them) or by a certificate of `authority` (a PEM bundle, or an `Authority` with the
        name to ask for); exactly one of the two is given. No datagram is larger than `mtu` bytes
        (256 to 9000, without IP and UDP headers). A handshake that is not over after
        `handshake_timeout` seconds ends with ``DTLS.TIMEOUT``; its first retransmission comes after
        `initial_timeout` (0.05 to 10; twice the round trip is good), each next one after twice the
        time, until the repeats that are left (twelve in all) are spread over the rest of
        `handshake_timeout`.

        Raises LocalError: ``TLS.BAD_POLICY``, ``DTLS.BAD_FINGERPRINT``,
        ``TLS.UNREADABLE_CERTIFICATE`` (of the authority), ``DTLS.BAD_ARGUMENT`` (the role, a time
        or `mtu`); TypeError for what is of another type.
        """
        if role not in ("client", "server"):
            raise _bad(f"role is 'client' or 'server', got {role!r}")
        _typed("identity", identity, DtlsIdentity, "a DtlsIdentity")
        _typed("mtu", mtu, int, "a whole number of bytes")
        if not 256 <= mtu <= 9000:
            raise _bad(f"mtu is from 256 to 9000 bytes, got {mtu}")
        _seconds("handshake_timeout", handshake_timeout, 0.001, _LONGEST_S)
        _seconds("initial_timeout", initial_timeout, 0.05, 10)
        if (expected is None) == (authority is None):
            raise LocalError(
                "TLS.BAD_POLICY",
                "a peer proves itself by `expected` fingerprints or by an `authority`: give one",
            )
        if isinstance(expected, str):
            raise LocalError("DTLS.BAD_FINGERPRINT", "`expected` is a sequence of fingerprints.")
        expected = tuple(expected or ())
        for one in expected:
            _typed("a fingerprint in `expected`", one, str, "a str such as 'sha-256 AB:CD:…'")
        if isinstance(authority, bytes | str):
            authority = Authority(authority)
        if authority is not None:
            _typed("authority", authority, Authority, "an Authority or a PEM bundle")
            _typed("the roots of `authority`", authority.roots, (bytes, str), "a PEM bundle")
            for name in ("uri", "dns"):
                asked: object = getattr(authority, name)
                _typed(f"the authority's {name}", asked, (str, type(None)), "a str or None")
        if policy is None:
            policy = DtlsPolicy()
        _typed("policy", policy, DtlsPolicy, "a DtlsPolicy")
        for name in ("groups", "srtp_profiles"):
            names: object = getattr(policy, name)
            _typed(f"the policy's {name}", names, (tuple, list), "a tuple of names")
            for one in getattr(policy, name):
                _typed(f"each of the policy's {name}", one, str, "a name")
        for name in ("min_version", "max_version"):
            _typed(f"the policy's {name}", getattr(policy, name), str, "a str")
        spec = wire.DtlsEndpointSpec(
            role=role,
            fingerprints=tuple(map(_fingerprint, expected)),
            peer_uri=authority.uri if authority else None,
            peer_dns=authority.dns if authority else None,
            min_version=policy.min_version,
            max_version=policy.max_version,
            groups=":".join(policy.groups),
            srtp_profiles=tuple(policy.srtp_profiles),
            mtu=mtu,
            handshake_timeout_s=float(handshake_timeout),
            initial_timeout_s=float(initial_timeout),
        )
        roots = _octets(authority.roots) if authority else None
        try:
            self._core = _core.DtlsEndpoint(wire.encode(spec), identity._handle, roots, now)
        except _core.CoreError as error:
            raise _local(error) from None

    def receive(self, now: float, datagram: bytes | bytearray | memoryview) -> None:
        """Take one datagram of the peer's. Whatever it holds, it raises nothing."""
        # Through a view, since `bytes` of a number would be that many zeros.
        octets = datagram if isinstance(datagram, bytes) else bytes(memoryview(datagram))
        try:
            self._core.receive(now, octets)
        except _core.CoreError as error:
            raise _local(error) from None

    def tick(self, now: float) -> None:
        """Do what is due at `now`: retransmissions, acknowledgements, the end of the handshake's
        time. A call before the `deadline` does nothing.
        """
        try:
            self._core.tick(now)
        except _core.CoreError as error:
            raise _local(error) from None

    def close(self, now: float) -> None:
        """End the association. An established peer gets a close_notify: drain it and send it."""
        try:
            self._core.close(now)
        except _core.CoreError as error:
            raise _local(error) from None

    @property
    def deadline(self) -> float | None:
        """When `tick` is next due; `None` while nothing is pending."""
        try:
            return self._core.deadline()
        except _core.CoreError as error:
            raise _local(error) from None

    def drain(self) -> list[bytes]:
        """The datagrams to send, in order. Drain after every call; of what is left undrained, only
        64 are kept.
        """
        try:
            return self._core.drain()
        except _core.CoreError as error:
            raise _local(error) from None

    def events(self) -> list[DtlsEvent]:
        """What has happened since the last call, in order."""
        try:
            told = wire.decode_dtls_events(self._core.events())
        except _core.CoreError as error:
            raise _local(error) from None
        events: list[DtlsEvent] = []
        for event in told:
            match event:
                case wire.DtlsCompleted():
                    keys = self.keys()
                    events += [
                        HandshakeCompleted(event.facts, event.proved_by, event.proved),
                        KeysAgreed(keys.profile, keys),
                    ]
                case wire.DtlsFailed(code, detail, sent, received):
                    # Of a refusal that the peer's own alert told us, the peer is the author.
                    refused = code in _REFUSALS and received is None
                    ending = PeerRefused if refused else Closed
                    events.append(ending(code, detail, sent, received))
                case wire.DtlsClosed(sent, received):
                    events.append(Closed("DTLS.CLOSED", "", sent, received))
        return events

    def keys(self) -> SrtpKeys:
        """The keys that were agreed on; every call gives the same handle.

        Raises LocalError ``DTLS.NOT_ESTABLISHED`` unless the peer was proved.
        """
        try:
            return SrtpKeys(self._core.keys())
        except _core.CoreError as error:
            raise _local(error) from None

    @property
    def counters(self) -> DtlsCounters:
        """Counts since creation: what came, what went, what was dropped and why."""
        try:
            return wire.decode_dtls_counters(self._core.counters())
        except _core.CoreError as error:
            raise _local(error) from None


def _fingerprint(text: str) -> wire.FingerprintSpec:
    algorithm, _, value = text.partition(" ")
    return wire.FingerprintSpec(algorithm=algorithm, value=value.strip())


def _bad(detail: str) -> LocalError:
    return LocalError("DTLS.BAD_ARGUMENT", detail + ".")


def _typed(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def _seconds(name: str, value: float, least: float, most: float) -> None:
    _typed(name, value, (int, float), "a number of seconds")
    if not least <= value <= most:  # NaN is not
        raise _bad(f"{name} is from {least} to {most} seconds, got {value}")


def _octets(pem: bytes | str) -> bytes:
    _typed("PEM", pem, (bytes, str), "bytes or a str")
    # PEM is ASCII; anything else in it is for its reader to refuse.
    return pem.encode(errors="replace") if isinstance(pem, str) else pem


def _local(error: _core.CoreError) -> LocalError:
    return LocalError(error.code, error.detail)
