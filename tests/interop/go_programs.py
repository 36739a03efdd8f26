"""Programs in Go that tests run against: pinned in `go_peers/go.mod`, built once into the cache.

Does: builds BetterTLS (a suite for verifiers of certificates) and Pebble (an ACME server for tests)
with its DNS through the Go module proxy, and a SPIFFE Workload API (`go_peers/workload_api`); keeps
them by the digest of what they are made from.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import subprocess
from pathlib import Path

from sealcast.testing.requirement import require

PINNED = Path(__file__).with_name("go_peers")


@functools.cache
def go_program(name: str) -> Path:
    """The built program. A test that asks is skipped where there is no Go."""
    require("go")
    what = ("go.mod", "go.sum", "workload_api/main.go")
    pins = b"".join((PINNED / file).read_bytes() for file in what)
    cache = Path(os.environ.get("SEALCAST_CACHE") or Path.home() / ".cache" / "sealcast")
    folder = cache / f"go-{hashlib.sha256(pins).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Another worker may be building them now.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            subprocess.run(
                ["go", "install", "tool", "./workload_api"],
                cwd=PINNED,
                env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=readonly"},
                check=True,
                timeout=540,
            )
    return folder / name
