"""Pytest fixtures over the test kit: a pytest plugin, named in ``pytest_plugins``.

Does: starts each part when it is first asked for, ends it with its scope, skips with a reason what
cannot run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sealcast.testing.browsers import ChromiumTab, Firefox, chromium, firefox
from sealcast.testing.network import Cable, Host, cable
from sealcast.testing.node_process import Node, running_node
from sealcast.testing.requirement import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

StartNode = Callable[..., Node]
OpenChromium = Callable[..., ChromiumTab]
OpenFirefox = Callable[..., Firefox]


@pytest.fixture(scope="module")
def playwright_driver() -> Iterator[Playwright]:
    """Not for the whole session: while it runs, no other test could run an event loop here."""
    require("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node on loopback with the standard policy, shared by a module's tests: each uses a
    stream of its own.
    """
    require("core")
    with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Starts nodes with `settings` (TOML), or at a `host`; they end with the test."""
    require("core")
    with ExitStack() as nodes:

        def start(settings: str = "", host: Host | None = None) -> Node:
            folder = tmp_path / f"node-{len(list(tmp_path.iterdir()))}"
            return nodes.enter_context(running_node(folder, settings=settings, host=host))

        yield start


@pytest.fixture
def two_hosts() -> Iterator[Cable]:
    require("namespaces")
    with cable() as joined:
        yield joined


@pytest.fixture
def two_ipv6_hosts() -> Iterator[Cable]:
    require("namespaces")
    with cable("ipv6") as joined:
        yield joined


@pytest.fixture(scope="module")
def _chromiums(
    playwright_driver: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Node, Sequence[str]], Browser]]:
    """One browser per node and namespace."""
    require("chromium", "certutil")
    with ExitStack() as browsers:
        started: dict[tuple[str, tuple[str, ...]], Browser] = {}

        def get(node: Node, prefix: Sequence[str]) -> Browser:
            key = (str(node.folder), tuple(prefix))
            if key not in started:
                folder = tmp_path_factory.mktemp("chromium")
                started[key] = browsers.enter_context(
                    chromium(playwright_driver, folder, node.authority, prefix)
                )
            return started[key]

        yield get


@pytest.fixture
def open_chromium(
    _chromiums: Callable[[Node, Sequence[str]], Browser],
) -> Iterator[OpenChromium]:
    """Opens an address in a Chromium that trusts the node; the pages close with the test."""
    pages: list[Page] = []

    def open_page(node: Node, url: str, prefix: Sequence[str] = ()) -> ChromiumTab:
        page = _chromiums(node, prefix).new_page()
        pages.append(page)
        tab = ChromiumTab(page)
        tab.open(url)
        return tab

    yield open_page
    for page in pages:
        if not page.is_closed():
            page.close()


@pytest.fixture
def open_firefox(tmp_path: Path) -> Iterator[OpenFirefox]:
    """Starts a Firefox in a namespace; it ends with the test."""
    require("firefox", "puppeteer", "certutil", "namespaces")
    with ExitStack() as browsers:

        def start(node: Node, prefix: Sequence[str]) -> Firefox:
            folder = tmp_path / "firefox"
            return browsers.enter_context(firefox(folder, node.authority, prefix))

        yield start
