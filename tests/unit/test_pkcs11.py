"""Keys in tokens (SoftHSM): they sign what keys in files sign, and every refusal has its code."""

from __future__ import annotations

import datetime
import logging
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from tests.unit.soft_token import PIN, SoftToken, begin_anew, soft_token, softhsm

from sealcast.errors import LocalError
from sealcast.identity import pkcs11
from sealcast.identity.key_places import SCHEMES, load_key, sign_handshake
from sealcast.identity.key_uri import KeyUri
from sealcast.identity.keys import SigningKey, digest_for, generate
from sealcast.identity.private_files import write_private
from sealcast.testing.requirement import require

require("softhsm")

MESSAGE = b"what is to be signed"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with softhsm(tmp_path / "softhsm", monkeypatch):
        yield soft_token(tmp_path / "softhsm")


def refusal(work: object) -> LocalError:
    assert callable(work)
    with pytest.raises(LocalError) as refused:
        work()
    assert PIN not in str(refused.value)
    return refused.value


@pytest.mark.parametrize(("kind", "curve"), [("p256", ec.SECP256R1), ("p384", ec.SECP384R1)])
def test_a_key_made_in_a_token_signs_and_stays_there(
    token: SoftToken, kind: str, curve: type[ec.EllipticCurve]
) -> None:
    made = pkcs11.make_key(token.uri("encoder"), kind)
    assert isinstance(made, ec.EllipticCurvePrivateKey)
    assert isinstance(made.curve, curve)
    algorithm = digest_for(made)
    assert algorithm is not None
    made.public_key().verify(made.sign(MESSAGE, ec.ECDSA(algorithm)), MESSAGE, ec.ECDSA(algorithm))
    assert refusal(lambda: made.private_numbers()).code == "HSM.KEY_STAYS"
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    nothing = serialization.NoEncryption()
    assert refusal(lambda: made.private_bytes(*encoding, nothing)).code == "HSM.KEY_STAYS"
    assert refusal(lambda: made.exchange(ec.ECDH(), made.public_key())).code == "HSM.KEY_UNFIT"


def test_the_token_itself_says_that_its_key_cannot_be_taken_out(token: SoftToken) -> None:
    from pkcs11 import Attribute

    uri = token.uri("encoder")
    pkcs11.make_key(uri, "p256")
    with pkcs11._module(uri.module_path) as module:
        session = module.session(uri)
        assert session is not None
        key = pkcs11._private_key(module, session, uri)
        assert key[Attribute.SENSITIVE]
        assert not key[Attribute.EXTRACTABLE]
        assert key[Attribute.NEVER_EXTRACTABLE]


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_requests_certificates_and_revocation_lists_are_signed_by_a_token(
    token: SoftToken, kind: str
) -> None:
    key = pkcs11.make_key(token.uri("authority"), kind)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    algorithm = digest_for(key)
    assert algorithm is not None
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    assert request.is_signature_valid
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, algorithm)
    )
    certificate.verify_directly_issued_by(certificate)
    listed = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=1))
        .sign(key, algorithm)
    )
    assert listed.is_signature_valid(key.public_key())


def _key(kind: str) -> SigningKey:
    return rsa.generate_private_key(65537, 3072) if kind == "rsa" else generate(kind)


_ECDSA = [name for name in SCHEMES if name.startswith("ecdsa")]
_RSA = [name for name in SCHEMES if name.startswith("rsa")]
_SCHEMES_OF = {"p256": _ECDSA, "p384": _ECDSA, "rsa": _RSA}


@pytest.mark.parametrize("kind", list(_SCHEMES_OF))
def test_a_handshake_is_signed_by_every_scheme_of_the_key(token: SoftToken, kind: str) -> None:
    outside = _key(kind)
    token.bring(outside, "brought")
    key = load_key(str(token.uri("brought")))
    public = key.public_key()
    assert public == outside.public_key()
    for scheme in SCHEMES:
        if scheme not in _SCHEMES_OF[kind]:
            unfit = refusal(lambda scheme=scheme: sign_handshake(key, scheme, MESSAGE))
            assert unfit.code == "TLS.SIGNER_FAILED"
            continue
        signature = sign_handshake(key, scheme, MESSAGE)
        bits = hashes.SHA512() if "512" in scheme else hashes.SHA256()
        algorithm: hashes.HashAlgorithm = hashes.SHA384() if "sha384" in scheme else bits
        if isinstance(public, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
            scheme_of = pss if "pss" in scheme else padding.PKCS1v15()
            public.verify(signature, MESSAGE, scheme_of, algorithm)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, MESSAGE, ec.ECDSA(algorithm))


def test_an_rsa_key_in_a_token_signs_a_request(token: SoftToken) -> None:
    token.bring(_key("rsa"), "brought")
    key = load_key(str(token.uri("brought")))
    assert isinstance(key, rsa.RSAPrivateKey)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    assert builder.sign(key, digest_for(key)).is_signature_valid
    assert refusal(lambda: key.decrypt(b"", padding.PKCS1v15())).code == "HSM.KEY_UNFIT"
    wrong_salt = padding.PSS(padding.MGF1(hashes.SHA256()), 7)
    failed = refusal(lambda: key.sign(MESSAGE, wrong_salt, hashes.SHA256()))
    assert failed.code == "HSM.FAILED"


def test_keys_in_files_sign_handshakes_too(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = ed25519.Ed25519PrivateKey.generate()
    write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    key.public_key().verify(sign_handshake(load_key(path), "ed25519", MESSAGE), MESSAGE)
    assert refusal(lambda: sign_handshake(key, "ecdsa_secp256r1_sha256", b"")).code == (
        "TLS.SIGNER_FAILED"
    )
    path.chmod(0o640)
    assert refusal(lambda: load_key(path)).code == "IDENTITY.KEY_EXPOSED"
    assert refusal(lambda: load_key(tmp_path / "absent")).code == "IDENTITY.KEY_UNREADABLE"
    write_private(path, b"no key")
    assert refusal(lambda: load_key(path)).code == "IDENTITY.CERTIFICATE_MALFORMED"


def test_a_key_file_may_say_where_the_key_is(token: SoftToken, tmp_path: Path) -> None:
    made = pkcs11.make_key(token.uri("encoder"), "p256")
    place = tmp_path / "venue-1-key.pem"
    write_private(place, f"{token.uri('encoder')}\n".encode())
    assert load_key(place).public_key() == made.public_key()
    write_private(place, b"pkcs11:token=venue;pin-value=" + PIN.encode())
    assert refusal(lambda: load_key(place)).code == "HSM.BAD_URI"
    place.chmod(0o644)
    assert refusal(lambda: load_key(place)).code == "IDENTITY.KEY_EXPOSED"


def test_a_key_is_found_by_its_id_or_its_name_and_must_be_the_only_one(token: SoftToken) -> None:
    token.bring(_key("p256"), "one", "01")
    token.bring(_key("p256"), "two", "02")
    one = pkcs11.open_key(token.uri("one"))
    assert pkcs11.open_key(token.uri(ident=b"\x01")).public_key() == one.public_key()
    assert refusal(lambda: pkcs11.open_key(token.uri("one", ident=b"\x02"))).code == "HSM.NO_KEY"
    assert refusal(lambda: pkcs11.open_key(token.uri("three"))).code == "HSM.NO_KEY"
    assert refusal(lambda: pkcs11.open_key(token.uri())).code == "HSM.BAD_URI"
    token.bring(_key("p256"), "two", "03")
    assert refusal(lambda: pkcs11.open_key(token.uri("two"))).code == "HSM.AMBIGUOUS"


def test_two_tokens_of_one_name_are_ambiguous(token: SoftToken) -> None:
    soft_token(token.folder, token.label)
    assert refusal(lambda: pkcs11.open_key(token.uri("one"))).code == "HSM.AMBIGUOUS"


def test_a_name_is_given_once_in_a_token(token: SoftToken) -> None:
    made = pkcs11.make_key(token.uri("encoder"), "p256")
    exists = refusal(lambda: pkcs11.make_key(token.uri("encoder"), "p256"))
    assert exists.code == "HSM.KEY_EXISTS"
    assert pkcs11.open_key(token.uri("encoder")).public_key() == made.public_key()
    assert refusal(lambda: pkcs11.make_key(token.uri(), "p256")).code == "HSM.BAD_URI"
    assert refusal(lambda: pkcs11.make_key(token.uri("x"), "ed25519")).code == "IDENTITY.WEAK_KEY"
    pkcs11.remove_key(token.uri("encoder"))
    assert refusal(lambda: pkcs11.open_key(token.uri("encoder"))).code == "HSM.NO_KEY"
    assert refusal(lambda: pkcs11.remove_key(token.uri("encoder"))).code == "HSM.NO_KEY"


def test_a_key_without_its_public_part_is_refused(token: SoftToken) -> None:
    token.bring(_key("p256"), "bare", "0b", "--no-public-key")
    assert refusal(lambda: pkcs11.open_key(token.uri("bare"))).code == "HSM.KEY_UNFIT"


def test_a_weak_key_and_one_on_another_curve_are_refused(token: SoftToken) -> None:
    token.bring(rsa.generate_private_key(65537, 2048), "weak", "04")
    assert refusal(lambda: pkcs11.open_key(token.uri("weak"))).code == "IDENTITY.WEAK_KEY"
    token.bring(ec.generate_private_key(ec.SECP521R1()), "large", "05")
    assert refusal(lambda: pkcs11.open_key(token.uri("large"))).code == "HSM.KEY_UNFIT"


def test_a_key_that_may_not_sign_is_refused(token: SoftToken) -> None:
    from pkcs11 import Attribute

    uri = token.uri("agreement")
    pkcs11.make_key(uri, "p256")
    with pkcs11._module(uri.module_path) as module:
        writing = module.token(uri).open(rw=True)
        pkcs11._objects(module, writing, uri, "PRIVATE_KEY")[0][Attribute.SIGN] = False
        module.end(writing)
    assert refusal(lambda: pkcs11.open_key(uri)).code == "HSM.KEY_UNFIT"


def test_a_wrong_pin_is_tried_once_and_the_right_one_still_opens(token: SoftToken) -> None:
    pkcs11.make_key(token.uri("encoder"), "p256")
    write_private(token.pin_file, b"1234567890")
    begin_anew()
    first = refusal(lambda: pkcs11.open_key(token.uri("encoder")))
    again = refusal(lambda: pkcs11.open_key(token.uri("encoder")))
    assert (first.code, again.code) == ("HSM.PIN_WRONG", "HSM.PIN_WRONG")
    assert "not tried again" in again.detail
    assert "not tried again" not in first.detail
    write_private(token.pin_file, PIN.encode())
    assert pkcs11.open_key(token.uri("encoder"))


def test_a_pin_comes_from_a_private_file_or_not_at_all(token: SoftToken) -> None:
    token.pin_file.chmod(0o644)
    assert refusal(lambda: pkcs11.open_key(token.uri("a"))).code == "IDENTITY.KEY_EXPOSED"
    write_private(token.pin_file, b"\n")
    assert refusal(lambda: pkcs11.open_key(token.uri("a"))).code == "HSM.PIN_MISSING"
    write_private(token.pin_file, b"\xff\xfe")
    assert refusal(lambda: pkcs11.open_key(token.uri("a"))).code == "HSM.PIN_MISSING"
    token.pin_file.unlink()
    assert refusal(lambda: pkcs11.open_key(token.uri("a"))).code == "HSM.PIN_MISSING"
    nowhere = KeyUri(str(token.module), token=token.label, object="a")
    assert refusal(lambda: pkcs11.open_key(nowhere)).code == "HSM.PIN_MISSING"


def test_a_token_that_is_not_there_and_a_library_that_is_none(token: SoftToken) -> None:
    absent = KeyUri(str(token.module), token.pin_file, token="another", object="a")
    assert refusal(lambda: pkcs11.open_key(absent)).code == "HSM.TOKEN_GONE"
    for path in ("/nowhere/lib.so", str(token.pin_file)):
        none = KeyUri(path, token.pin_file, token="another", object="a")
        assert refusal(lambda none=none: pkcs11.open_key(none)).code == "HSM.NO_MODULE"


def test_a_token_that_goes_away_and_comes_back_signs_again(token: SoftToken) -> None:
    key = pkcs11.make_key(token.uri("encoder"), "p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    tokens, elsewhere = token.folder / "tokens", token.folder / "pulled out"
    tokens.rename(elsewhere)
    gone = refusal(lambda: key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
    assert gone.code == "HSM.TOKEN_GONE"
    elsewhere.rename(tokens)
    signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))


def test_a_token_that_came_after_the_library_was_loaded_is_found(
    token: SoftToken, tmp_path: Path
) -> None:
    absent = KeyUri(str(token.module), token.pin_file, token="later", object="a")
    assert refusal(lambda: pkcs11.open_key(absent)).code == "HSM.TOKEN_GONE"
    options = ("--so-pin", "31415926", "--pin", PIN)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "later", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert pkcs11.make_key(absent, "p256")


def test_threads_share_a_token_and_every_signature_holds(token: SoftToken) -> None:
    keys = [pkcs11.make_key(token.uri(f"key-{number}"), "p256") for number in range(3)]
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        key = keys[number % len(keys)]
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        begin.wait()
        for turn in range(20):
            message = f"{number} {turn}".encode()
            signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
            key.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(8)]:
            done.result()


def test_a_forked_child_is_refused_and_its_parent_goes_on(token: SoftToken) -> None:
    key = pkcs11.make_key(token.uri("encoder"), "p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = "signed"
        try:
            key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
        except LocalError as error:
            code = error.code
        finally:
            os.write(writer, code.encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        assert said.read() == b"HSM.FORKED"
    assert key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))


def _sign_in_another_process(uri: str) -> bytes:
    key = load_key(uri)
    return sign_handshake(key, "ecdsa_secp256r1_sha256", MESSAGE)


def test_two_processes_use_one_token_at_once(token: SoftToken) -> None:
    key = pkcs11.make_key(token.uri("encoder"), "p256")
    public = key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    uri = str(token.uri("encoder"))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for signature in pool.map(_sign_in_another_process, [uri] * 4):
            public.verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert sign_handshake(key, "ecdsa_secp256r1_sha256", MESSAGE)


def test_no_pin_reaches_a_log_or_a_repr(token: SoftToken, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = pkcs11.make_key(token.uri("encoder"), "p256")
    told = [repr(key), repr(token.uri("encoder")), str(token.uri("encoder")), caplog.text]
    assert not any(PIN in text for text in told)


class _StandIn:
    """A token that SoftHSM cannot be: it counts tries, and says so in its flags."""

    serial = b"stand-in"

    def __init__(self, flag: str | None, refusal: str) -> None:
        from pkcs11 import TokenFlag

        self.flags = TokenFlag(0) if flag is None else TokenFlag[flag]
        self.tries = 0
        self._refusal = refusal

    def open(self, user_pin: str) -> None:
        import pkcs11 as binding

        self.tries += 1
        raise getattr(binding, self._refusal)


@pytest.mark.parametrize(
    ("flag", "raised", "code", "tries"),
    [
        ("USER_PIN_LOCKED", "PinLocked", "HSM.LOCKED", 0),
        ("USER_PIN_FINAL_TRY", "PinIncorrect", "HSM.LAST_TRY", 0),
        (None, "PinLocked", "HSM.LOCKED", 2),
        (None, "PinIncorrect", "HSM.PIN_WRONG", 1),
        (None, "DeviceRemoved", "HSM.TOKEN_GONE", 2),
        (None, "FunctionNotSupported", "HSM.FAILED", 2),
    ],
)
def test_a_token_is_never_locked_by_trying(
    token: SoftToken,
    monkeypatch: pytest.MonkeyPatch,
    flag: str | None,
    raised: str,
    code: str,
    tries: int,
) -> None:
    stand_in = _StandIn(flag, raised)
    monkeypatch.setattr(pkcs11._Module, "token", lambda _self, _uri: stand_in)
    for _ in range(2):
        assert refusal(lambda: pkcs11.open_key(token.uri("encoder"))).code == code
    # A second try is harmless where the first did not say that the PIN is wrong.
    assert stand_in.tries == tries
