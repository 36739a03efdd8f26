"""The authority: founded whole or not at all, issues without its root, remembers refusals."""

from __future__ import annotations

import datetime
import secrets
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied

from sealcast.errors import LocalError, SealcastError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.founding import Founding, found
from sealcast.identity.private_files import read_passphrase
from sealcast.identity.profiles import Side
from sealcast.identity.store import STORE_FILE, Attempt
from sealcast.secret import Secret

WANTED = Wanted(ENCODER, "encoder")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return copied(tmp_path / "authority")


def code_of(authority: Authority, wanted: Wanted = WANTED, kind: str = "p256") -> str:
    with pytest.raises(SealcastError) as refused:
        authority.issue(wanted, NOW, who="ada", kind=kind)
    return refused.value.code


def test_an_encoder_gets_its_certificate_with_the_chain_below_the_root(
    authority: Authority,
) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    leaf, issuing = x509.load_pem_x509_certificates(issued.chain_pem)
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.root_pem(NOW)))
    assert issued.name == f"spiffe://{DOMAIN}/{ENCODER}"


def test_it_issues_after_the_root_was_taken_away(authority: Authority) -> None:
    shutil.rmtree(authority.folder / "root")
    assert authority.issue(WANTED, NOW, who="ada").serial


def test_what_was_issued_is_remembered_with_who_asked(authority: Authority) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    hosts = ("one.venue.example", "127.0.0.1")
    authority.issue(Wanted("node/one", "node", hosts=hosts), NOW, who="grace")
    node, encoder = authority.store.issued()
    assert (encoder.serial, encoder.name, encoder.profile) == (issued.serial, ENCODER, "encoder")
    assert (encoder.issued_by, encoder.side, encoder.token) == ("ada", Side.CLIENT, None)
    assert encoder.not_after_unix == issued.not_after_unix
    assert encoder.pem in issued.chain_pem
    assert (node.hosts, node.issued_by, node.side) == (hosts, "grace", Side.SERVER)
    assert node.issuer != encoder.issuer
    assert authority.store.issued(ENCODER) == [encoder]


def test_an_end_has_as_many_certificates_as_it_was_given(authority: Authority) -> None:
    serials = [authority.issue(WANTED, NOW, who="ada").serial for _ in range(5)]
    assert [row.serial for row in authority.store.issued(ENCODER)] == serials[::-1]
    assert len(set(serials)) == 5


@pytest.mark.parametrize(
    ("wanted", "kind", "code"),
    [
        (Wanted("Encoder/A", "encoder"), "p256", "IDENTITY.BAD_NAME"),
        (Wanted("viewer/vera", "encoder"), "p256", "IDENTITY.NOT_OF_PROFILE"),
        (Wanted(ENCODER, "root"), "p256", "IDENTITY.UNKNOWN_PROFILE"),
        (Wanted(ENCODER, "encoder"), "rsa1024", "IDENTITY.WEAK_KEY"),
        (Wanted("admin/ada", "admin"), "ed25519", "IDENTITY.NOT_OF_PROFILE"),
    ],
)
def test_a_refusal_issues_nothing_and_stands_in_the_journal(
    authority: Authority, wanted: Wanted, kind: str, code: str
) -> None:
    assert code_of(authority, wanted, kind) == code
    assert authority.store.issued() == []
    last = authority.store.journal()[-1]
    assert (last.outcome, last.who, last.action, last.serial) == (code, "ada", "issue", None)


def test_the_journal_tells_attempts_in_their_order(authority: Authority) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    code_of(authority, Wanted(ENCODER, "viewer"))
    at = int(NOW.timestamp())
    assert authority.store.journal() == [
        Attempt(at, "founder", "init", DOMAIN, "", "done"),
        Attempt(at, "ada", "issue", ENCODER, "encoder", "done", issued.serial),
        Attempt(at, "ada", "issue", ENCODER, "viewer", "IDENTITY.NOT_OF_PROFILE"),
    ]


def test_what_was_typed_by_mistake_is_not_written_down(authority: Authority) -> None:
    code_of(authority, Wanted(PASSPHRASE, PASSPHRASE))
    last = authority.store.journal()[-1]
    assert (last.name, last.profile) == ("(not a name)", "(not a profile)")


def test_no_secret_is_in_the_store(authority: Authority) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    token = authority.make_token(WANTED, NOW, who="ada").reveal()
    held = b"".join(path.read_bytes() for path in authority.folder.glob(f"{STORE_FILE}*"))
    assert ENCODER.encode() in held
    for secret in (PASSPHRASE.encode(), token, issued.key_pem, b"PRIVATE KEY"):
        assert secret not in held


def test_a_token_is_never_read_as_an_option(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["-" + "x" * 42, "-" + "y" * 42, "z" * 42 + "-"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _size: next(drawn))
    made = authority.make_token(WANTED, NOW, who="ada")
    assert made.reveal().decode() == "z" * 42 + "-"


def test_every_private_file_is_its_owners_alone(authority: Authority) -> None:
    modes = {
        str(path.relative_to(authority.folder)): path.stat().st_mode & 0o777
        for path in authority.folder.rglob("*")
        if path.is_file()
    }
    assert modes.pop("authority.pem") == 0o644
    assert set(modes.values()) == {0o600}
    folders = [authority.folder, *filter(Path.is_dir, authority.folder.rglob("*"))]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}, "the names too"
    assert {"root/root-key.pem", "issuing/clients-key.pem", "issuing/servers-key.pem"} <= set(modes)
    for path in authority.folder.rglob("*-key.pem"):
        assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()


def locked(authority: Authority, passphrase_file: Path | None) -> Authority:
    return Authority.open(authority.folder, lambda: read_passphrase(passphrase_file))


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (None, 0, "IDENTITY.PASSPHRASE_MISSING"),
        (b"\n", 0o600, "IDENTITY.PASSPHRASE_MISSING"),
        (b"short\n", 0o600, "IDENTITY.PASSPHRASE_SHORT"),
        (b"another passphrase\n", 0o600, "IDENTITY.PASSPHRASE_WRONG"),
        (PASSPHRASE.encode(), 0o640, "IDENTITY.KEY_EXPOSED"),
        (PASSPHRASE.encode(), 0o604, "IDENTITY.KEY_EXPOSED"),
    ],
)
def test_without_the_passphrase_nothing_is_issued_and_the_attempt_is_noted(
    authority: Authority, tmp_path: Path, content: bytes | None, mode: int, code: str
) -> None:
    file = None
    if content is not None:
        file = tmp_path / "passphrase"
        file.write_bytes(content)
        file.chmod(mode)
    assert code_of(locked(authority, file)) == code
    assert authority.store.issued() == []
    assert authority.store.journal()[-1].outcome == code


def test_a_passphrase_file_that_is_not_there_is_told(authority: Authority, tmp_path: Path) -> None:
    assert code_of(locked(authority, tmp_path / "nowhere")) == "IDENTITY.KEY_UNREADABLE"


def test_a_newline_at_the_end_of_a_passphrase_file_does_not_count(
    authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    file.chmod(0o600)
    assert locked(authority, file).issue(WANTED, NOW, who="ada").serial


def test_random_bytes_are_a_passphrase_too(tmp_path: Path) -> None:
    file = tmp_path / "key-file"
    file.write_bytes(bytes(range(1, 33)) + b"\xff\x00")
    file.chmod(0o600)
    folder = tmp_path / "authority"
    found(folder, Founding(DOMAIN), read_passphrase(file), NOW, who="ada")
    made = Authority.open(folder, lambda: read_passphrase(file))
    assert made.issue(WANTED, NOW, who="ada").serial


def test_a_key_file_that_others_can_read_is_refused(authority: Authority) -> None:
    (authority.folder / "issuing/clients-key.pem").chmod(0o644)
    assert code_of(authority) == "IDENTITY.KEY_EXPOSED"


def test_a_key_file_that_is_gone_is_told(authority: Authority) -> None:
    (authority.folder / "issuing/clients-key.pem").unlink()
    assert code_of(authority) == "IDENTITY.KEY_UNREADABLE"


def test_a_key_of_another_authority_is_refused(authority: Authority) -> None:
    keys = authority.folder / "issuing"
    shutil.copyfile(keys / "servers-key.pem", keys / "clients-key.pem")
    assert code_of(authority) == "TLS.KEY_MISMATCH"


def test_the_roots_key_may_have_a_passphrase_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    founding = Founding(DOMAIN, kind="p384")
    found(
        folder,
        founding,
        Secret(PASSPHRASE),
        NOW,
        who="ada",
        root_passphrase=Secret("of the root alone"),
    )
    (folder / "issuing/clients-key.pem").write_bytes((folder / "root/root-key.pem").read_bytes())
    made = Authority.open(folder, lambda: Secret(PASSPHRASE))
    assert code_of(made) == "IDENTITY.PASSPHRASE_WRONG"


def test_an_authority_is_never_made_over_something_else(
    authority: Authority, tmp_path: Path
) -> None:
    before = authority.store.file.read_bytes()
    for folder in (authority.folder, authority.folder / "authority.pem", tmp_path):
        with pytest.raises(LocalError) as refused:
            found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="eve")
        assert refused.value.code == "IDENTITY.ALREADY_INITIALISED"
    assert authority.store.file.read_bytes() == before


@pytest.mark.parametrize(
    "founding",
    [
        Founding("spiffe://x"),
        Founding(DOMAIN, hosts=("a b",)),
        Founding(DOMAIN, hosts=("192.0.2.1",)),
        Founding(DOMAIN, networks=("192.0.2.1/24",)),
        Founding(DOMAIN, kind="rsa"),
        Founding(DOMAIN, kind="ed25519"),
    ],
)
def test_a_founding_that_fails_leaves_nothing(tmp_path: Path, founding: Founding) -> None:
    with pytest.raises(LocalError):
        found(tmp_path / "authority", founding, Secret(PASSPHRASE), NOW, who="ada")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    folder.mkdir()
    found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="ada")
    assert Authority.open(folder, lambda: Secret(PASSPHRASE)).trust_domain == DOMAIN


def test_a_folder_without_authority_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as refused:
        Authority.open(tmp_path, lambda: Secret(PASSPHRASE))
    assert refused.value.code == "IDENTITY.NO_AUTHORITY"
    (tmp_path / STORE_FILE).write_bytes(b"no database at all, but long enough to be looked at" * 9)
    with pytest.raises(LocalError) as refused:
        Authority.open(tmp_path, lambda: Secret(PASSPHRASE))
    assert refused.value.code == "IDENTITY.STORE_DAMAGED"


def test_a_pkcs12_holds_key_chain_and_root(authority: Authority) -> None:
    issued = authority.issue(WANTED, NOW, who="ada")
    made = issued.pkcs12(authority.root_pem(NOW), Secret("told once"))
    key, leaf, others = pkcs12.load_key_and_certificates(made, b"told once")
    assert leaf is not None
    assert key is not None
    assert key.public_key() == leaf.public_key()
    assert len(others) == 2
    with pytest.raises(ValueError):
        pkcs12.load_key_and_certificates(made, b"another")


def test_a_day_more_or_less_on_the_clock_makes_no_second_serial(authority: Authority) -> None:
    day = datetime.timedelta(days=1)
    made = [authority.issue(WANTED, now, who="ada") for now in (NOW + day, NOW, NOW + 2 * day)]
    assert len({one.serial for one in made}) == 3
    assert len(authority.store.issued(ENCODER)) == 3
