"""The one maker of certificates.

Does: turns a template, everything that will stand in a certificate, into a signed one. Roots,
issuing authorities and leaves are made here and nowhere else.

Does not: judge the template; that is done before (`sealcast.identity.issuing`).

Specs: RFC 5280 §4.1, §4.2; SPIFFE X509-SVID §4.
"""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sealcast.identity.keys import PrivateKey, PublicKey, digest_for


@dataclass(frozen=True, slots=True)
class Template:
    """A certificate before it is signed.

    `path_length` is that of an authority, None for a leaf. `usage` limits a leaf, or what an
    authority issues, to one side of a handshake; a root has none.
    """

    subject: x509.Name
    names: tuple[x509.GeneralName, ...]
    public_key: PublicKey
    serial: int
    not_before: datetime.datetime
    not_after: datetime.datetime
    usage: x509.ObjectIdentifier | None
    path_length: int | None = None
    constraints: x509.NameConstraints | None = None

    @property
    def is_authority(self) -> bool:
        return self.path_length is not None


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority's certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.certificate.subject.rfc4514_string()!r})"


def sign_root(template: Template, key: PrivateKey) -> x509.Certificate:
    """The template signed with its own key."""
    return _builder(template, template.subject, key.public_key()).sign(key, digest_for(key))


def sign(template: Template, signer: Signer) -> x509.Certificate:
    """The template signed by an authority."""
    builder = _builder(template, signer.certificate.subject, signer.key.public_key())
    return builder.sign(signer.key, digest_for(signer.key))


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as `AB:CD:…`, to be compared by people."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def key_id(authority_pem: bytes) -> str:
    """The subject key identifier of an authority, as hex: what each certificate that it signed
    names as its authority key identifier (RFC 5280 §4.2.1.1).
    """
    certificate = x509.load_pem_x509_certificate(authority_pem)
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return extension.value.digest.hex()


def _builder(
    template: Template, issuer: x509.Name, issuer_key: PublicKey
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(issuer)
        .public_key(template.public_key)
        .serial_number(template.serial)
        .not_valid_before(template.not_before)
        .not_valid_after(template.not_after)
        .add_extension(
            x509.BasicConstraints(ca=template.is_authority, path_length=template.path_length),
            critical=True,
        )
        .add_extension(_key_usage(template.is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(template.public_key), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False)
    )
    if template.usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([template.usage]), critical=False)
    if template.names:
        # RFC 5280 §4.2.1.6: critical where there is no subject.
        bare = not list(template.subject)
        builder = builder.add_extension(x509.SubjectAlternativeName(template.names), critical=bare)
    if template.constraints is not None:
        # RFC 5280 §4.2.1.10: always critical.
        builder = builder.add_extension(template.constraints, critical=True)
    return builder


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates and revocation lists; a leaf signs handshakes (ECDHE needs
    no more of any kind of key).
    """
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
