"""The commands that ask a running node, with an administrator's certificate: under the policy
`strict` a token does not administer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sealcast.testing.node_process import Client, Node, running_node
from sealcast.testing.requirement import require


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    require("core")
    folder = tmp_path_factory.mktemp("strict")
    with running_node(folder, settings='[policy]\nadmin = "strict"\n') as node:
        yield node


def shown(client: Client) -> tuple[str, ...]:
    return ("--cert", str(client.chain), "--key", str(client.key))


def refusal(node: Node, *words: str) -> str:
    done = node.command(*words, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("words", "answer"), [(("legs", "--json"), "legs"), (("doors", "--running", "--json"), "doors")]
)
def test_strict_takes_an_administrators_certificate_and_no_token(
    strict: Node, words: tuple[str, ...], answer: str
) -> None:
    assert "POLICY.IDENTITY_REFUSED" in refusal(strict, *words)
    told = json.loads(strict.command(*words, *shown(strict.client("admin/ada"))).stdout)
    assert isinstance(told[answer], list)


def test_another_certificate_is_refused_by_name(strict: Node) -> None:
    said = refusal(strict, "legs", "--json", *shown(strict.client("encoder/venue-1")))
    assert "IDENTITY.NOT_ALLOWED" in said
    assert "encoder/venue-1" in said


def test_half_a_pair_and_a_pair_that_does_not_fit_are_refused(strict: Node) -> None:
    ada, bob = strict.client("admin/ada"), strict.client("admin/bob")
    for half in (("--cert", str(ada.chain)), ("--key", str(ada.key))):
        assert "CLI.BAD_ARGUMENT" in refusal(strict, "legs", "--json", *half)
    for words in (
        ("--cert", str(ada.chain), "--key", str(bob.key)),
        ("--cert", str(ada.chain), "--key", "/nowhere"),
    ):
        assert "IDENTITY.CERTIFICATE_MALFORMED" in refusal(strict, "legs", "--json", *words)


def test_a_sealed_key_is_refused_and_no_passphrase_asked_for(strict: Node, tmp_path: Path) -> None:
    ada = strict.client("admin/ada")
    key = load_pem_private_key(ada.key.read_bytes(), None)
    file = tmp_path / "sealed.pem"
    file.touch(mode=0o600)
    sealed = BestAvailableEncryption(b"passphrase")
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    said = refusal(strict, "legs", "--json", "--cert", str(ada.chain), "--key", str(file))
    assert "IDENTITY.CERTIFICATE_MALFORMED" in said
