"""An offer, as WebRTC reads it (RFC 8829 §5.8): media on one bundled ICE and DTLS transport.

Does: refuses what no part of this node could carry, each with its own code, and gives the rest as
codecs with their parameters, feedback and retransmission, section by section.

Does not: choose anything, or look at fingerprints and roles (`sealcast.keying.dtls_srtp`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, cast

from sealcast.errors import RemoteError
from sealcast.sdp import limits
from sealcast.sdp.attributes import (
    Candidate,
    ExtMap,
    FormatParameters,
    Group,
    IceOptions,
    IcePwd,
    IceUfrag,
    RtcpFeedback,
    RtpMap,
    Ssrc,
    SsrcGroup,
    Way,
)
from sealcast.sdp.description import Media, Session
from sealcast.sdp.fragment import IceCredentials
from sealcast.sdp.parse import parse

Kind = Literal["video", "audio"]

# RFC 8829 §5.1.2 lists what an answerer must take as DTLS-SRTP over UDP.
_SECURE: Final = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"})
_PLAINTEXT: Final = frozenset({"RTP/AVP", "RTP/AVPF"})

# Header extensions by the names that the relay knows them by.
EXTENSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urn:ietf:params:rtp-hdrext:sdes:mid": "mid",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": "twcc",
    }
)
# Ids beyond 14 need the two-byte form (RFC 8285 §4.3), which the relay does not write.
_LARGEST_EXTENSION_ID: Final = 14


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type that was offered. `feedback` such as `nack pli`; `rtx` its own RTX type."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    parameters: FormatParameters
    feedback: frozenset[str]
    rtx: int | None

    def parameter(self, key: str, default: str = "") -> str:
        value = self.parameters.get(key)
        return default if value is None else value


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One media section of kind audio or video that may be accepted."""

    index: int
    media: Media
    kind: Kind
    way: Way
    codecs: tuple[Codec, ...]
    extensions: tuple[ExtMap, ...]

    @property
    def mid(self) -> str:
        """The section's name for the relay, which needs one; a lone section may have none."""
        return self.media.mid or "0"

    @property
    def media_ssrcs(self) -> tuple[int, ...]:
        """The sources that the section names, without those that only repair others."""
        repairs = {
            ssrc
            for group in self.media.all(SsrcGroup)
            if group.semantics in ("FID", "FEC-FR")
            for ssrc in group.ssrcs[1:]
        }
        named = (source.ssrc for source in self.media.all(Ssrc))
        media = [ssrc for ssrc in dict.fromkeys(named) if ssrc not in repairs]
        return tuple(media[: limits.SOURCES])

    def known_extensions(self) -> tuple[tuple[str, ExtMap], ...]:
        """Those that the relay reads or writes, with its names for them; the first of each."""
        found: dict[str, ExtMap] = {}
        for extension in self.extensions:
            name = EXTENSIONS.get(extension.uri)
            both_ways = extension.direction in (None, Way.SENDRECV)
            if name is not None and both_ways and extension.id <= _LARGEST_EXTENSION_ID:
                found.setdefault(name, extension)
        return tuple(found.items())


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer. `tagged` is the section whose transport all others share (RFC 9143 §7.2)."""

    session: Session
    sections: tuple[OfferedSection, ...]
    tagged: Media
    credentials: IceCredentials
    candidates: tuple[Candidate, ...]
    trickles: bool
    allows_mixed: bool

    def of_kind(self, kind: Kind) -> tuple[OfferedSection, ...]:
        return tuple(section for section in self.sections if section.kind == kind)


def read_offer(text: str | bytes) -> Offer:
    """The offer in `text`, or `RemoteError`.

    SDP.MALFORMED, SDP.TOO_LARGE, then in this order: SDP.DATA_CHANNEL, SDP.PLAINTEXT_MEDIA,
    SDP.NO_MEDIA, SDP.NO_BUNDLE, SDP.NO_RTCP_MUX, SDP.NO_ICE.
    """
    session = parse(text)
    for media in session.media:
        _refuse_section(media)
    active = [
        (index, media)
        for index, media in enumerate(session.media)
        if media.kind in ("audio", "video") and (media.port != 0 or media.has("bundle-only"))
    ]
    if not active:
        raise RemoteError("SDP.NO_MEDIA", "It has no active m=audio or m=video section.")
    tagged = _tagged(session, [media for _, media in active])
    for _, media in active:
        if not (media.has("rtcp-mux") or media.has("rtcp-mux-only")):
            raise RemoteError("SDP.NO_RTCP_MUX", f"It is missing in {media.title}.")
    if session.has("ice-lite"):
        raise RemoteError("SDP.NO_ICE", "The offer is a=ice-lite, but this node is controlled.")
    options = [*session.all(IceOptions), *tagged.all(IceOptions)]
    return Offer(
        session=session,
        sections=tuple(_section(session, index, media) for index, media in active),
        tagged=tagged,
        credentials=_credentials(session, tagged),
        candidates=tagged.all(Candidate)[: limits.CANDIDATES],
        trickles=any("trickle" in option.options for option in options),
        allows_mixed=session.has("extmap-allow-mixed"),
    )


def _refuse_section(media: Media) -> None:
    if media.port == 0 and not media.has("bundle-only"):
        return  # the offerer itself has switched it off
    protocol = media.protocol.upper()
    if protocol.endswith("DTLS/SCTP") or media.formats[0] == "webrtc-datachannel":
        raise RemoteError("SDP.DATA_CHANNEL", f"It is {media.title}.")
    if protocol in _PLAINTEXT:
        raise RemoteError("SDP.PLAINTEXT_MEDIA", f"{media.title} is {protocol}.")
    if media.kind in ("audio", "video") and protocol not in _SECURE:
        raise RemoteError(
            "SDP.PLAINTEXT_MEDIA", f"{media.title} has an unknown profile, {protocol[:40]}."
        )


def _tagged(session: Session, active: list[Media]) -> Media:
    """The section whose transport is used: the first of the bundle that is active."""
    if len(active) == 1:
        return active[0]
    mids = [media.mid for media in active]
    if len(set(mids)) != len(mids):
        raise RemoteError("SDP.MALFORMED", "Two sections have the same a=mid, or none.")
    bundles = [group.mids for group in session.all(Group) if group.semantics == "BUNDLE"]
    for bundle in bundles:
        if set(mids) <= set(bundle):
            by_mid = dict(zip(mids, active, strict=True))
            return by_mid[next(mid for mid in bundle if mid in by_mid)]
    raise RemoteError("SDP.NO_BUNDLE", f"{len(active)} sections: {', '.join(mids)}.")


def _credentials(session: Session, tagged: Media) -> IceCredentials:
    # RFC 8839 §5.4: at session level they are defaults for every section.
    ufrag = tagged.first(IceUfrag) or session.first(IceUfrag)
    pwd = tagged.first(IcePwd) or session.first(IcePwd)
    if ufrag is None or pwd is None:
        missing = "a=ice-ufrag" if ufrag is None else "a=ice-pwd"
        raise RemoteError("SDP.NO_ICE", f"{missing} is missing in {tagged.title}.")
    return IceCredentials(ufrag.value, pwd.value)


def _section(session: Session, index: int, media: Media) -> OfferedSection:
    return OfferedSection(
        index=index,
        media=media,
        kind=cast(Kind, media.kind),  # the caller took audio and video only
        way=media.way or _session_way(session),
        codecs=_codecs(media),
        extensions=(*media.all(ExtMap), *session.all(ExtMap)),
    )


def _session_way(session: Session) -> Way:
    # RFC 8866 §6.7: the session's direction is the default, else sendrecv.
    return next((Way(a.name) for a in session.attributes if a.name in set(Way)), Way.SENDRECV)


def _codecs(media: Media) -> tuple[Codec, ...]:
    """In the order of the m= line, which is the offerer's preference (RFC 3264 §5.1)."""
    maps = {rtpmap.payload_type: rtpmap for rtpmap in media.all(RtpMap)}
    parameters = {fmtp.payload_type: fmtp for fmtp in media.all(FormatParameters)}
    feedback = media.all(RtcpFeedback)
    rtx: dict[int, int] = {}
    for repair in maps.values():
        own = repair.payload_type
        if repair.encoding.lower() == "rtx" and own in parameters and _is_admissible(own):
            repaired = _payload_type(parameters[own].get("apt") or "")
            if repaired is not None:
                rtx.setdefault(repaired, own)
    codecs = []
    for text in dict.fromkeys(media.formats):
        payload_type = _payload_type(text)
        known = None if payload_type is None else maps.get(payload_type)
        # A static type without a=rtpmap is nothing that is carried here.
        if payload_type is None or known is None or known.encoding.lower() == "rtx":
            continue
        if not _is_admissible(payload_type):
            continue
        codecs.append(
            Codec(
                payload_type=payload_type,
                name=known.encoding,
                clock_rate=known.clock_rate,
                channels=known.channels or 1,
                parameters=parameters.get(payload_type, FormatParameters(payload_type, ())),
                feedback=frozenset(
                    entry.kind for entry in feedback if entry.payload_type in (None, payload_type)
                ),
                rtx=rtx.get(payload_type),
            )
        )
    return tuple(codecs)


def _payload_type(text: str) -> int | None:
    """A payload type as an m= line or an apt= names it; formats of other protocols are none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else None


def _is_admissible(payload_type: int) -> bool:
    """RFC 5761 §4: on one port with RTCP, 64 to 95 would be mistaken for its packet types."""
    return not 64 <= payload_type <= 95
