"""Keeps one identity alive: the loop of looking, asking, renewing, telling.

    look    the files in place; another certificate there begins everything anew
    ask     the node when to renew, now and then; without an answer two thirds of the life hold
    renew   at a moment by chance in that window; after a failure again, later and later
    tell    log lines, the report, the hook

Does: one step at a time (`step`), or for ever (`run`). Nothing that fails in it ends it.

Does not: know a clock or chance of its own; both are arguments, so that a test can have years pass.
Wall and steady clock are used together: what is due by either is due, so that a clock that is set
back by a day delays nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog

from sealcast.agent import renewal
from sealcast.agent.hook import Hook
from sealcast.agent.https import Address
from sealcast.agent.life import Patience
from sealcast.agent.place import Pair, Place
from sealcast.agent.report import Report, ReportFile, Standing
from sealcast.errors import LocalError, SealcastError

_log = structlog.get_logger()
_UNREADABLE_S = 5.0
"""How long to wait for files that are not there, or do not fit."""


class Clock(Protocol):
    """Time, and waiting for it."""

    def wall(self) -> float:
        """Seconds since 1970; may be set forth and back."""
        ...

    def steady(self) -> float:
        """Seconds since some moment; only grows, also while the machine sleeps."""
        ...

    def wait(self, seconds: float) -> bool:
        """Waits that long, or until it is to end; True if it is to end."""
        ...


class MachineClock:
    """The clocks of this machine; `stopped` ends each wait."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped

    def wall(self) -> float:
        return time.time()

    def steady(self) -> float:
        # With the time that the machine slept: a laptop in a flight case.
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wait(self, seconds: float) -> bool:
        return self._stopped.wait(seconds)


class Renewing(Protocol):
    """`sealcast.agent.renewal`."""

    def advice(self, place: Place, pair: Pair, node: Address, shown: Place) -> renewal.Advice: ...
    def renew(
        self, place: Place, pair: Pair, node: Address, now: datetime.datetime, shown: Place
    ) -> Pair: ...


class _OverTheNetwork:
    """The real one."""

    advice = staticmethod(renewal.advice)
    renew = staticmethod(renewal.renew)


@dataclass(frozen=True, slots=True)
class Settings:
    """`node` is the door that asks for certificates; without it what an enrolment noted. `shown` is
    what the holder of a server's certificate shows there: the one that it has as a client.
    """

    node: Address | None = None
    hook: Hook | None = None
    shown: Place | None = None


@dataclass(slots=True)
class _Plan:
    """What is planned for the certificate in place."""

    pair: Pair
    chance: float
    """Drawn once for each certificate: where in a window its moment lies."""
    at_wall: float
    at_steady: float
    ask_at: float
    """By the steady clock, as `try_at`."""
    try_at: float
    failures: int = 0
    deaf: int = 0
    """Questions in a row that were not answered."""
    hook_at: float = -math.inf
    """Not before this (steady clock): the hook has failed."""
    hook_failures: int = 0
    told: Standing = field(default=Standing.GOOD)


class Keeper:
    """One identity and what is planned for it."""

    def __init__(
        self,
        place: Place,
        settings: Settings,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
        network: Renewing | None = None,
    ) -> None:
        self.place = place
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._network: Renewing = network or _OverTheNetwork()
        self._plan: _Plan | None = None
        self._mark: tuple[int, ...] | None = None
        self._file = ReportFile(place.kept)
        self._log = _log.bind(identity=str(place))
        # The hook is for news: what was in place before the first look is none.
        self.report = self._file.read() or Report()
        self._first = self.report.hooked is None

    def run(self) -> None:
        """Steps until the clock says that it is over."""
        while not self._clock.wait(self.step()):
            pass

    def step(self) -> float:
        """Does what is due; how many seconds to wait until the next step."""
        try:
            return self._step()
        except Exception as error:
            # A fault of ours must not end the renewals of a live encoder.
            self._log.error("bug in the agent", error=repr(error))
            return _UNREADABLE_S

    def _step(self) -> float:
        plan = self._plan
        if (mark := self.place.mark()) is None or plan is None or mark != self._mark:
            try:
                pair = self.place.read()
            except SealcastError as error:
                self._unreadable(error)
                return _UNREADABLE_S
            self._mark = mark
            if plan is None or plan.pair.serial != pair.serial:
                plan = self._plan = self._planned(pair)
        self._hook(plan)
        if self._clock.steady() >= plan.ask_at:
            self._ask(plan)
        if self._is_due(plan) and self._clock.steady() >= plan.try_at:
            plan = self._renew(plan)
        self._stand(plan)
        self._file.write(self.report)
        return self._wait_s(plan)

    # ---- plan --------------------------------------------------------------------------------

    def _planned(self, pair: Pair) -> _Plan:
        chance, life = self._chance(), pair.life
        wall, steady = self._clock.wall(), self._clock.steady()
        moment = life.moment(chance)
        self.report = msgspec.structs.replace(
            self.report,
            standing=Standing.GOOD,
            name=pair.name,
            serial=pair.serial,
            not_after_unix=int(life.ends_unix),
            renew_at_unix=int(moment),
            failures=0,
            error=None,
        )
        self._log.info("watching", name=pair.name, serial=pair.serial, until=_time(life.ends_unix))
        return _Plan(
            pair=pair,
            chance=chance,
            at_wall=moment,
            at_steady=steady + moment - wall,
            ask_at=steady,
            try_at=steady,
        )

    def _is_due(self, plan: _Plan) -> bool:
        return self._clock.wall() >= plan.at_wall or self._clock.steady() >= plan.at_steady

    def _wait_s(self, plan: _Plan) -> float:
        wall, steady = self._clock.wall(), self._clock.steady()
        patience = Patience(plan.pair.life.length_s)
        moments = [plan.ask_at - steady]
        if self._is_due(plan):
            moments.append(plan.try_at - steady)
        else:
            moments += [plan.at_wall - wall, plan.at_steady - steady]
        if plan.hook_failures:
            moments.append(plan.hook_at - steady)
        return max(0.05, min(*moments, patience.look_s()))

    # ---- ask and renew -----------------------------------------------------------------------

    def _node(self) -> Address:
        if self._settings.node is not None:
            return self._settings.node
        noted = self.place.node()
        if noted is None:
            raise LocalError("AGENT.NO_NODE", f"It is for {self.place}.")
        return Address.of(noted)

    def _shown(self, pair: Pair) -> Place:
        if not pair.is_servers:
            return self.place
        if self._settings.shown is None:
            raise LocalError("AGENT.NO_CLIENT", f"It is {self.place}.")
        return self._settings.shown

    def _ask(self, plan: _Plan) -> None:
        patience = Patience(plan.pair.life.length_s)
        try:
            told = self._network.advice(self.place, plan.pair, self._node(), self._shown(plan.pair))
        except SealcastError as error:
            plan.deaf += 1
            plan.ask_at = self._clock.steady() + patience.after(plan.deaf, self._chance())
            if self.report.error != str(error):
                # Once for each reason: what matters is told again when renewing fails as well.
                self._log.warning("not told when to renew", why=str(error))
            self.report = msgspec.structs.replace(self.report, error=str(error))
            return
        plan.deaf = 0
        if plan.failures == 0:
            self.report = msgspec.structs.replace(self.report, error=None)
        # A little sooner or later than told, so that many do not ask in step.
        spread = 0.9 + 0.2 * self._chance()
        plan.ask_at = self._clock.steady() + patience.ask_s(told.again_s) * spread
        begins, ends = told.window.begins.timestamp(), told.window.ends.timestamp()
        moment = begins + plan.chance * (ends - begins)
        if abs(moment - plan.at_wall) >= 1:
            sooner = moment < plan.at_wall
            self._log.info("renewal planned", at=_time(moment), sooner=sooner)
            plan.at_wall = moment
            plan.at_steady = self._clock.steady() + moment - self._clock.wall()
            self.report = msgspec.structs.replace(self.report, renew_at_unix=int(moment))

    def _renew(self, plan: _Plan) -> _Plan:
        now = datetime.datetime.fromtimestamp(self._clock.wall(), datetime.UTC)
        try:
            pair = self._network.renew(
                self.place, plan.pair, self._node(), now, self._shown(plan.pair)
            )
        except SealcastError as error:
            self._failed(plan, error)
            return plan
        self._log.info(
            "renewed", name=pair.name, serial=pair.serial, until=_time(pair.life.ends_unix)
        )
        made = self._plan = self._planned(pair)
        # A node that orders a renewal again and again gets one after a while each time.
        made.try_at += Patience(pair.life.length_s).longest_s
        self.report = msgspec.structs.replace(self.report, renewed_unix=int(self._clock.wall()))
        self._hook(made)
        return made

    def _failed(self, plan: _Plan, error: SealcastError) -> None:
        plan.failures += 1
        life = plan.pair.life
        wait_s = Patience(life.length_s).after(plan.failures, self._chance())
        plan.try_at = self._clock.steady() + wait_s
        wall = self._clock.wall()
        self.report = msgspec.structs.replace(self.report, failures=plan.failures, error=str(error))
        say = self._log.warning if life.is_late(wall) else self._log.info
        say(
            "not renewed",
            why=str(error),
            failures=plan.failures,
            again_in_s=round(wait_s, 1),
            left_s=max(0, round(life.left_s(wall))),
        )

    # ---- tell --------------------------------------------------------------------------------

    def _stand(self, plan: _Plan) -> None:
        """Says when things get worse, once each time."""
        life, wall = plan.pair.life, self._clock.wall()
        if life.is_over(wall):
            standing = Standing.EXPIRED
        elif life.is_late(wall):
            standing = Standing.LATE
        else:
            standing = Standing.GOOD
        self.report = msgspec.structs.replace(self.report, standing=standing)
        if standing is plan.told:
            return
        plan.told = standing
        if standing is Standing.LATE:
            self._log.warning(
                "less than a third of the certificate's life is left",
                left_s=round(life.left_s(wall)),
                until=_time(life.ends_unix),
            )
        elif standing is Standing.EXPIRED:
            why = LocalError("AGENT.EXPIRED", f"It ended at {_time(life.ends_unix)}.")
            self._log.error("expired", why=str(why))
            self.report = msgspec.structs.replace(self.report, error=self.report.error or str(why))

    def _unreadable(self, error: SealcastError) -> None:
        self._plan = None
        if self.report.standing is not Standing.UNREADABLE or self.report.error != str(error):
            self._log.error("no usable certificate", why=str(error))
        self.report = msgspec.structs.replace(
            self.report, standing=Standing.UNREADABLE, error=str(error)
        )
        self._write_report()

    def _write_report(self) -> None:
        # A folder of another user's cannot be looked into, and the log has said why.
        with contextlib.suppress(OSError):
            if self.place.kept.is_dir():
                self._file.write(self.report)

    def _hook(self, plan: _Plan) -> None:
        """Runs the hook for a certificate that it was not run for, whoever put it there, until it
        has succeeded: whoever was not told goes on with the old one until that ends.
        """
        pair, hook = plan.pair, self._settings.hook
        if self.report.hooked == pair.serial or self._clock.steady() < plan.hook_at:
            return
        failed = None
        if hook is not None and not self._first:
            try:
                hook.run(self.place, pair)
            except SealcastError as error:
                failed = str(error)
        self._first = False
        if failed is None:
            plan.hook_failures, plan.hook_at = 0, -math.inf
            hooked: str | None = pair.serial
        else:
            plan.hook_failures += 1
            patience = Patience(pair.life.length_s)
            wait_s = patience.after(plan.hook_failures, self._chance())
            plan.hook_at = self._clock.steady() + wait_s
            hooked = self.report.hooked
            self._log.warning(
                "the hook failed",
                why=failed,
                failures=plan.hook_failures,
                again_in_s=round(wait_s, 1),
            )
        # After it has run, and before anything else: an agent that is killed in between runs it
        # twice rather than never.
        self.report = msgspec.structs.replace(self.report, hooked=hooked, hook_failed=failed)
        self._write_report()


def _time(unix: float) -> str:
    return datetime.datetime.fromtimestamp(unix, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
