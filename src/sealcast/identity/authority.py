"""A throw-away certificate authority.

Does: a P-256 root made on first start, kept in the state folder, that issues server certificates
(DNS and IP names) and client certificates (one SPIFFE ID each) with only the usages needed
(RFC 5280 §4.2.1). Good for a first picture, a venue without a PKI, and tests.

Does not: encrypt its key at rest, renew, revoke, or split an offline root from an issuing
authority. The real authority does; this one says in its name that it does not last.

The caller must still: hand out `root_pem` to those who are to trust it, and give the time.

Specs: RFC 5280, SPIFFE X509-SVID.
"""

import datetime
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealcast.errors import LocalError
from sealcast.identity.private_files import read_private, write_private

ROOT_FILE: Final = "authority.pem"
KEY_FILE: Final = "authority-key.pem"
ROOT_LIFETIME: Final = datetime.timedelta(days=365)
LEAF_LIFETIME: Final = datetime.timedelta(days=90)
# Clocks of encoders are often a little slow.
BACKDATED: Final = datetime.timedelta(hours=1)

_NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,253}")


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
        """Writes `stem.pem` and `stem-key.pem` (mode 0600) and returns both paths."""
        chain, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
        # The key first: a chain is never there without its key.
        write_private(key, self.key_pem)
        write_private(chain, self.chain_pem, mode=0o644)
        return chain, key


class ThrowAwayAuthority:
    """A root that signs leaves directly."""

    def __init__(
        self, root: x509.Certificate, key: ec.EllipticCurvePrivateKey, trust_domain: str
    ) -> None:
        self._root = root
        self._key = key
        self.trust_domain = trust_domain

    @staticmethod
    def create(trust_domain: str, now: datetime.datetime) -> "ThrowAwayAuthority":
        """A fresh root. `now` has a time zone."""
        if not _TRUST_DOMAIN.fullmatch(trust_domain):
            raise LocalError("IDENTITY.BAD_NAME", f"Not a trust domain: {trust_domain[:40]!r}.")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sealcast"),
                x509.NameAttribute(
                    # ub-common-name is 64 characters (RFC 5280 appendix A).
                    NameOID.COMMON_NAME,
                    f"sealcast throw-away CA {trust_domain}"[:64],
                ),
            ]
        )
        root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + ROOT_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return ThrowAwayAuthority(root, key, trust_domain)

    @staticmethod
    def load(folder: Path) -> "ThrowAwayAuthority":
        """The authority that `save` put into `folder`.

        FileNotFoundError if there is none; IDENTITY.KEY_EXPOSED, IDENTITY.CERTIFICATE_MALFORMED or
        TLS.KEY_MISMATCH if it must not be used.
        """
        key_pem, root_pem = read_private(folder / KEY_FILE), (folder / ROOT_FILE).read_bytes()
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
            root = x509.load_pem_x509_certificate(root_pem)
            names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uri = names.get_values_for_type(x509.UniformResourceIdentifier)[0]
        except (ValueError, TypeError, IndexError, x509.ExtensionNotFound) as error:
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is in {folder}.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{KEY_FILE} is no P-256 key.")
        if key.public_key() != root.public_key():
            raise LocalError("TLS.KEY_MISMATCH", f"{KEY_FILE} is not of {ROOT_FILE}.")
        return ThrowAwayAuthority(root, key, uri.removeprefix("spiffe://"))

    @staticmethod
    def load_or_create(
        folder: Path, trust_domain: str, now: datetime.datetime
    ) -> "ThrowAwayAuthority":
        """The authority in `folder`; one that is missing or expired is made anew."""
        try:
            known = ThrowAwayAuthority.load(folder)
        except FileNotFoundError:
            known = None
        if known is not None and known._root.not_valid_after_utc > now + LEAF_LIFETIME:
            return known
        made = ThrowAwayAuthority.create(trust_domain, now)
        made.save(folder)
        return made

    def save(self, folder: Path) -> None:
        """Writes root and key into `folder`; the key's mode is 0600."""
        write_private(folder / KEY_FILE, _key_pem(self._key))
        write_private(folder / ROOT_FILE, self.root_pem, mode=0o644)

    @property
    def root_pem(self) -> bytes:
        """What others must trust."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root as `AB:CD:…`, to be compared by people."""
        return self._root.fingerprint(hashes.SHA256()).hex(":").upper()

    def issue_server(
        self,
        names: Sequence[str],
        now: datetime.datetime,
        lifetime: datetime.timedelta = LEAF_LIFETIME,
    ) -> Issued:
        """A certificate for a server that is reached under `names` (DNS names or addresses)."""
        if not names:
            raise LocalError("IDENTITY.BAD_NAME", "A server needs at least one name.")
        general = [_server_name(name) for name in names]
        return self._issue(names[0], general, ExtendedKeyUsageOID.SERVER_AUTH, now, lifetime)

    def issue_client(
        self, name: str, now: datetime.datetime, lifetime: datetime.timedelta = LEAF_LIFETIME
    ) -> Issued:
        """A certificate for the end called `name`, such as `encoder/venue-1`.

        Its SPIFFE ID is `spiffe://TRUST-DOMAIN/NAME`.
        """
        if len(name) > 128 or not _NAME.fullmatch(name):
            raise LocalError("IDENTITY.BAD_NAME", f"It was {name[:40]!r}.")
        spiffe_id = f"spiffe://{self.trust_domain}/{name}"
        general = [x509.UniformResourceIdentifier(spiffe_id)]
        return self._issue(spiffe_id, general, ExtendedKeyUsageOID.CLIENT_AUTH, now, lifetime)

    def _issue(
        self,
        name: str,
        general: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        # A leaf that outlives its root would end at an unexpected hour.
        ends = min(now + lifetime, self._root.not_valid_after_utc)
        common = name.rpartition("/")[2][:64]
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]))
            .issuer_name(self._root.subject)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(general), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            name=name,
            chain_pem=leaf.public_bytes(serialization.Encoding.PEM),
            key_pem=_key_pem(key),
            serial=f"{serial:x}",
            not_after_unix=int(ends.timestamp()),
        )


def _server_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name or len(name) > 253 or not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+", name):
        raise LocalError("IDENTITY.BAD_NAME", f"Not a host name: {name[:40]!r}.")
    return x509.DNSName(name.lower())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
