"""WHEP (draft-ietf-wish-whep-03): a browser watches by WebRTC.

Does: matches a viewer's offer with the tracks of a stream, as they are (nothing is transcoded), and
makes the answer and the leg from what policy granted. Only the draft's mode in which the viewer
offers and is answered 201 is served (§4.2.1); the counter-offer (§4.2.2: 406 with an SDP), server-
sent events and layer selection are not.

Does not: talk HTTP, admit anybody, wait for a stream.

The caller must still: get the tracks (`hub.watchable`), admit the claim, add the leg, list it, join
the hub, and answer 201; entropy is an argument.

    offer = read_offer(body)
    grant = admit(dtls_srtp.claim(offer), channel, Role.DELIVERY, policy)
    answer = answer_offer(
        offer, hub.watchable(stream), leg=leg, dtls=grant.dtls, transport=..., entropy=token_bytes
    )
    relay.add_leg(wire.encode(answer.leg_spec), media_identity)
    hub.join(stream, leg=leg, identity=grant.peer, way=WAY, tracks=answer.tracks)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError
from sealcast.sdp.answer import AcceptedSection, LocalTransport, accept, build_answer, retransmits
from sealcast.sdp.attributes import Attribute, Msid, Ssrc, SsrcGroup, Way
from sealcast.sdp.codecs import (
    allows_asymmetry,
    carried,
    h264_parameters,
    h264_profile,
    listed,
    plain_parameters,
)
from sealcast.sdp.description import Session
from sealcast.sdp.h264 import ProfileLevel
from sealcast.sdp.offer import Codec, Offer, OfferedSection
from sealcast.sdp.patch import probeable
from sealcast.streams.stream import Track
from sealcast.wire import DtlsSpec, IceSpec, LegSpec, SendSpec

WAY: Final = "whep"
DRAFT: Final = "draft-ietf-wish-whep-03"

# One stream in the browser's eyes, so that it keeps picture and sound together (RFC 8830 §2).
_MSID_STREAM: Final = "sealcast"


@dataclass(frozen=True, slots=True)
class WhepAnswer:
    """The answer (201), the leg that goes with it, and the ids of the tracks that it takes."""

    answer: Session
    leg_spec: LegSpec
    tracks: tuple[int, ...]

    @property
    def answer_sdp(self) -> str:
        return self.answer.to_text()


@dataclass(frozen=True, slots=True)
class _Match:
    """A section of the offer and the track that it will carry."""

    section: OfferedSection
    track: Track
    codec: Codec
    ssrc: int
    rtx_ssrc: int | None
    cname: str


def answer_offer(
    offer: Offer,
    tracks: Sequence[Track],
    *,
    leg: int,
    dtls: DtlsSpec,
    transport: LocalTransport,
    entropy: Callable[[int], bytes],
) -> WhepAnswer:
    """The answer and the leg.

    `RemoteError`: SDP.NO_MEDIA if the offer wants nothing that the stream has, SDP.NO_COMMON_CODEC
    (406) if it wants a kind whose codec it cannot decode.
    """
    used: set[int] = set()
    cname = entropy(8).hex()
    matches: list[_Match] = []
    for track in tracks:
        section = next(
            (section for section in offer.of_kind(track.kind) if section.way.receives), None
        )
        if section is None:
            continue  # the viewer does not want this kind
        codec = _fitting(section, track)
        ssrc = _draw_ssrc(entropy, used)
        rtx_ssrc = _draw_ssrc(entropy, used) if retransmits(codec) else None
        matches.append(_Match(section, track, codec, ssrc, rtx_ssrc, cname))
    if not matches:
        kinds = " and ".join(track.kind for track in tracks) or "nothing yet"
        raise RemoteError(
            "SDP.NO_MEDIA", f"The stream has {kinds}; a viewer's sections are recvonly or sendrecv."
        )
    accepted = [_accept(match) for match in matches]
    return WhepAnswer(
        answer=build_answer(offer, accepted, transport, dtls.role, session_id=leg),
        leg_spec=LegSpec(
            id=leg,
            side="server",
            ice=IceSpec(
                local_ufrag=transport.credentials.ufrag,
                local_pwd=transport.credentials.pwd,
                remote_ufrag=offer.credentials.ufrag,
                remote_pwd=offer.credentials.pwd,
                remote_candidates=probeable(offer.candidates),
            ),
            dtls=dtls,
            send=tuple(_send(match, entry) for match, entry in zip(matches, accepted, strict=True)),
        ),
        tracks=tuple(match.track.id for match in matches),
    )


def _fitting(section: OfferedSection, track: Track) -> Codec:
    """The offered type that carries the track as it is; SDP.NO_COMMON_CODEC without one."""
    named = [codec for name, codec in carried(section) if name == track.codec]
    if track.codec != "H264":
        if named:
            return named[0]
        raise RemoteError(
            "SDP.NO_COMMON_CODEC",
            f"The stream's {track.kind} is {track.codec}; the offer has {listed(section)}.",
        )
    stream = _profile(track)
    fitting = [codec for codec in named if stream.decoded_by(h264_profile(codec))]
    high_enough = [codec for codec in fitting if _level_fits(stream, codec)]
    if high_enough:
        # The same profile before one that merely includes it; the offer's order among equals.
        return min(high_enough, key=lambda codec: not stream.same_profile(h264_profile(codec)))
    if fitting:
        reason = "lower levels only, without level-asymmetry-allowed"
    elif named:
        titles = dict.fromkeys(h264_profile(codec).title for codec in named)
        reason = f"H264 {', '.join(titles)}"
    elif any(codec.name.upper() == "H264" for codec in section.codecs):
        reason = "H264 without packetization-mode 1"
    else:
        reason = listed(section)
    raise RemoteError(
        "SDP.NO_COMMON_CODEC",
        f"The stream's video is H264 {stream.title}; the offer has {reason}.",
    )


def _level_fits(stream: ProfileLevel, codec: Codec) -> bool:
    # Browsers offer level 3.1 with level-asymmetry-allowed=1 and decode far beyond it. With it, and
    # without any profile-level-id, the level is not held against a viewer.
    # DEVIATES RFC 6184 §8.2.2: there the offered level limits what is sent even so.
    stated = codec.parameters.get("profile-level-id") is not None
    return not stated or allows_asymmetry(codec) or stream.level <= h264_profile(codec).level


def _profile(track: Track) -> ProfileLevel:
    # The hub offers an H264 track only once its SPS was read (`Track.described`), and an SPS has
    # these three bytes.
    return ProfileLevel.parse(track.shape.profile_level_id or "")


def _accept(match: _Match) -> AcceptedSection:
    return accept(
        match.section, match.codec, Way.SENDONLY, _parameters(match), tuple(_sources(match))
    )


def _parameters(match: _Match) -> tuple[tuple[str, str], ...]:
    match match.track.codec:
        case "H264":
            stream, offered = _profile(match.track), h264_profile(match.codec)
            # A browser finds its own type again by the profile, so a stream that a larger profile
            # includes is named by the profile that was offered.
            return h264_parameters(match.codec, stream if stream.same_profile(offered) else offered)
        case "opus":
            # RFC 7587 §6.1: what we send, not what we would like to receive.
            stereo = (("sprop-stereo", "1"),) if match.track.shape.channels == 2 else ()
            return (("minptime", "10"), *stereo, ("useinbandfec", "1"))
        case name:
            return plain_parameters(name)


def _sources(match: _Match) -> Iterator[Attribute]:
    yield Msid(_MSID_STREAM, match.track.kind)
    if match.rtx_ssrc is not None:
        yield SsrcGroup("FID", (match.ssrc, match.rtx_ssrc))
    for ssrc in (match.ssrc, match.rtx_ssrc):
        if ssrc is not None:
            yield Ssrc(ssrc, "cname", match.cname)


def _send(match: _Match, entry: AcceptedSection) -> SendSpec:
    return SendSpec(
        track=match.track.id,
        mid=match.section.mid,
        kind=match.track.kind,
        codec=match.track.codec,
        payload_type=match.codec.payload_type,
        rtx_payload_type=match.codec.rtx if entry.rtx else None,
        clock_rate=match.codec.clock_rate,
        ssrc=match.ssrc,
        rtx_ssrc=match.rtx_ssrc,
        cname=match.cname,
        extensions=entry.extension_ids,
        nack="nack" in entry.feedback,
        pli="nack pli" in entry.feedback,
    )


def _draw_ssrc(entropy: Callable[[int], bytes], used: set[int]) -> int:
    """A source of its own, not 0 (some stacks take that for none)."""
    while True:
        ssrc = int.from_bytes(entropy(4), "big")
        if ssrc and ssrc not in used:
            used.add(ssrc)
            return ssrc
