"""What a PATCH does to a session (RFC 9725 §4.3; WHEP says the same).

Does: turns If-Match and a fragment into one of two values, `Trickle` or `Restart`, or refuses with
the code that carries the right status. Does not: talk HTTP or change anything.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from sealcast.errors import RemoteError
from sealcast.sdp.answer import LocalTransport, host_candidates
from sealcast.sdp.attributes import Candidate
from sealcast.sdp.description import Session
from sealcast.sdp.fragment import Fragment, IceCredentials, build_fragment


@dataclass(frozen=True, slots=True)
class SessionState:
    """What the node keeps of a session's ICE generation: its strong ETag and the peer's ufrag."""

    etag: str
    remote_ufrag: str


@dataclass(frozen=True, slots=True)
class Trickle:
    """More candidates of the present generation: answer 204. `addresses` are "ip:port"."""

    addresses: tuple[str, ...]
    ended: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """A new generation: draw local credentials, tell the relay, answer 200 with a new ETag."""

    credentials: IceCredentials
    addresses: tuple[str, ...]


def decide_patch(
    fragment: Fragment, if_match: str | None, state: SessionState
) -> Trickle | Restart:
    """`if_match` is the header as it came.

    HTTP.PRECONDITION_REQUIRED (428) without it, HTTP.PRECONDITION_FAILED (412) with an old one or
    with candidates of another generation. `*` with new credentials restarts (RFC 9725 §4.3.3).
    """
    if if_match is None or not if_match.strip():
        raise RemoteError("HTTP.PRECONDITION_REQUIRED")
    credentials = fragment.credentials
    addresses = probeable(fragment.candidates)
    tags = [tag.strip() for tag in if_match.split(",")]
    renewed = credentials is not None and credentials.ufrag != state.remote_ufrag
    if "*" in tags:
        if credentials is not None and renewed:
            return Restart(credentials, addresses)
        if credentials is None:
            raise RemoteError("SDP.MALFORMED", "An ICE restart brings a=ice-ufrag and a=ice-pwd.")
        return Trickle(addresses, fragment.ended)
    # Strong comparison (RFC 9110 §13.1.1): a weak tag never matches.
    if state.etag not in tags:
        raise RemoteError("HTTP.PRECONDITION_FAILED", "If-Match names another ICE generation.")
    if renewed:
        raise RemoteError("HTTP.PRECONDITION_FAILED", "The user fragment is not this session's.")
    return Trickle(addresses, fragment.ended)


def restart_answer(answer: Session, transport: LocalTransport) -> str:
    """The fragment for a 200: our new credentials and all of our candidates."""
    tagged = next((media for media in answer.media if media.port != 0), answer.media[0])
    return build_fragment(transport.credentials, host_candidates(transport.addresses), tagged)


def probeable(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """UDP candidates with a literal address, as "ip:port". Names (mDNS) are left out."""
    found = []
    for candidate in candidates:
        try:
            address = ipaddress.ip_address(candidate.address)
        except ValueError:
            continue
        if candidate.transport != "udp" or candidate.port == 0 or "%" in candidate.address:
            continue
        host = f"[{address}]" if address.version == 6 else str(address)
        found.append(f"{host}:{candidate.port}")
    return tuple(dict.fromkeys(found))
