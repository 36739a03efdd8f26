"""What the verbs of `sealcast identity` have in common: where the authority is, who asks, when."""

from __future__ import annotations

import datetime
import os
import pwd
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sealcast.identity.authority import Authority
from sealcast.identity.private_files import read_passphrase

Data = Annotated[
    Path, Parameter(env_var="SEALCAST_IDENTITY_DATA", help="The authority's folder (mode 0700).")
]
PassphraseFile = Annotated[
    Path | None,
    Parameter(
        env_var="SEALCAST_IDENTITY_PASSPHRASE_FILE",
        help="A file of mode 0600 with the passphrase of the authority's keys.",
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="For programs.")]


def open_authority(data: Path, passphrase_file: Path | None = None) -> Authority:
    """The authority in `data`; without a passphrase, for what opens no key."""
    return Authority.open(data, lambda: read_passphrase(passphrase_file))


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def time_text(unix: int) -> str:
    return datetime.datetime.fromtimestamp(unix, datetime.UTC).strftime("%Y-%m-%d %H:%MZ")


def who() -> str:
    """Who runs this command, for the journal: by the user of the process, not by what its
    environment says, which anybody may set.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name[:64]
    except KeyError:
        return f"user {number}"
