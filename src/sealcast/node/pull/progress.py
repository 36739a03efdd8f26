"""How a pull goes, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sealcast.codes import lookup

State = Literal["asking", "live", "waiting"]


@dataclass(slots=True)
class Progress:
    """How it goes, for people."""

    state: State = "asking"
    leg: int | None = None
    tries: int = 0
    """Since it last had the stream."""
    code: str = ""
    """Why it has it not, or had to ask again."""
    detail: str = ""
    renewals: int = 0
    """Times that both ends were proved anew on a living leg."""

    def to_json(self) -> dict[str, object]:
        """As `GET /api/legs` shows it."""
        row = None if not self.code else lookup(self.code)
        why = row and {
            "code": row.code,
            "sentence": row.sentence,
            "detail": self.detail,
            "remedy": row.remedy,
        }
        return {
            "state": self.state,
            "leg": self.leg,
            "tries": self.tries,
            "renewals": self.renewals,
            "why": why,
        }
