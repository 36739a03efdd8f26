"""Enrolment by a stranger: a signing request and a one-time token, and nothing else is believed.

Does: finds what a token is for, refuses what is not for that, and gets the certificate.

Does not: let guesses into the journal. Whoever asks from outside can ask as often as they like; a
token has 256 bits of chance, so guesses are counted (by the caller) and not written down. A token
that was real, and came too late or a second time, is written down.

The caller must still: bound how often one address may be refused.
"""

import datetime

from sealcast.errors import RemoteError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.issued import Certified
from sealcast.identity.store import Attempt


def enrol_with_token(
    authority: Authority,
    request: bytes,
    token: str,
    now: datetime.datetime,
    *,
    who: str,
    name: str | None = None,
    profile: str | None = None,
) -> Certified:
    """A certificate for what the token was made for. `name` and `profile`, if given, must be that.

    IDENTITY.TOKEN_UNKNOWN, which leaves no trace, and all refusals of `Authority.enrol`.
    """
    held = authority.token(token)
    if held is None:
        raise RemoteError("IDENTITY.TOKEN_UNKNOWN")
    wanted = Wanted(held.name, held.profile, held.side, held.hosts)
    if (name or held.name, profile or held.profile) != (held.name, held.profile):
        at = int(now.timestamp())
        authority.store.note(
            Attempt(at, who, "enrol", held.name, held.profile, "IDENTITY.TOKEN_OTHER")
        )
        # Whose it is, is not told to whoever asks for another name with it.
        raise RemoteError("IDENTITY.TOKEN_OTHER", "It was used for another name or profile.")
    return authority.enrol(request, token, wanted, now, who=who)
