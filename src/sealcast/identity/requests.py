"""Certificate signing requests from outside, read with suspicion.

Does: takes from a request the one thing that only its sender can give, a public key with proof that
they hold the private one; refuses a request that asks for anything that would not be granted,
instead of leaving it out silently.

Does not: take names or usages from the request. They come from the operator's order or a token; a
request may repeat them.

Specs: RFC 2986 (PKCS#10), RFC 2985 §5.4.2 (extensionRequest), RFC 7468 (PEM).
"""

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from sealcast.errors import RemoteError
from sealcast.identity.keys import PublicKey, check_strength
from sealcast.identity.profiles import Side

LONGEST_REQUEST: Final = 16 * 1024
_BEGIN: Final = b"-----BEGIN "
_EXTENSION_REQUEST: Final = ObjectIdentifier("1.2.840.113549.1.9.14")
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

# What the parser raises at bytes that it cannot read; not all of them are a ValueError.
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def key_of_request(pem: bytes, *, name: str, uri: str, side: Side, hosts: set[str]) -> PublicKey:
    """The key that a certificate for `name` may be made for.

    `uri` is the SPIFFE ID of `name`; `hosts` the host names (in lower case) and addresses that were
    ordered. IDENTITY.REQUEST_MALFORMED, IDENTITY.WEAK_KEY, IDENTITY.REQUEST_NAME,
    IDENTITY.REQUEST_EXTENSION, IDENTITY.REQUEST_IS_AUTHORITY.
    """
    request = _load(pem)
    try:
        key = check_strength(request.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise RemoteError("IDENTITY.WEAK_KEY", "It is of a kind that is not known.") from None
    _check_signature(request)
    try:
        _check_subject(request.subject, name)
        _check_attributes(request)
        extensions = request.extensions
    except _UNREADABLE:
        raise RemoteError("IDENTITY.REQUEST_MALFORMED", "A field of it cannot be read.") from None
    for extension in extensions:
        _check_extension(extension, uri, side, hosts)
    return key


def _load(pem: bytes) -> x509.CertificateSigningRequest:
    if len(pem) > LONGEST_REQUEST:
        raise RemoteError("IDENTITY.REQUEST_MALFORMED", f"It is over {LONGEST_REQUEST} bytes.")
    # A private key sent along by mistake must not pass unnoticed.
    if pem.count(_BEGIN) != 1:
        raise RemoteError("IDENTITY.REQUEST_MALFORMED", "It must be one PEM block and no more.")
    try:
        return x509.load_pem_x509_csr(pem)
    except _UNREADABLE:
        raise RemoteError("IDENTITY.REQUEST_MALFORMED", "It is no PKCS#10 request.") from None


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        digest = request.signature_hash_algorithm
        if digest is not None and not isinstance(digest, _HASHES):
            raise RemoteError("IDENTITY.WEAK_KEY", f"It is signed with {digest.name}.")
        holds = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        holds = False
    if not holds:
        raise RemoteError("IDENTITY.REQUEST_MALFORMED", "Its signature is not by its own key.")


def _check_subject(subject: x509.Name, name: str) -> None:
    """Empty, or the name alone: whole, or its last part."""
    for attribute in subject:
        admitted = (name, name.rpartition("/")[2])
        if attribute.oid != NameOID.COMMON_NAME or attribute.value not in admitted:
            what = attribute.oid.dotted_string
            raise RemoteError(
                "IDENTITY.REQUEST_NAME",
                f"Its subject has {attribute.value!r:.60} ({what}); {name!r} was ordered.",
            )
    if len(list(subject)) > 1:
        raise RemoteError("IDENTITY.REQUEST_NAME", "Its subject has more than one CN.")


def _check_attributes(request: x509.CertificateSigningRequest) -> None:
    for attribute in request.attributes:
        if attribute.oid != _EXTENSION_REQUEST:
            raise RemoteError(
                "IDENTITY.REQUEST_EXTENSION", f"It has attribute {attribute.oid.dotted_string}."
            )


def _check_extension(
    extension: x509.Extension[x509.ExtensionType], uri: str, side: Side, hosts: set[str]
) -> None:
    match extension.value:
        case x509.SubjectAlternativeName() as names:
            for name in names:
                _check_alternative(name, uri, hosts)
        case x509.BasicConstraints() as constraints:
            if constraints.ca:
                raise RemoteError("IDENTITY.REQUEST_IS_AUTHORITY", "It has CA:TRUE.")
        case x509.KeyUsage() as usage:
            _check_key_usage(usage)
        case x509.ExtendedKeyUsage() as usages:
            if list(usages) != [side.usage]:
                raise RemoteError(
                    "IDENTITY.REQUEST_EXTENSION", f"Its extended usages are not those of a {side}."
                )
        case _:
            raise RemoteError(
                "IDENTITY.REQUEST_EXTENSION", f"It has extension {extension.oid.dotted_string}."
            )


def _check_alternative(name: x509.GeneralName, uri: str, hosts: set[str]) -> None:
    match name:
        case x509.UniformResourceIdentifier():
            admitted = name.value == uri
        case x509.DNSName():
            admitted = name.value.lower() in hosts
        case x509.IPAddress():
            admitted = str(name.value) in hosts
        case _:
            admitted = False
    if not admitted:
        raise RemoteError("IDENTITY.REQUEST_NAME", f"It asks for {name.value!r:.80}.")


def _check_key_usage(usage: x509.KeyUsage) -> None:
    if usage.key_cert_sign or usage.crl_sign:
        raise RemoteError("IDENTITY.REQUEST_IS_AUTHORITY", "It asks to sign certificates.")
    others = usage.content_commitment or usage.data_encipherment or usage.key_agreement
    if others or usage.key_encipherment or not usage.digital_signature:
        raise RemoteError(
            "IDENTITY.REQUEST_EXTENSION", "It asks for more key usages than digitalSignature."
        )
