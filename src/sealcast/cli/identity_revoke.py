"""`sealcast identity revoke`: an end's certificates are no longer taken, from this second on."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from cyclopts import Parameter

from sealcast.cli.authority_options import Data, now, open_authority, who
from sealcast.identity.authority import RevokedNow
from sealcast.identity.reserve import with_reserve
from sealcast.identity.revocation import Reason

# Spelled as in RFC 5280 §5.3.1. What is the authorities' own (cACompromise) is `identity roll`.
ReasonName = Literal[
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
]
REASONS: tuple[str, ...] = get_args(ReasonName)


def revoke(
    name: Annotated[str, Parameter(help="Whose, such as encoder/venue-1.")],
    *,
    data: Data,
    reason: Annotated[ReasonName, Parameter(help="Why, by its name in RFC 5280.")] = "unspecified",
    serial: Annotated[
        str | None, Parameter(help="Only this certificate, not all that live; tokens stay.")
    ] = None,
) -> None:
    """Revoke what NAME was given: its living certificates and its unused tokens.

    No passphrase is needed: at night it may be with somebody else. A node that runs this authority
    ends NAME's connections; for others make a list: sealcast identity crl. On a full disk the
    authority's reserve is used.
    """

    def work() -> RevokedNow:
        # Opened there too: on a full disk not even that may go well.
        authority = open_authority(data)
        return authority.revoke(name, Reason(reason), now(), who=who(), serial=serial)

    done = with_reserve(data, work)
    for each in done.serials:
        print(f"revoked  {done.name}   serial {each}   {reason}")
    if done.tokens:
        print(f"revoked  {done.tokens} unused token{'s' if done.tokens > 1 else ''} of {done.name}")
    if not done.serials and not done.tokens:
        print(f"nothing of {done.name} was left to revoke")
