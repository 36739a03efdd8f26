"""The native side: packets, TLS records and keys. See `crates/core`.

Nothing here decides; what crosses is decided by `sealcast.policy`. JSON shapes are the structs of
`sealcast.wire`. Every method may raise `CoreError`.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Literal, Self, final

from sealcast.errors import SrtpError
from sealcast.secret import Secret
from sealcast.srtp import BytesLike, SrtpProfile

__all__ = [
    "RELAY_LEGS",
    "RELAY_TRACKS",
    "CoreError",
    "DtlsEndpoint",
    "FrameSink",
    "FrameTap",
    "Front",
    "KeyNearlySpent",
    "KeySpent",
    "MediaIdentity",
    "Relay",
    "SrtpKeys",
    "SrtpReceiver",
    "SrtpSender",
    "SrtpStream",
    "SrtpTotals",
    "TlsClient",
    "__version__",
    "codes",
    "forked",
    "judge_chain",
    "judge_peer",
    "read_certificate",
    "srtp_known_aead_open",
    "srtp_known_aead_seal",
    "srtp_known_keystream",
    "srtp_known_session_keys",
    "srtp_outcomes",
    "srtp_profile_table",
    "srtp_profiles",
    "srtp_protect_arena",
    "srtp_protect_pairs",
    "srtp_unprotect_arena",
    "srtp_unprotect_pairs",
]

__version__: str
RELAY_LEGS: Final[int]
"""Legs that one relay carries at a time."""
RELAY_TRACKS: Final[int]
"""Tracks that one relay carries at a time."""

class CoreError(Exception):
    """A refusal of the native side: `code` is a row of `sealcast.codes`, `detail` a sentence."""

    code: str
    detail: str

@final
class MediaIdentity:
    """A certificate and key for media legs; the key never leaves it."""

    @staticmethod
    def generate() -> MediaIdentity:
        """Make a self-signed P-256 certificate that nothing links to another leg."""
    @staticmethod
    def from_pem(chain_pem: bytes, key_pem: bytes) -> MediaIdentity:
        """Read a PEM chain, leaf first, and its unencrypted PEM key."""
    def fingerprint(self, algorithm: str = "sha-256") -> str:
        """The certificate's digest as `AB:CD:…` (RFC 8122 §5)."""

@final
class DtlsEndpoint:
    """One end of a DTLS association: see `sealcast.dtls`. Times are the caller's, in seconds."""

    def __new__(
        cls, spec: bytes, identity: MediaIdentity, roots_pem: bytes | None, now: float
    ) -> DtlsEndpoint:
        """Begin with the JSON of a `sealcast.wire.DtlsEndpointSpec`."""
    def receive(self, now: float, datagram: bytes) -> None: ...
    def tick(self, now: float) -> None: ...
    def close(self, now: float) -> None: ...
    def deadline(self) -> float | None: ...
    def drain(self) -> list[bytes]: ...
    def events(self) -> bytes:
        """A JSON array of `sealcast.wire.DtlsEndpointEvent`."""
    def keys(self) -> SrtpKeys:
        """The keys; always the same handle."""
    def counters(self) -> bytes:
        """JSON of a `sealcast.wire.DtlsCounters`."""

@final
class TlsClient:
    """One TLS connection that we open: see `sealcast.tls`."""

    def __new__(
        cls,
        spec: bytes,
        roots_pem: bytes,
        chain_pem: bytes | None = None,
        key_pem: bytes | None = None,
    ) -> TlsClient:
        """Begin with the JSON of a `sealcast.wire.TlsClientSpec`; a chain without a key is signed
        for by `sign`.
        """
    def receive(self, data: bytes) -> None:
        """Take what the server sent."""
    def receive_end(self) -> None:
        """The server's bytes have ended."""
    def take(self) -> bytes:
        """What is to be sent now."""
    def read(self, most: int) -> bytes:
        """Up to `most` bytes of the server's plaintext."""
    def write(self, data: bytes) -> None:
        """Seal bytes for the server."""
    def close(self) -> None:
        """Say that nothing more comes from us."""
    def signature_wanted(self) -> tuple[str, bytes] | None:
        """The scheme (RFC 8446 §4.2.3) and the message of the signature that is waited for."""
    def sign(self, signature: bytes) -> None:
        """The signature that was wanted."""
    def decline_to_sign(self, why: str) -> None:
        """There will be no signature."""
    def facts(self) -> bytes | None:
        """The JSON of a `sealcast.wire.TlsFacts`, once the handshake is over."""
    def end(self) -> bytes | None:
        """The JSON of a `sealcast.wire.TlsEnd`, once the connection is over."""

@final
class SrtpKeys:
    """Both directions' SRTP master keys, which leave once. Not made from Python."""

    @property
    def profile(self) -> str: ...
    @property
    def is_taken(self) -> bool: ...
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
    ) -> tuple[SrtpSender, SrtpReceiver]:
        """Take the keys into this end's sender and receiver."""
    def reveal(self) -> list[bytes]:
        """Our key and salt, the peer's key and salt. `sealcast.dtls` makes this audible."""

@final
class Relay:
    """One thread with its UDP sockets, legs and tracks. Ids are the caller's to choose."""

    def __new__(cls, *, binds: Sequence[str]) -> Relay: ...
    def local_addresses(self) -> list[str]:
        """The `ip:port` that candidates may name."""
    def fileno(self) -> int:
        """An eventfd, readable while events wait."""
    def drain_events(self) -> bytes:
        """All waiting events: a JSON array of `sealcast.wire.RelayEvent`."""
    def add_track(self, track: int, kind: str, codec: str, clock_rate: int) -> None: ...
    def remove_track(self, track: int) -> None: ...
    def add_leg(self, spec: bytes, identity: MediaIdentity) -> None:
        """Start a leg from the JSON of a `sealcast.wire.LegSpec`."""
    def restart_ice(
        self, leg: int, local_ufrag: str, local_pwd: str, remote_ufrag: str, remote_pwd: str
    ) -> None:
        """Begin ICE anew (RFC 8445 §9). Waits until the relay has done it; after a refusal
        (RELAY.UNKNOWN_LEG, RELAY.UFRAG_TAKEN, ICE.BAD_CREDENTIALS, RELAY.NO_ANSWER) the leg is as
        it was. From any thread.
        """
    def add_remote_candidate(self, leg: int, address: str) -> None: ...
    def close_leg(self, leg: int, code: str) -> None: ...
    def frame_sink(self, track: int, source: int) -> FrameSink: ...
    def frame_tap(self, track: int) -> FrameTap: ...
    def snapshot(self) -> bytes:
        """Counters of the relay, its legs and its tracks: JSON of `sealcast.wire.RelayNumbers`.

        Read in several turns of the relay's loop: dear where legs are many, but it delays no media.
        """
    def leg_snapshot(self, leg: int) -> bytes | None:
        """Counters of one leg: JSON of `sealcast.wire.LegNumbers`; None if there is none (now)."""
    def stop(self) -> None: ...

@final
class FrameSink:
    """A publisher's frames on their way into one track."""

    def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        """Hand over one frame: an access unit (H264: Annex B) or an Opus packet.

        `timestamp` counts the track's clock, unwrapped; `node_time_ns` is its capture time on
        `time.monotonic_ns()`.
        """
    def close(self) -> None: ...

@final
class FrameTap:
    """Frames on their way out of one track; a slow reader loses frames and slows nobody."""

    def fileno(self) -> int: ...
    def read(self) -> list[tuple[bytes, int, bool]]:
        """All waiting frames: data, timestamp on the track's clock, key frame or not."""
    def close(self) -> None: ...

@final
class Front:
    """The TCP side: doors, the proxy to the application, raw TLS ingest."""

    def __new__(cls, *, app_socket: str, secret: str, threads: int = 1) -> Front: ...
    def open_door(
        self, spec: bytes, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> list[str]:
        """Open a door from the JSON of a `sealcast.wire.DoorSpec`; returns its addresses."""
    def swap(
        self, door: str, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> None: ...
    def set_challenge(self, door: str, server_name: str, pair: tuple[bytes, bytes] | None) -> None:
        """While `pair` (PEM chain and key) stands, the door answers a TLS challenge of ACME for
        `server_name` with it (RFC 8737); None: no longer.
        """
    def set_revoked(self, revoked: list[str]) -> int:
        """From now on these certificates ("<issuer's key id>:<serial>", hexadecimal) are revoked.

        Returns how many open connections that ends.
        """
    def fileno(self) -> int: ...
    def drain_events(self) -> bytes: ...
    def take_ingest(self, connection: int) -> int:
        """The plaintext end of an ingest connection: a blocking socket the caller now owns."""
    def take_body(self, ticket: int) -> int:
        """The plaintext end of a request's body, by the ticket that came with its head in
        `x-sealcast-body`: a blocking socket the caller now owns.

        The application then answers with the ticket in the same header; once that is done the body
        flows. CORE.BAD_ARGUMENT if its request is over, or it was taken.
        """
    def answer_body(self, ticket: int, status: int, media_type: str, body: bytes) -> bool:
        """Answer the client whose body was taken, and end the body if it is not over.

        False if its request was answered, or is over.
        """
    def facts(self, connection: int) -> bytes | None: ...
    def close_connection(self, connection: int, code: str) -> None: ...
    def counters(self) -> bytes: ...
    def stop(self) -> None: ...

@final
class SrtpStream:
    """What a context knows of one source. Bytes are those of plain packets."""

    @property
    def ssrc(self) -> int: ...
    @property
    def rtp_packets(self) -> int:
        """SRTP packets protected or opened."""
    @property
    def rtp_bytes(self) -> int: ...
    @property
    def rtcp_packets(self) -> int:
        """SRTCP packets protected or opened."""
    @property
    def rtcp_bytes(self) -> int: ...
    @property
    def replayed(self) -> int:
        """Refused because the index had been received, or was used by this sender."""
    @property
    def too_old(self) -> int:
        """Refused because they were behind the replay window."""
    @property
    def authentication_failed(self) -> int:
        """Refused because the tag did not fit. Anyone can make this number grow."""
    @property
    def roc(self) -> int:
        """The rollover counter of the newest packet, or the one that was set."""
    @property
    def highest_index(self) -> int | None:
        """The newest SRTP index: the rollover counter times 2^16 plus the sequence number."""
    @property
    def highest_rtcp_index(self) -> int | None:
        """The newest SRTCP index."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class SrtpTotals:
    """What a context has counted over all sources, known or not."""

    @property
    def rtp_packets(self) -> int: ...
    @property
    def rtp_bytes(self) -> int: ...
    @property
    def rtcp_packets(self) -> int: ...
    @property
    def rtcp_bytes(self) -> int: ...
    @property
    def refused(self) -> dict[str, int]:
        """How many packets were refused, by code; a code that never came is not in it."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class KeyNearlySpent:
    """A master key reached its soft limit: agree on another one now."""

    @property
    def mki(self) -> bytes: ...
    @property
    def protocol(self) -> Literal["SRTP", "SRTCP"]: ...
    @property
    def remaining(self) -> int:
        """How many packets are left."""
    @property
    def code(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class KeySpent:
    """A master key reached its hard limit: no more packets of this protocol."""

    @property
    def mki(self) -> bytes: ...
    @property
    def protocol(self) -> Literal["SRTP", "SRTCP"]: ...
    @property
    def code(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

class _SrtpContext:
    """What the two classes have in common; it is known to type checkers alone."""

    @property
    def profile(self) -> SrtpProfile:
        """The profile of its keys."""
    def add_key(
        self, mki: BytesLike, master_key: BytesLike | Secret, master_salt: BytesLike | Secret
    ) -> None:
        """Hold another master key; its identifier is as long as the first one's."""
    def remove_key(self, mki: BytesLike) -> None:
        """Forget and wipe a master key."""
    @property
    def mkis(self) -> list[bytes]:
        """The identifiers of the keys that it holds."""
    def set_roc(self, ssrc: int, roc: int) -> None:
        """Start a source at this rollover counter (RFC 3711 §3.3.1), before its first packet."""
    def statistics(self) -> list[SrtpStream]:
        """What it knows of each source."""
    def totals(self) -> SrtpTotals:
        """What it has counted over all sources, known or not."""
    def events(self) -> list[KeyNearlySpent | KeySpent]:
        """What happened to its keys since the last call; each comes once per key and protocol."""
    def close(self) -> None:
        """Wipe the keys now; every later call raises `ContextClosed`."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class SrtpSender(_SrtpContext):
    """Protects what one side sends under one master key.

    See `sealcast.srtp` for the four forms of each call and for the rule about threads. Methods
    raise subclasses of `sealcast.errors.SrtpError`.
    """

    def __new__(
        cls,
        profile: str,
        master_key: BytesLike | Secret,
        master_salt: BytesLike | Secret,
        *,
        mki: BytesLike | None = None,
        replay_window: int = 1024,
        max_ssrcs: int | None = None,
        ssrcs: Iterable[int] | None = None,
        key_derivation_rate: int = 0,
        rtp_lifetime: tuple[int, int] | None = None,
        rtcp_lifetime: tuple[int, int] | None = None,
        encrypted_extensions: Iterable[int] | None = None,
        cryptex: bool = False,
        unencrypted_srtcp: bool = False,
        null_cipher: bool = False,
        key_reuse_for_tests: bool = False,
    ) -> Self:
        """Both ends must give the same keys, `mki`, `key_derivation_rate` and
        `encrypted_extensions`.

        `mki`: the key's identifier, up to 128 bytes; packets then carry one (RFC 3711 §8.1).
        `replay_window`: how far behind the newest a packet may still be protected, in packets: a
        multiple of 64 from 64 to 32,768 (RFC 3711 §3.3.2).
        `max_ssrcs`: how many sources it remembers at most, 1 to 65,536; if not given, 64, or as
        many as `ssrcs` declares if those are more. It forgets none.
        `ssrcs`: the only SSRCs that it serves. Two senders may share a master key only if
        both declare theirs and have none in common.
        `key_derivation_rate`: 0 or a power of two up to 2^24, in packets (RFC 3711 §4.3.1).
        `rtp_lifetime`, `rtcp_lifetime`: after how many packets `events()` warns and after how many
        the key is spent; at most 2^48 and 2^31 (RFC 3711 §9.2), which is also the default.
        `encrypted_extensions`: numbers of the header extension elements to encrypt (RFC 6904).
        `cryptex`: encrypt the whole header extension and the CSRCs (RFC 9335).
        `unencrypted_srtcp`: send SRTCP with E = 0 (SDES `UNENCRYPTED_SRTCP`).
        `null_cipher`: take a profile that does not encrypt; for tests and tools.
        `key_reuse_for_tests`: take a key that a sender which is gone protected with, though both
        make the same keystream; for published vectors and measurements.

        Raises `UnknownProfile`, `BadKey`, `BadOption`, `NullCipherRefused`, `KeyInUse` or
        `KeyUsedBefore`.
        """
    @property
    def rtp_overhead(self) -> int:
        """The most bytes that protection adds to an RTP packet: tag, MKI, RFC 9335's prefix."""
    @property
    def rtcp_overhead(self) -> int:
        """The bytes that protection adds to an RTCP packet: tag, index, MKI."""
    def protect(self, packet: BytesLike) -> bytes:
        """Protect one RTP packet."""
    def protect_rtcp(self, packet: BytesLike) -> bytes:
        """Protect one compound RTCP packet."""
    def protect_into(self, packet: BytesLike, target: BytesLike) -> int:
        """Protect one RTP packet into the start of `target`, which may be the packet's own buffer.

        `target` needs room for the packet and `rtp_overhead` bytes.
        Returns the length of the result, in bytes.
        """
    def protect_into_rtcp(self, packet: BytesLike, target: BytesLike) -> int:
        """`protect_into` for a compound RTCP packet."""
    def protect_many(self, packets: Iterable[BytesLike]) -> list[bytes | SrtpError]:
        """Protect RTP packets in order; what was refused stands in its place, not raised."""
    def protect_many_rtcp(self, packets: Iterable[BytesLike]) -> list[bytes | SrtpError]:
        """`protect_many` for compound RTCP packets."""
    def protect_arena(
        self, arena: BytesLike, offsets: BytesLike, lengths: BytesLike, outcomes: BytesLike
    ) -> int:
        """Protect the RTP packets of an arena where they lie; returns how many went through."""
    def protect_arena_rtcp(
        self, arena: BytesLike, offsets: BytesLike, lengths: BytesLike, outcomes: BytesLike
    ) -> int:
        """`protect_arena` for compound RTCP packets."""
    def use_key(self, mki: BytesLike) -> None:
        """Protect with the key that has this identifier from now on."""

@final
class SrtpReceiver(_SrtpContext):
    """Opens what one side receives under one master key.

    See `sealcast.srtp` for the four forms of each call and for the rule about threads. Methods
    raise subclasses of `sealcast.errors.SrtpError`.
    """

    def __new__(
        cls,
        profile: str,
        master_key: BytesLike | Secret,
        master_salt: BytesLike | Secret,
        *,
        mki: BytesLike | None = None,
        replay_window: int = 1024,
        max_ssrcs: int | None = None,
        ssrcs: Iterable[int] | None = None,
        key_derivation_rate: int = 0,
        rtp_lifetime: tuple[int, int] | None = None,
        rtcp_lifetime: tuple[int, int] | None = None,
        encrypted_extensions: Iterable[int] | None = None,
        cryptex: Literal["accepted", "required"] | None = None,
        unencrypted_srtcp: bool = False,
        null_cipher: bool = False,
    ) -> Self:
        """Both ends must give the same keys, `mki`, `key_derivation_rate` and
        `encrypted_extensions`.

        `mki`: the key's identifier, up to 128 bytes; packets then carry one (RFC 3711 §8.1).
        `replay_window`: how far behind the newest a packet may come, in packets: a
        multiple of 64 from 64 to 32,768 (RFC 3711 §3.3.2).
        `max_ssrcs`: how many sources it remembers at most, 1 to 65,536; if not given, 64, or as
        many as `ssrcs` declares if those are more. It forgets none.
        `ssrcs`: the only SSRCs that it serves.
        `key_derivation_rate`: 0 or a power of two up to 2^24, in packets (RFC 3711 §4.3.1).
        `rtp_lifetime`, `rtcp_lifetime`: after how many packets `events()` warns and after how many
        the key is spent; at most 2^48 and 2^31 (RFC 3711 §9.2), which is also the default.
        `encrypted_extensions`: numbers of the header extension elements to encrypt (RFC 6904).
        `cryptex`: open headers protected by RFC 9335; `"accepted"` also takes clear ones,
        `"required"` does not.
        `unencrypted_srtcp`: take SRTCP with E = 0 too (SDES `UNENCRYPTED_SRTCP`).
        `null_cipher`: take a profile that does not encrypt; for tests and tools.

        Raises `UnknownProfile`, `BadKey`, `BadOption`, `NullCipherRefused`.
        """
    def unprotect(self, packet: BytesLike) -> bytes:
        """Open one SRTP packet."""
    def unprotect_rtcp(self, packet: BytesLike) -> bytes:
        """Open one compound SRTCP packet."""
    def unprotect_into(self, packet: BytesLike, target: BytesLike) -> int:
        """Open one SRTP packet into the start of `target`, which may be the packet's own buffer.

        `target` needs room for the whole protected packet.
        Returns the length of the result, in bytes.
        """
    def unprotect_into_rtcp(self, packet: BytesLike, target: BytesLike) -> int:
        """`unprotect_into` for a compound SRTCP packet."""
    def unprotect_many(self, packets: Iterable[BytesLike]) -> list[bytes | SrtpError]:
        """Open SRTP packets in order; what was refused stands in its place, not raised."""
    def unprotect_many_rtcp(self, packets: Iterable[BytesLike]) -> list[bytes | SrtpError]:
        """`unprotect_many` for compound SRTCP packets."""
    def unprotect_arena(
        self, arena: BytesLike, offsets: BytesLike, lengths: BytesLike, outcomes: BytesLike
    ) -> int:
        """Open the SRTP packets of an arena where they lie; returns how many went through."""
    def unprotect_arena_rtcp(
        self, arena: BytesLike, offsets: BytesLike, lengths: BytesLike, outcomes: BytesLike
    ) -> int:
        """`unprotect_arena` for compound SRTCP packets."""

def srtp_protect_pairs(
    pairs: Iterable[tuple[SrtpSender, BytesLike]], rtcp: bool
) -> list[bytes | SrtpError]: ...
def srtp_unprotect_pairs(
    pairs: Iterable[tuple[SrtpReceiver, BytesLike]], rtcp: bool
) -> list[bytes | SrtpError]: ...
def srtp_protect_arena(
    contexts: Sequence[SrtpSender],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
    rtcp: bool,
) -> int: ...
def srtp_unprotect_arena(
    contexts: Sequence[SrtpReceiver],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
    rtcp: bool,
) -> int: ...
def srtp_known_session_keys(
    profile: str,
    master_key: bytes,
    master_salt: bytes,
    purpose: Literal["rtp", "rtcp", "rtp_header"],
    period: int,
) -> list[bytes]:
    """For published vectors: keys of the cipher and of authentication, and the salt."""

def srtp_known_keystream(
    profile: str, key: bytes, salt: bytes, ssrc: int, index: int, length: int
) -> bytes:
    """For published vectors: the keystream of AES-CM for one packet."""

def srtp_known_aead_seal(
    profile: str, key: bytes, salt: bytes, plain: bytes, index: int, rtcp: bool, encrypted: bool
) -> bytes:
    """For published vectors: one packet sealed under session keys; `encrypted` is SRTCP's E."""

def srtp_known_aead_open(
    profile: str, key: bytes, salt: bytes, protected: bytes, index: int, rtcp: bool
) -> bytes:
    """For published vectors: one packet opened under session keys."""

def forked() -> None:
    """Called in the child of a fork: what its parent made is not for it."""

def srtp_outcomes() -> list[str]:
    """The code of every number in `outcomes`; 0 is success and has an empty one."""

def srtp_profile_table() -> list[tuple[str, int | None, str | None, int, int, int, int]]:
    """The rows behind `sealcast.SrtpProfile`."""

def judge_chain(chain_pem: bytes, roots_pem: bytes) -> tuple[str | None, str]:
    """What a door with these client roots would say of a client's chain (PEM, the leaf first) by
    the system's clock: None and the SHA-256 of its root, or the code and sentence of its refusal.
    """

def judge_peer(
    chain: Sequence[bytes],
    roots_pem: bytes,
    role: str,
    uri: str | None = None,
    dns: str | None = None,
) -> None:
    """Judge DER certificates, the leaf first, as a DTLS endpoint judges a peer in `role` ("client",
    "server"); a `CoreError` is the refusal.
    """

def read_certificate(chain_pem: bytes) -> bytes:
    """The first certificate of a PEM text, as JSON of `sealcast.wire.PeerCertificate`."""

def srtp_profiles() -> list[tuple[str, int | None]]: ...
def codes() -> list[str]: ...
