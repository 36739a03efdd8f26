"""Any bytes as a signing request: a key that may be certified or a refusal by code."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.founded import DOMAIN, ENCODER, request

from sealcast.errors import RemoteError
from sealcast.identity.keys import generate
from sealcast.identity.profiles import Side
from sealcast.identity.requests import key_of_request

URI = f"spiffe://{DOMAIN}/{ENCODER}"
KEY = generate("p256")
GENUINE = x509.load_pem_x509_csr(
    request(
        KEY,
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URI)]),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        subject=ENCODER,
    )
).public_bytes(serialization.Encoding.DER)
CODES = {
    "IDENTITY.REQUEST_MALFORMED",
    "IDENTITY.REQUEST_NAME",
    "IDENTITY.REQUEST_EXTENSION",
    "IDENTITY.REQUEST_IS_AUTHORITY",
    "IDENTITY.WEAK_KEY",
}


def armoured(der: bytes) -> bytes:
    label, text = "CERTIFICATE REQUEST", base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


def verdict(pem: bytes) -> str | None:
    """The code, or None for a key."""
    refused = None
    try:
        key_of_request(pem, name=ENCODER, uri=URI, side=Side.CLIENT, hosts=set())
    except RemoteError as error:
        refused = error
    if refused is None:
        return None
    assert refused.code in CODES
    assert len(str(refused)) < 600, "what a stranger sent is not repeated at length"
    return refused.code


def test_the_genuine_request_is_taken() -> None:
    assert verdict(armoured(GENUINE)) is None


@given(st.binary(max_size=300))
@example(b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n")
@example(b"\xff" * 20_000)
def test_any_bytes_are_refused_by_code(pem: bytes) -> None:
    assert verdict(pem) == "IDENTITY.REQUEST_MALFORMED"


@given(st.binary(max_size=300))
def test_any_der_is_refused_by_code(der: bytes) -> None:
    assert verdict(armoured(der)) == "IDENTITY.REQUEST_MALFORMED"


@example(GENUINE.index(b"\x02\x01\x00") + 2, 1)  # the version
@given(st.integers(0, len(GENUINE) - 1), st.integers(1, 255))
def test_no_byte_of_a_request_can_be_changed(place: int, difference: int) -> None:
    """All of it is signed: whatever is changed, no certificate comes of it."""
    changed = bytearray(GENUINE)
    changed[place] ^= difference
    assert verdict(armoured(bytes(changed))) in CODES


@given(st.integers(0, len(GENUINE) - 1), st.binary(max_size=20), st.integers(0, 20))
def test_no_bytes_can_be_put_in_or_taken_out(place: int, more: bytes, without: int) -> None:
    changed = GENUINE[:place] + more + GENUINE[place + without :]
    assert (verdict(armoured(changed)) is None) == (changed == GENUINE)


def _alternatives() -> st.SearchStrategy[x509.GeneralName]:
    text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
    return st.one_of(
        text.map(x509.UniformResourceIdentifier),
        text.map(x509.DNSName),
        st.ip_addresses().map(x509.IPAddress),
        text.map(lambda value: x509.UniformResourceIdentifier(f"{URI}{value}")),
    )


@given(st.lists(_alternatives(), min_size=1, max_size=4))
def test_a_well_signed_request_for_any_other_name_is_refused(
    names: list[x509.GeneralName],
) -> None:
    asked = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URI), *names])
    assert verdict(request(KEY, asked)) in {"IDENTITY.REQUEST_NAME", "IDENTITY.REQUEST_MALFORMED"}
