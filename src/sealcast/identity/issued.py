"""What an end is handed: its certificate, and its key where the authority made that."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PBES,
    serialize_key_and_certificates,
)

from sealcast.errors import LocalError
from sealcast.identity.names import SCHEME
from sealcast.identity.private_files import hand_out, handing_out, write_pair
from sealcast.identity.profiles import Side
from sealcast.secret import Secret

_Names = x509.SubjectAlternativeName
ROOTS_FILE: Final = "authority.pem"
"""Whom to trust, beside the files of an end."""


def stem_of(name: str) -> str:
    """What the files of an end are called: the last part of its name, unless that is the root's."""
    last = name.rpartition("/")[2]
    return name.replace("/", "-") if f"{last}.pem" == ROOTS_FILE else last


def check_place(folder: Path, stem: str, uri: str, side: Side | None = None) -> None:
    """Whether files called `stem` would be written over those of somebody else: two ends may have
    the same last part of their names, and one end may be a client here and a server there. Without
    `side`, for one that is not known yet, only of somebody else.

    IDENTITY.NOT_ITS_FILES.
    """
    try:
        held = (folder / f"{stem}.pem").read_bytes()
    except OSError:
        return  # whether it can be written is another question
    whose = _whose(held)
    if whose is not None and not (whose[0] == uri and side in (None, whose[1])):
        raise LocalError("IDENTITY.NOT_ITS_FILES", f"It is {folder / stem}.pem.")


def check_roots(folder: Path, roots_pem: bytes) -> None:
    """Whether those who read `folder` trust another authority, which they would be made to forget.
    One of the same trust domain may follow another.

    IDENTITY.NOT_ITS_FILES.
    """
    try:
        held = (folder / ROOTS_FILE).read_bytes()
    except OSError:
        return  # whether it can be written is another question
    before, after = _trust_domains(held), _trust_domains(roots_pem)
    if before and after and not before & after:
        raise LocalError(
            "IDENTITY.NOT_ITS_FILES",
            f"{folder / ROOTS_FILE} is of {', '.join(sorted(before))}.",
        )


def _trust_domains(roots_pem: bytes) -> set[str]:
    """As the roots name them; none where they are nobody's of this kind."""
    try:
        roots = x509.load_pem_x509_certificates(roots_pem)
        names = [root.extensions.get_extension_for_class(_Names).value for root in roots]
    except (ValueError, x509.ExtensionNotFound):
        return set()
    uri = x509.UniformResourceIdentifier
    return {found.removeprefix(SCHEME) for each in names for found in each.get_values_for_type(uri)}


def _check_same(chain_pem: bytes, folder: Path, stem: str) -> None:
    mine = _whose(chain_pem)
    if mine is not None:
        check_place(folder, stem, *mine)


def _whose(chain_pem: bytes) -> tuple[str, Side] | None:
    """The SPIFFE ID and the side of a leaf; None without them: such files are nobody's."""
    try:
        extensions = x509.load_pem_x509_certificates(chain_pem)[0].extensions
        names = extensions.get_extension_for_class(_Names).value
        usages = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (ValueError, x509.ExtensionNotFound):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    sides = [side for side in Side if side.usage in usages]
    return (uris[0], sides[0]) if uris and sides else None


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
        """Writes `stem.pem` and returns its path; IDENTITY.NOT_WRITTEN, IDENTITY.NOT_ITS_FILES."""
        _check_same(self.chain_pem, folder, stem)
        path = folder / f"{stem}.pem"
        hand_out(path, self.chain_pem, mode=0o644)
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
        """Writes `stem.pem` and `stem-key.pem` (mode 0600); both paths.

        IDENTITY.NOT_WRITTEN, IDENTITY.NOT_ITS_FILES.
        """
        _check_same(self.chain_pem, folder, stem)
        chain, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
        with handing_out(chain):
            write_pair(chain, self.chain_pem, key, self.key_pem)
        return chain, key

    def pkcs12(self, root_pem: bytes, passphrase: Secret) -> bytes:
        """Certificate, key and authorities in one encrypted file (RFC 7292), for browsers and for
        encoders that cannot make a key.
        """
        leaf, *others = x509.load_pem_x509_certificates(self.chain_pem + root_pem)
        key = serialization.load_pem_private_key(self.key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)  # noqa: S101 - as keys.PrivateKey
        return serialize_key_and_certificates(
            self.name.encode(), key, leaf, others, _PKCS12.build(passphrase.reveal())
        )


# AES-256 and SHA-256; the passphrase is not a person's, so the rounds matter little.
_PKCS12: Final = (
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(100_000)
    .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(hashes.SHA256())
)
