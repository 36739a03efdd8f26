"""The attributes that are understood, each a frozen type with its own grammar.

An attribute registers in one place: `GRAMMAR` at the end. Those that are not in it are kept as
`Other`. `parse` raises ValueError with a reason; `sealcast.sdp.parse` adds line and field.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from sealcast.sdp.lexical import ice_chars, number, shown, token, words
from sealcast.secret import Secret


class Attribute(Protocol):
    """One `a=` line."""

    @property
    def name(self) -> str: ...

    def render(self) -> str | None:
        """What stands behind the colon; None for an attribute without a value."""


@dataclass(frozen=True, slots=True)
class Other:
    """An attribute that is not understood, kept whole."""

    name: str
    value: str | None = None

    def render(self) -> str | None:
        return self.value


@dataclass(frozen=True, slots=True)
class Flag:
    """An attribute without a value: rtcp-mux, rtcp-rsize, ice-lite, bundle-only, and others."""

    name: str

    def render(self) -> str | None:
        return None


class Way(StrEnum):
    """The direction of media, as its writer sees it (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Way.SENDRECV, Way.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Way.SENDRECV, Way.RECVONLY)


@dataclass(frozen=True, slots=True)
class Direction:
    """RFC 8866 §6.7."""

    way: Way

    @property
    def name(self) -> str:
        return self.way.value

    def render(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Group:
    """RFC 5888 §5, RFC 9143 §7: `group:BUNDLE 0 1`."""

    semantics: str
    mids: tuple[str, ...]

    @property
    def name(self) -> str:
        return "group"

    @staticmethod
    def parse(value: str) -> "Group":
        semantics, *mids = words(value, 1)
        return Group(token(semantics), tuple(token(mid) for mid in mids))

    def render(self) -> str | None:
        return " ".join((self.semantics, *self.mids))


@dataclass(frozen=True, slots=True)
class Mid:
    """RFC 5888 §4."""

    value: str

    @property
    def name(self) -> str:
        return "mid"

    @staticmethod
    def parse(value: str) -> "Mid":
        # The MID travels in a header extension of 16 bytes at most (RFC 8285 §4.2).
        if len(value) > 16:
            raise ValueError("a mid has at most 16 characters")
        return Mid(token(value))

    def render(self) -> str | None:
        return self.value


_DIGEST_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {"md5": 16, "sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}
)
_HEX_PAIRS: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){0,127}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """RFC 8122 §5. `algorithm` in lower case, `value` as `AB:CD:…` in upper case."""

    algorithm: str
    value: str

    @property
    def name(self) -> str:
        return "fingerprint"

    @staticmethod
    def parse(value: str) -> "Fingerprint":
        parts = words(value, 2)
        if len(parts) != 2:
            raise ValueError("a hash and a digest must stand here")
        algorithm, digest = token(parts[0]).lower(), parts[1]
        if not _HEX_PAIRS.fullmatch(digest):
            raise ValueError("the digest is not a list of hexadecimal pairs divided by colons")
        expected = _DIGEST_BYTES.get(algorithm)
        found = (len(digest) + 1) // 3
        if expected is not None and found != expected:
            raise ValueError(f"a digest of {algorithm} has {expected} bytes, not {found}")
        return Fingerprint(algorithm, digest.upper())

    def render(self) -> str | None:
        return f"{self.algorithm} {self.value}"


@dataclass(frozen=True, slots=True)
class Setup:
    """RFC 8842 §5.1: `active`, `passive`, `actpass` or `holdconn`."""

    role: str

    @property
    def name(self) -> str:
        return "setup"

    @staticmethod
    def parse(value: str) -> "Setup":
        if value not in ("active", "passive", "actpass", "holdconn"):
            raise ValueError(f"{shown(value)} is not a role")
        return Setup(value)

    def render(self) -> str | None:
        return self.role


@dataclass(frozen=True, slots=True)
class IceUfrag:
    """RFC 8839 §5.4."""

    value: str

    @property
    def name(self) -> str:
        return "ice-ufrag"

    @staticmethod
    def parse(value: str) -> "IceUfrag":
        return IceUfrag(ice_chars(value, 4, 256))

    def render(self) -> str | None:
        return self.value


@dataclass(frozen=True, slots=True)
class IcePwd:
    """RFC 8839 §5.4. A secret: only `render` shows it."""

    value: Secret

    @property
    def name(self) -> str:
        return "ice-pwd"

    @staticmethod
    def parse(value: str) -> "IcePwd":
        return IcePwd(Secret(ice_chars(value, 22, 256)))

    def render(self) -> str | None:
        return self.value.reveal().decode("ascii")


@dataclass(frozen=True, slots=True)
class IceOptions:
    """RFC 8839 §5.6: `trickle`, `ice2`, and others."""

    options: tuple[str, ...]

    @property
    def name(self) -> str:
        return "ice-options"

    @staticmethod
    def parse(value: str) -> "IceOptions":
        return IceOptions(tuple(token(option) for option in words(value, 1)))

    def render(self) -> str | None:
        return " ".join(self.options)


@dataclass(frozen=True, slots=True)
class Candidate:
    """RFC 8839 §5.1. `address` may be a name (mDNS), `transport` anything: both are only kept."""

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    type: str
    extensions: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return "candidate"

    @staticmethod
    def parse(value: str) -> "Candidate":
        parts = words(value, 8)
        foundation, component, transport, priority, address, port, typ, kind, *rest = parts
        if typ != "typ":
            raise ValueError(f"'typ' must stand where {shown(typ)} does")
        if len(rest) % 2:
            raise ValueError("extensions come in pairs of name and value")
        return Candidate(
            ice_chars(foundation, 1, 32),
            number(component, 256, 1),
            token(transport).lower(),
            number(priority, 2**32 - 1),
            _address(address),
            number(port, 65535),
            token(kind),
            tuple(zip(rest[::2], rest[1::2], strict=True)),
        )

    def render(self) -> str | None:
        head = (
            f"{self.foundation} {self.component} {self.transport} {self.priority} "
            f"{self.address} {self.port} typ {self.type}"
        )
        return " ".join((head, *(f"{name} {value}" for name, value in self.extensions)))


def _address(text: str) -> str:
    if len(text) > 255 or not re.fullmatch(r"[A-Za-z0-9.:%_-]+", text):
        raise ValueError(f"{shown(text)} is not an address")
    return text


@dataclass(frozen=True, slots=True)
class RtpMap:
    """RFC 8866 §6.6: `111 opus/48000/2`."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int | None = None

    @property
    def name(self) -> str:
        return "rtpmap"

    @staticmethod
    def parse(value: str) -> "RtpMap":
        parts = words(value, 2)
        encoding, *rest = parts[1].split("/")
        if len(parts) != 2 or not 1 <= len(rest) <= 2:
            raise ValueError("a payload type and name/rate or name/rate/channels must stand here")
        return RtpMap(
            number(parts[0], 127),
            token(encoding),
            number(rest[0], 2**32 - 1, 1),
            number(rest[1], 255, 1) if len(rest) == 2 else None,
        )

    def render(self) -> str | None:
        channels = "" if self.channels is None else f"/{self.channels}"
        return f"{self.payload_type} {self.encoding}/{self.clock_rate}{channels}"


@dataclass(frozen=True, slots=True)
class FormatParameters:
    """RFC 8866 §6.15. Pairs in their order; a value without a name has the name "" (RFC 4733)."""

    payload_type: int
    parameters: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return "fmtp"

    @staticmethod
    def parse(value: str) -> "FormatParameters":
        head, _, rest = value.partition(" ")
        parameters = []
        for part in rest.split(";"):
            piece = part.strip()
            if piece:
                key, equals, text = piece.partition("=")
                # Names of parameters are compared without case (RFC 4855 §3).
                pair = (key.strip().lower(), text.strip()) if equals else ("", piece)
                parameters.append(pair)
        return FormatParameters(number(head, 127), tuple(parameters))

    def get(self, key: str) -> str | None:
        return next((value for name, value in self.parameters if name == key), None)

    def render(self) -> str | None:
        pairs = (f"{name}={value}" if name else value for name, value in self.parameters)
        return f"{self.payload_type} {';'.join(pairs)}"


@dataclass(frozen=True, slots=True)
class RtcpFeedback:
    """RFC 4585 §4.2. `payload_type` is None for `*`; `kind` such as `nack pli`."""

    payload_type: int | None
    kind: str

    @property
    def name(self) -> str:
        return "rtcp-fb"

    @staticmethod
    def parse(value: str) -> "RtcpFeedback":
        head, *kind = words(value, 2)
        return RtcpFeedback(None if head == "*" else number(head, 127), " ".join(kind))

    def render(self) -> str | None:
        return f"{'*' if self.payload_type is None else self.payload_type} {self.kind}"


@dataclass(frozen=True, slots=True)
class ExtMap:
    """RFC 8285 §8: an RTP header extension and the id that it has on this leg."""

    id: int
    uri: str
    direction: str | None = None
    attributes: str | None = None

    @property
    def name(self) -> str:
        return "extmap"

    @staticmethod
    def parse(value: str) -> "ExtMap":
        head, uri, *rest = words(value, 2)
        identifier, slash, direction = head.partition("/")
        if slash and direction not in set(Way):
            raise ValueError(f"{shown(direction)} is not a direction")
        return ExtMap(
            number(identifier, 4351, 1), uri, direction if slash else None, " ".join(rest) or None
        )

    def render(self) -> str | None:
        direction = "" if self.direction is None else f"/{self.direction}"
        attributes = "" if self.attributes is None else f" {self.attributes}"
        return f"{self.id}{direction} {self.uri}{attributes}"


@dataclass(frozen=True, slots=True)
class Ssrc:
    """RFC 5576 §4.1: one attribute of one source."""

    ssrc: int
    attribute: str
    value: str | None = None

    @property
    def name(self) -> str:
        return "ssrc"

    @staticmethod
    def parse(value: str) -> "Ssrc":
        head, _, rest = value.partition(" ")
        attribute, colon, text = rest.partition(":")
        return Ssrc(number(head, 2**32 - 1), token(attribute), text if colon else None)

    def render(self) -> str | None:
        return f"{self.ssrc} {self.attribute}{'' if self.value is None else f':{self.value}'}"


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """RFC 5576 §4.2: `FID media rtx` (RFC 4588 §8.1)."""

    semantics: str
    ssrcs: tuple[int, ...]

    @property
    def name(self) -> str:
        return "ssrc-group"

    @staticmethod
    def parse(value: str) -> "SsrcGroup":
        semantics, *ssrcs = words(value, 1)
        return SsrcGroup(token(semantics), tuple(number(ssrc, 2**32 - 1) for ssrc in ssrcs))

    def render(self) -> str | None:
        return " ".join((self.semantics, *map(str, self.ssrcs)))


@dataclass(frozen=True, slots=True)
class Msid:
    """RFC 8830 §2: the stream and the track that a section belongs to."""

    stream: str
    track: str | None = None

    @property
    def name(self) -> str:
        return "msid"

    @staticmethod
    def parse(value: str) -> "Msid":
        stream, *track = words(value, 1)
        if len(track) > 1:
            raise ValueError("one stream and one track may stand here")
        return Msid(stream, track[0] if track else None)

    def render(self) -> str | None:
        return self.stream if self.track is None else f"{self.stream} {self.track}"


@dataclass(frozen=True, slots=True)
class Rid:
    """RFC 8851 §4: one layer of simulcast."""

    id: str
    direction: str
    restrictions: str | None = None

    @property
    def name(self) -> str:
        return "rid"

    @staticmethod
    def parse(value: str) -> "Rid":
        identifier, direction, *rest = words(value, 2)
        if direction not in ("send", "recv"):
            raise ValueError(f"{shown(direction)} is neither send nor recv")
        return Rid(token(identifier), direction, " ".join(rest) or None)

    def render(self) -> str | None:
        restrictions = "" if self.restrictions is None else f" {self.restrictions}"
        return f"{self.id} {self.direction}{restrictions}"


FLAGS: Final = frozenset(
    {
        "bundle-only",
        "end-of-candidates",
        "extmap-allow-mixed",
        "ice-lite",
        "rtcp-mux",
        "rtcp-mux-only",
        "rtcp-rsize",
    }
)

GRAMMAR: Final[Mapping[str, Callable[[str], Attribute]]] = MappingProxyType(
    {
        "candidate": Candidate.parse,
        "extmap": ExtMap.parse,
        "fingerprint": Fingerprint.parse,
        "fmtp": FormatParameters.parse,
        "group": Group.parse,
        "ice-options": IceOptions.parse,
        "ice-pwd": IcePwd.parse,
        "ice-ufrag": IceUfrag.parse,
        "mid": Mid.parse,
        "msid": Msid.parse,
        "rid": Rid.parse,
        "rtcp-fb": RtcpFeedback.parse,
        "rtpmap": RtpMap.parse,
        "setup": Setup.parse,
        "ssrc": Ssrc.parse,
        "ssrc-group": SsrcGroup.parse,
    }
)

# What two lines of one section must not contradict each other about.
ONCE: Final = frozenset({"ice-pwd", "ice-ufrag", "mid", "setup"})


def parse_attribute(line: str) -> Attribute:
    """What stands behind `a=`; ValueError with the reason if it breaks its grammar."""
    name, colon, value = line.partition(":")
    token(name)
    if name in FLAGS or name in set(Way):
        if colon:
            raise ValueError("this attribute has no value")
        return Direction(Way(name)) if name in set(Way) else Flag(name)
    grammar = GRAMMAR.get(name)
    if grammar is None:
        return Other(name, value if colon else None)
    if not colon:
        raise ValueError("this attribute needs a value")
    return grammar(value)
