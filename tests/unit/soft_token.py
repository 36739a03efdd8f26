"""Tokens of SoftHSM for tests: a folder of their own, a PIN in a private file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from sealcast.identity import pkcs11
from sealcast.identity.key_uri import KeyUri
from sealcast.identity.keys import SigningKey
from sealcast.identity.private_files import write_private
from sealcast.testing.requirement import softhsm_module

PIN = "2718281828"
CONFIGURATION = "SOFTHSM2_CONF"


@dataclass(frozen=True, slots=True)
class SoftToken:
    """A token called `label`, in `folder`."""

    folder: Path
    label: str
    pin_file: Path
    module: Path

    def uri(self, name: str | None = None, *, ident: bytes | None = None) -> KeyUri:
        return KeyUri(str(self.module), self.pin_file, token=self.label, object=name, id=ident)

    def bring(self, key: SigningKey, name: str, ident: str = "a1", *options: str) -> None:
        """Imports a key that was made outside."""
        pem = self.folder / f"{name}.pem"
        write_private(
            pem,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        _run(
            *("--import", str(pem), "--token", self.label, "--label", name, "--id", ident),
            *("--pin", PIN, *options),
        )
        begin_anew()


def soft_token(folder: Path, label: str = "venue") -> SoftToken:
    """A new token. The caller has set `SOFTHSM2_CONF` (see `softhsm`)."""
    _run("--init-token", "--free", "--label", label, "--so-pin", "31415926", "--pin", PIN)
    pin_file = folder / "pin"
    write_private(pin_file, f"{PIN}\n".encode())
    module = softhsm_module()
    assert module is not None
    begin_anew()
    return SoftToken(folder, label, pin_file, module)


@contextmanager
def softhsm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SoftHSM with its tokens below `folder`, for this process and those that it starts."""
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    monkeypatch.setenv(CONFIGURATION, str(configuration))
    yield
    begin_anew()


def begin_anew() -> None:
    """As if this process had opened no token yet: its library reads its folders only once."""
    import pkcs11 as binding

    with pkcs11._MODULES_LOCK:
        for path in pkcs11._MODULES:
            binding.unload(path)
        pkcs11._MODULES.clear()


def _run(*arguments: str) -> None:
    subprocess.run(
        ["softhsm2-util", *arguments],
        check=True,
        capture_output=True,
        timeout=60,
        env=dict(os.environ),
    )
