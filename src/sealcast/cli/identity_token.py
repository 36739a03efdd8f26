"""`sealcast identity token`: what enrols one end, once; a line to run there, or a code to scan.

The code is an address of the node's page `/enrol`. Token, fingerprint and name are in its fragment,
so they reach no request line and no log.
"""

from __future__ import annotations

import io
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from cyclopts import Parameter

from sealcast.agent.https import Address
from sealcast.cli.authority_options import Data, now, open_authority, who
from sealcast.cli.identity import As, Hosts, Name, ProfileName, wanted_of
from sealcast.cli.wrong_usage import bad_argument, shown
from sealcast.identity.private_files import hand_out

if TYPE_CHECKING:
    from segno import QRCode


def token(
    name: Name,
    *,
    data: Data,
    profile: ProfileName = None,
    as_: As = None,
    host: Hosts = (),
    node: Annotated[
        str | None,
        Parameter(
            env_var="SEALCAST_NODE",
            help="https://HOST:PORT of the node that enrols: the whole command for the new end "
            "is printed as well.",
        ),
    ] = None,
    qr: Annotated[
        bool,
        Parameter(
            negative="",
            help="Also a QR code: it opens the node's page that makes a key and gets the "
            "certificate, for devices with a browser.",
        ),
    ] = False,
    qr_file: Annotated[
        Path | None, Parameter(help="The QR code as a file (mode 0600): NAME.svg or NAME.png.")
    ] = None,
) -> None:
    """Make a token with which NAME gets one certificate, once, within 15 minutes."""
    address = None if node is None else Address.of(node)
    if address is None and (qr or qr_file is not None):
        raise bad_argument("A QR code leads to a node: give --node.")
    if qr_file is not None:
        # Before there is a token: what cannot be written down must not be made.
        if qr_file.suffix not in _KINDS:
            raise bad_argument(f"--qr-file ends in .svg or .png; it was {shown(str(qr_file))}.")
        probe = qr_file.with_name(f".{secrets.token_hex(4)}")
        hand_out(probe, b"")
        probe.unlink()
    authority = open_authority(data)
    fingerprint = authority.fingerprint(now())
    made = authority.make_token(wanted_of(name, profile, as_, host, None), now(), who=who())
    text = made.reveal().decode()
    print(f"one certificate for {name}, within 15 minutes", file=sys.stderr)
    print(f"authority: SHA-256 {fingerprint}", file=sys.stderr)
    if address is not None:
        print("on the machine that is to have it:", file=sys.stderr)
        print(
            f"sealcast identity enroll {name} --node {address} "
            f"--authority-fingerprint {fingerprint} --token {text} --out .",
            file=sys.stderr,
        )
        page = page_address(address, name, fingerprint, text)
        if qr:
            print("or scan this with it; who scans first gets the certificate:\n", file=sys.stderr)
            _code(page).terminal(out=sys.stderr, border=2, compact=True)
            print(f"\nor open\n{page}\n", file=sys.stderr)
        if qr_file is not None:
            hand_out(qr_file, _drawn(_code(page), qr_file.suffix))
            print(f"QR code: {qr_file}   Delete it when it was scanned.", file=sys.stderr)
    print(text)


def page_address(node: Address, name: str, fingerprint: str, token: str) -> str:
    """The node's page `/enrol` for one token; as secret as the token is."""
    digits = fingerprint.replace(":", "").lower()
    told = urlencode({"token": token, "fp": digits, "name": name}, safe="/")
    return f"{node}/enrol#{told}"


_KINDS = (".svg", ".png")


def _code(text: str) -> QRCode:
    import segno

    return segno.make(text, error="m", micro=False)


def _drawn(code: QRCode, suffix: str) -> bytes:
    drawn = io.BytesIO()
    # Its own light ground: it is scanned from pages and screens that are dark.
    code.save(drawn, kind=suffix[1:], scale=8, border=4, light="white")
    return drawn.getvalue()
