"""Every secret that a test run has handled, so that the logs can be searched for them.

Does: knows whole secrets, and tells which of them stand in a text.

Does not: say a secret in its findings: a failed test is printed, too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

SHORTEST = 12
"""Shorter ones would be found by chance."""
_PEM_BODY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)-----END", re.DOTALL)
# What is a secret by its form, whoever made it.
_FORMS = {
    "a PEM private key": re.compile(r"PRIVATE KEY-----"),
    "an ICE password": re.compile(r"ice-pwd:[\w+/]{22,}"),
    "a token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
}


class SecretsSeen:
    """Secrets by what they are."""

    def __init__(self) -> None:
        self._found_by_text: dict[str, str] = {}

    def add(self, what: str, text: str) -> str:
        """Remembers a secret and gives it back."""
        assert len(text) >= SHORTEST, what
        self._found_by_text[text] = what
        return text

    def add_keys_in(self, folder: Path) -> None:
        """Every private key below `folder`: PEM line by line, and the JWK of the tokens."""
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            text = path.read_text(errors="replace")
            for body in _PEM_BODY.findall(text):
                for line in body.split():
                    if len(line) >= SHORTEST:
                        self.add(f"a line of the private key {path.name}", line)
            if path.suffix == ".json" and '"d"' in text:
                self.add(f"the token key {path.name}", json.loads(text)["d"])

    def found_in(self, text: str) -> list[str]:
        """What stands in `text`, by name."""
        found = {what for secret, what in self._found_by_text.items() if secret in text}
        found |= {what for what, form in _FORMS.items() if form.search(text)}
        return sorted(found)

    def __len__(self) -> int:
        return len(self._found_by_text)
