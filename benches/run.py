"""The benchmarks of the README: each figure with its peer, in one alternating run.

Needs the release examples (`make bench` builds them), Go for the load client, Debian's Janus.
A part whose peer is missing is named and left out; with REQUIRE_ALL=1 that is a failure.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dtls
import forwarding
from measure import alternate

HERE = Path(__file__).resolve().parent
RUNS = int(os.environ.get("BENCH_RUNS", "5"))


def report(
    title: str, unit: str, ours: Callable[[], float], peer: str, theirs: Callable[[], float]
) -> None:
    """Print one row: ours, the peer's, and their ratio, each the median of the alternating runs."""
    figures = alternate(RUNS, [("sealcast", ours), (peer, theirs)])
    print(f"\n{title}  [{unit}; median of {RUNS} alternating runs (min to max)]")
    for name, (low, median, high) in figures.items():
        print(f"  {name:<34} {median:>12,.0f}   ({low:,.0f} to {high:,.0f})")
    print(f"  ratio of the medians {figures['sealcast'][1] / figures[peer][1]:>25.2f}", flush=True)


def main() -> int:
    """Run every part whose peers are here."""
    missing = []
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    print(
        f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )
    target = Path(os.environ["CARGO_TARGET_DIR"])
    report(
        "DTLS handshakes, mutual P-256 certificates, fresh per pair",
        "pairs per CPU-second",
        lambda: dtls.sealcast_pairs_per_cpu_second(target),
        dtls.peer(),
        dtls.aiortc_pairs_per_cpu_second,
    )
    if not shutil.which("go"):
        missing.append("forwarding: needs Go (the load client)")
    elif not shutil.which("janus"):
        missing.append("forwarding: needs Debian's package janus")
    else:
        with tempfile.TemporaryDirectory() as folder:
            load = Path(folder) / "load"
            subprocess.run(["go", "build", "-o", load, "."], cwd=HERE / "load", check=True)
            report(
                "Forwarding, 1 publisher, 50 viewers x 4 Mbit/s",
                "viewer packets per CPU-second",
                lambda: forwarding.sealcast_per_cpu_second(load, 50, 4, 10),
                forwarding.peer(),
                lambda: forwarding.janus_per_cpu_second(load, 50, 4, 10),
            )
    for line in missing:
        print(f"left out: {line}")
    return 1 if missing and os.environ.get("REQUIRE_ALL") == "1" else 0


if __name__ == "__main__":
    sys.exit(main())
