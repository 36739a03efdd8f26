"""The search of a node's log for secrets finds them, and says none itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealcast.identity import TokenIssuer, TokenKey, Verb
from sealcast.testing.secrets_seen import SecretsSeen

PASSWORD = "P2uYro0UCOQ4zxjKXaWCBui1"


def test_a_secret_that_was_handled_is_found_by_what_it_is() -> None:
    seen = SecretsSeen()
    seen.add("an ICE password of the node", PASSWORD)
    assert seen.found_in(f"leg opened pwd={PASSWORD}") == ["an ICE password of the node"]
    assert seen.found_in("leg opened pwd=<secret>") == []


def test_the_keys_of_a_folder_are_found_line_by_line(tmp_path: Path) -> None:
    key = TokenKey.load_or_create(tmp_path / "token-key.json")
    (tmp_path / "other.json").write_text("[1]")
    seen = SecretsSeen()
    seen.add_keys_in(tmp_path)
    assert len(seen) == 1
    token = TokenIssuer(key).issue("a", Verb.WATCH, 60, now=0.0)
    assert seen.found_in(f"Bearer {token}") == ["a token"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"bad offer: a=ice-pwd:{PASSWORD}", ["an ICE password"]),
        ("Line 10, a=ice-pwd: 5 characters are not between 22 and 256", []),
        ("-----BEGIN PRIVATE KEY-----", ["a PEM private key"]),
    ],
)
def test_what_is_a_secret_by_its_form_is_found_whoever_made_it(line: str, what: list[str]) -> None:
    assert SecretsSeen().found_in(line) == what
