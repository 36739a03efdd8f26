"""The page `docs/path-validation.md`: what four verifiers make of the matrix of chains.

Does: asks them, lays the page out, and reads its rows back.

usage: python -m tests.interop.chain_table      writes the page
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from tests.interop.chain_cases import CASES, Case
from tests.interop.verifiers import VERIFIERS

PAGE = Path(__file__).parents[2] / "docs" / "path-validation.md"
ASKED = ("BoringSSL", "OpenSSL", "GnuTLS", "NSS")

Answers = tuple[str, ...]
"""A word each, `take` or `refuse`, in the order of `ASKED`."""


def answers(case: Case, folder: Path) -> Answers:
    chain = case.chain()
    verdicts = (VERIFIERS[name][0](chain, case.side, folder, case.host) for name in ASKED)
    return tuple("take" if verdict is None else "refuse" for verdict in verdicts)


def is_listed(case: Case, given: Answers) -> bool:
    """Rows in which everybody does what is due need no line."""
    return case.due is None or set(given) != {case.due}


def row(name: str, case: Case, given: Answers) -> str:
    cells = (word if case.due in (None, word) else f"**{word}**" for word in given)
    return f"| {name} | {case.due or 'open'} | {' | '.join(cells)} | {case.section} |"


def listed() -> dict[str, str]:
    """The page's rows by their case."""
    found = re.findall(r"^\| ([^|]+) \| (?:take|refuse|open) \|.*$", PAGE.read_text(), re.M)
    rows = re.findall(r"^\| [^|]+ \| (?:take|refuse|open) \|.*$", PAGE.read_text(), re.M)
    return dict(zip(found, rows, strict=True))


def page() -> str:
    with tempfile.TemporaryDirectory() as folder:
        given = {name: answers(case, Path(folder)) for name, case in CASES.items()}
    shown = {name: case for name, case in CASES.items() if is_listed(case, given[name])}
    heads = f"| chain | due | {' | '.join(ASKED)} | says |\n|{'---|' * (len(ASKED) + 3)}"
    wrong = [row(name, case, given[name]) for name, case in shown.items() if case.due]
    left = [row(name, case, given[name]) for name, case in shown.items() if not case.due]
    unanimous = len(CASES) - len(shown)
    parts = (
        "# Path validation: what four verifiers answer\n",
        f"{len(CASES)} chains below one root, each with one thing about it "
        f"(`tests/interop/chain_cases.py`), shown to {_versions()}. BoringSSL judges at our "
        "doors (`Authority.judge`, then a handshake); OpenSSL, GnuTLS and NSS judge what we "
        f"present. For {unanimous} chains all four do what is due; "
        "`tests/interop/test_chain_matrix.py` holds those and each row below, and fails on the day "
        "one of them changes its mind. What we make of the differences: "
        "`decisions/0017-path-validation.md`. This page is made by "
        "`python -m tests.interop.chain_table`.\n",
        f"## Not what is due ({len(wrong)})\n",
        "\n".join((heads, *wrong)),
        f"\n## Left to the verifier ({len(left)})\n",
        "\n".join((heads, *left)),
    )
    return "\n".join(parts) + "\n"


def _versions() -> str:
    def said(*words: str) -> str:
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found = re.search(r"\d+\.\d+(\.\d+)*", text)
        return found.group() if found else "?"

    locked = (Path(__file__).parents[2] / "Cargo.toml").read_text()
    boring = re.search(r'boring-sys = "=([^"]+)"', locked)
    return (
        f"BoringSSL (boring {boring.group(1) if boring else '?'}), "
        f"OpenSSL {said('openssl', 'version')}, GnuTLS {said('certtool', '--version')}, "
        f"NSS {said('pkg-config', '--modversion', 'nss')}"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
