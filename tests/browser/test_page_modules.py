"""The page modules that need no browser, by Node's own test runner; and what every page says in
its headers.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import anyio
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from sealcast.web import pages

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20 or later")
def test_page_modules_pass_their_own_tests() -> None:
    done = subprocess.run(
        ["node", "--test", str(HERE / "pages.test.mjs")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


PAGES = ("/", "/watch/a", "/publish/a", "/enrol", "/admin", "/admin/identities", "/admin/login")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_inline_or_from_elsewhere(path: str) -> None:
    _, _, text = _get(path)
    assert "style=" not in text
    assert "<style" not in text
    assert "onclick" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/')


def test_the_policy_names_no_unsafe_source() -> None:
    assert "unsafe" not in pages.CONTENT_SECURITY_POLICY
    assert "*" not in pages.CONTENT_SECURITY_POLICY
    assert pages.CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/watch/venue/stage-1", "text/html"),
        ("/publish/venue/stage-1", "text/html"),
        ("/enrol", "text/html"),
        ("/admin", "text/html"),
        ("/admin/identities", "text/html"),
        ("/static/watch.js", "text/javascript"),
        ("/static/seal.svg", "image/svg+xml"),
    ],
)
def test_every_answer_carries_the_policy(path: str, kind: str) -> None:
    status, headers, _ = _get(path)
    assert status == 200
    assert headers["content-security-policy"] == pages.CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "path",
    ["/static/absent.js", "/static/../pages.py", "/static/%2e%2e/pages.py", "/static//etc/passwd"],
)
def test_nothing_but_the_static_folder_is_served(path: str) -> None:
    status, _, _ = _get(path)
    assert status == 404


def test_every_file_of_a_page_is_that_of_a_route() -> None:
    texts = [_get(path)[2] for path in PAGES]
    rooms = pages.STATIC.parent / "rooms"
    files = {*pages.STATIC.glob("*.html"), *rooms.glob("*.html")} - {rooms / "frame.html"}
    for file in files:
        assert [text for text in texts if file.read_text() in text], file
    assert len(set(texts)) == len(PAGES) == len(files)
    for text in texts:
        assert "$" not in text, "each room was filled in"
        assert text.count("<title>") == text.count("<main") == text.count("<h1") == 1


def _get(path: str) -> tuple[int, dict[str, str], str]:
    """One GET, straight into the application: no server, no socket."""
    application = Starlette(routes=pages.routes())
    started: list[Message] = []
    body = bytearray()
    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return requests.pop() if requests else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            body.extend(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    anyio.run(application, scope, receive, send)
    (start,) = started
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body.decode()
