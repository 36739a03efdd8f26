"""WHIP (RFC 9725): a browser or an encoder publishes by WebRTC.

Does: chooses one codec for each kind out of an offer, and makes the answer and the leg from what
policy granted. H264 with packetization-mode 1 first, because most viewers and every segmenter take
it, then VP8, VP9 and AV1 in the offer's order; Opus.

Does not: talk HTTP, admit anybody, or know streams; simulcast is answered with one layer.

The caller must still: admit the claim, ask the hub for tracks, make them in the relay, then add the
leg, list it, and answer 201.

    offer = read_offer(body)
    grant = admit(dtls_srtp.claim(offer), channel, Role.INGEST, policy)
    choice = choose(offer, present={"video": "VP8"})       # what the stream carries already, if so
    publication = hub.publish(stream, leg=leg, identity=grant.peer, way=WAY, shapes=choice.shapes)
    answer = answer_offer(
        choice, leg=leg, tracks=[t.id for t in publication.tracks], dtls=grant.dtls, transport=...
    )
    relay.add_leg(wire.encode(answer.leg_spec), media_identity)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError
from sealcast.sdp.answer import AcceptedSection, LocalTransport, accept, build_answer
from sealcast.sdp.attributes import Way
from sealcast.sdp.codecs import (
    carried,
    h264_parameters,
    h264_profile,
    listed,
    plain_parameters,
)
from sealcast.sdp.description import Session
from sealcast.sdp.h264 import Profile
from sealcast.sdp.offer import Codec, Offer, OfferedSection
from sealcast.sdp.patch import probeable
from sealcast.streams.stream import TrackShape
from sealcast.wire import CodecName, DtlsSpec, IceSpec, Kind, LegSpec, ReceiveSpec

WAY: Final = "whip"

# H264 beats the offer's own order; the codecs in the second list do not beat one another.
_FIRST: Final[tuple[CodecName, ...]] = ("H264", "opus")
_THEN: Final[tuple[CodecName, ...]] = ("VP8", "VP9", "AV1")
# A receiver's wishes (RFC 7587 §6.1): programmes are stereo, and losses are to be survived.
_OPUS: Final = (("minptime", "10"), ("stereo", "1"), ("useinbandfec", "1"))


@dataclass(frozen=True, slots=True)
class ChosenSection:
    """One section that will be received, and the codec it will be received in."""

    section: OfferedSection
    name: CodecName
    codec: Codec


@dataclass(frozen=True, slots=True)
class WhipChoice:
    """What of an offer will be received: one section of each kind that it sends."""

    offer: Offer
    sections: tuple[ChosenSection, ...]

    @property
    def shapes(self) -> tuple[TrackShape, ...]:
        """For the hub, in the order of the sections."""
        return tuple(_shape(chosen) for chosen in self.sections)


@dataclass(frozen=True, slots=True)
class WhipAnswer:
    """The answer (201) and the leg that goes with it."""

    answer: Session
    leg_spec: LegSpec

    @property
    def answer_sdp(self) -> str:
        return self.answer.to_text()


def choose(offer: Offer, *, present: Mapping[Kind, CodecName] | None = None) -> WhipChoice:
    """One codec for each kind.

    `present` are the codecs that the stream's viewers see already: a publisher that comes back
    keeps them if it can. `RemoteError`: SDP.NO_MEDIA if nothing is sent, SDP.SEVERAL_TRACKS,
    SDP.NO_COMMON_CODEC.
    """
    chosen: list[ChosenSection] = []
    kinds: tuple[Kind, ...] = ("video", "audio")
    for kind in kinds:
        sending = [section for section in offer.of_kind(kind) if section.way.sends]
        if len(sending) > 1:
            # RFC 9725 §4.4.2 and §4.4.3: one track of a kind, and no answer that takes only some.
            raise RemoteError("SDP.SEVERAL_TRACKS", f"It sends {len(sending)} {kind} sections.")
        if sending:
            chosen.append(_choose(sending[0], (present or {}).get(kind)))
    if not chosen:
        raise RemoteError("SDP.NO_MEDIA", "A publisher's sections are sendonly or sendrecv.")
    return WhipChoice(offer, tuple(sorted(chosen, key=lambda entry: entry.section.index)))


def _choose(section: OfferedSection, present: CodecName | None) -> ChosenSection:
    possible = [entry for entry in carried(section) if entry[0] in (*_FIRST, *_THEN)]
    if not possible:
        wanted = "Opus" if section.kind == "audio" else "H264 (packetization-mode 1), VP8, VP9, AV1"
        raise RemoteError(
            "SDP.NO_COMMON_CODEC",
            f"{section.media.title} offers {listed(section)}; received are {wanted}.",
        )

    def rank(entry: tuple[CodecName, Codec]) -> tuple[bool, bool, bool]:
        name, codec = entry
        # Constrained baseline is what every viewer decodes.
        plain = name == "H264" and h264_profile(codec).profile is Profile.CONSTRAINED_BASELINE
        return (name != present, name not in _FIRST, not plain)

    # min() keeps the offer's order among equals.
    name, codec = min(possible, key=rank)
    return ChosenSection(section, name, codec)


def _shape(chosen: ChosenSection) -> TrackShape:
    return TrackShape(
        kind=chosen.section.kind,
        codec=chosen.name,
        clock_rate=chosen.codec.clock_rate,
        channels=chosen.codec.channels if chosen.section.kind == "audio" else 0,
        profile_level_id=str(h264_profile(chosen.codec)) if chosen.name == "H264" else None,
    )


def answer_offer(
    choice: WhipChoice,
    *,
    leg: int,
    tracks: Sequence[int],
    dtls: DtlsSpec,
    transport: LocalTransport,
) -> WhipAnswer:
    """The answer and the leg. `tracks` are the relay's ids, in the order of `choice.shapes`."""
    offer = choice.offer
    accepted = [_accept(chosen) for chosen in choice.sections]
    receive = tuple(
        _receive(chosen, entry, track)
        for chosen, entry, track in zip(choice.sections, accepted, tracks, strict=True)
    )
    return WhipAnswer(
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
            receive=receive,
        ),
    )


def _accept(chosen: ChosenSection) -> AcceptedSection:
    section, codec = chosen.section, chosen.codec
    match chosen.name:
        case "H264":
            parameters = h264_parameters(codec, h264_profile(codec))
        case "opus":
            parameters = _OPUS
        case _:
            parameters = plain_parameters(chosen.name)
    return accept(section, codec, Way.RECVONLY, parameters)


def _receive(chosen: ChosenSection, entry: AcceptedSection, track: int) -> ReceiveSpec:
    return ReceiveSpec(
        track=track,
        mid=chosen.section.mid,
        kind=chosen.section.kind,
        codec=chosen.name,
        payload_type=chosen.codec.payload_type,
        rtx_payload_type=chosen.codec.rtx if entry.rtx else None,
        clock_rate=chosen.codec.clock_rate,
        ssrcs=chosen.section.media_ssrcs,
        extensions=entry.extension_ids,
        nack="nack" in entry.feedback,
        pli="nack pli" in entry.feedback,
        twcc="transport-cc" in entry.feedback,
    )
