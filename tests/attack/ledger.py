"""What the ledger says of a leg that an attack made, as an operator reads it."""

from __future__ import annotations

import json
from typing import Any

from sealcast.codes import CODES
from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

LISTED_WITHIN_S = 15.0


def leg_from(node: Node, remote: str, timeout_s: float = LISTED_WITHIN_S) -> dict[str, Any]:
    """The newest leg whose other end has this address; waited for until it is over. (A port of
    TCP may be that of an earlier leg by UDP.)
    """

    def over() -> dict[str, Any] | None:
        legs = [leg for leg in node.legs() if leg["path"]["remote"] == remote and leg["end"]]
        return max(legs, key=lambda leg: int(leg["id"]), default=None)

    return wait_for(
        over,
        what=f"the leg with {remote} is over",
        timeout_s=timeout_s,
        explain=lambda: json.dumps(node.legs())[:4000],
    )


def assert_failed(leg: dict[str, Any], code: str, *, says: str = "", stage: str = "") -> None:
    """The leg failed with `code`: listed with the stage where it stood (the code's own, unless
    `stage` is another), with sentence and remedy, and with `says` among the evidence.
    """
    end, row = leg["end"], CODES[code]
    assert end is not None, leg
    assert end["code"] == code, end
    assert end["stage"] == row.stage
    assert end["sentence"] == row.sentence
    assert end["remedy"] == row.remedy
    assert says in (end["detail"] or ""), end
    assert leg["state"] == "failed"
    failed = [(s["stage"], s["code"]) for s in leg["stages"] if s["outcome"] == "failed"]
    assert failed == [(stage or row.stage, code)], leg["stages"]
    assert leg["stage"] == (stage or row.stage)
