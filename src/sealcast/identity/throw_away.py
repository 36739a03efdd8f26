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
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sealcast.errors import LocalError
from sealcast.identity import certificates
from sealcast.identity.certificates import Signer, Template
from sealcast.identity.issued import Issued
from sealcast.identity.keys import DEFAULT_KIND, PrivateKey, generate
from sealcast.identity.keys_at_rest import plain_pem
from sealcast.identity.names import SCHEME, check_name, check_trust_domain, host_name, spiffe_id
from sealcast.identity.private_files import read_private, write_private
from sealcast.identity.profiles import Side

ROOT_FILE: Final = "authority.pem"
KEY_FILE: Final = "authority-key.pem"
ROOT_LIFETIME: Final = datetime.timedelta(days=365)
LEAF_LIFETIME: Final = datetime.timedelta(days=90)
# Clocks of encoders are often a little slow.
BACKDATED: Final = datetime.timedelta(hours=1)


class ThrowAwayAuthority:
    """A root that signs leaves directly."""

    def __init__(self, root: x509.Certificate, key: PrivateKey, trust_domain: str) -> None:
        self._root = root
        self._key = key
        self.trust_domain = trust_domain

    @staticmethod
    def create(trust_domain: str, now: datetime.datetime) -> "ThrowAwayAuthority":
        """A fresh root. `now` has a time zone."""
        check_trust_domain(trust_domain)
        key = generate(DEFAULT_KIND)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sealcast"),
                x509.NameAttribute(
                    # ub-common-name is 64 characters (RFC 5280 appendix A).
                    NameOID.COMMON_NAME,
                    f"sealcast throw-away CA {trust_domain}"[:64],
                ),
            ]
        )
        root = certificates.sign_root(
            Template(
                subject=subject,
                names=(x509.UniformResourceIdentifier(f"{SCHEME}{trust_domain}"),),
                public_key=key.public_key(),
                serial=x509.random_serial_number(),
                not_before=now - BACKDATED,
                not_after=now + ROOT_LIFETIME,
                usage=None,
                path_length=0,
            ),
            key,
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
        return ThrowAwayAuthority(root, key, uri.removeprefix(SCHEME))

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
        write_private(folder / KEY_FILE, plain_pem(self._key))
        write_private(folder / ROOT_FILE, self.root_pem, mode=0o644)

    @property
    def root_pem(self) -> bytes:
        """What others must trust."""
        return certificates.pem(self._root)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root as `AB:CD:…`, to be compared by people."""
        return certificates.fingerprint(self._root)

    def issue_server(
        self,
        names: Sequence[str],
        now: datetime.datetime,
        lifetime: datetime.timedelta = LEAF_LIFETIME,
    ) -> Issued:
        """A certificate for a server that is reached under `names` (DNS names or addresses)."""
        if not names:
            raise LocalError("IDENTITY.BAD_NAME", "A server needs at least one name.")
        general = [host_name(name) for name in names]
        return self._issue(names[0], general, Side.SERVER, now, lifetime)

    def issue_client(
        self, name: str, now: datetime.datetime, lifetime: datetime.timedelta = LEAF_LIFETIME
    ) -> Issued:
        """A certificate for the end called `name`, such as `encoder/venue-1`.

        Its SPIFFE ID is `spiffe://TRUST-DOMAIN/NAME`.
        """
        uri = spiffe_id(self.trust_domain, check_name(name))
        general = [x509.UniformResourceIdentifier(uri)]
        return self._issue(uri, general, Side.CLIENT, now, lifetime)

    def _issue(
        self,
        name: str,
        general: Sequence[x509.GeneralName],
        side: Side,
        now: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> Issued:
        key = generate(DEFAULT_KIND)
        common = name.rpartition("/")[2][:64]
        leaf = certificates.sign(
            Template(
                subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]),
                names=tuple(general),
                public_key=key.public_key(),
                serial=x509.random_serial_number(),
                not_before=now - BACKDATED,
                # A leaf that outlives its root would end at an unexpected hour.
                not_after=min(now + lifetime, self._root.not_valid_after_utc),
                usage=side.usage,
            ),
            Signer(self._root, self._key),
        )
        return Issued(
            name=name,
            chain_pem=certificates.pem(leaf),
            key_pem=plain_pem(key),
            serial=f"{leaf.serial_number:x}",
            not_after_unix=int(leaf.not_valid_after_utc.timestamp()),
        )
