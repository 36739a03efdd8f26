"""How the benchmarks measure: one process's CPU time, and medians of alternating runs."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid` and all its threads, from /proc (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Run:
    """What one run gave: operations per CPU-second, and facts about it by name."""

    per_cpu_second: float
    facts: Mapping[str, float] = field(default_factory=dict)


def alternate(runs: int, sides: Sequence[tuple[str, Callable[[], Run]]]) -> dict[str, list[Run]]:
    """Run the sides in turn, `runs` times each.

    Taking turns cancels what drifts: the machine's clock speed and its other load.
    """
    results: dict[str, list[Run]] = {name: [] for name, _ in sides}
    for _ in range(runs):
        for name, side in sides:
            results[name].append(side())
    return results


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median and greatest."""
    return min(values), statistics.median(values), max(values)
