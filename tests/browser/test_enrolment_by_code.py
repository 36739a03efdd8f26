"""A device gets its certificate by a code that is scanned: from the operator's terminal to an
encoder at the door, and each way in which that is refused.
"""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
import zxingcpp
from cryptography import x509
from tests.browser.inspection import DESK, PHONE, inspect_page
from tests.browser.test_administration import refusal
from tests.browser.test_pages_for_people import (
    _assert_every_control_is_a_stop,
    _assert_fits,
    _focus_on,
)
from tests.interop.own_authority import node_with_own_authority

from sealcast.testing import ffmpeg_peer
from sealcast.testing.browsers import ChromiumTab, wait_for_value
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import COMMAND, Client, Node
from sealcast.testing.requirement import require


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    with node_with_own_authority(tmp_path_factory.mktemp("by-code")) as running:
        yield running


@dataclasses.dataclass(frozen=True)
class Made:
    """What `sealcast identity token` said."""

    token: str
    address: str
    fingerprint: str
    terminal: str


def make_token(node: Node, name: str, *options: str) -> Made:
    """As an operator types it."""
    assert node.own is not None
    data = ("--data", str(node.own.authority.folder))
    done = subprocess.run(
        [*COMMAND, "identity", "token", name, *data, "--node", node.origin, "--qr", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    token = node.secrets.add(f"a token for {name}", done.stdout.strip())
    [address] = re.findall(r"^https://\S+/enrol#\S+$", done.stderr, re.MULTILINE)
    [fingerprint] = re.findall(r"SHA-256 ([0-9A-F:]{95})\n", done.stderr)
    return Made(token, address, fingerprint, done.stderr)


def scanned(png: bytes) -> str:
    """What a camera reads in a picture."""
    with cast(Any, av.open(io.BytesIO(png))) as pictures:
        [shown] = [frame.to_ndarray(format="gray8") for frame in pictures.decode(video=0)]
    return _read(shown)


def scanned_in_terminal(text: str) -> str:
    """What a camera reads on a screen with a dark ground: each letter is two modules."""
    lines = [line for line in text.splitlines() if line and set(line) <= set("█▀▄ ")]
    assert max(map(len, lines)) <= 80, "it fits an old terminal"
    upper = [[letter in "█▀" for letter in line] for line in lines]
    lower = [[letter in "█▄" for letter in line] for line in lines]
    rows = [row for pair in zip(upper, lower, strict=True) for row in pair]
    return _read(np.kron(np.array(rows, np.uint8) * 255, np.ones((6, 6), np.uint8)))


def _read(gray: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    [found] = zxingcpp.read_barcodes(gray)
    return str(found.text)


def open_page(node: Node, open_chromium: OpenChromium, address: str, name: str) -> ChromiumTab:
    tab = open_chromium(node, address)
    wait_for_value(tab, "!document.getElementById('invitation').hidden", what="the invitation")
    assert tab.evaluate("document.getElementById('name').textContent") == name
    return tab


def save_files(tab: ChromiumTab, folder: Path) -> dict[str, Path]:
    """As people do: one click each."""
    wait_for_value(tab, "!document.getElementById('done').hidden", what="the files")
    saved = {}
    for link in tab.page.get_by_role("link", name="Save").all():
        with tab.page.expect_download() as download:
            link.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        saved[path.name] = path
    return saved


def test_a_code_that_is_scanned_puts_an_encoder_on_the_air(
    node: Node, open_chromium: OpenChromium, tmp_path: Path
) -> None:
    require("ffmpeg", "openssl")
    name, drawn = "encoder/settop", tmp_path / "settop.svg"
    made = make_token(node, name, "--qr-file", str(drawn))
    assert drawn.stat().st_mode & 0o777 == 0o600

    # From the terminal, and from the file as it is shown on a dark screen.
    assert scanned_in_terminal(made.terminal) == made.address
    shown = open_chromium(node, drawn.as_uri())
    shown.page.emulate_media(color_scheme="dark")
    assert scanned(shown.page.screenshot()) == made.address

    asked: list[str] = []
    bodies: list[bytes] = []
    tab = open_chromium(node, f"{node.origin}/")
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.on("request", lambda request: bodies.append(request.post_data_buffer or b""))
    tab.open(made.address)
    wait_for_value(tab, "!document.getElementById('invitation').hidden", what="the invitation")
    assert tab.evaluate("document.getElementById('name').textContent") == name
    assert tab.evaluate("document.getElementById('fingerprint').textContent") == made.fingerprint
    assert tab.evaluate("location.href") == f"{node.origin}/enrol", (
        "nobody reads it over a shoulder"
    )
    assert _assert_every_control_is_a_stop(tab)[-1] == "enrol"
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)
    inspect_page(tab, "enrol")
    _focus_on(tab, "enrol")
    tab.page.keyboard.press("Enter")
    wait_for_value(tab, "document.activeElement.id === 'done-title'", what="the next step")
    saved = save_files(tab, tmp_path)
    assert set(saved) == {"settop-key.pem", "settop.pem", "authority.pem"}
    _assert_every_control_is_a_stop(tab)
    _assert_fits(tab, PHONE)
    _assert_fits(tab, DESK)
    inspect_page(tab, "enrolled")
    assert tab.errors == []

    # Neither the token nor the key went anywhere but where it must: the one in a header, the other
    # not at all.
    assert not [url for url in asked if made.token in url.partition("#")[0]]
    [request] = [body for body in bodies if body]
    assert x509.load_pem_x509_csr(request).is_signature_valid
    assert b"PRIVATE" not in request

    leaf = x509.load_pem_x509_certificates(saved["settop.pem"].read_bytes())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [uri] = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uri.endswith(f"/{name}")
    told = tab.evaluate("document.getElementById('valid').textContent")
    assert f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%MZ}" in told
    _opens_the_door(node, saved)
    client = Client(name, saved["settop.pem"], saved["settop-key.pem"])
    with ffmpeg_peer.mpegts_over_tls(
        tmp_path, node, "settop", identity=client, authority=saved["authority.pem"]
    ):
        leg = node.leg(stream="settop", role="ingest", state="live")
        assert leg["peer"]["name"] == uri

    # The same code once more, as somebody has it who took a picture of the screen.
    again = open_page(node, open_chromium, made.address, name)
    again.click("#enrol")
    said = refusal(again, "IDENTITY.TOKEN_USED")
    assert "was used before; if that was not you, somebody else has the name" in said
    assert again.evaluate("document.getElementById('enrol').disabled")
    assert again.evaluate("document.getElementById('done').hidden")
    _assert_fits(again, PHONE)
    inspect_page(again, "enrol-used")


def _opens_the_door(node: Node, saved: dict[str, Path]) -> None:
    """By openssl, which verifies the node by the authority that was saved."""
    done = subprocess.run(
        [
            *("openssl", "s_client", "-brief", "-connect", node.ts_address),
            *("-CAfile", str(saved["authority.pem"]), "-verify_return_error"),
            *("-cert", str(saved["settop.pem"]), "-cert_chain", str(saved["settop.pem"])),
            *("-key", str(saved["settop-key.pem"])),
        ],
        input=b"",
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert b"Verification: OK" in done.stderr, done.stderr
    assert b"alert" not in done.stderr


def test_a_code_of_another_authority_sends_its_token_nowhere(
    node: Node, open_chromium: OpenChromium
) -> None:
    made = make_token(node, "encoder/elsewhere")
    other = made.address.replace("fp=", "fp=00").replace("&name", "X&name")
    other = re.sub(r"fp=[0-9a-f]+X", f"fp={'0' * 64}", other)
    tab = open_chromium(node, f"{node.origin}/")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.open(other)
    said = refusal(tab, "PAGE.OTHER_AUTHORITY")
    assert made.fingerprint.replace(":", "").lower() in said, "which one the node has"
    assert tab.evaluate("document.getElementById('invitation').hidden")
    assert not [url for url in asked if url.endswith("/identity/enrol")]
    inspect_page(tab, "enrol-other")
    # And the right one in the same tab: only the fragment changes.
    tab.evaluate(f"location.href = {made.address!r}")
    wait_for_value(tab, "!document.getElementById('invitation').hidden", what="the invitation")
    assert tab.evaluate("document.getElementById('refusal').hidden")


@pytest.mark.parametrize("fragment", ["", "#token=", "#token=a&fp=b&name=c", "#%00", "#fp=&name="])
def test_an_address_without_a_whole_code_says_where_to_get_one(
    node: Node, open_chromium: OpenChromium, fragment: str
) -> None:
    tab = open_chromium(node, f"{node.origin}/enrol{fragment}")
    assert "sealcast identity token NAME --qr" in refusal(tab, "PAGE.NO_INVITATION")
    assert tab.evaluate("document.getElementById('invitation').hidden")
    assert tab.errors == []


def test_a_name_that_the_token_is_not_for_is_refused_and_the_token_stays_good(
    node: Node, open_chromium: OpenChromium, tmp_path: Path
) -> None:
    made = make_token(node, "encoder/mine")
    other = made.address.replace("encoder/mine", "encoder/yours")
    tab = open_page(node, open_chromium, other, "encoder/yours")
    tab.click("#enrol")
    refusal(tab, "IDENTITY.TOKEN_OTHER")
    mine = open_page(node, open_chromium, made.address, "encoder/mine")
    mine.click("#enrol")
    assert "mine.pem" in save_files(mine, tmp_path)


def test_a_node_without_an_authority_enrols_nobody_and_says_so(
    start_node: Any, node: Node, open_chromium: OpenChromium
) -> None:
    made = make_token(node, "encoder/nowhere")
    without = start_node()
    tab = open_chromium(without, made.address.replace(node.origin, without.origin))
    refusal(tab, "HTTP.NOT_FOUND")
    assert tab.evaluate("document.getElementById('invitation').hidden")
