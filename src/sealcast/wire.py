"""The shapes that cross to the native side and back, as JSON.

Does: mirrors the structs of `crates/relay`, `crates/front` and `crates/core` field by field: what
Python decided goes down (`LegSpec`, `DoorSpec`, `DtlsEndpointSpec`), what happened comes up
(events, facts, counters).

Does not: decide anything, or check more than types: what goes down was decided by
`sealcast.policy`, what comes up is our own core's word.

Unknown events and fields are ignored: the core may learn to say more before Python learns to
listen.
"""

from typing import Literal

import msgspec

from sealcast.secret import Secret

Kind = Literal["video", "audio"]
CodecName = Literal["H264", "H265", "VP8", "VP9", "AV1", "opus"]
DtlsRole = Literal["active", "passive"]
Version = Literal["1.2", "1.3"]


class Down(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes to the core."""


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """What comes from the core."""


# --- to the relay ---------------------------------------------------------------------------------


class IceSpec(Down, frozen=True):
    """Both ends' ICE credentials.

    `remote_candidates` ("ip:port") are probed by a client leg only.
    """

    local_ufrag: str
    local_pwd: Secret
    remote_ufrag: str
    remote_pwd: Secret
    remote_candidates: tuple[str, ...] = ()


class FingerprintSpec(Down, frozen=True):
    """A digest of the peer's certificate (RFC 8122 §5): `sha-256`, `AB:CD:…`."""

    algorithm: str
    value: str


class DtlsSpec(Down, frozen=True):
    """The outcomes of the handshake that policy admits. The core only compares.

    `groups` are joined by ':', first is best; of `fingerprints` the presented certificate must
    match one.
    """

    role: DtlsRole
    min_version: Version
    max_version: Version
    groups: str
    srtp_profiles: tuple[str, ...]
    fingerprints: tuple[FingerprintSpec, ...]
    handshake_timeout_ms: int = 20_000


class ReceiveSpec(Down, frozen=True):
    """One media section that the peer sends on: what feeds `track`.

    `ssrcs` may be empty: then they are learnt from authenticated packets, by MID or payload type
    (RFC 9143 §9.2).
    """

    track: int
    mid: str
    kind: Kind
    codec: CodecName
    payload_type: int
    rtx_payload_type: int | None
    clock_rate: int
    ssrcs: tuple[int, ...] = ()
    extensions: dict[str, int] = {}
    nack: bool = False
    pli: bool = False
    twcc: bool = False


class SendSpec(Down, frozen=True):
    """One media section that we send `track` on."""

    track: int
    mid: str
    kind: Kind
    codec: CodecName
    payload_type: int
    rtx_payload_type: int | None
    clock_rate: int
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    extensions: dict[str, int] = {}
    nack: bool = False
    pli: bool = False


class LegSpec(Down, frozen=True):
    """One media leg.

    `server` legs are ICE-controlled and never probe; `client` legs are controlling.
    """

    id: int
    side: Literal["server", "client"]
    ice: IceSpec
    dtls: DtlsSpec
    receive: tuple[ReceiveSpec, ...] = ()
    send: tuple[SendSpec, ...] = ()
    own_binds: tuple[str, ...] = ()
    """Addresses of sockets that are this leg's own; empty: those of the relay. For client legs: two
    that ask the same server from one socket could not be told apart."""


# --- to the front ---------------------------------------------------------------------------------


class DoorSpec(Down, frozen=True):
    """One listening address with its policy."""

    name: str
    kind: Literal["https", "tls_ingest"]
    bind: tuple[str, ...]
    min_version: Version
    max_version: Version
    groups: str
    client_auth: Literal["none", "optional", "required"]
    hsts: bool = False


# --- to a TLS client ------------------------------------------------------------------------------


class TlsClientSpec(Down, frozen=True):
    """What a TLS connection that we open may agree to.

    The server's certificate must carry the one name that is given; `sni` is what is asked for,
    without it the DNS name.
    """

    min_version: Version
    max_version: Version
    groups: str
    alpn: tuple[str, ...] = ()
    peer_uri: str | None = None
    peer_dns: str | None = None
    peer_address: str | None = None
    sni: str | None = None


# --- to a DTLS endpoint ---------------------------------------------------------------------------


class DtlsEndpointSpec(Down, frozen=True):
    """One end of a DTLS association that a program drives itself.

    `fingerprints` count unless there is a trust bundle; then the certificate must carry the one
    name that is given.
    """

    role: Literal["client", "server"]
    fingerprints: tuple[FingerprintSpec, ...]
    peer_uri: str | None
    peer_dns: str | None
    min_version: Version
    max_version: Version
    groups: str
    srtp_profiles: tuple[str, ...]
    mtu: int
    handshake_timeout_s: float
    initial_timeout_s: float


# --- facts ----------------------------------------------------------------------------------------


class PeerCertificate(Up, frozen=True):
    """What a verified certificate says. Times are seconds since 1970.

    `chain` is what it and its issuers below the root are called in a list of the revoked, each as
    "<issuer's key id>:<serial>" (`Front.set_revoked`).
    """

    subject: str = ""
    san_uris: tuple[str, ...] = ()
    san_dns: tuple[str, ...] = ()
    serial: str = ""
    not_before_unix: int = 0
    not_after_unix: int = 0
    issuer: str = ""
    sha256: str = ""
    chain: tuple[str, ...] = ()
    root_sha256: str = ""
    """Of the root in the door's trust bundle by which it was verified, `AB:CD:…`."""


class TlsFacts(Up, frozen=True):
    """The negotiated facts of a TLS connection.

    What was not told is None, here and in a `MediaSeal`: no default may pass for a measurement.
    `own_sha256` is of the certificate that we showed, `AB:CD:…`; None after a resumption.
    """

    protocol: str = "TLS"
    version: str = ""
    cipher: str = ""
    group: str | None = None
    peer_signature: str | None = None
    own_signature: str | None = None
    srtp_profile_id: int | None = None
    own_sha256: str | None = None
    peer: PeerCertificate | None = None
    resumed: bool | None = None
    early_data: bool | None = None
    hello_retry: bool | None = None
    ech: bool | None = None
    sni: str | None = None
    alpn: str | None = None
    forward_secrecy: bool | None = None
    post_quantum: bool | None = None


class TlsEnd(Up, frozen=True):
    """How a TLS connection that we opened ended; without a code, as it should."""

    code: str | None
    detail: str
    alert_sent: str | None
    alert_received: str | None


class MediaSeal(Up, frozen=True):
    """The negotiated facts of a DTLS-SRTP leg, proved: fingerprints were compared before keys were
    exported. `expires_unix` is the notAfter of the peer's certificate.
    """

    protocol: str = "DTLS"
    version: str = ""
    cipher: str = ""
    group: str | None = None
    srtp_profile: str = ""
    peer_fingerprint: str = ""
    local_fingerprint: str = ""
    peer_signature: str | None = None
    own_signature: str | None = None
    forward_secrecy: bool | None = None
    post_quantum: bool | None = None
    hello_retry: bool | None = None
    resumed: bool | None = None
    early_data: bool | None = None
    ech: bool | None = None
    sni: str | None = None
    alpn: str | None = None
    expires_unix: int | None = None


# --- numbers of the relay -------------------------------------------------------------------------


class ReceivedNumbers(Up, frozen=True):
    """A media section that we receive."""

    packets: int = 0
    lost: int = 0
    recovered: int = 0


class SentNumbers(Up, frozen=True):
    """A media section that we send; `lost` as the viewer tells."""

    packets: int = 0
    retransmitted: int = 0
    lost: int = 0


class LegNumbers(Up, frozen=True):
    """One leg."""

    id: int
    rtt_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    drops: dict[str, int] = {}
    receive: tuple[ReceivedNumbers, ...] = ()
    send: tuple[SentNumbers, ...] = ()


class TrackNumbers(Up, frozen=True):
    """One track."""

    id: int
    kind: str = ""
    codec: str = ""
    packets: int = 0
    bytes: int = 0
    key_frames: int = 0
    bits_per_second: float = 0.0
    drops: dict[str, int] = {}


class SocketNumbers(Up, frozen=True):
    """One UDP socket: datagrams, and the system calls that they took."""

    address: str = ""
    receive_buffer: int = 0
    send_buffer: int = 0
    datagrams_in: int = 0
    receive_calls: int = 0
    datagrams_out: int = 0
    send_calls: int = 0
    would_block: int = 0


class RelayNumbers(Up, frozen=True):
    """All of the relay."""

    legs: tuple[LegNumbers, ...] = ()
    tracks: tuple[TrackNumbers, ...] = ()
    sockets: tuple[SocketNumbers, ...] = ()
    drops: dict[str, int] = {}
    events_lost: int = 0
    cpu_us: int = 0


# --- from the relay -------------------------------------------------------------------------------


class LegStage(Up, frozen=True, tag_field="type", tag="leg_stage"):
    """A stage of a leg began or ended, `elapsed_ms` after the leg's start."""

    leg: int
    stage: str
    outcome: Literal["started", "done", "failed"]
    elapsed_ms: float = 0.0
    code: str | None = None
    detail: str | None = None


class LegSealed(Up, frozen=True, tag_field="type", tag="leg_sealed"):
    """The handshake is over, the identity proved, the keys installed."""

    leg: int
    seal: MediaSeal


class LegPath(Up, frozen=True, tag_field="type", tag="leg_path"):
    """Media goes between these addresses from now on."""

    leg: int
    local: str
    remote: str


class LegNoted(Up, frozen=True, tag_field="type", tag="leg_noted"):
    """Something about a leg that its operator may want to know; it goes on."""

    leg: int
    code: str
    detail: str = ""


class LegClosed(Up, frozen=True, tag_field="type", tag="leg_closed"):
    """The leg is gone. `last` are its last numbers; None if it never began."""

    leg: int
    code: str
    detail: str | None = None
    last: LegNumbers | None = None


class TrackLive(Up, frozen=True, tag_field="type", tag="track_live"):
    """`source` (a leg's or sink's id) feeds the track from this key frame on."""

    track: int
    source: int


class TrackKeyFrame(Up, frozen=True, tag_field="type", tag="track_key_frame"):
    """The first key frame of a source of the track has come."""

    track: int
    source: int = 0


class TrackEnded(Up, frozen=True, tag_field="type", tag="track_ended"):
    """`source` no longer feeds the track, and no other one does."""

    track: int
    source: int


RelayEvent = (
    LegStage | LegSealed | LegPath | LegNoted | LegClosed | TrackLive | TrackKeyFrame | TrackEnded
)


# --- from the front -------------------------------------------------------------------------------


class ConnectionTiming(Up, frozen=True):
    """When a connection was accepted (wall clock), how long it waited for its turn, and how long
    its handshake took.
    """

    accepted_unix_ms: int
    queued_ms: float
    handshake_ms: float


class ConnectionOpened(Up, frozen=True, tag_field="type", tag="connection_opened"):
    """A TLS handshake completed; `peer` is the remote "ip:port"."""

    door: str
    connection: int
    peer: str
    facts: TlsFacts
    timing: ConnectionTiming


class HandshakeFailed(Up, frozen=True, tag_field="type", tag="handshake_failed"):
    """A TLS handshake failed, `elapsed_ms` after TCP was accepted; there is no connection."""

    door: str
    peer: str
    code: str
    detail: str | None = None
    elapsed_ms: float = 0.0


class ConnectionClosed(Up, frozen=True, tag_field="type", tag="connection_closed"):
    """A connection is gone."""

    connection: int
    code: str
    detail: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0


class BodyEnded(Up, frozen=True, tag_field="type", tag="body_ended"):
    """A request's body that was taken (`Front.take_body`) is over."""

    ticket: int
    code: str
    detail: str | None = None
    bytes_in: int = 0


FrontEvent = ConnectionOpened | HandshakeFailed | ConnectionClosed | BodyEnded


# --- from a DTLS endpoint -------------------------------------------------------------------------


class DtlsCompleted(Up, frozen=True, tag_field="type", tag="handshake_completed"):
    """The peer is proved, the handshake over, the keys there."""

    facts: TlsFacts
    proved_by: Literal["fingerprint", "authority"]
    proved: str


class DtlsFailed(Up, frozen=True, tag_field="type", tag="failed"):
    """The association is over by a failure. Alerts are named as the registry has them."""

    __match_args__ = ("code", "detail", "alert_sent", "alert_received")

    code: str
    detail: str
    alert_sent: str | None = None
    alert_received: str | None = None


class DtlsClosed(Up, frozen=True, tag_field="type", tag="closed"):
    """The peer closed an established association."""

    __match_args__ = ("alert_sent", "alert_received")

    alert_sent: str | None = None
    alert_received: str | None = None


DtlsEndpointEvent = DtlsCompleted | DtlsFailed | DtlsClosed


class DtlsCounters(Up, frozen=True):
    """Counts of one DTLS endpoint since its creation.

    `received` datagrams had the shape of DTLS; `without_effect` of them changed nothing that can be
    seen from outside: forged or repeated ones, and parts of a message whose rest is still to come.
    `sent` counts what was made, also what was then `dropped_undrained`. The other drops are of
    datagrams that came: empty, larger than 9216 bytes, no DTLS, after the end, and application
    data, which nothing here expects.
    """

    received: int = 0
    sent: int = 0
    timeouts: int = 0
    without_effect: int = 0
    dropped_oversized: int = 0
    dropped_empty: int = 0
    dropped_not_dtls: int = 0
    dropped_late: int = 0
    dropped_undrained: int = 0
    dropped_application_data: int = 0


def _in_clear(value: object) -> str:
    """A secret on its way to the native side, which is the one place where it may be read."""
    if isinstance(value, Secret):
        return value.reveal().decode("ascii")
    raise NotImplementedError(f"{type(value).__name__} does not cross to the native side")


_ENCODER = msgspec.json.Encoder(enc_hook=_in_clear)
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_RELAY = msgspec.json.Decoder(RelayEvent)
_FRONT = msgspec.json.Decoder(FrontEvent)
_FACTS = msgspec.json.Decoder(TlsFacts)
_TLS_END: msgspec.json.Decoder[TlsEnd] = msgspec.json.Decoder(TlsEnd)
_RELAY_NUMBERS = msgspec.json.Decoder(RelayNumbers)
_LEG_NUMBERS = msgspec.json.Decoder(LegNumbers)
_DTLS_EVENTS = msgspec.json.Decoder(list[DtlsEndpointEvent])
_DTLS_COUNTERS = msgspec.json.Decoder(DtlsCounters)


def encode(value: msgspec.Struct) -> bytes:
    """JSON for the native side. It holds the secrets of `value`: hand it over, keep no copy."""
    return _ENCODER.encode(value)


def decode_relay_events(data: bytes) -> tuple[list[RelayEvent], int]:
    """The events in `Relay.drain_events()`, and how many were of a kind not known here."""
    events: list[RelayEvent] = []
    unknown = 0
    for raw in _RAW.decode(data):
        try:
            events.append(_RELAY.decode(raw))
        except msgspec.ValidationError:
            unknown += 1
    return events, unknown


def decode_front_events(data: bytes) -> tuple[list[FrontEvent], int]:
    """The events in `Front.drain_events()`, and how many were of a kind not known here."""
    events: list[FrontEvent] = []
    unknown = 0
    for raw in _RAW.decode(data):
        try:
            events.append(_FRONT.decode(raw))
        except msgspec.ValidationError:
            unknown += 1
    return events, unknown


def decode_relay_numbers(data: bytes) -> RelayNumbers:
    """The numbers in `Relay.snapshot()`."""
    return _RELAY_NUMBERS.decode(data)


def decode_leg_numbers(data: bytes) -> LegNumbers:
    """The numbers in `Relay.leg_snapshot()`."""
    return _LEG_NUMBERS.decode(data)


def decode_facts(data: bytes) -> TlsFacts:
    """The facts in `Front.facts()` or `TlsClient.facts()`."""
    return _FACTS.decode(data)


def decode_tls_end(data: bytes) -> TlsEnd:
    """The end in `TlsClient.end()`."""
    return _TLS_END.decode(data)


def decode_dtls_events(data: bytes) -> list[DtlsEndpointEvent]:
    """The events in `DtlsEndpoint.events()`."""
    return _DTLS_EVENTS.decode(data)


def decode_dtls_counters(data: bytes) -> DtlsCounters:
    """The counts in `DtlsEndpoint.counters()`."""
    return _DTLS_COUNTERS.decode(data)
