"""`sealcast identity`: certificates from the node's throw-away authority."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.durations import seconds
from sealcast.cli.settings import ConfigFile, load_config, open_state
from sealcast.identity.private_files import write_private
from sealcast.identity.throw_away import ROOT_FILE


def issue(
    name: str,
    *,
    out: Annotated[Path, Parameter(help="Folder for certificate, key and authority.")],
    lifetime: Annotated[str, Parameter(name="--for", help="How long it is valid.")] = "90d",
    config: ConfigFile = None,
) -> None:
    """Issue a client certificate for NAME, such as encoder/venue-1, viewer/vera or admin/ada."""
    state = open_state(load_config(config))
    now = datetime.datetime.now(datetime.UTC)
    issued = state.authority.issue_client(name, now, datetime.timedelta(seconds=seconds(lifetime)))
    chain, key = issued.save(out, name.rpartition("/")[2])
    root = out / ROOT_FILE
    write_private(root, state.authority.root_pem, mode=0o644)
    print(f"name         {issued.name}")
    print(f"certificate  {chain}")
    print(f"key          {key}")
    print(f"authority    {root}   (SHA-256 {state.authority.fingerprint})")
