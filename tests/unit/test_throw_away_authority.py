"""The throw-away authority, judged by another maker's verifier."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sealcast.errors import LocalError
from sealcast.identity import Issued, ThrowAwayAuthority

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
AUTHORITY = ThrowAwayAuthority.create("venue.example", NOW)


def leaf_of(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.chain_pem)


def store(authority: ThrowAwayAuthority = AUTHORITY) -> Store:
    return Store([x509.load_pem_x509_certificate(authority.root_pem)])


def test_a_server_certificate_serves_its_names_and_no_client() -> None:
    issued = AUTHORITY.issue_server(["Live.Example", "192.0.2.1", "::1"], NOW)
    leaf = leaf_of(issued)
    verifier = PolicyBuilder().store(store()).time(NOW)
    verifier.build_server_verifier(x509.DNSName("live.example")).verify(leaf, [])
    verifier.build_server_verifier(x509.IPAddress(ipaddress.ip_address("::1"))).verify(leaf, [])
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("other.example")).verify(leaf, [])
    with pytest.raises(VerificationError):
        verifier.build_client_verifier().verify(leaf, [])


def test_a_client_certificate_has_one_spiffe_id_and_serves_no_server() -> None:
    issued = AUTHORITY.issue_client("encoder/venue-1", NOW)
    assert issued.name == "spiffe://venue.example/encoder/venue-1"
    leaf = leaf_of(issued)
    verifier = PolicyBuilder().store(store()).time(NOW)
    verified = verifier.build_client_verifier().verify(leaf, [])
    assert verified.subjects == [x509.UniformResourceIdentifier(issued.name)]
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


def test_a_certificate_of_another_authority_is_not_trusted() -> None:
    foreign = ThrowAwayAuthority.create("venue.example", NOW)
    leaf = leaf_of(foreign.issue_client("encoder/venue-1", NOW))
    with pytest.raises(VerificationError):
        PolicyBuilder().store(store()).time(NOW).build_client_verifier().verify(leaf, [])


def test_a_leaf_never_outlives_its_root() -> None:
    late = NOW + datetime.timedelta(days=300)
    root = x509.load_pem_x509_certificate(AUTHORITY.root_pem)
    issued = AUTHORITY.issue_client("encoder/a", late)
    assert leaf_of(issued).not_valid_after_utc == root.not_valid_after_utc
    assert issued.not_after_unix == int(root.not_valid_after_utc.timestamp())


def test_serials_are_never_the_same() -> None:
    assert len({AUTHORITY.issue_client("encoder/a", NOW).serial for _ in range(20)}) == 20


def test_openssl_takes_chain_and_key_as_a_pair(tmp_path: Path) -> None:
    chain, key = AUTHORITY.issue_server(["localhost"], NOW).save(tmp_path, "server")
    assert key.stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "../a", "a/../b", "Encoder/A", "a b", "a\n", "é", "x" * 129]
)
def test_a_bad_client_name_is_refused(name: str) -> None:
    with pytest.raises(LocalError) as refused:
        AUTHORITY.issue_client(name, NOW)
    assert refused.value.code == "IDENTITY.BAD_NAME"


@pytest.mark.parametrize("names", [[], [""], ["a b"], ["x" * 254], ["a\x00b"]])
def test_a_bad_server_name_is_refused(names: list[str]) -> None:
    with pytest.raises(LocalError) as refused:
        AUTHORITY.issue_server(names, NOW)
    assert refused.value.code == "IDENTITY.BAD_NAME"


def test_a_bad_trust_domain_is_refused() -> None:
    with pytest.raises(LocalError):
        ThrowAwayAuthority.create("spiffe://x", NOW)


def test_the_authority_is_kept_private_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    made = ThrowAwayAuthority.load_or_create(folder, "venue.example", NOW)
    found = ThrowAwayAuthority.load_or_create(folder, "venue.example", NOW)
    assert found.root_pem == made.root_pem
    assert found.trust_domain == "venue.example"
    assert (folder / "authority-key.pem").stat().st_mode & 0o777 == 0o600


def test_an_expiring_authority_is_made_anew(tmp_path: Path) -> None:
    made = ThrowAwayAuthority.load_or_create(tmp_path, "a", NOW)
    late = NOW + datetime.timedelta(days=300)
    assert ThrowAwayAuthority.load_or_create(tmp_path, "a", late).root_pem != made.root_pem


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path)
    (tmp_path / "authority-key.pem").chmod(0o644)
    with pytest.raises(LocalError) as refused:
        ThrowAwayAuthority.load(tmp_path)
    assert refused.value.code == "IDENTITY.KEY_EXPOSED"


def test_a_damaged_certificate_is_refused(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path)
    (tmp_path / "authority.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(LocalError) as refused:
        ThrowAwayAuthority.load(tmp_path)
    assert refused.value.code == "IDENTITY.CERTIFICATE_MALFORMED"


def test_a_key_of_another_authority_is_refused(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path)
    foreign = ThrowAwayAuthority.create("x", NOW)
    (tmp_path / "authority.pem").write_bytes(foreign.root_pem)
    with pytest.raises(LocalError) as refused:
        ThrowAwayAuthority.load(tmp_path)
    assert refused.value.code == "TLS.KEY_MISMATCH"


def test_nothing_prints_a_key() -> None:
    issued = AUTHORITY.issue_client("encoder/a", NOW)
    assert b"PRIVATE" in issued.key_pem
    assert "PRIVATE" not in repr(issued)
    assert isinstance(
        serialization.load_pem_private_key(issued.key_pem, None).key_size,  # type: ignore[union-attr]
        int,
    )
