"""The offer of a viewer, built from objects, and what the answer agreed to.

Does: offers one video and one audio section to receive, in every codec that the relay carries;
reads the answer into the sections of a leg.

Specs: RFC 8829 §5.2 (offers), RFC 9143 (bundle), RFC 4588 (RTX), RFC 6184 §8.1 (H264).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError
from sealcast.sdp import (
    Attribute,
    Direction,
    ExtMap,
    Fingerprint,
    Flag,
    FormatParameters,
    Group,
    IceCredentials,
    IceOptions,
    IcePwd,
    IceUfrag,
    Media,
    Mid,
    Offer,
    Origin,
    RtcpFeedback,
    RtpMap,
    Session,
    Setup,
    Way,
)
from sealcast.sdp.codecs import carried, h264_profile
from sealcast.wire import CodecName, Kind, ReceiveSpec

PROFILE: Final = "UDP/TLS/RTP/SAVPF"
MID_EXTENSION: Final = ExtMap(1, "urn:ietf:params:rtp-hdrext:sdes:mid")
WANTED_VIDEO: Final[tuple[tuple[CodecName, tuple[tuple[str, str], ...]], ...]] = (
    *(
        (
            "H264",
            (
                ("level-asymmetry-allowed", "1"),
                ("packetization-mode", "1"),
                ("profile-level-id", profile),
            ),
        )
        # Constrained baseline, main and high at level 5.2: nothing is decoded here, so every
        # stream may come.
        for profile in ("42e034", "4d0034", "640034")
    ),
    ("VP8", ()),
    ("VP9", (("profile-id", "0"),)),
    ("AV1", (("profile", "0"),)),
)
OPUS: Final = (("minptime", "10"), ("stereo", "1"), ("useinbandfec", "1"))
FIRST_VIDEO_TYPE: Final = 96
OPUS_TYPE: Final = 111
FEEDBACK: Final = ("nack", "nack pli")


def build_offer(credentials: IceCredentials, fingerprint: str) -> Session:
    """The offer. `fingerprint` is the SHA-256 digest of the certificate made for this leg."""
    transport: tuple[Attribute, ...] = (
        IceUfrag(credentials.ufrag),
        IcePwd(credentials.pwd),
        IceOptions(("trickle", "ice2")),
        Fingerprint("sha-256", fingerprint),
        # The answerer chooses; a sealcast node answers passive and we act.
        Setup("actpass"),
        Flag("rtcp-mux"),
        Direction(Way.RECVONLY),
        MID_EXTENSION,
    )
    video: list[Attribute] = []
    formats: list[str] = []
    payload_type = FIRST_VIDEO_TYPE
    for name, parameters in WANTED_VIDEO:
        rtx = payload_type + 1
        formats += [str(payload_type), str(rtx)]
        video.append(RtpMap(payload_type, name, 90_000))
        if parameters:
            video.append(FormatParameters(payload_type, parameters))
        video += [RtcpFeedback(payload_type, kind) for kind in FEEDBACK]
        video.append(RtpMap(rtx, "rtx", 90_000))
        video.append(FormatParameters(rtx, (("apt", str(payload_type)),)))
        payload_type += 2
    audio: tuple[Attribute, ...] = (
        RtpMap(OPUS_TYPE, "opus", 48_000, 2),
        FormatParameters(OPUS_TYPE, OPUS),
    )
    return Session(
        origin=Origin("-", "1", "1"),
        media=(
            _section("video", "0", formats, (*transport, *video)),
            _section("audio", "1", [str(OPUS_TYPE)], (*transport, *audio)),
        ),
        attributes=(Group("BUNDLE", ("0", "1")),),
    )


def _section(
    kind: str, mid: str, formats: Sequence[str], attributes: tuple[Attribute, ...]
) -> Media:
    return Media(
        kind=kind,
        # RFC 8829 §5.2.1: no candidates yet, so port 9 and no address.
        port=9,
        protocol=PROFILE,
        formats=tuple(formats),
        attributes=(Mid(mid), *attributes),
        other=(("c", "IN IP4 0.0.0.0"),),
    )


@dataclass(frozen=True, slots=True)
class AgreedTrack:
    """One section that the node will send on."""

    track: int
    kind: Kind
    codec: CodecName
    clock_rate: int
    channels: int
    spec: ReceiveSpec
    profile_level_id: str | None = None
    """H264's, as the answer says it."""


def agreed_tracks(answer: Offer) -> tuple[AgreedTrack, ...]:
    """What an answer agreed to, read as the description that it is. SDP.NO_MEDIA for nothing."""
    found = tuple(_agreed(answer))
    if not found:
        raise RemoteError("SDP.NO_MEDIA", "The answer sends nothing.")
    return found


def _agreed(answer: Offer) -> Iterator[AgreedTrack]:
    for section in answer.sections:
        types = carried(section)
        if not section.way.sends or not types or section.media.port == 0:
            continue
        name, codec = types[0]
        yield AgreedTrack(
            track=section.index + 1,
            kind=section.kind,
            codec=name,
            clock_rate=codec.clock_rate,
            channels=codec.channels,
            spec=ReceiveSpec(
                track=section.index + 1,
                mid=section.mid,
                kind=section.kind,
                codec=name,
                payload_type=codec.payload_type,
                rtx_payload_type=codec.rtx,
                clock_rate=codec.clock_rate,
                ssrcs=section.media_ssrcs,
                extensions={known: ext.id for known, ext in section.known_extensions()},
                nack="nack" in codec.feedback,
                pli="nack pli" in codec.feedback,
            ),
            profile_level_id=str(h264_profile(codec)) if name == "H264" else None,
        )


def sockets_for(candidates: Sequence[str]) -> tuple[str, ...]:
    """Where to bind ("ip:port") to reach `candidates`: a socket of each family that they have.

    A candidate on a loopback address is reached from a loopback address alone. SDP.NO_ICE without
    any candidate.
    """
    found = []
    for candidate in candidates:
        host = candidate.rpartition(":")[0]
        if host.startswith("127."):
            found.append("127.0.0.1:0")
        elif host == "[::1]":
            found.append("[::1]:0")
        else:
            found.append("[::]:0" if host.startswith("[") else "0.0.0.0:0")
    if not found:
        raise RemoteError("SDP.NO_ICE", "The answer has no candidate that could be reached.")
    return tuple(dict.fromkeys(found))
