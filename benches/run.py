"""The benchmarks of the README: each figure with its peer, in one alternating run.

    python benches/run.py [dtls] [forwarding] [srtp]

Needs the release examples (`make bench` builds them), Go for the load client and
for Pion, Debian's Janus and libsrtp.
A part whose peer is missing is named and left out; with REQUIRE_ALL=1 that is a failure.
BENCH_RUNS is how often each side runs (5).
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dtls
import forwarding
import srtp
from measure import Run, alternate, spread

HERE = Path(__file__).resolve().parent
RUNS = int(os.environ.get("BENCH_RUNS", "5"))


class PeerMissingError(Exception):
    """A part cannot run here; the message says what it needs."""


def report(
    title: str, unit: str, ours: Callable[[], Run], peer: str, theirs: Callable[[], Run]
) -> None:
    """Print one row: ours, the peer's, and their ratio, each the median of the alternating runs."""
    figures = alternate(RUNS, [("sealcast", ours), (peer, theirs)])
    print(f"\n{title}  [{unit}; median of {RUNS} alternating runs (min to max)]")
    medians = {}
    for name, runs in figures.items():
        low, medians[name], high = spread([run.per_cpu_second for run in runs])
        print(f"  {name:<40} {medians[name]:>12,.0f}   ({low:,.0f} to {high:,.0f})")
        for fact in runs[0].facts:
            low, median, high = spread([run.facts[fact] for run in runs])
            print(f"    {fact:<40} {median:>10,.1f}   ({low:,.1f} to {high:,.1f})")
    print(
        f"  {'ratio of the medians':<40} {medians['sealcast'] / medians[peer]:>12.2f}", flush=True
    )


def run_dtls() -> None:
    """DTLS handshakes against aiortc."""
    target = Path(os.environ["CARGO_TARGET_DIR"])
    report(
        "DTLS handshakes, mutual P-256 certificates, fresh per pair",
        "pairs per CPU-second",
        lambda: dtls.sealcast(target),
        dtls.aiortc_name(),
        dtls.aiortc,
    )


def run_forwarding() -> None:
    """Forwarding to 50 viewers against Janus."""
    if not shutil.which("go"):
        raise PeerMissingError("Go, for the load client")
    if not shutil.which("janus"):
        raise PeerMissingError("Debian's package janus")
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "load"
        subprocess.run(["go", "build", "-o", binary, "."], cwd=HERE / "load", check=True)
        load = forwarding.Load(binary, viewers=50, mbit=4, seconds=10)
        report(
            "Forwarding, 1 publisher, 50 viewers x 4 Mbit/s",
            "viewer packets per CPU-second",
            lambda: forwarding.sealcast(load),
            forwarding.janus_name(),
            lambda: forwarding.janus(load),
        )


def run_srtp() -> None:
    """SRTP packets against pylibsrtp, libsrtp and Pion."""
    if not shutil.which("go"):
        raise PeerMissingError("Go, for Pion")
    if not Path("/usr/include/srtp2/srtp.h").exists():
        raise PeerMissingError("Debian's package libsrtp2-dev")
    srtp.run(Path(os.environ["CARGO_TARGET_DIR"]), RUNS)


PARTS = {"dtls": run_dtls, "forwarding": run_forwarding, "srtp": run_srtp}


def machine() -> str:
    """What the figures were measured on, and how busy it was with other things."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = statistics.fmean(os.getloadavg()[:2])
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"load average before the start {load:.1f}"
    )


def main(wanted: list[str]) -> int:
    """Run the parts asked for, or all, whose peers are here."""
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"no part is named {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    print(machine(), flush=True)
    missing = []
    for name in wanted or PARTS:
        try:
            PARTS[name]()
        except PeerMissingError as error:
            missing.append(f"{name}: needs {error}")
    for line in missing:
        print(f"left out: {line}")
    return 1 if missing and os.environ.get("REQUIRE_ALL") == "1" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
