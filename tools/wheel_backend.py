"""The build backend of `pip install .` (PEP 517): maturin, surrounded as `make` does it.

Does: builds BoringSSL once into the cache that `make` uses too, and tells cargo where it and
libclang are. cmake and libclang come from the packages that pyproject.toml asks for.

Does not: install a C++ compiler, git or Rust; `tools/check-machine` says what is missing. Nor does
it share cargo's folder with `make`: another Python would have each of the two build all again.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import maturin

ROOT = Path(__file__).parents[1]
_ENVIRONMENT = os.environ


def _prepare() -> None:
    subprocess.run(
        [ROOT / "tools" / "check-machine"],
        check=True,
        env={**_ENVIRONMENT, "PYTHON": sys.executable},
    )
    home = Path(_ENVIRONMENT.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(_ENVIRONMENT.get("SEALCAST_CACHE") or home / "sealcast")
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    version = manifest["workspace"]["dependencies"]["boring-sys"].removeprefix("=")
    boringssl = cache / f"boringssl-{version}-{platform.machine()}"
    headers = subprocess.run(
        ["g++", "-print-file-name=include"], check=True, capture_output=True, text=True
    )
    for name, value in (
        ("LIBCLANG_PATH", str(_libclang())),
        ("BINDGEN_EXTRA_CLANG_ARGS", f"-I{headers.stdout.strip()}"),
        ("CARGO_TARGET_DIR", str(cache / "wheel")),
    ):
        _ENVIRONMENT.setdefault(name, value)
    subprocess.run([ROOT / "tools" / "boringssl", boringssl], check=True)
    _ENVIRONMENT["BORING_BSSL_PATH"] = str(boringssl)
    _ENVIRONMENT["BORING_BSSL_ASSUME_PATCHED"] = "1"


def _libclang() -> Path:
    import clang

    return Path(next(iter(clang.__path__))) / "native"


def get_requires_for_build_wheel(settings: Any = None) -> list[str]:
    """Nothing beyond `build-system.requires`."""
    return []


def get_requires_for_build_sdist(settings: Any = None) -> list[str]:
    """Nothing beyond `build-system.requires`."""
    return []


def prepare_metadata_for_build_wheel(folder: str, settings: Any = None) -> str:
    """maturin's own."""
    return str(maturin.prepare_metadata_for_build_wheel(folder, settings))


def build_wheel(folder: str, settings: Any = None, metadata: str | None = None) -> str:
    """The file name of the wheel that was put into `folder`."""
    _prepare()
    return str(maturin.build_wheel(folder, settings, metadata))


def build_sdist(folder: str, settings: Any = None) -> str:
    """The file name of the archive that was put into `folder`."""
    return str(maturin.build_sdist(folder, settings))
