"""From a door's bundle to what hangs from it: roots that leave, stay, or are issued anew."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from sealcast.identity import certificates
from sealcast.identity.keys import DEFAULT_KIND, PrivateKey, generate
from sealcast.node.certified import Certified, Verdict
from sealcast.node.trust_watch import TrustWatch
from sealcast.node.trusted_roots import TrustedRoots
from sealcast.wire import PeerCertificate

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


def root(key: PrivateKey, *, named: bool = True) -> bytes:
    """A root, with a key identifier or (`named` is False) without."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if named:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def below(root_pem: bytes, *, named: bool = True) -> PeerCertificate:
    """What the front says of a certificate that this root signed."""
    key = certificates.key_id(root_pem) if named else ""
    sha256 = certificates.fingerprint(x509.load_pem_x509_certificate(root_pem))
    return PeerCertificate(chain=(f"{key}:1",), root_sha256=sha256)


def read(pem: bytes) -> TrustedRoots:
    found = TrustedRoots.of(pem)
    assert found is not None
    return found


@pytest.mark.parametrize("named", [True, False])
def test_a_bundle_vouches_for_what_hangs_from_its_roots_and_nothing_else(named: bool) -> None:
    first, second, other = (root(generate(DEFAULT_KIND), named=named) for _ in range(3))
    both = read(b"a comment\r\n" + first.replace(b"\n", b"\r\n") + second)
    assert both.vouch_for(below(first, named=named))
    assert both.vouch_for(below(second, named=named))
    assert not both.vouch_for(below(other, named=named))


def test_a_root_issued_anew_with_the_same_key_vouches_for_what_hung_from_the_old_one() -> None:
    key = generate(DEFAULT_KIND)
    assert read(root(key)).vouch_for(below(root(key)))


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"nothing of the kind",
        b"-----BEGIN CERTIFICATE-----\nA===A\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_cannot_be_read_is_no_bundle(bundle: bytes) -> None:
    assert TrustedRoots.of(bundle) is None


class Doors:
    """A keeper whose doors have the bundles that a test gives them."""

    def __init__(self, **bundles: bytes) -> None:
        self.now = bundles

    def bundles(self) -> dict[str, bytes]:
        return dict(self.now)


def test_what_hangs_from_a_root_ends_when_a_round_finds_the_root_gone() -> None:
    old, new = (root(generate(DEFAULT_KIND)) for _ in range(2))
    doors, certified = Doors(secure=old, other=old), Certified()
    watch = TrustWatch(doors, certified)
    watch.round()
    ended: list[tuple[str, str]] = []
    for number, door in enumerate(("secure", "other")):

        def end(verdict: Verdict, door: str = door) -> None:
            ended.append((door, verdict.code))

        certified.add(("leg", number), below(old), door=door, grace_s=0, end=end, about={})
    doors.now["secure"] = old + new
    watch.round()
    assert ended == []
    doors.now["secure"] = new
    watch.round()
    watch.round()
    assert ended == [("secure", "IDENTITY.NO_LONGER_TRUSTED")]


def test_a_bundle_that_only_the_front_can_read_ends_nothing() -> None:
    old = root(generate(DEFAULT_KIND))
    doors, certified = Doors(secure=old), Certified()
    watch = TrustWatch(doors, certified)
    watch.round()
    ended: list[Verdict] = []
    certified.add(("leg", 1), below(old), door="secure", grace_s=0, end=ended.append, about={})
    doors.now["secure"] = b"of a kind that nobody knows"
    watch.round()
    assert ended == []
