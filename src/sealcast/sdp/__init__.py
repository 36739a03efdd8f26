"""Session descriptions: text in, frozen objects out, and back.

Does: parses the grammar of RFC 8866 with the attributes that WebRTC uses into typed, frozen
objects; builds text from such objects; reads an offer as JSEP (RFC 8829) would; builds answers;
reads and builds the fragments of trickle ICE (RFC 8840). Sizes and counts are bounded
(`limits`). Whatever comes in is parsed or refused with a `RemoteError` that names line and field.

Does not: edit a description as text; decide codecs (ingest and delivery do) or identities
(`sealcast.keying`); open sockets.

Why an own grammar: the parsers that Python has turn lines into dictionaries by search-and-match,
skip what they do not understand without a word, have no bounds, and are changed in place. Here a
line is understood, kept whole as `Other`, or refused with its number.
"""

from sealcast.sdp.answer import AcceptedSection, LocalTransport, build_answer
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
    Msid,
    Other,
    RtcpFeedback,
    RtpMap,
    Setup,
    Ssrc,
    SsrcGroup,
    Way,
)
from sealcast.sdp.description import Media, Origin, Session
from sealcast.sdp.fragment import Fragment, IceCredentials, build_fragment, parse_fragment
from sealcast.sdp.h264 import ProfileLevel
from sealcast.sdp.offer import Codec, Offer, OfferedSection, read_offer
from sealcast.sdp.parse import parse
from sealcast.sdp.patch import Restart, SessionState, Trickle, decide_patch, restart_answer

__all__ = [
    "AcceptedSection",
    "Attribute",
    "Candidate",
    "Codec",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Flag",
    "FormatParameters",
    "Fragment",
    "Group",
    "IceCredentials",
    "IceOptions",
    "IcePwd",
    "IceUfrag",
    "LocalTransport",
    "Media",
    "Mid",
    "Msid",
    "Offer",
    "OfferedSection",
    "Origin",
    "Other",
    "ProfileLevel",
    "Restart",
    "RtcpFeedback",
    "RtpMap",
    "Session",
    "SessionState",
    "Setup",
    "Ssrc",
    "SsrcGroup",
    "Trickle",
    "Way",
    "build_answer",
    "build_fragment",
    "decide_patch",
    "parse",
    "parse_fragment",
    "read_offer",
    "restart_answer",
]
