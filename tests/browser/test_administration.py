"""Administration in a real browser: with a certificate from its own store, and with password and
code.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Playwright
from tests.browser.inspection import DESK, PHONE, inspect_page
from tests.browser.test_pages_for_people import (
    _assert_every_control_is_a_stop,
    _assert_fits,
    _focus_on,
)

from sealcast.identity.one_time_codes import STEP_S, code_at
from sealcast.node.login_pace import ATTEMPTS
from sealcast.secret import Secret
from sealcast.testing.browsers import ChromiumTab, OwnCertificate, chromium, wait_for_value
from sealcast.testing.evidence import wait_until_sending
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import Client, Node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

PASSWORD = "correct horse battery"
SAID = (
    "document.getElementById('refusal').hidden ? '' : document.getElementById('refusal').innerText"
)
OpenOwn = Callable[[Client, str], ChromiumTab]


class Ada:
    """An administrator of the node with her phone. A code is good once, so each is of a later
    step; the node takes one step ahead, and beyond that she waits for her clock.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        password = folder / "password"
        password.touch(mode=0o600)
        password.write_text(PASSWORD + "\n")
        said = node.command("admin", "add", "ada", "--password-file", str(password)).stdout
        [address] = re.findall(r"otpauth://\S+", said)
        [text] = parse_qs(urlsplit(address).query)["secret"]
        self._secret = Secret(base64.b32decode(text))
        self._used = 0
        node.secrets.add("the password of ada", PASSWORD)
        node.secrets.add("the secret of ada's codes", text)

    def code(self) -> str:
        step = max(int(time.time()) // STEP_S, self._used + 1)
        wait_for(
            lambda: step <= time.time() // STEP_S + 1,
            what="her clock",
            timeout_s=2 * STEP_S,
        )
        self._used = step
        return code_at(self._secret, step * STEP_S)

    def last_code(self) -> str:
        return code_at(self._secret, self._used * STEP_S)

    def wrong_code(self) -> str:
        right = {code_at(self._secret, time.time() + away * STEP_S) for away in range(-2, 4)}
        return next(f"{digit}" * 6 for digit in range(10) if f"{digit}" * 6 not in right)


def fill_in(tab: ChromiumTab, password: str, code: str, account: str = "ada") -> None:
    """By keyboard alone."""
    keys = tab.page.keyboard
    for field, text in (("account", account), ("password", password), ("code", code)):
        _focus_on(tab, field)
        keys.press("Control+A")
        keys.type(text)
    keys.press("Enter")


def answered(tab: ChromiumTab, password: str, code: str, account: str = "ada") -> None:
    """Fills in and waits for the node's answer; the page has hidden what it said before."""
    with tab.page.expect_response("**/api/admin/login"):
        fill_in(tab, password, code, account)


def arrived(tab: ChromiumTab, path: str) -> None:
    """Waits until the page that the last one led to is there."""
    tab.page.wait_for_url(re.compile(rf"https://[^/]+{path}$"))


def refusal(tab: ChromiumTab, code: str) -> str:
    wait_for_value(tab, f"({SAID}).includes({code!r})", what=f"the page says {code}")
    return str(tab.evaluate(SAID))


def test_password_and_code_open_the_administration_and_each_refusal_says_what_to_do(
    start_node: Callable[..., Node], open_chromium: OpenChromium, tmp_path: Path
) -> None:
    node = start_node()
    ada = Ada(node, tmp_path)
    publisher = open_chromium(node, node.page("publish", "venue/stage-1"))
    publisher.click("#start")
    wait_until_sending(publisher)

    tab = open_chromium(node, f"{node.origin}/admin")
    arrived(tab, "/admin/login")
    wait_for_value(tab, "document.activeElement?.id === 'account'", what="a place to type")
    assert _assert_every_control_is_a_stop(tab)[-1] == "enter"
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)
    inspect_page(tab, "login")

    fill_in(tab, "not her password", ada.wrong_code())
    said = refusal(tab, "ADMIN.REFUSED")
    assert "Next: " in said
    assert tab.evaluate("document.activeElement.id") == "code", "the keyboard is where to go on"
    assert tab.evaluate("document.getElementById('code').value") == ""
    inspect_page(tab, "refused")
    good = ada.code()
    for password, code, account in (
        (PASSWORD, ada.wrong_code(), "ada"),
        (PASSWORD, good, "bob"),
    ):
        answered(tab, password, code, account)
        assert refusal(tab, "ADMIN.REFUSED") == said, "the same, whatever was wrong"
    assert not tab.page.context.cookies()

    fill_in(tab, PASSWORD, good)
    arrived(tab, "/admin")
    rows = "[...document.querySelectorAll('#leg-rows tr')].map((row) => row.innerText)"
    [leg] = wait_for_value(
        tab, f"{rows}.some((row) => row.includes('live')) && {rows}", what="the publisher's leg"
    )
    assert "venue/stage-1" in leg
    assert "DTLS 1.3" in leg
    assert "ada" in tab.evaluate("document.getElementById('who').innerText")
    [cookie] = tab.page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (
        *("__Host-sealcast-admin", True, True),
        "Strict",
    )
    assert tab.evaluate("document.cookie") == "", "no script can read it"
    assert "leave" in _assert_every_control_is_a_stop(tab)
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)
    inspect_page(tab, "legs")

    # Why a leg is over stands there in words, not in a tooltip.
    publisher.click("#stop")
    tab.page.get_by_label("also those that are over").check()
    over = node.leg(stream="venue/stage-1", role="ingest", state="ended")["end"]
    wait_for_value(
        tab,
        f"{rows}.some((row) => row.includes({over['sentence']!r}))",
        what="why it is over",
    )
    inspect_page(tab, "legs-over")

    # Whoever saw the code over her shoulder comes too late.
    tab.click("#leave")
    arrived(tab, "/admin/login")
    assert not tab.page.context.cookies()
    fill_in(tab, PASSWORD, ada.last_code())
    refusal(tab, "ADMIN.REFUSED")

    # A session ends with its account, at the next question.
    fill_in(tab, PASSWORD, ada.code())
    arrived(tab, "/admin")
    node.command("admin", "remove", "ada")
    arrived(tab, "/admin/login")
    assert [error for error in tab.errors if "401" not in error] == []


def test_who_guesses_is_told_how_long_to_wait_and_cannot_go_on(
    start_node: Callable[..., Node], open_chromium: OpenChromium
) -> None:
    node = start_node()
    tab = open_chromium(node, f"{node.origin}/admin/login")
    tab.page.clock.install()
    tab.page.reload()
    said = ""
    # While it takes them, one more is refilled now and then.
    for _ in range(3 * ATTEMPTS):
        answered(tab, "not her password", "000000")
        said = wait_for_value(tab, SAID, what="the page's answer")
        if "ADMIN.TOO_MANY" in said:
            break
        assert "ADMIN.REFUSED" in said
    told = re.search(r"taken in (\d+) s", said)
    assert told
    assert tab.evaluate("document.getElementById('enter').disabled")
    timer = tab.page.get_by_role("timer")
    assert re.search(r"taken in \d+ s", timer.inner_text()), "read when it is looked for"
    inspect_page(tab, "too-many")
    tab.page.clock.run_for(1000 * int(told[1]))
    assert not tab.evaluate("document.getElementById('enter').disabled")


# ---- with a certificate from the browser's own store -------------------------------------------


@pytest.fixture
def open_own(node: Node, playwright_driver: Playwright, tmp_path: Path) -> Iterator[OpenOwn]:
    """Opens an address of the door `secure` in a Chromium that has a certificate in its store."""
    require("chromium", "certutil", "namespaces")
    with ExitStack() as browsers:
        contexts: list[BrowserContext] = []

        def start(client: Client, path: str) -> ChromiumTab:
            folder = tmp_path / f"browser-{len(contexts)}"
            folder.mkdir()
            origin = f"https://{node.address}:{node.secure_port}"
            browser: Browser = browsers.enter_context(
                chromium(
                    playwright_driver,
                    folder,
                    node.authority,
                    own=OwnCertificate(client.chain, client.key, origin),
                )
            )
            contexts.append(browser.new_context())
            tab = ChromiumTab(contexts[-1].new_page())
            tab.open(origin + path)
            return tab

        yield start
        for context in contexts:
            context.close()


def test_a_certificate_in_the_browsers_store_administers_without_a_password(
    node: Node, open_own: OpenOwn
) -> None:
    tab = open_own(node.client("admin/ada"), "/admin/login")
    arrived(tab, "/admin")
    told = wait_for_value(tab, "document.getElementById('who').innerText", what="who it is")
    assert told.split() == ["admin/ada", "by", "certificate"]
    assert tab.evaluate("document.getElementById('leave')") is None, "there is nothing to end"
    wait_for_value(
        tab, "/open/.test(document.getElementById('summary').innerText)", what="the legs"
    )
    assert tab.page.context.cookies() == []
    inspect_page(tab, "by-certificate")


def test_another_certificate_is_known_and_refused_by_name(node: Node, open_own: OpenOwn) -> None:
    tab = open_own(node.client("encoder/venue-1"), "/admin")
    said = refusal(tab, "IDENTITY.NOT_ALLOWED")
    assert "encoder/venue-1" in said
    assert "the profile encoder may publish, and no more" in said
    assert tab.evaluate("document.getElementById('legs').hidden")
    inspect_page(tab, "not-allowed")


def test_without_a_certificate_the_door_stays_shut(node: Node, open_chromium: OpenChromium) -> None:
    # In TLS 1.3 the refusal comes after the handshake, so it may meet the request on its way.
    told = r"net::ERR_(BAD_SSL_CLIENT_AUTH_CERT|SOCKET_NOT_CONNECTED|CONNECTION_\w+)"
    with pytest.raises(Error, match=told):
        open_chromium(node, f"https://{node.address}:{node.secure_port}/admin")
    wait_for(
        lambda: [
            leg
            for leg in node.legs()
            if (leg["end"] or {}).get("code") == "TLS.NO_CLIENT_CERTIFICATE"
        ],
        what="the node saw why",
    )
