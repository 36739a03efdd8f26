"""A session description as frozen objects, and its text (RFC 8866 §5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sealcast.errors import Bug
from sealcast.sdp.attributes import Attribute, Direction, Flag, Mid, Way
from sealcast.sdp.lexical import has_control_characters

A = TypeVar("A")
CRLF: Final = "\r\n"
# RFC 8866 §5: what may stand in a session and in a section besides attributes, in this order.
SESSION_FIELDS: Final = "iuepcbtrzk"
MEDIA_FIELDS: Final = "icbk"


class _Attributes:
    """Reading attributes by their type."""

    __slots__ = ()

    attributes: tuple[Attribute, ...]

    def all(self, kind: type[A]) -> tuple[A, ...]:
        """Those of one type, in their order."""
        return tuple(attribute for attribute in self.attributes if isinstance(attribute, kind))

    def first(self, kind: type[A]) -> A | None:
        return next(iter(self.all(kind)), None)

    def has(self, flag: str) -> bool:
        """Whether a flag such as `rtcp-mux` is set."""
        return any(attribute.name == flag for attribute in self.all(Flag))


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line."""

    username: str
    session_id: str
    session_version: str
    address: str = "IN IP4 0.0.0.0"


@dataclass(frozen=True, slots=True)
class Media(_Attributes):
    """One `m=` section. `other` are its i, c, b and k lines."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    port_count: int | None = None

    @property
    def mid(self) -> str:
        """The section's name, empty if it has none."""
        mid = self.first(Mid)
        return "" if mid is None else mid.value

    @property
    def way(self) -> Way | None:
        """The direction that this section itself states."""
        direction = self.first(Direction)
        return None if direction is None else direction.way

    @property
    def title(self) -> str:
        """As a sentence may call it."""
        return f"m={self.kind} (mid {self.mid})" if self.mid else f"m={self.kind}"

    def lines(self) -> Iterator[str]:
        count = "" if self.port_count is None else f"/{self.port_count}"
        yield f"m={self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}"
        yield from _other_lines(self.other, MEDIA_FIELDS)
        yield from _attribute_lines(self.attributes)


@dataclass(frozen=True, slots=True)
class Session(_Attributes):
    """A whole description. `other` are the session's own i, u, e, p, c, b, t, r, z and k lines."""

    origin: Origin
    media: tuple[Media, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"
    other: tuple[tuple[str, str], ...] = (("t", "0 0"),)

    def lines(self) -> Iterator[str]:
        origin = self.origin
        yield "v=0"
        yield (f"o={origin.username} {origin.session_id} {origin.session_version} {origin.address}")
        yield f"s={self.name}"
        yield from _other_lines(self.other, SESSION_FIELDS)
        yield from _attribute_lines(self.attributes)
        for media in self.media:
            yield from media.lines()

    def to_text(self) -> str:
        """The description as it goes over the wire."""
        return render_lines(self.lines())


def render_lines(lines: Iterator[str]) -> str:
    """Lines as text. A value with a line break in it is a fault of the caller."""
    found = list(lines)
    if any(has_control_characters(line) for line in found):
        raise Bug("SDP.MALFORMED", "A value that was to be written has a line break in it.")
    return CRLF.join(found) + CRLF


def in_order(fields: Sequence[tuple[str, str]], order: str) -> tuple[tuple[str, str], ...]:
    """Fields other than attributes in the order of RFC 8866 §5; repeated ones keep theirs.

    DEVIATES RFC 8866 §9: with several t= lines their r= lines stand behind all of them. WebRTC
    descriptions have one t=, without r=.
    """
    return tuple(sorted(fields, key=lambda field: order.index(field[0])))


def _other_lines(fields: tuple[tuple[str, str], ...], order: str) -> Iterator[str]:
    yield from (f"{letter}={value}" for letter, value in in_order(fields, order))


def _attribute_lines(attributes: tuple[Attribute, ...]) -> Iterator[str]:
    for attribute in attributes:
        value = attribute.render()
        yield f"a={attribute.name}" if value is None else f"a={attribute.name}:{value}"
