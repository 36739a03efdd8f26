"""Accounts of administrators: what is kept, who gets in, and what guessing gains."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sealcast.errors import LocalError
from sealcast.identity.accounts import (
    CODES_BEFORE_REST,
    FIRST_REST_S,
    LONGEST_REST_S,
    Accounts,
    LoginRefused,
    Made,
    Why,
)
from sealcast.identity.one_time_codes import STEP_S, code_at, step_of
from sealcast.identity.passwords import Price, Sealed, seal, unseal
from sealcast.secret import Secret

CHEAP = Price(passes=1, lanes=1, memory_kib=64)
"""The price is tested by itself; these tests are about what it buys."""
NOW = 1_800_000_000
PASSWORD = "correct horse battery"
# RFC 6238 appendix B, of the secret "12345678901234567890": the last six of its eight digits.
PUBLISHED = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "state" / "accounts.sqlite", CHEAP)


def refused(log_in: Callable[[], object]) -> Why:
    with pytest.raises(LoginRefused) as caught:
        log_in()
    assert caught.value.code == "ADMIN.REFUSED"
    assert caught.value.detail == "", "the reason is for the log only"
    return caught.value.why


def enter(accounts: Accounts, made: Made, now: float = NOW, *, code: str | None = None) -> None:
    right = code_at(made.secret, now)
    told = accounts.log_in(made.name, Secret(PASSWORD), right if code is None else code, now)
    assert told.epoch == accounts.epoch(made.name)


def other(code: str) -> str:
    """A code that is none around it, whatever the secret is."""
    return f"{code[:-1]}x"


def test_the_codes_are_those_of_the_rfc() -> None:
    secret = Secret(b"12345678901234567890")
    assert {at: code_at(secret, at) for at in PUBLISHED} == PUBLISHED


def test_a_code_holds_one_step_to_either_side_and_no_further() -> None:
    secret = Secret(b"12345678901234567890")
    code, step = code_at(secret, NOW), NOW // STEP_S
    assert [step_of(secret, code, NOW + away * STEP_S) for away in (-2, -1, 0, 1, 2)] == [
        *(None, step, step, step, None)
    ]
    for nonsense in ("", code[:-1], code + "0", "١٢٣٤٥٦", "\ud800", " " + code):
        assert step_of(secret, nonsense, NOW) is None


def test_password_and_code_let_an_administrator_in(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    enter(accounts, made)
    [row] = accounts.rows()
    assert (row.name, row.made_unix, row.last_login_unix) == ("ada", NOW, NOW)


def test_an_app_reads_the_same_secret_from_the_address(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    parts = urlsplit(made.address("node.example"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/node.example:ada")
    told = {key: value[0] for key, value in parse_qs(parts.query).items()}
    assert base64.b32decode(told.pop("secret")) == made.secret.reveal()
    assert told == {"issuer": "node.example", "algorithm": "SHA1", "digits": "6", "period": "30"}


def test_a_code_is_used_once(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    enter(accounts, made)
    assert refused(lambda: enter(accounts, made)) is Why.USED
    # An older one of the window is used up too (RFC 6238 §5.2).
    old = code_at(made.secret, NOW - STEP_S)
    assert refused(lambda: enter(accounts, made, code=old)) is Why.USED
    enter(accounts, made, NOW + STEP_S)


def test_a_code_is_used_once_by_twenty_threads(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    got_in: list[int] = []
    ready = threading.Barrier(20)

    def try_it(number: int) -> None:
        ready.wait()
        try:
            enter(accounts, made)
        except LoginRefused:
            return
        got_in.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got_in) == 1


def test_every_refusal_looks_the_same(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    code = code_at(made.secret, NOW)

    def log_in(name: str, password: str, given: str) -> Callable[[], object]:
        return lambda: accounts.log_in(name, Secret(password), given, NOW)

    assert refused(log_in("bob", PASSWORD, code)) is Why.UNKNOWN
    assert refused(log_in("ada", "correct horse batterz", code)) is Why.PASSWORD
    assert refused(log_in("ada", "", code)) is Why.PASSWORD
    assert refused(log_in("ada", PASSWORD, other(code))) is Why.CODE
    assert refused(log_in("ada' OR 1=1 --", PASSWORD, code)) is Why.UNKNOWN


def test_an_unknown_account_costs_what_a_known_one_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[tuple[Price, int]] = []

    def counted(password: Secret, sealed: Sealed, name: str) -> Secret | None:
        paid.append((sealed.price, len(sealed.box)))
        return unseal(password, sealed, name)

    monkeypatch.setattr("sealcast.identity.accounts.unseal", counted)
    accounts = Accounts(tmp_path / "accounts.sqlite", CHEAP)
    for there_is_a_file in (False, True):
        if there_is_a_file:
            accounts.add("ada", Secret(PASSWORD), NOW)
        for name in ("ada", "bob"):
            with pytest.raises(LoginRefused):
                accounts.log_in(name, Secret("not the password"), "000000", NOW)
    assert len(paid) == 4
    assert len(set(paid)) == 1


def test_wrong_codes_make_an_account_rest_and_only_for_a_while(accounts: Accounts) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    now = NOW
    for _ in range(CODES_BEFORE_REST):
        assert refused(partial(enter, accounts, made, now, code="x")) is Why.CODE
    # It rests: the right code is not looked at, and not used up.
    assert refused(lambda: enter(accounts, made, now)) is Why.RESTS
    assert accounts.rows()[0].rests_until_unix == now + FIRST_REST_S
    rests = []
    for _ in range(8):
        now = accounts.rows()[0].rests_until_unix
        assert refused(partial(enter, accounts, made, now, code="x")) is Why.CODE
        rests.append(accounts.rows()[0].rests_until_unix - now)
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST_S
    now = accounts.rows()[0].rests_until_unix
    enter(accounts, made, now)
    assert accounts.rows()[0].rests_until_unix == 0


def test_whoever_does_not_know_the_password_cannot_make_an_account_rest(
    accounts: Accounts,
) -> None:
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    for _ in range(50):
        with pytest.raises(LoginRefused):
            accounts.log_in("ada", Secret("not the password"), "000000", NOW)
    enter(accounts, made)


def test_a_reset_ends_rests_passwords_secrets_and_epochs(accounts: Accounts) -> None:
    first = accounts.add("ada", Secret(PASSWORD), NOW)
    before = accounts.epoch("ada")
    for _ in range(CODES_BEFORE_REST):
        assert refused(lambda: enter(accounts, first, code="x")) is Why.CODE
    second = accounts.reset("ada", Secret(PASSWORD), NOW + 1)
    assert accounts.epoch("ada") not in (None, before)
    assert first.secret != second.secret
    enter(accounts, second)
    accounts.remove("ada")
    assert accounts.epoch("ada") is None
    assert refused(lambda: enter(accounts, second, NOW + STEP_S)) is Why.UNKNOWN


def test_the_file_holds_neither_password_nor_secret_and_is_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "state" / "accounts.sqlite"
    accounts = Accounts(file, CHEAP)
    made = accounts.add("ada", Secret(PASSWORD), NOW)
    enter(accounts, made)
    held = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert PASSWORD.encode() not in held
    assert made.secret.reveal() not in held
    assert base64.b32encode(made.secret.reveal()) not in held
    assert [path.name for path in file.parent.iterdir()] == ["accounts.sqlite"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_sealed_for_one_account_opens_no_other() -> None:
    sealed = seal(Secret(PASSWORD), Secret(b"s" * 20), "ada", CHEAP)
    assert unseal(Secret(PASSWORD), sealed, "ada") == Secret(b"s" * 20)
    assert unseal(Secret(PASSWORD), sealed, "bob") is None
    assert unseal(Secret(PASSWORD + " "), sealed, "ada") is None


def test_a_letter_is_the_same_letter_however_a_keyboard_writes_it() -> None:
    sealed = seal(Secret("caf\u00e9 with twelve"), Secret(b"s" * 20), "ada", CHEAP)
    assert unseal(Secret("cafe\u0301 with twelve"), sealed, "ada") is not None


def test_the_price_is_the_recommended_one() -> None:
    # RFC 9106 §4, the second recommended option.
    assert Price() == Price(passes=3, lanes=4, memory_kib=64 * 1024)


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("Ada", PASSWORD, "ADMIN.BAD_NAME"),
        ("a/b", PASSWORD, "ADMIN.BAD_NAME"),
        ("", PASSWORD, "ADMIN.BAD_NAME"),
        ("a" * 33, PASSWORD, "ADMIN.BAD_NAME"),
        ("ada", "eleven char", "ADMIN.PASSWORD_LENGTH"),
        ("ada", "x" * 513, "ADMIN.PASSWORD_LENGTH"),
        ("ada", b"\xff" * 20, "ADMIN.PASSWORD_LENGTH"),
    ],
)
def test_what_cannot_be_an_account_is_refused(
    accounts: Accounts, name: str, password: str | bytes, code: str
) -> None:
    with pytest.raises(LocalError) as caught:
        accounts.add(name, Secret(password), NOW)
    assert caught.value.code == code
    assert accounts.rows() == []


def test_an_account_is_not_made_twice_and_none_is_changed_that_is_not_there(
    accounts: Accounts,
) -> None:
    with pytest.raises(LocalError, match=r"ADMIN\.UNKNOWN"):
        accounts.remove("ada")
    accounts.add("ada", Secret(PASSWORD), NOW)
    with pytest.raises(LocalError, match=r"ADMIN\.EXISTS"):
        accounts.add("ada", Secret(PASSWORD), NOW)
    with pytest.raises(LocalError, match=r"ADMIN\.UNKNOWN"):
        accounts.reset("bob", Secret(PASSWORD), NOW)


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "accounts.sqlite"
    file.write_bytes(b"no database, " * 100)
    with pytest.raises(LocalError, match=r"ADMIN\.STORE_DAMAGED"):
        Accounts(file, CHEAP).log_in("ada", Secret(PASSWORD), "000000", NOW)
