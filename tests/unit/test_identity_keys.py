"""Keys: which are strong enough, and how they rest."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa

from sealcast.errors import LocalError, RemoteError
from sealcast.identity.keys import KINDS, check_strength, generate
from sealcast.identity.keys_at_rest import open_pem, plain_pem, sealed_pem
from sealcast.identity.profiles import kind_of
from sealcast.secret import Secret
from sealcast.testing.requirement import require

PASSPHRASE = Secret("correct horse battery staple")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_rests_sealed_and_is_opened_again(kind: str) -> None:
    key = generate(kind)
    assert kind_of(check_strength(key.public_key())) == kind
    sealed = sealed_pem(key, PASSPHRASE)
    assert plain_pem(open_pem(sealed, PASSPHRASE, "key.pem")) == plain_pem(key)


def test_openssl_opens_a_sealed_key_so_that_a_backup_needs_no_sealcast() -> None:
    require("openssl")
    key = generate("p256")
    done = subprocess.run(
        ["openssl", "pkey", "-passin", f"pass:{PASSPHRASE.reveal().decode()}"],
        input=sealed_pem(key, PASSPHRASE),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == plain_pem(key)


def test_a_sealed_key_says_scrypt_and_not_pbkdf2() -> None:
    require("openssl")
    told = subprocess.run(
        ["openssl", "asn1parse"],
        input=sealed_pem(generate("p256"), PASSPHRASE),
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    assert b":scrypt" in told
    assert b"PBKDF2" not in told


def test_another_passphrase_opens_nothing() -> None:
    sealed = sealed_pem(generate("p256"), PASSPHRASE)
    with pytest.raises(LocalError) as refused:
        open_pem(sealed, Secret("another passphrase"), "key.pem")
    assert refused.value.code == "IDENTITY.PASSPHRASE_WRONG"
    with pytest.raises(LocalError) as refused:
        open_pem(sealed, None, "key.pem")
    assert refused.value.code == "IDENTITY.PASSPHRASE_MISSING"


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\x00" * 40])
def test_a_damaged_key_is_refused_without_its_bytes(pem: bytes) -> None:
    with pytest.raises(LocalError) as refused:
        open_pem(pem, None, "key.pem")
    assert refused.value.code == "IDENTITY.CERTIFICATE_MALFORMED"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP224R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        rsa.generate_private_key(3, 3072).public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
        dsa.generate_private_key(2048).public_key(),
    ],
    ids=["P-224", "secp256k1", "P-521", "RSA 2048", "RSA with exponent 3", "Ed448", "DSA"],
)
def test_a_key_that_is_weak_or_rare_is_refused(key: object) -> None:
    with pytest.raises(RemoteError) as refused:
        check_strength(key)
    assert refused.value.code == "IDENTITY.WEAK_KEY"


def test_rsa_of_3072_bits_is_strong_enough() -> None:
    key = rsa.generate_private_key(65537, 3072).public_key()
    assert kind_of(check_strength(key)) == "rsa"


def test_a_kind_that_is_not_made_here_is_refused() -> None:
    with pytest.raises(LocalError) as refused:
        generate("rsa1024")
    assert refused.value.code == "IDENTITY.WEAK_KEY"
