"""SRTP: nanoseconds of CPU time that one packet costs, ours and the peers', and the goals.

Protect and unprotect, 160 and 1200 bytes, three profiles. All sides of a case take turns. Replay
protection is on for everyone; no packet is opened twice. The first packet of each
side is compared byte for byte, so all do the same job.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from measure import alternate, spread
from srtp_case import CM_80, GCM_128, GCM_256, PEERS_WINDOW, Case
from srtp_python import BATCH
from srtp_sides import Side, Sides, build

SECONDS = 0.25
CASES = [
    Case(profile, unprotect, length, SECONDS)
    for profile in (GCM_128, GCM_256, CM_80)
    for unprotect in (False, True)
    for length in (160, 1200)
]
GCM = Case(GCM_128, unprotect=False, length=1200, seconds=SECONDS)
CM = Case(CM_80, unprotect=False, length=1200, seconds=SECONDS)

# Nanoseconds per packet in the order of the runs, by case and by the side's name in `Sides`.
Figures = Mapping[Case, Mapping[str, list[float]]]


@dataclass(frozen=True)
class Goal:
    """One promise: a case, our side and the peer by their names in `Sides`, and the ratios."""

    case: Case
    ours: str
    peer: str
    floor: float
    goal: float


GOALS = (
    Goal(GCM, "one", "pylibsrtp", 1.5, 3),
    Goal(GCM, "rust", "openssl", 1.5, 2),
    Goal(GCM, "arena", "openssl", 1.5, 2),
    Goal(GCM, "many", "openssl", 1.5, 2),
    Goal(GCM, "rust", "pion", 1, 1.5),
    Goal(GCM, "arena", "pion", 1, 1.5),
    Goal(GCM, "many", "pion", 1, 1.5),
    Goal(CM, "rust", "pion", 1.5, 1.9),
    Goal(CM, "many", "pion", 1.5, 1.9),
    Goal(CM, "rust", "debian", 3, 4),
    Goal(CM, "many", "debian", 3, 4),
)


def measure(sides: Sides, runs: int) -> Figures:
    """All sides of all cases, printed as they come."""
    named: dict[str, Side] = {field.name: getattr(sides, field.name) for field in fields(sides)}
    figures: dict[Case, dict[str, list[float]]] = {}
    for case in CASES:
        print(
            f"\nSRTP {case.profile.name} {case.direction}, {case.length} B  "
            f"[ns of CPU time per packet; median of {runs} alternating runs (min to max)]"
        )
        results = alternate(runs, [(name, partial(side.run, case)) for name, side in named.items()])
        figures[case] = {
            name: [1e9 / run.per_cpu_second for run in of_side] for name, of_side in results.items()
        }
        for name, values in figures[case].items():
            low, median, high = spread(values)
            print(
                f"  {named[name].name:<46} {median:>7,.0f}   ({low:,.0f} to {high:,.0f})",
                flush=True,
            )
    return figures


def table(sides: Sides, figures: Figures) -> str:
    """Every median as a table for the README, and under it the goals."""

    def median(case: Case, name: str) -> float:
        return spread(figures[case][name])[1]

    columns = list(dict.fromkeys((case.profile, case.unprotect) for case in figures))
    pairs = {
        column: [case for case in figures if (case.profile, case.unprotect) == column]
        for column in columns
    }
    lengths = " / ".join(f"{case.length} B" for case in pairs[columns[0]])
    heads = " | ".join(f"{of[0].profile.short} {of[0].direction}" for of in pairs.values())
    lines = [f"| ns per packet of {lengths} | {heads} |", "|---" + "|---:" * len(columns) + "|"]
    for field in fields(sides):
        cells = " | ".join(
            " / ".join(f"{median(case, field.name):,.0f}" for case in of) for of in pairs.values()
        )
        lines.append(f"| {getattr(sides, field.name).name} | {cells} |")

    lines += ["", "| | against | floor | goal | measured |", "|---|---|---:|---:|---:|"]
    for goal in GOALS:
        ratio = median(goal.case, goal.peer) / median(goal.case, goal.ours)
        what = f"{goal.case.profile.short} {goal.case.direction}, {goal.case.length} B"
        ours, peer = (getattr(sides, name).name for name in (goal.ours, goal.peer))
        promise = f"{goal.floor:g}x | {goal.goal:g}x | {ratio:.2f}x"
        lines.append(f"| {what}: {ours} | {peer} | {promise} |")
    return "\n".join(lines)


def run(target: Path, runs: int) -> None:
    """Build the peers, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        sides = build(Path(folder), target)
        print(
            f"\nSRTP: the peers' replay window is {PEERS_WINDOW}, ours 1024; {BATCH} packets in a "
            f"batch from Python. Each libsrtp is named with whose ciphers it calls; the one with "
            f"OpenSSL is inside pylibsrtp's wheel, and called from C like the other."
        )
        figures = measure(sides, runs)
    print(f"\n{table(sides, figures)}", flush=True)
