"""What an end is handed: its certificate, and its key where the authority made that."""

from dataclasses import dataclass
from pathlib import Path

from sealcast.errors import LocalError
from sealcast.identity.private_files import write_private


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate for a key that its holder made. `chain_pem` begins with the leaf and leaves
    out the root; `name` is the SPIFFE ID.
    """

    name: str
    chain_pem: bytes
    serial: str
    not_after_unix: int

    def save(self, folder: Path, stem: str) -> Path:
        """Writes `stem.pem` and returns its path; IDENTITY.NOT_WRITTEN."""
        path = folder / f"{stem}.pem"
        _write(path, self.chain_pem, mode=0o644)
        return path


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, as PEM. `chain_pem` begins with the leaf and leaves out the root.

    `name` is the SPIFFE ID of a client, the first name of a server.
    """

    name: str
    chain_pem: bytes
    key_pem: bytes
    serial: str
    not_after_unix: int

    def __repr__(self) -> str:
        return f"Issued(name={self.name!r}, serial={self.serial!r})"

    def save(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Writes `stem.pem` and `stem-key.pem` (mode 0600); both paths. IDENTITY.NOT_WRITTEN."""
        chain, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
        # The key first: a chain is never there without its key.
        _write(key, self.key_pem)
        _write(chain, self.chain_pem, mode=0o644)
        return chain, key


def _write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    try:
        write_private(path, content, mode=mode)
    except OSError as error:
        raise LocalError("IDENTITY.NOT_WRITTEN", f"{path}: {error.strerror}.") from error
