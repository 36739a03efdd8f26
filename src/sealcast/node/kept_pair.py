"""The last certificate that a node issued for its own doors, for a start at which none can be.

Does: keeps chain and key in the state folder, the key with mode 0600 as those of every end; gives
them back where they still hold: known to the store and not revoked, below a trusted authority, for
these hosts, and belonging together.

Does not: decide when they are wanted (`own_authority`). They are not sealed under the authority's
passphrase: whoever can read the folder can read the file with that passphrase, and they are good
for a day.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sealcast.errors import LocalError
from sealcast.identity import certificates
from sealcast.identity.authority import Authority
from sealcast.identity.names import host_name
from sealcast.identity.private_files import read_private, write_pair
from sealcast.identity.profiles import Side
from sealcast.identity.standing import trusted
from sealcast.identity.store import IssuedRow
from sealcast.node.state_folder import KeyPair

STEM: Final = "own"


class KeptPair:
    """It, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._chain, self._key = folder / f"{STEM}.pem", folder / f"{STEM}-key.pem"

    def keep(self, pair: KeyPair) -> None:
        """In place of the one before; IDENTITY.NOT_WRITTEN, then that one is gone or stays."""
        try:
            write_pair(self._chain, pair.chain_pem, self._key, pair.key_pem)
        except OSError as error:
            raise LocalError(
                "IDENTITY.NOT_WRITTEN", f"{error.filename or self._chain}: {error.strerror}."
            ) from error

    def still_good(
        self, authority: Authority, hosts: Sequence[str], now: datetime.datetime
    ) -> tuple[KeyPair, IssuedRow] | None:
        """It, and what the store knows of it; None if there is none that holds.

        IDENTITY.KEY_EXPOSED, IDENTITY.STORE_*.
        """
        try:
            pair = KeyPair(self._chain.read_bytes(), read_private(self._key))
            leaf = x509.load_pem_x509_certificate(pair.chain_pem)
            key = load_pem_private_key(pair.key_pem, None)
        except (OSError, ValueError, TypeError):
            return None
        row = authority.store.certificate(f"{leaf.serial_number:x}")
        if row is None or row.revoked_unix is not None or row.pem != certificates.pem(leaf):
            return None
        holds = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc
        issuers = {one.serial for one in trusted(authority.store.issuers(Side.SERVER), now)}
        names = {str(host_name(host).value) for host in hosts}
        fits = key.public_key() == leaf.public_key() and set(row.hosts) == names
        return (pair, row) if holds and fits and row.issuer in issuers else None
