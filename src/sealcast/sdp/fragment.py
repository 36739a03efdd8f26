"""Fragments of a description for trickle ICE and ICE restarts (RFC 8840 §9, RFC 9725 §4.3).

Does: reads and writes `application/trickle-ice-sdpfrag`. Does not: decide what a fragment does to a
session; that is `sealcast.sdp.patch`.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sealcast.errors import RemoteError
from sealcast.sdp import limits
from sealcast.sdp.attributes import (
    Attribute,
    Candidate,
    Flag,
    IceOptions,
    IcePwd,
    IceUfrag,
    Mid,
    parse_attribute,
)
from sealcast.sdp.description import Media, render_lines
from sealcast.sdp.parse import split_lines
from sealcast.secret import Secret

FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """A user fragment and a password (RFC 8445 §5.3)."""

    ufrag: str
    pwd: Secret

    @staticmethod
    def draw(entropy: Callable[[int], bytes]) -> "IceCredentials":
        """Fresh ones from `entropy` (such as `secrets.token_bytes`): 48 and 192 bits.

        RFC 8445 asks for 24 and 128; the relay finds a leg by the user fragment, so it is longer.
        """
        # Base64 without padding is exactly the alphabet of RFC 8839 §5.4.
        ufrag, pwd = (base64.b64encode(entropy(count)).decode("ascii") for count in (6, 24))
        return IceCredentials(ufrag, Secret(pwd))


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment: the peer's credentials (None if it names none) and its candidates.

    With BUNDLE all candidates belong to one transport, so sections need not be told apart.
    """

    credentials: IceCredentials | None
    candidates: tuple[Candidate, ...] = ()
    ended: bool = False


def parse_fragment(text: str | bytes) -> Fragment:
    """A fragment, or `RemoteError` SDP.MALFORMED or SDP.TOO_LARGE. What is not ICE is skipped."""
    ufrag: str | None = None
    pwd: Secret | None = None
    candidates: list[Candidate] = []
    ended = False
    for line in split_lines(text, limits.FRAGMENT_BYTES):
        if line.letter == "m":
            continue
        if line.letter != "a":
            raise line.refuse("a fragment has a= and m= lines only")
        try:
            attribute = parse_attribute(line.value)
        except ValueError as error:
            raise line.refuse(str(error)) from None
        match attribute:
            case IceUfrag(value):
                if ufrag not in (None, value):
                    raise line.refuse("all sections of a bundle have one user fragment")
                ufrag = value
            case IcePwd(value):
                if pwd not in (None, value):
                    raise line.refuse("all sections of a bundle have one password")
                pwd = value
            case Candidate():
                if len(candidates) < limits.CANDIDATES:
                    candidates.append(attribute)
            case Flag("end-of-candidates"):
                ended = True
    if (ufrag is None) != (pwd is None):
        raise RemoteError("SDP.MALFORMED", "a=ice-ufrag and a=ice-pwd come together.")
    credentials = None if ufrag is None or pwd is None else IceCredentials(ufrag, pwd)
    return Fragment(credentials, tuple(candidates), ended)


def build_fragment(
    credentials: IceCredentials, candidates: Sequence[Candidate], section: Media
) -> str:
    """A complete answer to an ICE restart, on the section that carries the transport."""

    def lines() -> Iterator[str]:
        head: tuple[Attribute, ...] = (
            IceOptions(("trickle", "ice2")),
            IceUfrag(credentials.ufrag),
            IcePwd(credentials.pwd),
        )
        yield from (f"a={attribute.name}:{attribute.render()}" for attribute in head)
        yield f"m={section.kind} 9 {section.protocol} {section.formats[0]}"
        if section.mid:
            yield f"a=mid:{Mid(section.mid).render()}"
        yield from (f"a=candidate:{candidate.render()}" for candidate in candidates)
        yield "a=end-of-candidates"

    return render_lines(lines())
