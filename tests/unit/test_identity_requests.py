"""Signing requests from outside: what is taken from them, and each way to be refused."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from tests.unit.founded import DOMAIN, ENCODER, NOW, copied, request

from sealcast.errors import RemoteError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.keys import KINDS, generate
from sealcast.identity.profiles import Side
from sealcast.identity.requests import LONGEST_REQUEST, key_of_request

URI = f"spiffe://{DOMAIN}/{ENCODER}"
KEY = generate("p256")


def usage(**more: bool) -> x509.KeyUsage:
    asked = {
        "digital_signature": True,
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "key_cert_sign": False,
        "crl_sign": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    return x509.KeyUsage(**{**asked, **more})


def names(*general: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(general)


def read(pem: bytes) -> object:
    return key_of_request(pem, name=ENCODER, uri=URI, side=Side.CLIENT, hosts=set())


def code_of(pem: bytes) -> str:
    with pytest.raises(RemoteError) as refused:
        read(pem)
    return refused.value.code


@pytest.mark.parametrize("subject", [None, ENCODER, "venue-1"])
def test_a_bare_request_gives_its_key(subject: str | None) -> None:
    assert read(request(KEY, subject=subject)) == KEY.public_key()


def test_a_request_may_repeat_what_is_given_anyway() -> None:
    pem = request(
        KEY,
        names(x509.UniformResourceIdentifier(URI)),
        x509.BasicConstraints(ca=False, path_length=None),
        usage(),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
    )
    assert read(pem) == KEY.public_key()


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        (x509.BasicConstraints(ca=True, path_length=0), "IDENTITY.REQUEST_IS_AUTHORITY"),
        (usage(key_cert_sign=True), "IDENTITY.REQUEST_IS_AUTHORITY"),
        (usage(crl_sign=True), "IDENTITY.REQUEST_IS_AUTHORITY"),
        (usage(key_encipherment=True), "IDENTITY.REQUEST_EXTENSION"),
        (usage(content_commitment=True), "IDENTITY.REQUEST_EXTENSION"),
        (
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            "IDENTITY.REQUEST_EXTENSION",
        ),
        (
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING]
            ),
            "IDENTITY.REQUEST_EXTENSION",
        ),
        (x509.OCSPNoCheck(), "IDENTITY.REQUEST_EXTENSION"),
        (
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
            "IDENTITY.REQUEST_EXTENSION",
        ),
        (
            names(x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/encoder/venue-2")),
            "IDENTITY.REQUEST_NAME",
        ),
        (
            names(
                x509.UniformResourceIdentifier(URI),
                x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/admin/ada"),
            ),
            "IDENTITY.REQUEST_NAME",
        ),
        (names(x509.DNSName("one.venue.example")), "IDENTITY.REQUEST_NAME"),
        (names(x509.IPAddress(ipaddress.ip_address("127.0.0.1"))), "IDENTITY.REQUEST_NAME"),
        (names(x509.RFC822Name("ada@venue.example")), "IDENTITY.REQUEST_NAME"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_request_for_more_is_refused_not_trimmed(
    extension: x509.ExtensionType, code: str
) -> None:
    assert code_of(request(KEY, extension)) == code


@pytest.mark.parametrize("subject", ["venue-2", "encoder", "admin/ada", "encoder/venue-1 "])
def test_another_common_name_is_refused(subject: str) -> None:
    assert code_of(request(KEY, subject=subject)) == "IDENTITY.REQUEST_NAME"


def test_a_subject_with_more_than_the_name_is_refused() -> None:
    common = x509.NameAttribute(NameOID.COMMON_NAME, "venue-1")
    for more in (common, x509.NameAttribute(NameOID.ORGANIZATION_NAME, "venue-1")):
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([common, more]))
        pem = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        assert code_of(pem) == "IDENTITY.REQUEST_NAME"


def test_an_attribute_besides_extensions_is_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"told to everybody")
    pem = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert code_of(pem) == "IDENTITY.REQUEST_EXTENSION"


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["RSA 2048", "P-521", "secp256k1"],
)
def test_a_weak_key_is_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert code_of(pem) == "IDENTITY.WEAK_KEY"


def test_a_request_signed_with_another_key_is_refused() -> None:
    """A request without proof of possession would give its sender a certificate for a key of
    somebody else.
    """
    der = x509.load_pem_x509_csr(request(KEY)).public_bytes(serialization.Encoding.DER)
    foreign = generate("p256").public_key()
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    swapped = der.replace(KEY.public_key().public_bytes(*spki), foreign.public_bytes(*spki))
    assert swapped != der
    pem = x509.load_der_x509_csr(swapped).public_bytes(serialization.Encoding.PEM)
    assert code_of(pem) == "IDENTITY.REQUEST_MALFORMED"


def test_what_is_not_one_request_is_refused() -> None:
    one = request(KEY)
    key = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for pem in (
        b"",
        b"\x00" * 99,
        one + one,
        one + key,
        key,
        one[:-40],
        b" " * LONGEST_REQUEST + one,
    ):
        assert code_of(pem) == "IDENTITY.REQUEST_MALFORMED"


@pytest.mark.parametrize("kind", [*KINDS, "rsa"])
def test_a_request_with_every_strong_key_is_signed(tmp_path: Path, kind: str) -> None:
    authority = copied(tmp_path / "authority")
    key = rsa.generate_private_key(65537, 3072) if kind == "rsa" else generate(kind)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.sign(key, None if kind == "ed25519" else hashes.SHA256())
    signed = authority.sign(
        csr.public_bytes(serialization.Encoding.PEM), Wanted(ENCODER, "encoder"), NOW, who="ada"
    )
    leaf = x509.load_pem_x509_certificates(signed.chain_pem)[0]
    assert leaf.public_key() == key.public_key()
    assert signed.name == URI


def test_a_servers_request_may_repeat_its_hosts(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    wanted = Wanted("node/one", "node", hosts=("One.venue.example", "127.0.0.1"))
    asked = names(
        x509.DNSName("one.venue.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    )
    assert authority.sign(request(KEY, asked), wanted, NOW, who="ada").serial
    more = names(x509.DNSName("two.venue.example"))
    with pytest.raises(RemoteError) as refused:
        authority.sign(request(KEY, more), wanted, NOW, who="ada")
    assert refused.value.code == "IDENTITY.REQUEST_NAME"


def test_a_refused_request_issues_nothing_and_stands_in_the_journal(tmp_path: Path) -> None:
    authority: Authority = copied(tmp_path / "authority")
    with pytest.raises(RemoteError):
        authority.sign(request(subject="venue-2"), Wanted(ENCODER, "encoder"), NOW, who="eve")
    assert authority.store.issued() == []
    last = authority.store.journal()[-1]
    assert (last.who, last.action, last.outcome) == ("eve", "sign", "IDENTITY.REQUEST_NAME")
