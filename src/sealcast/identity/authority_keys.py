"""Where an authority's keys are: sealed in a file of its folder, or in a token.

Does: makes and opens both by the one word that the store keeps of a key: the file's name, relative
to the authority's folder, or a `pkcs11:` URI (without a PIN; it names the file that holds it).

Does not: back up. A key in a token is in that token: its back-up is the token maker's.

The caller must still: compare an opened key with its certificate, as `signer` does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealcast.errors import LocalError
from sealcast.identity import key_uri, pkcs11
from sealcast.identity.certificates import Signer
from sealcast.identity.key_uri import KeyUri
from sealcast.identity.keys import PrivateKey, generate
from sealcast.identity.keys_at_rest import open_pem, sealed_pem
from sealcast.identity.private_files import hand_out, read_private
from sealcast.secret import Secret

Unlock = Callable[[], Secret | None]
"""Gives the passphrase when a sealed key must be opened; it is not asked for a token's."""


@dataclass(frozen=True, slots=True)
class InToken:
    """New keys are made in this token; the `object` of `uri` begins their names."""

    uri: KeyUri

    @staticmethod
    def parse(text: str) -> "InToken":
        """HSM.BAD_URI; also of a URI with an id, which only one key can have."""
        uri = key_uri.parse(text)
        if uri.id is not None:
            raise LocalError("HSM.BAD_URI", "It says where keys are made: leave out id=.")
        return InToken(uri)

    @staticmethod
    def beside(where: str) -> "InToken | None":
        """The token of the key that is kept at `where`; None for a file."""
        if not key_uri.is_key_uri(where):
            return None
        return InToken(replace(key_uri.parse(where), object=None, id=None))


@dataclass(frozen=True, slots=True)
class Sealed:
    """New keys are files, under this passphrase."""

    passphrase: Secret | None


Keeping = InToken | Sealed


def make(folder: Path, keeping: Keeping, name: str, file: str, kind: str) -> tuple[PrivateKey, str]:
    """A new key, and the word for where it is: in a token called `name`, else `file` in `folder`.

    HSM.*, IDENTITY.WEAK_KEY, IDENTITY.PASSPHRASE_MISSING, IDENTITY.NOT_WRITTEN.
    """
    if isinstance(keeping, InToken):
        prefix = keeping.uri.object
        uri = replace(keeping.uri, object=name if prefix is None else f"{prefix} {name}")
        return _fit(pkcs11.make_key(uri, kind), str(uri)), str(uri)
    if keeping.passphrase is None:
        raise LocalError("IDENTITY.PASSPHRASE_MISSING")
    key = generate(kind)
    hand_out(folder / file, sealed_pem(key, keeping.passphrase))
    return key, file


@contextmanager
def unless_undone() -> Iterator[list[str]]:
    """Gives a list for the words of keys that are made in the block. If it raises, those in tokens
    are destroyed: of what is half done nothing is left. (A file is its caller's to remove.)
    """
    made: list[str] = []
    try:
        yield made
    except BaseException:
        for where in filter(key_uri.is_key_uri, made):
            # The token may be what failed; the first refusal is what is told.
            with suppress(LocalError):
                pkcs11.remove_key(key_uri.parse(where))
        raise


def signer(folder: Path, where: str, certificate_pem: bytes, unlock: Unlock) -> Signer:
    """The key that is kept at `where`, with its certificate.

    Of a file IDENTITY.PASSPHRASE_*, IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED,
    IDENTITY.CERTIFICATE_MALFORMED; of a token HSM.*; of either TLS.KEY_MISMATCH.
    """
    if key_uri.is_key_uri(where):
        what = "The token's key"
        key = _fit(pkcs11.open_key(key_uri.parse(where)), where)
    else:
        path = folder / where
        what = path.name
        try:
            pem = read_private(path)
        except OSError as error:
            raise LocalError("IDENTITY.KEY_UNREADABLE", f"{path}: {error.strerror}.") from error
        key = open_pem(pem, unlock(), what)
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    if key.public_key() != certificate.public_key():
        raise LocalError("TLS.KEY_MISMATCH", f"{what} is not of its certificate.")
    return Signer(certificate, key)


def _fit(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, where: str) -> PrivateKey:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise LocalError("HSM.KEY_UNFIT", f"An authority's key is ECDSA; this is not: {where}.")
