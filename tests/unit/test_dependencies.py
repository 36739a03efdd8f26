"""`docs/dependencies.md` names every direct dependency, with the licence that it declares."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/dependencies.md").read_text()
# Packages that declare no SPDX expression: by their classifiers or their licence's text.
BY_HAND = {
    "cmake": "Apache-2.0 AND BSD-3-Clause",
    "httpx": "BSD-3-Clause",
    "imageio-ffmpeg": "BSD-2-Clause",
    "import-linter": "BSD-2-Clause",
    "joserfc": "BSD-3-Clause",
    "libclang": "Apache-2.0 WITH LLVM-exception",
    "rich": "MIT",
    "segno": "BSD-3-Clause",
}


def rows(heading: str) -> dict[str, list[str]]:
    """The cells behind the name, by name."""
    part = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    return {
        name: [cell.strip() for cell in rest.strip(" |").split("|")]
        for name, rest in re.findall(r"^\| `([^`]+)` \|(.*)$", part, re.MULTILINE)
    }


def project() -> dict[str, list[str]]:
    """The direct Python dependencies, by what they are for."""
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    said: dict[str, list[str]] = {"library": text["project"]["dependencies"]}
    said |= {f"`[{key}]`": each for key, each in text["project"]["optional-dependencies"].items()}
    groups = {"build": "build", "demo": "demo", "test": "tests"}
    said |= {groups[key]: each for key, each in text["dependency-groups"].items()}
    return {
        group: [re.split(r"[^A-Za-z0-9_.-]", one)[0] for one in each if isinstance(one, str)]
        for group, each in said.items()
    }


def crates() -> dict[str, str]:
    """The pinned versions of crates that are not ours."""
    known: dict[str, Any] = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    said = {
        name: each if isinstance(each, str) else each.get("version", "")
        for name, each in known["dependencies"].items()
    }
    return {name: version.removeprefix("=") for name, version in said.items() if version}


def test_every_python_dependency_is_named_with_what_it_is_for() -> None:
    wanted = {(name, group) for group, names in project().items() for name in names}
    assert {(name, cells[0]) for name, cells in rows("Python").items()} == wanted


def test_every_crate_is_named() -> None:
    assert set(rows("Rust")) == set(crates())


def test_every_module_of_go_is_named_with_its_version() -> None:
    wanted: dict[str, str] = {}
    files = [file for file in ROOT.glob("*/**/go.mod") if ".venv" not in file.parts]
    for file in files:
        text = file.read_text()
        wanted |= dict(re.findall(r"^\t(\S+) (v\S+)$", text, re.MULTILINE))
        tools = re.findall(r"^\t(\S+/cmd/\S+)$", text, re.MULTILINE)
        for module, version in re.findall(r"^\t(\S+) (v\S+) // indirect$", text, re.MULTILINE):
            if any(tool.startswith(f"{module}/") for tool in tools):
                wanted[module] = version
    assert len(files) == 3
    assert {name: cells[0] for name, cells in rows("Go").items()} == wanted
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", cells[1]) for cells in rows("Go").values())


def test_every_package_of_javascript_is_named() -> None:
    text = json.loads((ROOT / "tests/browser/package.json").read_text())
    assert set(rows("JavaScript")) == {*text["dependencies"], *text.get("devDependencies", {})}


@pytest.mark.parametrize("name", sorted(rows("Python")))
def test_a_python_package_declares_the_licence_of_the_page(name: str) -> None:
    try:
        declared = importlib.metadata.metadata(name).json.get("license_expression")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    assert rows("Python")[name][1] == (declared or BY_HAND[name])


def test_the_crates_declare_the_licences_of_the_page() -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("there is no cargo here")
    done = subprocess.run(
        [cargo, "metadata", "--format-version", "1", "--locked", "--all-features"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    packages = json.loads(done.stdout)["packages"]
    declared = {(each["name"], each["version"]): each["license"] for each in packages}
    for name, version in crates().items():
        assert rows("Rust")[name][-1] == declared[name, version].replace("/", " OR "), name
