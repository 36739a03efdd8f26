"""`sealcast identity enroll`: a certificate for this machine, against a one-time token."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sealcast.agent.enrolment import Ticket, enrol
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import LocalError
from sealcast.secret import Secret


def enroll(
    name: Annotated[
        str | None,
        Parameter(help="Whom the token is for; a token for another name is refused unused."),
    ] = None,
    *,
    node: Annotated[
        str, Parameter(env_var="SEALCAST_NODE", help="The node that enrols: https://HOST:PORT.")
    ],
    authority_fingerprint: Annotated[
        str, Parameter(help="SHA-256 of the authority, as it was printed with the token.")
    ],
    token: Annotated[
        str,
        Parameter(
            env_var="SEALCAST_ENROLMENT_TOKEN",
            help="The token; --token=- reads it from standard input, where no other user sees it.",
        ),
    ],
    out: Annotated[Path, Parameter(help="Folder for certificate, key and authority.")],
    key: Annotated[
        Literal["p256", "p384", "ed25519"], Parameter(help="The kind of key that is made here.")
    ] = "p256",
    key_uri: Annotated[
        str | None,
        Parameter(help="pkcs11:… of a key in a token, which is made there if there is none."),
    ] = None,
) -> None:
    """Get a certificate with a token of `sealcast identity token`; the key is made here and stays.

    Nothing secret is sent before the node has proved that its authority is the one of the
    fingerprint.
    """
    text = sys.stdin.readline().strip() if token == "-" else token.strip()  # noqa: S105 - a dash
    if not text:
        raise bad_argument(
            "--token is empty: it takes what `sealcast identity token` printed, or - and the token "
            "on standard input."
        )
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise LocalError("TOKEN.MALFORMED", "It has characters that no token has.")
    ticket = Ticket.of(node, authority_fingerprint, Secret(text))
    done = enrol(
        ticket, out, datetime.datetime.now(datetime.UTC), name=name, kind=key, key_uri=key_uri
    )
    until = done.pair.leaf.not_valid_after_utc
    print(f"name         {done.pair.name}")
    print(
        f"certificate  {done.place.chain}   "
        f"(serial {done.pair.serial}, until {until:%Y-%m-%d %H:%MZ})"
    )
    print(f"key          {done.place.key}")
    print(f"authority    {done.place.roots}   (SHA-256 {done.fingerprint})")
    option = "" if done.secure else " --node https://HOST:PORT"
    print(f"keep it      sealcast agent --identity {done.place}{option}")
