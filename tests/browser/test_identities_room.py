"""The identities room of the administration in a real browser: what is alive, due, expired and
revoked, and a node that has no authority of its own.
"""

from __future__ import annotations

import datetime
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest
from playwright.sync_api import Playwright
from tests.browser.inspection import DESK, PHONE, inspect_page
from tests.browser.test_administration import refusal
from tests.browser.test_pages_for_people import (
    _assert_every_control_is_a_stop,
    _assert_fits,
    _focus_on,
)
from tests.interop.own_authority import node_with_own_authority

from sealcast.identity.authority import Wanted
from sealcast.identity.revocation import Reason
from sealcast.testing.browsers import ChromiumTab, OwnCertificate, chromium, wait_for_value
from sealcast.testing.node_process import Node
from sealcast.testing.requirement import require

ROWS = """
[...document.querySelectorAll('#identity-rows tr')].map((row) => [
  row.querySelector('td span').textContent, row.dataset.standing, row.innerText,
  getComputedStyle(row.querySelector('.standing')).color])
"""


@pytest.fixture
def browsing(playwright_driver: Playwright, tmp_path: Path) -> Iterator[ExitStack]:
    require("core", "chromium", "certutil", "namespaces")
    with ExitStack() as open_things:
        yield open_things


def open_room(browsing: ExitStack, driver: Playwright, node: Node, folder: Path) -> ChromiumTab:
    """The room, as somebody sees it who has an administrator's certificate."""
    ada = node.client("admin/ada")
    origin = f"https://{node.address}:{node.secure_port}"
    store = folder / "browser"
    store.mkdir()
    own = OwnCertificate(ada.chain, ada.key, origin)
    browser = browsing.enter_context(chromium(driver, store, node.authority, own=own))
    context = browser.new_context()
    browsing.callback(context.close)
    tab = ChromiumTab(context.new_page())
    tab.open(f"{origin}/admin")
    wait_for_value(tab, "document.querySelectorAll('#rooms a').length === 2", what="the rooms")
    tab.page.get_by_role("link", name="Identities").focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(f"{origin}/admin/identities")
    return tab


def _connect(browsing: ExitStack, node: Node, name: str) -> dict[str, Any]:
    """The leg of an encoder that has connected."""
    client = node.client(name)
    context = ssl.create_default_context(cafile=str(node.authority))
    context.load_cert_chain(client.chain, client.key)
    plain = browsing.enter_context(create_connection((node.address, node.ts_port), timeout=10))
    browsing.enter_context(context.wrap_socket(plain, server_hostname=node.address))
    return node.leg(role="ingest", way="mpegts", end=None)


def test_every_identity_is_shown_with_its_legs_and_what_it_has_left(
    browsing: ExitStack, playwright_driver: Playwright, tmp_path: Path
) -> None:
    month = datetime.timedelta(days=30)
    node = browsing.enter_context(node_with_own_authority(tmp_path / "own", age=3 * month))
    assert node.own is not None
    authority = node.own.authority
    now = datetime.datetime.now(datetime.UTC)
    authority.issue(Wanted("encoder/old", "encoder", lifetime=month), now - 2 * month, who="ada")
    authority.issue(Wanted("encoder/late", "encoder", lifetime=month), now - 0.8 * month, who="ada")
    node.client("encoder/lost")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, now, who="ada")
    leg = _connect(browsing, node, "encoder/venue-1")

    tab = open_room(browsing, playwright_driver, node, tmp_path)
    wait_for_value(
        tab,
        f"({ROWS}).some(([, , text]) => text.includes('{leg['id']} ingest mpegts'))",
        what="the living leg of the encoder",
    )
    rows = {name: (standing, text, colour) for name, standing, text, colour in tab.evaluate(ROWS)}
    order = [name for name in rows if name.startswith("encoder/")]
    assert order == ["encoder/old", "encoder/late", "encoder/venue-1", "encoder/lost"]
    assert [rows[name][0] for name in order] == ["expired", "due", "valid", "revoked"]
    assert "expired 30 days ago" in rows["encoder/old"][1]
    assert "in its last third" in rows["encoder/late"][1]
    assert "89 days left" in rows["encoder/venue-1"][1]
    assert "by test" in rows["encoder/venue-1"][1]
    assert "key compromise" in rows["encoder/lost"][1]
    colours = [rows[name][2] for name in order]
    assert colours[0] == colours[3], "alarm"
    assert len(set(colours)) == 3, "alarm, amber, and neither"
    authorities = tab.evaluate("document.getElementById('authority-rows').innerText")
    for what in ("Root", "Issues for clients", "Issues for servers"):
        assert what in authorities
    summary = tab.evaluate("document.getElementById('summary').innerText")
    assert "1 expired, 1 due, 1 revoked" in summary
    stops = _assert_every_control_is_a_stop(tab)
    assert stops[-5:] == ["Legs", "Identities", "filter-name", "filter-state", "filter-live"]
    _assert_fits(tab, PHONE)
    # Drawn as cards, and still a table to those who do not see it.
    table = tab.page.get_by_role("table", name="Identities")
    assert table.get_by_role("row").count() == 1 + len(rows)
    assert table.get_by_role("cell").count() == 5 * len(rows)
    _assert_fits(tab, DESK)
    inspect_page(tab, "identities")
    assert tab.errors == []


def test_two_hundred_encoders_are_filtered_by_keyboard_and_the_address_keeps_the_filter(
    browsing: ExitStack, playwright_driver: Playwright, tmp_path: Path
) -> None:
    month = datetime.timedelta(days=30)
    node = browsing.enter_context(node_with_own_authority(tmp_path / "own", age=3 * month))
    assert node.own is not None
    authority = node.own.authority
    now = datetime.datetime.now(datetime.UTC)
    for number in range(200):
        wanted = Wanted(f"encoder/venue-{number}", "encoder", lifetime=month)
        authority.issue(wanted, now - 0.8 * month if number % 50 == 0 else now, who="ada")
    authority.revoke("encoder/venue-50", Reason.KEY_COMPROMISE, now, who="ada")
    leg = _connect(browsing, node, "encoder/live")

    tab = open_room(browsing, playwright_driver, node, tmp_path)
    keys = tab.page.keyboard
    names = f"({ROWS}).map(([name]) => name)"

    def showing(*expected: str) -> None:
        wanted = json.dumps(sorted(expected), separators=(",", ":"))
        same = f"JSON.stringify({names}.toSorted()) === {json.dumps(wanted)}"
        wait_for_value(tab, same, what=f"only {wanted}")

    def query() -> str:
        return str(tab.evaluate("location.search"))

    # The node's own, ada's, and those of the venue.
    wait_for_value(tab, f"{names}.length > 201", what="all of them")
    _focus_on(tab, "filter-name")
    keys.type("encoder/venue-19*")
    showing(*(f"encoder/venue-{number}" for number in (19, *range(190, 200))))
    assert query() == "?name=encoder/venue-19*"
    summary = tab.evaluate("document.getElementById('summary').innerText")
    assert re.fullmatch(r"11 of 20\d identities", summary)
    assert tab.evaluate("document.activeElement.id") == "filter-name", "still typing"
    inspect_page(tab, "filtered")

    # What the node does not understand it refuses in words, and what is shown can still be changed.
    keys.type("*")
    said = refusal(tab, "HTTP.MALFORMED")
    assert "a part has at most one *" in said
    assert tab.evaluate("document.getElementById('filter-name').ariaInvalid") == "true"
    inspect_page(tab, "filter-refused")
    keys.press("Control+A")
    keys.type("venue")
    _focus_on(tab, "filter-state")
    keys.type("due")
    keys.press("Tab")
    showing("encoder/venue-0", "encoder/venue-100", "encoder/venue-150")
    assert query() == "?name=venue&state=due&state=expired"
    assert tab.evaluate("document.getElementById('refusal').hidden")

    # Kept by a reload, as by whom it is sent to.
    tab.page.reload()
    showing("encoder/venue-0", "encoder/venue-100", "encoder/venue-150")
    assert tab.evaluate("document.getElementById('filter-name').value") == "venue"
    _focus_on(tab, "filter-all")
    keys.press("Enter")
    wait_for_value(tab, f"{names}.length > 201", what="all of them again")
    assert query() == ""
    assert tab.evaluate("document.activeElement.id") == "filter-name", "the button has gone"
    _focus_on(tab, "filter-live")
    keys.press("Space")
    showing("encoder/live")
    assert query() == "?legs=live"
    assert f"{leg['id']} ingest mpegts" in tab.evaluate(ROWS)[0][2]
    _assert_every_control_is_a_stop(tab)
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)

    _focus_on(tab, "filter-name")
    keys.type("nobody")
    wait_for_value(tab, "!document.getElementById('none-fits').hidden", what="nobody fits")
    inspect_page(tab, "none-fits")
    assert tab.errors == []


def test_a_node_without_an_authority_says_in_one_sentence_what_to_do(
    node: Node, browsing: ExitStack, playwright_driver: Playwright, tmp_path: Path
) -> None:
    tab = open_room(browsing, playwright_driver, node, tmp_path)
    shown = "document.getElementById('no-authority')"
    said = wait_for_value(tab, f"!{shown}.hidden && {shown}.innerText", what="the sentence")
    assert "sealcast identity init" in said
    for other in ("authorities", "identities", "none", "refusal", "filter"):
        assert tab.evaluate(f"document.getElementById('{other}').hidden"), other
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)
    inspect_page(tab, "no-authority")
    assert tab.errors == []
