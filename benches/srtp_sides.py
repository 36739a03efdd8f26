"""The sides of the SRTP benchmark: sealcast from Python and from Rust, and its peers.

Python sides run in this process; libsrtp in a loop of C (`libsrtp.c`) that this process calls, so
that the build inside pylibsrtp's wheel can be measured without Python's cost; Rust
(`crates/srtp/examples/throughput.rs`) and Go (`pion/`) in processes of their own. Each measures its
own CPU time, all threads included, on packets that it makes itself.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pylibsrtp._binding
from measure import Run
from srtp_case import PEERS_WINDOW, TAIL, Case, UnlikeError
from srtp_python import Form, first_tail, sealcast, through_pylibsrtp

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Side:
    """A name with its version, and how to measure a case.

    With the figure comes the end of the first packet, protected: proof of the same job.
    """

    name: str
    measure: Callable[[Case], tuple[Run, bytes]]

    def run(self, case: Case) -> Run:
        """Measure, and refuse a figure whose packets are not those that pylibsrtp makes."""
        run, tail = self.measure(case)
        expected = first_tail(case)
        if tail != expected:
            raise UnlikeError(f"{self.name} made {tail.hex()} of {case}, not {expected.hex()}")
        return run


class _Result(ctypes.Structure):
    _fields_ = (
        ("packets", ctypes.c_uint64),
        ("cpu_seconds", ctypes.c_double),
        ("first_tail", ctypes.c_uint8 * TAIL),
    )


@dataclass(frozen=True)
class Libsrtp:
    """One build of libsrtp: its path, and the loop of C that uses it."""

    path: str
    loop: ctypes.CDLL

    def __call__(self, case: Case) -> tuple[Run, bytes]:
        """Measure a case."""
        result = _Result()
        status = self.loop.measure(
            self.path.encode(),
            ctypes.c_int(case.profile.id),
            ctypes.c_int(case.unprotect),
            ctypes.c_int(case.length),
            ctypes.c_ulong(PEERS_WINDOW),
            ctypes.c_double(case.seconds),
            ctypes.byref(result),
        )
        if status:
            raise RuntimeError(f"{self.path}: libsrtp answered {status} to {case}")
        return Run(result.packets / result.cpu_seconds), bytes(result.first_tail)

    @property
    def ciphers(self) -> str:
        """Whose AES and SHA-1 it uses, by the libraries it is linked with."""
        linked = subprocess.run(["ldd", self.path], check=True, capture_output=True, text=True)
        engines = {"libcrypto": "OpenSSL", "libnss3": "NSS", "libmbedcrypto": "mbed TLS"}
        found = [name for library, name in engines.items() if library in linked.stdout]
        if found:
            return found[0]
        handle = ctypes.CDLL(self.path)
        if not hasattr(handle, "OpenSSL_version"):
            return "its own C ciphers"
        handle.OpenSSL_version.restype = ctypes.c_char_p
        words: bytes = handle.OpenSSL_version(0)
        return " ".join(words.decode().split()[:2])

    @property
    def version(self) -> str:
        """Its own word: `libsrtp2 2.5.0`."""
        handle = ctypes.CDLL(self.path)
        handle.srtp_get_version_string.restype = ctypes.c_char_p
        words: bytes = handle.srtp_get_version_string()
        return words.decode().replace("libsrtp2 ", "libsrtp ")


def _loaded_path(name: str) -> str:
    """Where the dynamic loader found the library that is called `name`."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(line.split()[-1] for line in lines if name in line)


def _program(command: Sequence[str | Path], case: Case, *more: str) -> tuple[Run, bytes]:
    arguments = [str(case.profile.id), case.direction, str(case.length), *more, str(case.seconds)]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    return Run(result["packets"] / result["cpu_seconds"]), bytes.fromhex(result["first_tail"])


@dataclass(frozen=True)
class Sides:
    """Every side, by what it stands for."""

    one: Side
    many: Side
    arena: Side
    rust: Side
    pylibsrtp: Side
    openssl: Side
    debian: Side
    pion: Side


def _python(form: Form) -> Side:
    return Side(f"sealcast, Python, {form.value}", lambda case: sealcast(case, form))


def _said(*command: str) -> str:
    done = subprocess.run(command, cwd=HERE / "pion", check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build(folder: Path, target: Path) -> Sides:
    """Compile the loop of C and the Go program into `folder`; Rust's is in `target` already."""
    shared = folder / "libsrtp.so"
    subprocess.run(
        ["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", shared, HERE / "libsrtp.c"],
        check=True,
    )
    loop = ctypes.CDLL(str(shared))
    # Once in a process; pylibsrtp has done it for its own when it was imported.
    if ctypes.CDLL("libsrtp2.so.1").srtp_init():
        raise RuntimeError("Debian's libsrtp failed its own tests")
    debian = Libsrtp(_loaded_path("libsrtp2.so"), loop)
    wheel = Libsrtp(pylibsrtp._binding.__file__, loop)

    go = folder / "pion"
    subprocess.run(["go", "build", "-o", go, "."], cwd=HERE / "pion", check=True)
    pion = _said("go", "list", "-m", "-f", "{{.Version}}", "github.com/pion/srtp/v3")
    compiler = _said("go", "env", "GOVERSION").replace("go", "Go ")

    rust = target / "release/examples/throughput"
    return Sides(
        one=_python(Form.ONE),
        many=_python(Form.LIST),
        arena=_python(Form.ARENA),
        rust=Side("sealcast, Rust", lambda case: _program([rust], case)),
        pylibsrtp=Side(f"pylibsrtp {version('pylibsrtp')}, Python", through_pylibsrtp),
        openssl=Side(f"{wheel.version} with {wheel.ciphers}, C", wheel),
        debian=Side(f"{debian.version} of Debian with {debian.ciphers}, C", debian),
        pion=Side(
            f"pion/srtp {pion}, {compiler}", lambda case: _program([go], case, str(PEERS_WINDOW))
        ),
    )
