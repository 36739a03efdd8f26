"""A node whose authority is its own: founded for the test, its passphrase in a file. What an
operator takes back from it.
"""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealcast.identity.authority import Authority
from sealcast.identity.founding import Founding, found
from sealcast.identity.private_files import write_private
from sealcast.secret import Secret
from sealcast.testing.node_process import COMMAND, TRUST_DOMAIN, Node, OwnAuthority, running_node

PASSPHRASE = "correct horse battery staple"


def found_own(folder: Path, age: datetime.timedelta = datetime.timedelta()) -> OwnAuthority:
    """An authority for nodes at 127.0.0.1 and localhost, in `folder`, founded `age` ago."""
    founding = Founding(TRUST_DOMAIN, hosts=("localhost",), networks=("127.0.0.0/8",))
    now = datetime.datetime.now(datetime.UTC) - age
    found(folder / "authority", founding, Secret(PASSPHRASE), now, who="test")
    passphrase_file = folder / "passphrase"
    write_private(passphrase_file, PASSPHRASE.encode())
    authority = Authority.open(folder / "authority", lambda: Secret(PASSPHRASE))
    return OwnAuthority(authority, passphrase_file)


@contextmanager
def node_with_own_authority(
    folder: Path,
    *,
    settings: str = "",
    public: str = "",
    age: datetime.timedelta = datetime.timedelta(),
) -> Iterator[Node]:
    """It runs in `folder`; `settings` and `public` as in `running_node`, `age` its authority's."""
    own = found_own(folder, age)
    with running_node(folder / "node", own=own, settings=settings, public=public) as node:
        yield node


def revoke(node: Node, name: str, reason: str = "keyCompromise") -> float:
    """As an operator types it, in a process of its own. When it was committed, in seconds since
    1970: the store says whole seconds, the last write to its log of writes says it finer.
    """
    assert node.own is not None
    authority = node.own.authority
    done = subprocess.run(
        [
            *(*COMMAND, "identity", "revoke", name),
            *("--data", str(authority.folder), "--reason", reason),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert f"revoked  {name}" in done.stdout
    # The running node has the store open, so nobody folds the log into it meanwhile.
    return authority.store.file.with_name(authority.store.file.name + "-wal").stat().st_mtime
