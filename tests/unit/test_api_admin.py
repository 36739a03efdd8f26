"""Logging in over HTTP: who gets a session, what it is good for, and when it ends."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from tests.unit.application import NAMED_ORIGIN, OWN_ORIGIN, Node, problem
from tests.unit.native_stand_ins import ADMIN, ANYBODY, ENCODER

from sealcast.identity import Verb
from sealcast.identity.accounts import Accounts, LoggedIn, LoginRefused, Made, Why
from sealcast.identity.one_time_codes import STEP_S, code_at
from sealcast.identity.tokens import ANY_STREAM
from sealcast.node.api import admin
from sealcast.node.login_pace import ATTEMPTS
from sealcast.secret import Secret

PASSWORD = "correct horse battery"
Check = Callable[[Node, Made], Awaitable[None]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "ANSWERED_AFTER_S", 0.001)


def run(tmp_path: Path, check: Check) -> None:
    async def once() -> None:
        node = Node(accounts=tmp_path / "accounts.sqlite")
        made = node.accounts.add("ada", Secret(PASSWORD), int(time.time()))
        async with node.client:
            await check(node, made)

    asyncio.run(once())


async def log_in(
    node: Node,
    made: Made,
    wrong: dict[str, str] | None = None,
    *,
    steps: int = 0,
    origin: str | None = OWN_ORIGIN,
) -> httpx.Response:
    told = {"account": "ada", "password": PASSWORD}
    told["code"] = code_at(made.secret, time.time() + steps * STEP_S)
    headers = {} if origin is None else {"origin": origin}
    return await node.ask(
        "POST",
        "/api/admin/login",
        json.dumps(told | (wrong or {})),
        media_type="application/json",
        **headers,
    )


def test_password_and_code_open_what_administrators_see(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        problem(await node.ask("GET", "/api/legs"), 401, "TOKEN.MISSING")
        answer = await log_in(node, made)
        assert answer.status_code == 200, answer.text
        [cookie] = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-sealcast-admin=")
        flags = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert flags == {"httponly", "path=/", "samesite=strict", "secure"}
        assert answer.headers["cache-control"] == "no-store"
        for path in ("/api/legs", "/metrics", "/api/streams"):
            assert (await node.ask("GET", path)).status_code == 200
        who = (await node.ask("GET", "/api/admin/session")).json()
        assert who == {"name": "account/ada", "proof": "password"}

    run(tmp_path, check)


def test_a_name_is_the_same_however_it_is_typed_for_entry_and_for_pace(tmp_path: Path) -> None:
    """Else each way to write it would have a budget of guesses of its own."""

    async def check(node: Node, made: Made) -> None:
        assert (await log_in(node, made, {"account": " Ada"})).json() == {"account": "ada"}

    run(tmp_path, check)


def test_a_session_neither_publishes_nor_watches(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        await log_in(node, made)
        for path in ("/whip/venue/stage-1", "/whep/venue/stage-1"):
            problem(await node.post(path, "v=0"), 401, "TOKEN.MISSING")

    run(tmp_path, check)


def test_every_refusal_is_the_same_answer(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        answers = [
            await log_in(node, made, {"password": "not her password"}),
            await log_in(node, made, {"account": "bob"}),
            await log_in(node, made, {"code": "12345x"}),
            await log_in(node, made, steps=5),
        ]
        for answer in answers:
            problem(answer, 401, "ADMIN.REFUSED")
            assert answer.text == answers[0].text
            assert "set-cookie" not in answer.headers
        assert node.client.cookies.jar.__len__() == 0

    run(tmp_path, check)


def test_refusals_are_answered_on_the_beat_whatever_was_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ANSWERED_AFTER_S", 1.0)
    slept: list[float] = []
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await really(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def check(node: Node, made: Made) -> None:
        for wrong in ({"password": "x" * 12}, {"account": "bob"}, {"code": "12345x"}):
            began, count = time.monotonic(), len(slept)
            problem(await log_in(node, made, wrong), 401, "ADMIN.REFUSED")
            worked = time.monotonic() - began
            assert len(slept) == count + 1
            # What was computed and what was waited come to a whole beat.
            beat = slept[-1] + worked
            assert math.floor(beat) >= 1
            assert slept[-1] < 1

    run(tmp_path, check)


def test_a_code_opens_one_session(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        assert (await log_in(node, made)).status_code == 200
        problem(await log_in(node, made), 401, "ADMIN.REFUSED")

    run(tmp_path, check)


def test_logging_out_ends_the_session_everywhere(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        await log_in(node, made)
        kept = dict(node.client.cookies)
        answer = await node.ask("POST", "/api/admin/logout", origin=OWN_ORIGIN)
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        problem(await node.ask("GET", "/api/legs"), 401, "TOKEN.MISSING")
        node.client.cookies.update(kept)
        problem(await node.ask("GET", "/api/legs"), 401, "ADMIN.SESSION_OVER")

    run(tmp_path, check)


@pytest.mark.parametrize("by", ["remove", "reset"])
def test_a_session_ends_with_its_account(tmp_path: Path, by: str) -> None:
    async def check(node: Node, made: Made) -> None:
        await log_in(node, made)
        if by == "remove":
            node.accounts.remove("ada")
        else:
            node.accounts.reset("ada", Secret(PASSWORD), int(time.time()))
        for _ in range(2):
            problem(await node.ask("GET", "/api/legs"), 401, "ADMIN.SESSION_OVER")

    run(tmp_path, check)


def test_other_pages_can_neither_log_in_nor_out(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        for origin in ("https://evil.example", NAMED_ORIGIN, "null", None):
            answer = await log_in(node, made, origin=origin)
            problem(answer, 403, "HTTP.FORBIDDEN_ORIGIN")
        await log_in(node, made)
        for headers in ({"origin": "https://evil.example"}, {}):
            answer = await node.ask("POST", "/api/admin/logout", **headers)
            problem(answer, 403, "HTTP.FORBIDDEN_ORIGIN")
        assert (await node.ask("GET", "/api/legs")).status_code == 200

    run(tmp_path, check)


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        ("{}", "application/json", 400, "HTTP.MALFORMED"),
        ("[1]", "application/json", 400, "HTTP.MALFORMED"),
        ('{"account":"ada","password":"p","code":1}', "application/json", 400, "HTTP.MALFORMED"),
        (
            '{"account":"ada","password":"\\ud800","code":"1"}',
            "application/json",
            400,
            "HTTP.MALFORMED",
        ),
        (
            '{"account":"ada","password":"p","code":"1","x":1}',
            "application/json",
            400,
            "HTTP.MALFORMED",
        ),
        ("a=b", "application/x-www-form-urlencoded", 415, "HTTP.WRONG_TYPE"),
        (" " * 5000, "application/json", 413, "HTTP.TOO_LARGE"),
    ],
)
def test_what_is_no_login_is_refused_unread(
    tmp_path: Path, body: str, media_type: str, status: int, code: str
) -> None:
    async def check(node: Node, made: Made) -> None:
        answer = await node.ask(
            "POST", "/api/admin/login", body, media_type=media_type, origin=OWN_ORIGIN
        )
        problem(answer, status, code)

    run(tmp_path, check)


def test_who_guesses_waits(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        for _ in range(ATTEMPTS):
            problem(await log_in(node, made, {"password": "x" * 12}), 401, "ADMIN.REFUSED")
        answer = await log_in(node, made)
        problem(answer, 429, "ADMIN.TOO_MANY")
        assert 0 < int(answer.headers["retry-after"]) <= 10
        # A certificate is not held up.
        assert (await node.ask("GET", "/api/legs", connection=ADMIN)).status_code == 200

    run(tmp_path, check)


def test_a_crowd_of_strangers_leaves_room_for_who_comes_from_a_known_address(
    tmp_path: Path,
) -> None:
    """Each with a name and an address of its own, so that no budget of theirs is used up."""
    free = threading.Event()

    class Slow(Accounts):
        def log_in(self, name: str, password: Secret, code: str, now: float) -> LoggedIn:
            if name != "ada":
                free.wait(30)
                raise LoginRefused(Why.UNKNOWN)
            return LoggedIn(name, "epoch")

    async def check() -> None:
        logins, home = admin.Logins(Slow(tmp_path / "accounts.sqlite")), "198.51.100.7:5000"

        def enter(name: str, address: str) -> asyncio.Task[tuple[LoggedIn, str]]:
            asked = msgspec.convert({"account": name, "password": "p", "code": "1"}, admin._Login)
            return asyncio.create_task(logins.enter(asked, address, "public"))

        await enter("ada", home)
        crowd = [enter(f"name-{n}", f"192.0.2.{n}:5000") for n in range(admin._WAITING + 5)]
        ended, _ = await asyncio.wait(crowd[admin._WAITING :], timeout=30)
        assert all(isinstance(task.exception(), admin.TooManyLogins) for task in ended)
        assert [task.done() for task in crowd].count(True) == 5
        with pytest.raises(admin.TooManyLogins):
            await enter("ada", "203.0.113.9:5000")
        known = enter("ada", home)
        # One more that is refused: by then the one before it has its place, or has none.
        with pytest.raises(admin.TooManyLogins):
            await enter("ada", "203.0.113.9:5000")
        free.set()
        who, _ = await known
        assert who.name == "ada"
        await asyncio.wait(crowd, timeout=30)

    asyncio.run(check())


def test_a_cookie_is_good_only_where_nothing_stronger_was_shown(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        await log_in(node, made)
        # The certificate of an encoder is who asks at `secure`; the cookie does not lift it.
        problem(await node.ask("GET", "/api/legs", connection=ENCODER), 403, "IDENTITY.NOT_ALLOWED")
        token = node.token(Verb.WATCH)
        problem(await node.ask("GET", "/api/legs", token=token), 403, "TOKEN.WRONG_VERB")
        token = node.token(Verb.ADMIN, ANY_STREAM)
        who = await node.ask("GET", "/api/admin/session", token=token, connection=ANYBODY)
        assert who.json()["proof"] == "token"

    run(tmp_path, check)


def test_the_log_says_who_came_and_who_knew_a_password_and_no_secret(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        with structlog.testing.capture_logs() as lines:
            await log_in(node, made, {"password": "not her password"})
            await log_in(node, made, {"account": "not her password"})
            await log_in(node, made, {"code": "12345x"})
            await log_in(node, made)
            await node.ask("POST", "/api/admin/logout", origin=OWN_ORIGIN)
        told: list[dict[str, Any]] = [dict(line) for line in lines]
        assert [line["event"] for line in told] == [
            "logins refused",
            "right password, no entry",
            "administrator came in",
            "administrator left",
        ]
        assert told[1]["why"] == "wrong code"
        text = repr(told)
        for secret in (PASSWORD, "not her password", "12345x", code_at(made.secret, time.time())):
            assert secret not in text

    run(tmp_path, check)


def test_only_who_may_reads_the_counters(tmp_path: Path) -> None:
    async def check(node: Node, made: Made) -> None:
        answer = await node.ask("GET", "/metrics", connection=ENCODER)
        problem(answer, 403, "IDENTITY.NOT_ALLOWED")
        assert (await node.ask("GET", "/metrics", connection=ADMIN)).status_code == 200

    run(tmp_path, check)
