"""Text → `Session`, line by line (RFC 8866 §5).

Does: checks size, characters, order (v= first, media sections last) and every field that is
understood. Line ends may be CRLF or LF (RFC 8866 §5 asks parsers for that).

Does not: know what an offer needs; that is `sealcast.sdp.offer`.

Raises `RemoteError`: SDP.TOO_LARGE or SDP.MALFORMED, with line, field and reason, nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sealcast.errors import RemoteError
from sealcast.sdp import limits
from sealcast.sdp.attributes import ONCE, Attribute, parse_attribute
from sealcast.sdp.description import MEDIA_FIELDS, SESSION_FIELDS, Media, Origin, Session, in_order
from sealcast.sdp.lexical import has_control_characters, number, shown, token, words


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number (from 1), its letter, what stands behind `=`."""

    number: int
    letter: str
    value: str

    def refuse(self, reason: str) -> RemoteError:
        """The error that names this line. The value is shown by `reason` only, if at all."""
        field_ = f"{self.letter}="
        if self.letter == "a":
            name = self.value.partition(":")[0]
            field_ += name if len(name) <= 32 and name.isascii() and name.isprintable() else "…"
        return RemoteError("SDP.MALFORMED", f"Line {self.number}, {field_}: {reason}.")


def split_lines(text: str | bytes, largest: int) -> Iterator[Line]:
    """Lines in their order; refuses what is too large, not UTF-8, or no `letter=value`."""
    if isinstance(text, bytes):
        if len(text) > largest:
            raise RemoteError("SDP.TOO_LARGE", f"It has {len(text)} bytes; {largest} are read.")
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteError("SDP.MALFORMED", f"Byte {error.start} is not UTF-8.") from None
    elif len(text) > largest:
        raise RemoteError("SDP.TOO_LARGE", f"It has {len(text)} characters; {largest} are read.")
    lines = text.rstrip("\r\n").split("\n")
    if len(lines) > limits.LINES:
        raise RemoteError("SDP.TOO_LARGE", f"It has {len(lines)} lines; {limits.LINES} are read.")
    for position, whole in enumerate(lines, 1):
        line = whole.removesuffix("\r")
        if len(line) > limits.LINE_CHARACTERS:
            raise RemoteError(
                "SDP.TOO_LARGE",
                f"Line {position} has {len(line)} characters; {limits.LINE_CHARACTERS} are read.",
            )
        if len(line) < 2 or line[1] != "=" or not "a" <= line[0] <= "z":
            raise RemoteError(
                "SDP.MALFORMED", f"Line {position} is not a letter, '=' and a value: {shown(line)}."
            )
        if has_control_characters(line):
            raise RemoteError("SDP.MALFORMED", f"Line {position} has a control character in it.")
        yield Line(position, line[0], line[2:])


@dataclass(slots=True)
class _Section:
    """A section while its lines are read."""

    attributes: list[Attribute] = field(default_factory=list)
    other: list[tuple[str, str]] = field(default_factory=list)
    once: set[str] = field(default_factory=set)

    def add(self, line: Line, letters: str) -> None:
        if line.letter == "a":
            self._add_attribute(line)
        elif line.letter in letters:
            self.other.append((line.letter, line.value))
        else:
            raise line.refuse("this field may not stand here")

    def _add_attribute(self, line: Line) -> None:
        try:
            attribute = parse_attribute(line.value)
        except ValueError as error:
            raise line.refuse(str(error)) from None
        if attribute.name in ONCE:
            if attribute.name in self.once:
                raise line.refuse("this attribute stands twice in one section")
            self.once.add(attribute.name)
        self.attributes.append(attribute)


def parse(text: str | bytes) -> Session:
    """A whole description."""
    lines = split_lines(text, limits.BYTES)
    version = next(lines)  # splitting never yields no line: an empty text is one empty line
    if (version.letter, version.value) != ("v", "0"):
        raise version.refuse("a description begins with v=0")
    origin: Origin | None = None
    name: str | None = None
    session = _Section()
    media: list[tuple[Callable[[_Section], Media], _Section]] = []
    for line in lines:
        if line.letter == "m":
            if len(media) >= limits.SECTIONS:
                raise RemoteError(
                    "SDP.TOO_LARGE", f"It has more than {limits.SECTIONS} media sections."
                )
            media.append((_media(line), _Section()))
        elif media:
            media[-1][1].add(line, MEDIA_FIELDS)
        elif line.letter == "o":
            if origin is not None:
                raise line.refuse("this field stands twice")
            origin = _origin(line)
        elif line.letter == "s":
            if name is not None:
                raise line.refuse("this field stands twice")
            name = line.value
        else:
            session.add(line, SESSION_FIELDS)
    if origin is None or name is None or not any(letter == "t" for letter, _ in session.other):
        raise RemoteError("SDP.MALFORMED", "It lacks one of o=, s= and t= before the first m=.")
    return Session(
        origin=origin,
        name=name,
        media=tuple(make(section) for make, section in media),
        attributes=tuple(session.attributes),
        other=in_order(session.other, SESSION_FIELDS),
    )


def _origin(line: Line) -> Origin:
    try:
        username, session_id, version, *address = words(line.value, 6)
    except ValueError as error:
        raise line.refuse(str(error)) from None
    if len(address) != 3:
        raise line.refuse("six values must stand here")
    return Origin(username, session_id, version, " ".join(address))


def _media(line: Line) -> Callable[[_Section], Media]:
    try:
        kind, ports, protocol, *formats = words(line.value, 4)
        port, slash, count = ports.partition("/")
        if len(formats) > limits.FORMATS:
            raise ValueError(f"more than {limits.FORMATS} formats stand here")
        head = (token(kind), number(port, 65535), _protocol(protocol), tuple(map(token, formats)))
        port_count = number(count, 65535, 1) if slash else None
    except ValueError as error:
        raise line.refuse(str(error)) from None
    return lambda section: Media(
        *head, tuple(section.attributes), in_order(section.other, MEDIA_FIELDS), port_count
    )


def _protocol(text: str) -> str:
    for part in text.split("/"):
        token(part)
    return text
