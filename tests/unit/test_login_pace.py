"""How fast logins may be tried, and that nobody is locked out by others."""

from __future__ import annotations

from sealcast.identity.accounts import LoggedIn
from sealcast.node.admin_sessions import IDLE_S, LONGEST_S, PER_ACCOUNT, AdminSessions
from sealcast.node.login_pace import (
    ACCOUNT_ATTEMPTS,
    ATTEMPTS,
    REFILL_S,
    LoginPace,
)

HOME, DESK = "192.0.2.1:1000", "198.51.100.7:5000"
ADA = LoggedIn("ada", "epoch")


def tries(pace: LoginPace, account: str, address: str, now: float, most: int = 1000) -> int:
    """How many are taken at once."""
    for taken in range(most):
        if pace.attempt(account, address, now):
            return taken
    return most


def test_an_address_has_ten_attempts_and_then_one_each_ten_seconds() -> None:
    pace = LoginPace()
    assert tries(pace, "ada", HOME, 0) == ATTEMPTS
    assert pace.attempt("bob", HOME, 0) == REFILL_S, "whichever account it asks for"
    assert pace.attempt("ada", HOME, 1) == REFILL_S - 1
    assert tries(pace, "ada", HOME, REFILL_S) == 1
    assert tries(pace, "dora", DESK, 0) == ATTEMPTS
    assert tries(pace, "carl", HOME, 100 * REFILL_S) == ATTEMPTS


def test_many_addresses_together_are_held_up_at_one_account() -> None:
    pace = LoginPace()
    taken = sum(tries(pace, "ada", f"203.0.113.{host}:1", 0) for host in range(100))
    assert taken == ACCOUNT_ATTEMPTS
    assert pace.attempt("bob", "192.0.2.200:1", 0) == 0


def test_strangers_do_not_hold_up_an_administrator_at_a_known_address() -> None:
    pace = LoginPace()
    assert pace.attempt("ada", DESK, 0) == 0
    pace.succeeded("ada", DESK, 0)
    for now in range(0, 10_000, 100):
        for host in range(100):
            tries(pace, "ada", f"203.0.113.{host}:1", now)
        assert pace.attempt("ada", DESK.replace("5000", "5001"), now) == 0
    assert tries(pace, "bob", DESK, 10_000) <= ATTEMPTS, "known to one account only"


def test_who_waits_gets_in_from_anywhere_in_the_end() -> None:
    pace = LoginPace()
    for host in range(100):
        tries(pace, "ada", f"203.0.113.{host}:1", 0)
    wait = pace.attempt("ada", DESK, 0)
    assert 0 < wait <= REFILL_S
    assert pace.attempt("ada", DESK, wait) == 0


def test_a_flood_of_names_takes_no_memory_and_forgets_nothing() -> None:
    pace = LoginPace()
    for host in range(10):
        tries(pace, "ada", f"203.0.113.{host}:1", 0)
    for number in range(50_000):
        pace.attempt(f"name-{number}", f"10.{number >> 8}.{number & 255}.1:1", 0)
    assert pace.attempt("ada", "192.0.2.77:1", 0) > 0


def test_a_session_ends_when_idle_and_when_old() -> None:
    sessions = AdminSessions()
    secret = sessions.open(ADA, "public", 0)
    assert sessions.find(secret, "public", IDLE_S - 1) is not None
    assert sessions.find(secret, "public", 2 * IDLE_S - 2) is not None
    assert sessions.find(secret, "public", 3 * IDLE_S) is None
    secret, now = sessions.open(ADA, "public", 0), 0.0
    while sessions.find(secret, "public", now) is not None:
        now += IDLE_S / 2
    assert LONGEST_S <= now < LONGEST_S + IDLE_S


def test_a_session_is_for_its_door_and_can_be_ended() -> None:
    sessions = AdminSessions()
    secret = sessions.open(ADA, "public", 0)
    assert sessions.find(secret, "secure", 1) is None
    assert sessions.find(secret + "x", "public", 1) is None
    assert sessions.find("\ud800", "public", 1) is None
    found = sessions.close(secret)
    assert found is not None
    assert found.account == "ada"
    assert sessions.find(secret, "public", 1) is None
    assert sessions.close(secret) is None


def test_an_account_has_so_many_sessions_and_the_oldest_goes() -> None:
    sessions = AdminSessions()
    secrets = [sessions.open(ADA, "public", now) for now in range(PER_ACCOUNT + 3)]
    bobs = sessions.open(LoggedIn("bob", "e"), "public", 20)
    alive = [sessions.find(secret, "public", 21) is not None for secret in secrets]
    assert alive == [False] * 3 + [True] * PER_ACCOUNT
    assert sessions.find(bobs, "public", 21) is not None
    sessions.open(ADA, "public", 10 * LONGEST_S)
    assert len(sessions) == 1, "what has ended is not kept"
