"""Real browsers for tests: Debian's Chromium and Firefox ESR, each verifying the node's
certificate for real.

Does: gives a page of either browser the same few verbs; puts the node's authority into the
browser's own store, so that a wrong certificate fails the test. Both can run in a namespace.

Does not: switch off any check of TLS or of WebRTC. Browsers end with their context, or with this
process.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from sealcast.testing.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)

# Its npm modules stand beside it.
FIREFOX_DRIVER = Path(__file__).parents[3] / "tests" / "browser" / "firefox_driver.mjs"
FIREFOX_START_S = 60
FIREFOX_COMMAND_S = 60


class Tab(Protocol):
    """One page of one browser."""

    def open(self, url: str) -> None: ...

    def evaluate(self, expression: str) -> Any:
        """The expression's value; a promise is waited for."""

    def click(self, selector: str) -> None:
        """As a person would: browsers start sound only after one."""

    def choose(self, selector: str, value: str) -> None:
        """Sets a select element."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A client certificate for a browser's own store: chain and key as PEM files, and the origins
    that it is shown to, as the policy AutoSelectCertificateForUrls writes them.

    The policy stands in for the person who chooses in the browser's dialogue; everything else is as
    in anybody's browser.
    """

    chain: Path
    key: Path
    shown_to: str


_POLICIES: Final = "/etc/chromium/policies/managed"
# In a mount namespace of its own: the machine's browsers keep their policies. "$0" is the browser.
_UNDER_POLICY: Final = (
    f'mount -t tmpfs tmpfs /etc/chromium && mkdir -p {_POLICIES} && cp "$SEALCAST_POLICY" '
    f'{_POLICIES}/tests.json && exec "$0" "$@"'
)


def nss_database(folder: Path, authority: Path, own: OwnCertificate | None = None) -> None:
    """An NSS database that trusts `authority` (a PEM file) for servers, and nobody else beyond
    the built-in list; with a certificate and key of one's own if there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database = f"sql:{folder}"
    for arguments in (
        ("-N", "--empty-password"),
        ("-A", "-t", "C,,", "-n", "sealcast test authority", "-i", str(authority)),
    ):
        subprocess.run(
            ["certutil", "-d", database, *arguments], check=True, capture_output=True, timeout=30
        )
    if own is not None:
        file = folder / "own.p12"
        file.write_bytes(_pkcs12(own))
        subprocess.run(
            ["pk12util", "-i", str(file), "-d", database, "-W", "test"],
            check=True,
            capture_output=True,
            timeout=30,
        )
        file.unlink()


def _pkcs12(own: OwnCertificate) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509 import load_pem_x509_certificates

    leaf, *between = load_pem_x509_certificates(own.chain.read_bytes())
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "what the authority makes"
    encryption = serialization.BestAvailableEncryption(b"test")
    return pkcs12.serialize_key_and_certificates(b"own", key, leaf, between, encryption)


class ChromiumTab:
    """A page of Chromium. Exceptions, requests that failed and whatever the page's content
    security policy refused are kept in `errors`.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("requestfailed", self._request_failed)
        page.on("console", self._said)

    def open(self, url: str) -> None:
        """Opens a page of the node; its scripts have run when this returns."""
        self.page.goto(url)
        assert self.errors == [], "\n".join(self.errors)

    def _request_failed(self, request: Request) -> None:
        # A request that the page itself gave up, as on leaving it, has not failed.
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"{request.method} {request.url}: {request.failure}")

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium tells every violation here, those of the policy's own making included.
        if "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(f"async () => ({expression})")

    def click(self, selector: str) -> None:
        self.page.click(selector)

    def choose(self, selector: str, value: str) -> None:
        self.page.select_option(selector, value)

    def close(self) -> None:
        self.page.close()


@dataclass(frozen=True, slots=True)
class ChromiumProgram:
    """Chromium as it is started: the program, and its environment."""

    executable: str
    environment: dict[str, str]


def chromium_program(
    folder: Path, authority: Path, prefix: Sequence[str] = (), own: OwnCertificate | None = None
) -> ChromiumProgram:
    """Chromium with a home of its own in `folder`; `prefix` starts it elsewhere, such as in a
    namespace; `own` is a client certificate in its store (needs root).
    """
    home = folder / "chromium-home"
    nss_database(home / ".pki" / "nssdb", authority, own)
    executable = shutil.which("chromium") or "chromium"
    policy = folder / "chromium-policy.json"
    if own is not None:
        chosen = json.dumps({"pattern": own.shown_to, "filter": {}})
        policy.write_text(json.dumps({"AutoSelectCertificateForUrls": [chosen]}))
        prefix = (*prefix, "unshare", "--mount", "sh", "-c", _UNDER_POLICY)
    if prefix:
        # Playwright starts one program by its path; this one starts it in the other namespace. The
        # pipes go along.
        starter = folder / "chromium-elsewhere"
        starter.write_text(f'#!/bin/sh\nexec {shlex.join(prefix)} {shlex.quote(executable)} "$@"\n')
        starter.chmod(0o700)
        executable = str(starter)
    return ChromiumProgram(
        executable, {**os.environ, "HOME": str(home), "SEALCAST_POLICY": str(policy)}
    )


@contextmanager
def chromium(
    playwright: Playwright,
    folder: Path,
    authority: Path,
    prefix: Sequence[str] = (),
    own: OwnCertificate | None = None,
) -> Iterator[Browser]:
    """`chromium_program` under Playwright."""
    program = chromium_program(folder, authority, prefix, own)
    browser = playwright.chromium.launch(
        executable_path=program.executable,
        args=list(CHROMIUM_FLAGS),
        env={**program.environment},
    )
    try:
        yield browser
    finally:
        browser.close()


class Firefox:
    """Firefox ESR behind ``firefox_driver.mjs``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._ids = itertools.count(1)
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> str:
        """Its version."""
        return str(self._next(FIREFOX_START_S)["ready"])

    def tab(self, name: str) -> FirefoxTab:
        return FirefoxTab(self, name)

    def call(self, **command: Any) -> Any:
        number = next(self._ids)
        assert self._process.stdin is not None, "the driver was started with a pipe"
        self._process.stdin.write(json.dumps({"id": number, **command}) + "\n")
        self._process.stdin.flush()
        answer = self._next(FIREFOX_COMMAND_S)
        if "error" in answer:
            raise AssertionError(f"Firefox, {command['do']}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        """After the driver has ended: no pipe stays open."""
        self._reader.join(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _next(self, timeout_s: float) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"Firefox did not answer within {timeout_s:g} s") from None
        if "ended" in answer:
            raise AssertionError(f"Firefox's driver ended: {self._process.wait(timeout=10)}")
        return answer

    def _read(self, stdout: IO[str] | None) -> None:
        assert stdout is not None, "the driver was started with a pipe"
        for line in stdout:
            self._answers.put(json.loads(line))
        self._answers.put({"ended": True})


class FirefoxTab:
    """A page of Firefox."""

    def __init__(self, firefox: Firefox, name: str) -> None:
        self._firefox = firefox
        self._name = name

    def open(self, url: str) -> None:
        self._firefox.call(do="open", page=self._name, url=url)

    def evaluate(self, expression: str) -> Any:
        wrapped = f"(async () => ({expression}))()"
        return self._firefox.call(do="evaluate", page=self._name, expression=wrapped)

    def click(self, selector: str) -> None:
        self._firefox.call(do="click", page=self._name, selector=selector)

    def choose(self, selector: str, value: str) -> None:
        choice = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"({choice}.value = {json.dumps(value)}, null)")
        chosen = self.evaluate(f"{choice}.value")
        assert chosen == value, f"{selector} has no {value}"

    def screenshot(self, path: Path) -> None:
        self._firefox.call(do="screenshot", page=self._name, path=str(path))

    def close(self) -> None:
        self._firefox.call(do="close", page=self._name)


@contextmanager
def firefox(folder: Path, authority: Path, prefix: Sequence[str]) -> Iterator[Firefox]:
    """Firefox ESR with a profile of its own in `folder`.

    `prefix` must start it in a namespace with a real address: Firefox never sends media to
    loopback.
    """
    profile = folder / "firefox-profile"
    home = folder / "firefox-home"
    home.mkdir(parents=True)
    nss_database(profile, authority)
    executable = shutil.which("firefox-esr") or "firefox-esr"
    with (folder / "firefox.log").open("w") as log:
        process = subprocess.Popen(
            [*prefix, "node", str(FIREFOX_DRIVER), executable, str(profile)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "HOME": str(home), "MOZ_HEADLESS": "1"},
        )
        browser = Firefox(process)
        try:
            browser.wait_until_ready()
            yield browser
        finally:
            assert process.stdin is not None, "the driver was started with a pipe"
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
            browser.close()


def wait_for_value(tab: Tab, expression: str, *, what: str, timeout_s: float = 20.0) -> Any:
    """Polls `expression` in the page until it is truthy; a failure tells the page's state."""
    state = "({stages: globalThis.sealcast?.stages, text: document.body?.innerText?.slice(0, 600)})"
    return wait_for(
        lambda: tab.evaluate(expression),
        what=what,
        timeout_s=timeout_s,
        explain=lambda: json.dumps(tab.evaluate(state)),
    )
