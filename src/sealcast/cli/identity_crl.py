"""`sealcast identity crl`: revocation lists for those who cannot ask a node, such as a CDN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.authority_options import Data, PassphraseFile, now, open_authority
from sealcast.identity import crl as lists
from sealcast.identity.private_files import hand_out
from sealcast.identity.reserve import with_reserve


def crl(
    *,
    data: Data,
    out: Annotated[Path, Parameter(help="The file (PEM); it is replaced whole.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write the revocation lists of all authorities of this folder, roots included, into one file.

    It is good for seven days: write it each day. That is the form of nginx's ssl_crl; OpenSSL reads
    it with -crl_check_all -CRLfile.
    """
    made = with_reserve(data, lambda: open_authority(data, passphrase_file).crls(now()))
    hand_out(out, b"".join(map(lists.pem, made)), mode=0o644)
    print(f"{len(made)} revocation lists  {out}")
