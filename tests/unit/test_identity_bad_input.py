"""What bad input gets, all of it in one place: one code, one sentence, nothing issued, the attempt
in the journal, and no secret in either.

Each row is a thing that somebody does to an authority. Other tests go into each kind of it; this
one holds that none is answered otherwise.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID
from tests.unit.founded import ENCODER, NOW, PASSPHRASE, copied, request

from sealcast.errors import SealcastError
from sealcast.identity.authority import TOKEN_LIFETIME, Authority, Wanted
from sealcast.identity.enrolling import enrol_with_token
from sealcast.identity.keys import generate
from sealcast.identity.private_files import read_passphrase
from sealcast.identity.store import DONE

WANTED = Wanted(ENCODER, "encoder")
KEY = generate("p256")
LATER = NOW + TOKEN_LIFETIME + datetime.timedelta(seconds=1)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
WRONG_PASSPHRASE = "another passphrase"
SECRET_ATTRIBUTE = b"told to everybody"


@dataclass
class World:
    """An authority, a folder, and every secret that was used so far."""

    authority: Authority
    folder: Path
    secrets: list[str]

    def token(self, wanted: Wanted = WANTED) -> str:
        text = self.authority.make_token(wanted, NOW, who="ada").reveal().decode()
        self.secrets.append(text)
        return text

    def locked(self, passphrase: Path | None) -> Authority:
        return Authority.open(self.authority.folder, lambda: read_passphrase(passphrase))

    def passphrase(self, content: str, mode: int = 0o600) -> Path:
        file = self.folder / "passphrase"
        file.write_text(content)
        file.chmod(mode)
        return file

    def key_file(self) -> Path:
        return self.authority.folder / "issuing/clients-key.pem"


Deed = Callable[[World], object]


def sign(pem: bytes, wanted: Wanted = WANTED) -> Deed:
    return lambda world: world.authority.sign(pem, wanted, NOW, who="mallory")


def signed_with(*extensions: x509.ExtensionType, subject: str | None = None) -> Deed:
    return sign(request(KEY, *extensions, subject=subject))


def key_usage(**more: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{**dict.fromkeys(names, False), "digital_signature": True, **more})


def names(*general: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(general)


def with_attribute() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, SECRET_ATTRIBUTE)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def broken_signature() -> bytes:
    der = bytearray(x509.load_pem_x509_csr(request(KEY)).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


def enrol(token: str, now: datetime.datetime = NOW, **asked: str) -> Deed:
    return lambda world: enrol_with_token(
        world.authority, request(), token, now, who="192.0.2.9", **asked
    )


def used_twice(world: World) -> object:
    """The first use is refused its certificate again, so that nothing but the token is used up."""
    token = world.token()
    enrol(token)(world)
    return enrol(token)(world)


def issue_without(passphrase: Callable[[World], Path | None]) -> Deed:
    return lambda world: world.locked(passphrase(world)).issue(WANTED, NOW, who="mallory")


def issue_with_key_file(change: Callable[[Path], object]) -> Deed:
    def deed(world: World) -> object:
        change(world.key_file())
        return world.authority.issue(WANTED, NOW, who="mallory")

    return deed


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def damaged(file: Path) -> None:
    file.write_bytes(PRIVATE[:40])


BAD: dict[str, tuple[str, Deed]] = {
    # ---- a signing request ----
    "a CSR for another end's name": (
        "IDENTITY.REQUEST_NAME",
        signed_with(names(x509.UniformResourceIdentifier("spiffe://venue.example/encoder/b"))),
    ),
    "a CSR with a second name": (
        "IDENTITY.REQUEST_NAME",
        signed_with(
            names(
                x509.UniformResourceIdentifier(f"spiffe://venue.example/{ENCODER}"),
                x509.UniformResourceIdentifier("spiffe://venue.example/admin/ada"),
            )
        ),
    ),
    "a CSR with another subject": ("IDENTITY.REQUEST_NAME", signed_with(subject="admin/ada")),
    "a CSR with a host that was not ordered": (
        "IDENTITY.REQUEST_NAME",
        signed_with(names(x509.DNSName("node.venue.example"))),
    ),
    "a CSR with an RSA key of 2048 bits": (
        "IDENTITY.WEAK_KEY",
        sign(request(rsa.generate_private_key(65537, 2048))),  # type: ignore[arg-type]
    ),
    "a CSR with a key on a small curve": (
        "IDENTITY.WEAK_KEY",
        sign(request(ec.generate_private_key(ec.SECP224R1()))),
    ),
    "a CSR with an extension that is not known": (
        "IDENTITY.REQUEST_EXTENSION",
        signed_with(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
    ),
    "a CSR with an extension of responders": (
        "IDENTITY.REQUEST_EXTENSION",
        signed_with(x509.OCSPNoCheck()),
    ),
    "a CSR with a usage of servers": (
        "IDENTITY.REQUEST_EXTENSION",
        signed_with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    ),
    "a CSR with a challenge password": ("IDENTITY.REQUEST_EXTENSION", sign(with_attribute())),
    "a CSR with the CA bit": (
        "IDENTITY.REQUEST_IS_AUTHORITY",
        signed_with(x509.BasicConstraints(ca=True, path_length=None)),
    ),
    "a CSR with the usage of an authority": (
        "IDENTITY.REQUEST_IS_AUTHORITY",
        signed_with(key_usage(key_cert_sign=True)),
    ),
    "a CSR that its key did not sign": ("IDENTITY.REQUEST_MALFORMED", sign(broken_signature())),
    "a CSR with the private key behind it": (
        "IDENTITY.REQUEST_MALFORMED",
        sign(request(KEY) + PRIVATE),
    ),
    "a private key in place of a CSR": ("IDENTITY.REQUEST_MALFORMED", sign(PRIVATE)),
    "nothing in place of a CSR": ("IDENTITY.REQUEST_MALFORMED", sign(b"")),
    # ---- an order ----
    "a name that nobody can have": (
        "IDENTITY.BAD_NAME",
        lambda world: world.authority.issue(Wanted("Encoder/../x", "encoder"), NOW, who="mallory"),
    ),
    "a profile that is not there": (
        "IDENTITY.UNKNOWN_PROFILE",
        lambda world: world.authority.issue(Wanted(ENCODER, "encodr"), NOW, who="mallory"),
    ),
    "a profile that the name is not of": (
        "IDENTITY.NOT_OF_PROFILE",
        lambda world: world.authority.issue(Wanted(ENCODER, "admin"), NOW, who="mallory"),
    ),
    # ---- a token ----
    "a token that has expired": (
        "IDENTITY.TOKEN_EXPIRED",
        lambda world: enrol(world.token(), LATER)(world),
    ),
    "a token that was used": ("IDENTITY.TOKEN_USED", used_twice),
    "a token for another name": (
        "IDENTITY.TOKEN_OTHER",
        lambda world: enrol(world.token(), name="encoder/venue-2")(world),
    ),
    "a token for another profile": (
        "IDENTITY.TOKEN_OTHER",
        lambda world: enrol(world.token(), profile="admin")(world),
    ),
    "a token with a CSR for another name": (
        "IDENTITY.REQUEST_NAME",
        lambda world: enrol_with_token(
            world.authority, request(subject="venue-2"), world.token(), NOW, who="192.0.2.9"
        ),
    ),
    # ---- the authority's own files ----
    "a key file that everybody can read": (
        "IDENTITY.KEY_EXPOSED",
        issue_with_key_file(lambda file: file.chmod(0o644)),
    ),
    "a key file that everybody can write": (
        "IDENTITY.KEY_EXPOSED",
        issue_with_key_file(lambda file: file.chmod(0o602)),
    ),
    "a key file that its group can read": (
        "IDENTITY.KEY_EXPOSED",
        issue_with_key_file(lambda file: file.chmod(0o640)),
    ),
    "a key file that is gone": (
        "IDENTITY.KEY_UNREADABLE",
        issue_with_key_file(lambda file: file.unlink()),
    ),
    "a key file that is a folder": (
        "IDENTITY.KEY_UNREADABLE",
        issue_with_key_file(a_folder),
    ),
    "a key file that was cut short": (
        "IDENTITY.CERTIFICATE_MALFORMED",
        issue_with_key_file(damaged),
    ),
    "no passphrase": ("IDENTITY.PASSPHRASE_MISSING", issue_without(lambda world: None)),
    "an empty passphrase file": (
        "IDENTITY.PASSPHRASE_MISSING",
        issue_without(lambda world: world.passphrase("\n")),
    ),
    "a passphrase that is too short": (
        "IDENTITY.PASSPHRASE_SHORT",
        issue_without(lambda world: world.passphrase("s3cr3t-pin\n")),
    ),
    "a wrong passphrase": (
        "IDENTITY.PASSPHRASE_WRONG",
        issue_without(lambda world: world.passphrase(WRONG_PASSPHRASE)),
    ),
    "a passphrase file that others can read": (
        "IDENTITY.KEY_EXPOSED",
        issue_without(lambda world: world.passphrase(PASSPHRASE, 0o644)),
    ),
    "a passphrase file that is not there": (
        "IDENTITY.KEY_UNREADABLE",
        issue_without(lambda world: world.folder / "nowhere"),
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_code_one_sentence_no_certificate_and_a_line_in_the_journal(
    tmp_path: Path, what: str
) -> None:
    code, deed = BAD[what]
    key_lines = PRIVATE.decode().splitlines()[1:-1]
    secrets = [PASSPHRASE, WRONG_PASSPHRASE, "s3cr3t-pin", SECRET_ATTRIBUTE.decode(), *key_lines]
    world = World(copied(tmp_path / "authority"), tmp_path, secrets)
    with pytest.raises(SealcastError) as refused:
        deed(world)
    assert refused.value.code == code

    said = str(refused.value)
    assert said.startswith(f"{code}: {refused.value.row.sentence}")
    assert said.endswith(refused.value.row.remedy)
    assert said.isprintable(), "one line"

    issued = world.authority.store.issued()
    assert len(issued) == (1 if what == "a token that was used" else 0)

    last = world.authority.store.journal()[-1]
    assert last.outcome == code
    assert last.who in ("mallory", "192.0.2.9")
    assert last.serial is None
    told = said + repr(world.authority.store.journal())
    for secret in world.secrets:
        assert secret not in told
    assert not re.search(r"-----BEGIN|Traceback", told)


def test_a_refused_request_leaves_its_token_for_a_better_one(tmp_path: Path) -> None:
    world = World(copied(tmp_path / "authority"), tmp_path, [])
    token = world.token()
    for bad in (request(subject="venue-2"), PRIVATE, b""):
        with pytest.raises(SealcastError):
            enrol_with_token(world.authority, bad, token, NOW, who="192.0.2.9")
    with pytest.raises(SealcastError):
        enrol(token, name="encoder/venue-2")(world)
    assert enrol_with_token(world.authority, request(), token, NOW, who="192.0.2.9").serial


def test_a_token_that_never_was_leaves_no_line_for_guessers_to_fill_the_disk_with(
    tmp_path: Path,
) -> None:
    """It is counted by whoever asks (`sealcast.node.tries`), and issues nothing."""
    world = World(copied(tmp_path / "authority"), tmp_path, [])
    before = world.authority.store.journal()
    with pytest.raises(SealcastError) as refused:
        enrol("x" * 43)(world)
    assert refused.value.code == "IDENTITY.TOKEN_UNKNOWN"
    assert world.authority.store.journal() == before
    assert world.authority.store.issued() == []
    assert all(entry.outcome == DONE for entry in before)
