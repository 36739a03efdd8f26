"""Programs run under callgrind, read as instructions per packet."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The relay's rows have no program that seals the same packets barely; these are as long, nearly.
_LIKE_THE_RELAYS = ("AEAD_AES_128_GCM", "1200")


def programs() -> Path:
    """Where `tools/counted` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sealcast/target"
    return Path(os.environ.get("CARGO_TARGET_DIR", cache)) / "counted"


@dataclass(frozen=True)
class Count:
    """Instructions for one packet: all of them, and those of the cipher alone for its bytes."""

    total: float
    primitive: float

    @property
    def own(self) -> float:
        """What sealcast adds to its cipher."""
        return self.total - self.primitive


def count(folder: Path) -> dict[str, Count]:
    """Every row of the table; `folder` is for callgrind's files."""
    counted = _srtp(folder)
    rows = {
        f"{profile} {work}, {length} B": Count(total, counted[profile, "primitive", length])
        for (profile, work, length), total in counted.items()
        if work != "primitive"
    }
    profile, length = _LIKE_THE_RELAYS
    bare = counted[profile, "primitive", length]
    rows["forwarding, a packet to a viewer"] = Count(_forwarding(folder), bare)
    return rows


def _srtp(folder: Path) -> dict[tuple[str, str, str], float]:
    """By profile, work and length: callgrind writes its count down at every border of a section."""
    said, dumps = _callgrind(
        folder / "srtp", ["--combine-dumps=yes", "--dump-before=*next_section*"], ["srtp"]
    )
    sections = [line.split() for line in said.splitlines()]
    if len(dumps) != 2 * len(sections) + 1:
        raise RuntimeError(f"callgrind wrote {len(dumps)} parts for {len(sections)} sections")
    # What lies before, between and after sections is not theirs.
    return {
        (profile, work, length): part / int(packets)
        for (profile, work, length, packets), part in zip(sections, dumps[1::2], strict=True)
    }


def _forwarding(folder: Path) -> float:
    test = "shard::tests::instructions::forwarding_for_callgrind"
    said, dumps = _callgrind(
        folder / "relay",
        ["--toggle-collect=*counted_forwarding*"],
        ["relay", "--ignored", "--nocapture", "--exact", test],
    )
    packets = re.search(r"^packets (\d+)$", said, re.MULTILINE)
    if packets is None:
        raise RuntimeError(f"{test} told no number of packets: {said}")
    return sum(dumps) / int(packets[1])


def _callgrind(out: Path, options: list[str], command: list[str]) -> tuple[str, list[int]]:
    """What the program said, and the counts that callgrind wrote down, in order."""
    program, *arguments = command
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options]
    done = subprocess.run(
        [*valgrind, str(programs() / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command} under valgrind: {done.stdout}{done.stderr}")
    totals = re.findall(r"^totals: (\d+)$", out.read_text(), re.MULTILINE)
    return done.stdout, [int(total) for total in totals]
