"""An agent's world without network and with clocks that jump: an authority in the same process
answers what the agent asks, by a clock of its own.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.founded import ENCODER, NOW, copied

from sealcast.agent import renewal
from sealcast.agent.https import Address, Answer
from sealcast.agent.keeper import Keeper, Settings
from sealcast.agent.place import Place
from sealcast.agent.report import Standing
from sealcast.errors import LocalError, RemoteError
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.renewing import Presented

HOUR = 3600.0
DAY = 24 * HOUR
NODE = Address("node.example", 8444)


class JumpingClock:
    """Waiting lets both clocks run; only the wall clock can be set."""

    def __init__(self) -> None:
        self._wall = NOW.timestamp()
        self._steady = 1000.0
        self.over_at = 0.0
        """By the steady clock."""

    def wall(self) -> float:
        return self._wall

    def steady(self) -> float:
        return self._steady

    def pass_by(self, seconds: float) -> None:
        self._wall += seconds
        self._steady += seconds

    def set_by(self, seconds: float) -> None:
        self._wall += seconds

    def wait(self, seconds: float) -> bool:
        assert seconds > 0, "a step that waits for nothing would spin"
        self.pass_by(min(seconds, max(0.0, self.over_at - self._steady)))
        return self._steady >= self.over_at


class World:
    """One agent with one identity, `encoder/venue-1`."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, lifetime_s: float = DAY
    ) -> None:
        self.authority: Authority = copied(folder / "authority")
        self.clock = JumpingClock()
        self.chance: Callable[[], float] = lambda: 0.5
        self.skew_s = 0.0
        """How far the authority's clock is ahead of true time."""
        self._true_start = (self.clock.wall(), self.clock.steady())
        self.down = False
        self.refuses: str | None = None
        self.window: tuple[float, float] | None = None
        self.asked: list[str] = []
        self.place = Place(folder / "identity", "venue-1")
        lifetime = datetime.timedelta(seconds=lifetime_s)
        self.wanted = Wanted(ENCODER, "encoder", lifetime=lifetime)
        issued = self.authority.issue(self.wanted, NOW, who="test")
        issued.save(self.place.folder, "venue-1")
        self.place.put_roots(self.authority.bundle_pem(NOW))
        self.keeper = self.fresh_keeper()
        monkeypatch.setattr(renewal, "ask", self.answer)

    def fresh_keeper(self, settings: Settings | None = None) -> Keeper:
        """As after a restart of the agent."""
        settings = settings or Settings(node=NODE)
        return Keeper(self.place, settings, self.clock, chance=lambda: self.chance())

    def run(self, seconds: float) -> None:
        """The agent's loop, for so long."""
        self.clock.over_at = self.clock.steady() + seconds
        self.keeper.run()

    def issue_again(self) -> None:
        """As an operator would, by hand."""
        self.authority.issue(self.wanted, self.true_now, who="ada").save(
            self.place.folder, "venue-1"
        )

    def standing(self) -> Standing:
        return self.keeper.report.standing

    @property
    def true_now(self) -> datetime.datetime:
        """What the clocks would show if nobody had set one."""
        wall, steady = self._true_start
        return datetime.datetime.fromtimestamp(wall + self.clock.steady() - steady, datetime.UTC)

    @property
    def serials(self) -> list[str]:
        """Of all certificates, the newest first."""
        return [row.serial for row in self.authority.store.issued(ENCODER)]

    @property
    def in_place(self) -> str:
        return self.place.read().serial

    def answer(
        self,
        node: Address,
        _context: Any,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        self.asked.append(f"{method} {path}")
        if self.down:
            raise LocalError("CLIENT.UNREACHABLE", f"{node}: Connection refused.")
        now = self.true_now + datetime.timedelta(seconds=self.skew_s)
        presented = Presented.of(self.place.read().chain_pem)
        match method, path:
            case "GET", "/identity/authority.pem":
                return Answer(200, {}, self.authority.bundle_pem(now))
            case "GET", "/identity/renewal":
                window = self.authority.renewal_window(presented, now)
                begins, ends = self.window or (
                    window.begins.timestamp(),
                    window.ends.timestamp(),
                )
                told = {
                    "suggestedWindow": {
                        "start": datetime.datetime.fromtimestamp(begins, datetime.UTC),
                        "end": datetime.datetime.fromtimestamp(ends, datetime.UTC),
                    }
                }
                return Answer(200, {"retry-after": "3600"}, json.dumps(told, default=str).encode())
            case _:
                assert (method, path) == ("POST", "/identity/renew")
                if self.refuses is not None:
                    raise RemoteError(self.refuses)
                assert body is not None
                done = self.authority.renew(body, presented, now, who="renewal")
                return Answer(201, {}, done.chain_pem)
