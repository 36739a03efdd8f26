"""BetterTLS, Netflix's public suite: thousands of chains about name constraints and about finding a
path, each with the answer that is due. Our judge answers all that ask for a DNS name; the other
verifiers all of the second suite and some of the first.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from tests.interop.go_programs import go_program

from sealcast.testing.requirement import require

require("core", "openssl", "certtool", "gcc", "nss-dev", "go")
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from tests.interop.verifiers import VERIFIERS, Chain  # noqa: E402

from sealcast.dtls import Authority  # noqa: E402
from sealcast.errors import RemoteError  # noqa: E402
from sealcast.identity.profiles import Side  # noqa: E402

EVERY = 61
"""Of the first suite each that many goes to the verifiers that are programs."""


@dataclass(frozen=True, slots=True)
class Asked:
    number: int
    certificates: tuple[bytes, ...]
    host: str
    due: Literal["ACCEPT", "REJECT"]

    @property
    def is_of_a_name(self) -> bool:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Suites:
    root: bytes
    asked: dict[str, list[Asked]]


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Suites:
    file = tmp_path_factory.mktemp("bettertls") / "suites.json"
    program = go_program("bettertls")
    subprocess.run([program, "export-tests", "--out", file], check=True, timeout=120)
    exported = json.loads(file.read_text())
    asked = {
        name: [
            Asked(
                case["id"],
                tuple(map(base64.b64decode, case["certificates"])),
                case["hostname"],
                case["expected"],
            )
            for case in suite["testCases"]
        ]
        for name, suite in exported["suites"].items()
    }
    return Suites(base64.b64decode(exported["trustRoot"]), asked)


REFUSED_THOUGH_GOOD = {
    # An address below a constraint on addresses: docs/decisions/0012-name-constraints.md.
    "nameconstraints": {"unsupported name constraint type": 144},
    # The first path that fits is the only one tried: docs/decisions/0017-path-validation.md.
    "pathbuilding": {"another path was there": 28},
}


@pytest.mark.parametrize("name", ["nameconstraints", "pathbuilding"])
def test_our_judge_takes_nothing_that_is_to_be_refused(suites: Suites, name: str) -> None:
    root = ssl.DER_cert_to_PEM_cert(suites.root)
    refused: Counter[str] = Counter()
    asked = [case for case in suites.asked[name] if case.is_of_a_name]
    assert len(asked) >= 81
    for case in asked:
        try:
            Authority(root, dns=case.host).judge(case.certificates, "server")
        except RemoteError as refusal:
            if case.due == "ACCEPT":
                why = "unsupported name constraint type"
                refused[why if why in refusal.detail else "another path was there"] += 1
        else:
            assert case.due == "ACCEPT", f"{name} {case.number}"
    assert refused == REFUSED_THOUGH_GOOD[name]


Wrong = tuple[int, int]
"""Takes that are to be refused, refusals of what is to be taken."""

OTHERS: dict[str, dict[str, Wrong]] = {
    "nameconstraints": {"OpenSSL": (0, 0), "GnuTLS": (0, 0), "NSS": (3, 0)},
    "pathbuilding": {"OpenSSL": (0, 26), "GnuTLS": (0, 29), "NSS": (5, 9)},
}


@pytest.mark.parametrize("verifier", ["OpenSSL", "GnuTLS", "NSS"])
@pytest.mark.parametrize("name", ["nameconstraints", "pathbuilding"])
def test_the_other_verifiers_answer_as_they_did(
    suites: Suites, tmp_path: Path, name: str, verifier: str
) -> None:
    verify, _ = VERIFIERS[verifier]
    key = ec.generate_private_key(ec.SECP256R1())  # nobody shakes hands here
    taken = refused = 0
    for case in suites.asked[name][:: EVERY if name == "nameconstraints" else 1]:
        leaf, *between = case.certificates
        chain = Chain(leaf, tuple(between), suites.root, key)
        is_taken = verify(chain, Side.SERVER, tmp_path, case.host) is None
        taken += is_taken and case.due == "REJECT"
        refused += not is_taken and case.due == "ACCEPT"
    assert (taken, refused) == OTHERS[name][verifier]
