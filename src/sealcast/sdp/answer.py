"""Answers (RFC 8829 §5.3), built from objects.

Does: gives every section of the offer its own in the same order: accepted with one codec, or
rejected with port 0 and out of the bundle. All accepted sections share one ICE and DTLS transport.

Does not: choose; `sealcast.ingest.whip` and `sealcast.delivery.whep` do.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealcast.sdp.attributes import (
    Attribute,
    Candidate,
    Direction,
    ExtMap,
    Fingerprint,
    Flag,
    FormatParameters,
    Group,
    IceOptions,
    IcePwd,
    IceUfrag,
    Mid,
    RtcpFeedback,
    RtpMap,
    Setup,
    Way,
)
from sealcast.sdp.description import Media, Origin, Session
from sealcast.sdp.fragment import IceCredentials
from sealcast.sdp.offer import Codec, Offer, OfferedSection


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end of the one transport: what goes into the answer.

    `addresses` are "ip:port" (IPv6 in brackets) that the peer can send to, the best first;
    `fingerprint` is that of the certificate made for this leg.
    """

    credentials: IceCredentials
    fingerprint: Fingerprint
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptedSection:
    """What is agreed for one section. `parameters` are the answer's own for `codec`.

    `rtx` says whether its retransmission type is taken; `feedback` and `extensions` (with the
    relay's names) are subsets of the offer's; `more` are attributes such as sources.
    """

    section: OfferedSection
    codec: Codec
    way: Way
    parameters: tuple[tuple[str, str], ...]
    rtx: bool
    feedback: tuple[str, ...]
    extensions: tuple[tuple[str, ExtMap], ...]
    more: tuple[Attribute, ...] = ()

    @property
    def extension_ids(self) -> dict[str, int]:
        """The ids agreed, by the relay's names."""
        return {name: extension.id for name, extension in self.extensions}


# Flags of a section that are agreed by repeating them (RFC 5506 §5, RFC 8285 §6).
_ECHOED: Final = ("rtcp-rsize", "extmap-allow-mixed")
_FEEDBACK: Final = ("nack", "nack pli", "transport-cc")


def accept(
    section: OfferedSection,
    codec: Codec,
    way: Way,
    parameters: tuple[tuple[str, str], ...],
    more: tuple[Attribute, ...] = (),
) -> AcceptedSection:
    """The section with all of the offer's feedback, retransmission and extensions that we speak."""
    extensions = section.known_extensions()
    # Either both halves of transport-wide feedback are agreed, or none.
    twcc = "transport-cc" in codec.feedback and any(name == "twcc" for name, _ in extensions)
    spoken = [kind for kind in _FEEDBACK if kind in codec.feedback]
    return AcceptedSection(
        section=section,
        codec=codec,
        way=way,
        parameters=parameters,
        rtx=retransmits(codec),
        feedback=tuple(kind for kind in spoken if kind != "transport-cc" or twcc),
        extensions=tuple(entry for entry in extensions if entry[0] != "twcc" or twcc),
        more=more,
    )


def retransmits(codec: Codec) -> bool:
    """Whether RTX can be agreed: a type of its own, and NACK to ask for it (RFC 4588)."""
    return codec.rtx is not None and "nack" in codec.feedback


def build_answer(
    offer: Offer,
    accepted: Sequence[AcceptedSection],
    transport: LocalTransport,
    setup: str,
    session_id: int,
) -> Session:
    """The answer. `setup` is our role, `session_id` any number of the session's own."""
    by_index = {entry.section.index: entry for entry in (*_unused_tag(offer), *accepted)}
    candidates = host_candidates(transport.addresses)
    # The first section of the answer's bundle carries the candidates for all (RFC 9143 §7.3.2).
    order = [section.index for section in offer.sections if section.index in by_index]
    order.sort(key=lambda index: offer.session.media[index] is not offer.tagged)
    media = []
    for index, offered in enumerate(offer.session.media):
        entry = by_index.get(index)
        if entry is None:
            media.append(_rejected(offered))
        else:
            carried = candidates if index == order[0] else ()
            media.append(_accepted(entry, transport, setup, carried, candidates))
    mids = tuple(media[index].mid for index in order if media[index].mid)
    return Session(
        origin=Origin("-", str(session_id), "1"),
        media=tuple(media),
        attributes=tuple(_session_attributes(offer, mids)),
    )


def _unused_tag(offer: Offer) -> Iterator[AcceptedSection]:
    """The section that carries the transport, inactive; it yields to one that is really accepted.

    With the bundle policy max-bundle Chromium fails an answer that rejects it ("Failed to setup
    RTCP mux"), although RFC 9143 §7.3.2 has a rule for that.
    """
    for section in offer.sections:
        if section.media is offer.tagged and section.codecs:
            codec = section.codecs[0]
            yield accept(section, codec, Way.INACTIVE, codec.parameters.parameters)


def _session_attributes(offer: Offer, mids: tuple[str, ...]) -> Iterator[Attribute]:
    # RFC 9143 §7.3: a bundle is answered only where one was offered.
    if mids and any(group.semantics == "BUNDLE" for group in offer.session.all(Group)):
        yield Group("BUNDLE", mids)
    if offer.allows_mixed:
        yield Flag("extmap-allow-mixed")
    # RFC 8838 §4.1: later candidates of the peer are welcome (PATCH); ours are all here.
    yield IceOptions(("trickle", "ice2"))


def _rejected(offered: Media) -> Media:
    # RFC 3264 §6: same kind, profile and a format, port 0.
    mid = (Mid(offered.mid),) if offered.mid else ()
    return Media(
        kind=offered.kind,
        port=0,
        protocol=offered.protocol,
        formats=offered.formats[:1],
        attributes=(*mid, Direction(Way.INACTIVE)),
        other=(("c", "IN IP4 0.0.0.0"),),
    )


def _accepted(
    entry: AcceptedSection,
    transport: LocalTransport,
    setup: str,
    carried: Sequence[Candidate],
    candidates: Sequence[Candidate],
) -> Media:
    offered = entry.section.media
    codec = entry.codec
    rtx = codec.rtx if entry.rtx else None
    port, connection = _default_destination(candidates)
    # DEVIATES RFC 9143 §7.1.3: ICE and DTLS attributes stand in every bundled section, as browsers
    # write them; some peers look for them in the section and not in the bundle.
    attributes: list[Attribute] = []
    if offered.mid:
        attributes.append(Mid(offered.mid))
    attributes += [
        Direction(entry.way),
        IceUfrag(transport.credentials.ufrag),
        IcePwd(transport.credentials.pwd),
        transport.fingerprint,
        Setup(setup),
        Flag("rtcp-mux"),
    ]
    attributes += [Flag(flag) for flag in _ECHOED if offered.has(flag)]
    attributes += [extension for _, extension in entry.extensions]
    channels = codec.channels if codec.channels != 1 else None
    attributes.append(RtpMap(codec.payload_type, codec.name, codec.clock_rate, channels))
    if entry.parameters:
        attributes.append(FormatParameters(codec.payload_type, entry.parameters))
    attributes += [RtcpFeedback(codec.payload_type, kind) for kind in entry.feedback]
    if rtx is not None:
        attributes.append(RtpMap(rtx, "rtx", codec.clock_rate))
        attributes.append(FormatParameters(rtx, (("apt", str(codec.payload_type)),)))
    attributes += entry.more
    if carried:
        attributes += carried
        attributes.append(Flag("end-of-candidates"))
    return Media(
        kind=offered.kind,
        port=port,
        protocol=offered.protocol,
        formats=tuple(str(known) for known in (codec.payload_type, rtx) if known is not None),
        attributes=tuple(attributes),
        other=(("c", connection),),
    )


def host_candidates(addresses: Sequence[str]) -> tuple[Candidate, ...]:
    """Host candidates (RFC 8445 §5.1.1) for "ip:port", the first with the highest priority."""
    found = []
    for position, text in enumerate(addresses):
        host, _, port = text.rpartition(":")
        address = ipaddress.ip_address(host.strip("[]"))
        # RFC 8445 §5.1.2.1: type preference 126 for host, component 1.
        priority = (126 << 24) | ((65535 - position) << 8) | 255
        found.append(
            Candidate(str(position + 1), 1, "udp", priority, address.compressed, int(port), "host")
        )
    return tuple(found)


def _default_destination(candidates: Sequence[Candidate]) -> tuple[int, str]:
    """Port and c= line: the best candidate (RFC 8839 §4.2.1.2), 9 and 0.0.0.0 without one."""
    if not candidates:
        return 9, "IN IP4 0.0.0.0"
    best = candidates[0]
    family = "IP6" if ":" in best.address else "IP4"
    return best.port, f"IN {family} {best.address}"
