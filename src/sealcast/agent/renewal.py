"""One renewal, and the question when to renew: requests to the node's door for certificates.

Does: shows the present certificate in the handshake, sends a request for a fresh key (or for the
one in the token), judges the answer, puts it into place.

Does not: decide when (`sealcast.agent.keeper`).
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sealcast.agent import answers
from sealcast.agent.asking import next_key
from sealcast.agent.enrolment import PEM_TYPE
from sealcast.agent.https import Address, Proving, ask, proving
from sealcast.agent.place import Draft, Pair, Place
from sealcast.errors import LocalError, RemoteError
from sealcast.identity.renewing import Window

_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Advice:
    """When to renew, and when to ask again."""

    window: Window
    again_s: float | None


def advice(place: Place, pair: Pair, node: Address, shown: Place) -> Advice:
    """What the node says of the certificate in place; also brings the roots up to date, so that a
    roll of the authority is known here before it matters. The codes of `https.ask`.
    """
    context = _proving(place, shown)
    answer = ask(node, context, "GET", f"/identity/renewal{_whose(place, pair, shown)}")
    window = answers.window_of(answer.body)
    roots_pem = ask(node, context, "GET", "/identity/authority.pem").body
    if answers.roots_of(roots_pem):
        place.put_roots(roots_pem)
    later = answer.headers.get("retry-after", "")
    return Advice(window, float(later) if later.isdigit() and len(later) < 9 else None)


def renew(place: Place, pair: Pair, node: Address, now: datetime.datetime, shown: Place) -> Pair:
    """The next pair, in place. `shown` is what is shown in the handshake: the same place, or for a
    server's certificate the place of the same end's certificate as a client.

    IDENTITY.NOT_WRITTEN, AGENT.BAD_CERTIFICATE, AGENT.CLOCKS_DIFFER, the codes of `https.ask`.
    Whatever is raised, the pair before is still in place.
    """
    context = _proving(place, shown)
    key_pem, request = next_key(pair.leaf, pair.key_pem)
    # Before anything is asked: what finds no room here must not be issued.
    draft = Draft(place.folder, key_pem)
    try:
        answer = ask(
            node,
            context,
            "POST",
            f"/identity/renew{_whose(place, pair, shown)}",
            body=request,
            headers={"content-type": PEM_TYPE},
        )
        new = Pair.of(answer.body, key_pem, "The answer")
        answers.check_chain(new, place.roots_pem(), now, name=pair.name)
        if new.life.ends_unix < pair.life.ends_unix:
            raise RemoteError(
                "AGENT.CLOCKS_DIFFER", "It would end before the one that is in place."
            )
        return place.put(draft, answer.body)
    finally:
        draft.drop()


def _whose(place: Place, pair: Pair, shown: Place) -> str:
    return "" if shown is place else f"?serial={pair.serial}"


def _proving(place: Place, shown: Place) -> Proving:
    """With the pair of now. Others may swap it twice between the look and the reading, and the
    second swap sweeps what was found: then there is another one.
    """
    for _ in range(_TRIES):
        with suppress(LocalError):
            return proving(place.roots_pem(), shown.files_of_now())
    return proving(place.roots_pem(), shown.files_of_now())
