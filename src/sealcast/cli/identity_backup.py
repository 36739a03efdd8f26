"""`sealcast identity backup` and `restore`: for a machine that burns, and for moving to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.authority_options import Data, now, open_authority, time_text, who
from sealcast.errors import LocalError
from sealcast.identity import backup as copies
from sealcast.identity.private_files import hand_out


def backup(
    *, data: Data, out: Annotated[Path, Parameter(help="The file (tar, mode 0600).")]
) -> None:
    """Copy the authority into one file, while nodes work on.

    The keys in it are sealed under their passphrase, which is not in it: keep that elsewhere.
    """
    authority = open_authority(data)
    hand_out(out, copies.pack(authority, now(), who=who()))
    print(f"backup of {authority.trust_domain}  {out}")
    if any((data / "root").glob("*.pem")):
        print("The root's key is in it too. Better: take that off this machine, then back up.")


def restore(
    file: Annotated[Path, Parameter(help="A file of `sealcast identity backup`.")],
    *,
    data: Annotated[Path, Parameter(help="The new folder; it does not exist or is empty.")],
    crl: Annotated[
        tuple[Path, ...],
        Parameter(help="Revocation lists that were published since; may be repeated."),
    ] = (),
    old_one_is_gone: Annotated[
        bool, Parameter(negative="", help="You say that no other copy is running, or will be.")
    ] = False,
) -> None:
    """Bring an authority back from a backup, and say what may be missing.

    All open tokens are revoked: which of them were used since, nobody knows any more.
    """
    if not old_one_is_gone:
        raise LocalError("IDENTITY.OLD_ONE_MAY_RUN")
    done = copies.restore(
        _read(file, "IDENTITY.BACKUP_DAMAGED"),
        data,
        now(),
        who=who(),
        lists=[_read(path, "IDENTITY.LIST_REFUSED") for path in crl],
    )
    made = time_text(done.made_unix)
    print(f"restored {done.trust_domain} as it was at {made}  {data}")
    print(f"open tokens revoked              {done.tokens}")
    print(f"revoked again, by lists          {len(done.again)}")
    print(f"Missing is what happened after {made}:")
    if not crl:
        print("- revocations: give --crl with the newest list, or revoke those names again now")
    print("- certificates issued since: they can be neither revoked nor renewed")
    if done.unknown:
        print(f"  (the lists name {done.unknown} of them, which are good again for this node)")
    if done.skipped:
        print(f"- a roll: {done.skipped} of the lists are of authorities that were made since")
    print("If there were any, end them all: sealcast identity roll")


def _read(path: Path, code: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LocalError(code, f"{path}: {error.strerror}.") from error
