"""A peer that proves itself by an authority's certificate instead of a promised fingerprint."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

pytest.importorskip("sealcast._core", reason="the native module is not built")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.unit.dtls_link import (
    BEGAN,
    ENDS,
    V1_2,
    V1_3,
    End,
    Link,
    other,
)

from sealcast.dtls import Authority, DtlsEndpoint, DtlsIdentity, DtlsPolicy
from sealcast.errors import LocalError
from sealcast.secret import Secret

USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
SPIFFE = "spiffe://venue.example/encoder/venue-1"
DNS = "venue-1.example"


@dataclass(frozen=True, slots=True)
class Issuer:
    """A root, or an authority below one."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()
    """What a leaf's chain has between it and the root."""

    @staticmethod
    def root(name: str) -> Issuer:
        key = ec.generate_private_key(ec.SECP256R1())
        return Issuer(_sign(name, key, name, key, ca=True), key)

    def below(self, name: str) -> Issuer:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = self.certificate.subject.rfc4514_string().removeprefix("CN=")
        certificate = _sign(name, key, subject, self.key, ca=True)
        return Issuer(certificate, key, (certificate, *self.chain))

    def issue(
        self,
        usage: End | None,
        *,
        days: tuple[int, int] = (-1, 1),
        uris: Sequence[str] = (SPIFFE,),
        names: Sequence[str] = (DNS,),
    ) -> tuple[DtlsIdentity, bytes]:
        """An identity, and the PEM of its chain."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.rfc4514_string().removeprefix("CN=")
        leaf = _sign("leaf", key, issuer, self.key, days=days, usage=usage, uris=uris, names=names)
        pem = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (leaf, *self.chain))
        return DtlsIdentity.from_pem(pem, Secret(_pem(key))), pem

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    days: tuple[int, int] = (-1, 1),
    usage: End | None = None,
    uris: Sequence[str] = (),
    names: Sequence[str] = (),
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([USAGES[usage]]), critical=False)
    if uris or names:
        alternatives = [
            *map(x509.UniformResourceIdentifier, uris),
            *map(x509.DNSName, names),
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def root() -> Issuer:
    return Issuer.root("Venue root")


def meet(
    judge: End,
    peer: DtlsIdentity,
    authority: Authority | bytes,
    policy: DtlsPolicy = V1_3,
) -> Link:
    """The `judge` expects the authority's word, its peer a fingerprint."""
    own = DtlsIdentity.generate()
    ends = {
        judge: DtlsEndpoint(judge, own, authority=authority, policy=policy, now=BEGAN),
        other(judge): DtlsEndpoint(
            other(judge), peer, expected=[own.fingerprint()], policy=policy, now=BEGAN
        ),
    }
    pair = Link(ends["client"], ends["server"])
    pair.run(lambda link: link.is_decided(judge))
    pair.run(lambda _: False, within_s=2.0)
    return pair


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("judge", ENDS)
@pytest.mark.parametrize("name", [None, "uri", "dns"])
def test_a_certificate_of_the_authority_is_believed(
    root: Issuer, judge: End, policy: DtlsPolicy, name: str | None
) -> None:
    peer, _ = root.below("Venue issuing").issue(other(judge))
    authority = Authority(
        root.pem,
        uri=SPIFFE if name == "uri" else None,
        dns=DNS if name == "dns" else None,
    )
    completed = meet(judge, peer, authority, policy).completed(judge)
    assert completed.proved_by == "authority"
    assert completed.proved == {None: "CN=leaf", "uri": SPIFFE, "dns": DNS}[name]
    assert completed.facts.peer is not None
    assert completed.facts.peer.san_uris == (SPIFFE,)


def test_a_certificate_without_a_usage_serves_both_roles(root: Issuer) -> None:
    for judge in ENDS:
        peer, _ = root.issue(None)
        meet(judge, peer, root.pem).agreed(judge)


@pytest.mark.parametrize("policy", [V1_2, V1_3])
@pytest.mark.parametrize("judge", ENDS)
@pytest.mark.parametrize(
    ("case", "code", "alert"),
    [
        ("stranger", "DTLS.UNKNOWN_CA", "unknown_ca"),
        ("self-signed", "DTLS.UNKNOWN_CA", "unknown_ca"),
        ("namesake", "DTLS.UNKNOWN_CA", "unknown_ca"),
        ("no chain", "DTLS.UNKNOWN_CA", "unknown_ca"),
        ("usage", "DTLS.WRONG_USAGE", "unsupported_certificate"),
        ("uri", "DTLS.NAME_MISMATCH", "bad_certificate"),
        ("uri prefix", "DTLS.NAME_MISMATCH", "bad_certificate"),
        ("dns", "DTLS.NAME_MISMATCH", "bad_certificate"),
    ],
)
def test_any_other_certificate_is_refused_by_code_and_alert(
    root: Issuer, judge: End, policy: DtlsPolicy, case: str, code: str, alert: str
) -> None:
    authority, usage = Authority(root.pem), other(judge)
    match case:
        case "stranger":
            peer, _ = Issuer.root("Stranger").issue(usage)
        case "self-signed":
            peer = DtlsIdentity.generate()
        case "namesake":
            # The same name, another key: the signature decides.
            peer, _ = Issuer.root("Venue root").issue(usage)
        case "no chain":
            issuing = root.below("Venue issuing")
            peer, _ = Issuer(issuing.certificate, issuing.key).issue(usage)
        case "usage":
            peer, _ = root.issue(judge)
        case "uri":
            peer, _ = root.issue(usage)
            authority = Authority(root.pem, uri="spiffe://venue.example/encoder/venue-2")
        case "uri prefix":
            peer, _ = root.issue(usage)
            authority = Authority(root.pem, uri=SPIFFE[:-1])
        case _:
            peer, _ = root.issue(usage)
            authority = Authority(root.pem, dns="venue-2.example")
    pair = meet(judge, peer, authority, policy)
    refusal = pair.refused(judge)
    assert (refusal.code, refusal.alert_sent) == (code, alert)
    assert pair.closed(other(judge)).alert_received == alert
    with pytest.raises(LocalError, match=r"DTLS\.NOT_ESTABLISHED"):
        pair.end(judge).keys()


def test_an_authority_whose_own_certificate_expired_is_not_believed() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    past = Issuer(_sign("Past", key, "Past", key, ca=True, days=(-9, -1)), key)
    peer, _ = past.issue("server")
    refusal = meet("client", peer, past.pem).refused("client")
    assert (refusal.code, refusal.alert_sent) == ("DTLS.CERTIFICATE_EXPIRED", "certificate_expired")
    future = Issuer(_sign("Future", key, "Future", key, ca=True, days=(1, 9)), key)
    peer, _ = future.issue("server")
    refusal = meet("client", peer, future.pem).refused("client")
    assert refusal.code == "DTLS.CERTIFICATE_NOT_YET_VALID"


def test_a_leaf_that_issues_is_no_authority(root: Issuer) -> None:
    """Below a certificate that may not issue, nobody is believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _sign("leaf", key, "Venue root", root.key)
    peer, _ = Issuer(leaf, key, (leaf,)).issue("server")
    refusal = meet("client", peer, root.pem).refused("client")
    assert refusal.code in {"DTLS.CERTIFICATE_REFUSED", "DTLS.UNKNOWN_CA"}


def test_identities_that_cannot_work_are_refused_when_they_are_made(root: Issuer) -> None:
    def code_of(chain: bytes, key: bytes) -> str:
        with pytest.raises(LocalError) as refused:
            DtlsIdentity.from_pem(chain, Secret(key))
        return refused.value.code

    key = ec.generate_private_key(ec.SECP256R1())
    _, chain = root.issue("client")
    assert code_of(chain, _pem(key)) == "TLS.KEY_MISMATCH"
    assert code_of(chain, b"no key") == "TLS.UNREADABLE_KEY"
    for days, code in (
        ((-9, -1), "TLS.CERTIFICATE_EXPIRED"),
        ((1, 9), "TLS.CERTIFICATE_NOT_YET_VALID"),
    ):
        leaf = _sign("leaf", key, "Venue root", root.key, days=days)
        assert code_of(leaf.public_bytes(serialization.Encoding.PEM), _pem(key)) == code


@pytest.mark.parametrize(
    "authority",
    [Authority("", uri=SPIFFE), Authority("x", dns=DNS), Authority(b"\xff\xfe")],
)
def test_a_bundle_without_a_certificate_is_refused(authority: Authority) -> None:
    with pytest.raises(LocalError) as refused:
        DtlsEndpoint("client", DtlsIdentity.generate(), authority=authority, now=BEGAN)
    assert refused.value.code == "TLS.UNREADABLE_CERTIFICATE"


@pytest.mark.parametrize(("uri", "dns"), [("", None), (None, ""), (None, "a\0b"), (SPIFFE, DNS)])
def test_a_name_that_nobody_can_carry_is_refused(
    root: Issuer, uri: str | None, dns: str | None
) -> None:
    with pytest.raises(LocalError) as refused:
        DtlsEndpoint(
            "client",
            DtlsIdentity.generate(),
            authority=Authority(root.pem, uri=uri, dns=dns),
            now=BEGAN,
        )
    assert refused.value.code == "TLS.BAD_POLICY"
