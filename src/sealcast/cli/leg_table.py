"""Legs as a table: from `GET /api/legs` or from a ledger in the same process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from rich.table import Table
from rich.text import Text

_COLOURS: Final = {"live": "green", "opening": "yellow", "ended": "dim", "failed": "red"}


LIVE_OVER: Final = 5
"""Legs that are over which a table shows that is drawn again and again."""
WIDE: Final = 130
"""From this width on each fact has a column of its own."""


def leg_table(
    legs: Iterable[dict[str, Any]], *, width: int = WIDE, most_over: int | None = None
) -> Table:
    """One row per leg, living ones first; `width` is the console's.

    With `most_over` only so many of those that are over are shown, and the others counted.
    """
    wide = width >= WIDE
    headings = ("leg", "stream", "peer", "seal", "stage", "packets", "lost")
    table = Table(expand=False, pad_edge=False)
    for heading in headings if wide else ("leg", "peer and seal", "stage and packets"):
        table.add_column(heading, overflow="fold")
    count = over = 0
    for leg in legs:
        count += 1
        over += leg["end"] is not None
        if most_over is not None and leg["end"] is not None and over > most_over:
            continue
        name = Text(f"{leg['id']} {leg['role']}\n{leg['way']}")
        stream, lost = Text(leg["stream"] or "—"), Text(str(leg["counters"]["lost"]))
        if wide:
            table.add_row(name, stream, _peer(leg), _seal(leg), _stage(leg), _packets(leg), lost)
        else:
            table.add_row(
                Text("\n").join((name, stream)),
                Text("\n").join((_peer(leg), _seal(leg))),
                Text("\n").join((_stage(leg), _packets(leg), Text("lost ").append(lost))),
            )
    if count == 0:
        table.add_row("—", "no legs yet")
    if most_over is not None and over > most_over:
        table.caption = f"and {over - most_over} more that are over"
    return table


def _peer(leg: dict[str, Any]) -> Text:
    peer = leg["peer"]
    text = Text()
    text.append(_short(peer["name"]) or "nobody known")
    text.append(f"\n{peer['proof']}", style="green" if peer["proved"] else "yellow")
    remote = leg["path"]["remote"]
    if remote:
        text.append(f"  {remote}", style="dim")
    return text


def _seal(leg: dict[str, Any]) -> Text:
    seal = leg["seal"]
    if seal is None:
        return Text("not sealed", style="dim")
    text = Text(f"{seal['protocol']} {seal['version']}")
    text.append(f"  {seal['cipher']}")
    facts = [seal["group"] or "", seal["srtp_profile"] or ""]
    text.append("\n" + "  ".join(fact for fact in facts if fact))
    if seal["post_quantum"]:
        text.append("  post-quantum", style="green")
    for note in leg["notes"]:
        text.append(f"\n{note['code']}", style="yellow")
    return text


def _stage(leg: dict[str, Any]) -> Text:
    state = leg["state"]
    text = Text(f"{state}", style=_COLOURS.get(state, ""))
    done = {record["stage"]: record["ended_ms"] for record in leg["stages"]}
    if state == "live":
        text.append(f"\n{leg['stage']} after {_ms(done.get('media'))}", style="dim")
        text.append(f"\nup {_age(time.time() - leg['started_unix'])}", style="dim")
    else:
        text.append(f"\n{leg['stage']}", style="dim")
    if leg["end"] is not None:
        text.append(f"\n{leg['end']['code']}")
    return text


def _packets(leg: dict[str, Any]) -> Text:
    counters = leg["counters"]
    lines = []
    for way, packets, octets in (
        ("in", counters["packets_in"], counters["bytes_in"]),
        ("out", counters["packets_out"], counters["bytes_out"]),
    ):
        if packets or octets:
            lines.append(f"{way} {packets:,}  {octets / 1e6:.1f} MB")
    return Text("\n".join(lines) or "0")


def _short(name: str) -> str:
    """A SPIFFE ID without its domain, a fingerprint without its tail."""
    if name.startswith("spiffe://"):
        return name.split("/", 3)[-1]
    return name if len(name) <= 40 else f"{name[:29]}…"


def _ms(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.0f} s"


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
