"""The agent's loop on a clock of the test's own: when it asks, renews, waits, warns."""

from __future__ import annotations

import datetime
import itertools
import json
import random
from pathlib import Path

import pytest
import structlog
from tests.unit.agent_world import DAY, HOUR, NODE, World
from tests.unit.founded import ENCODER

from sealcast.agent import renewal
from sealcast.agent.hook import Hook
from sealcast.agent.keeper import Settings
from sealcast.agent.life import Life, Patience
from sealcast.agent.report import ReportFile, Standing
from sealcast.identity.revocation import Reason

LIFE = DAY


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch, 60)


def test_nothing_is_renewed_before_three_fifths_of_the_life_and_all_by_two_thirds(
    world: World,
) -> None:
    world.run(LIFE * 0.599)
    assert len(world.serials) == 1
    world.run(LIFE * 0.068)
    assert len(world.serials) == 2
    assert world.in_place == world.serials[0]
    assert world.standing() is Standing.GOOD


def test_many_agents_of_the_same_age_do_not_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = []
    for chance in (0.0, 0.25, 0.99):
        world = World(tmp_path / str(chance), monkeypatch)
        world.chance = itertools.repeat(chance).__next__
        world.run(1)
        moments.append(world.keeper.report.renew_at_unix - world.clock.wall())
    assert moments == sorted(moments)
    assert moments[0] / LIFE == pytest.approx(0.6, abs=1e-4)
    assert 0.6 < moments[1] / LIFE < moments[2] / LIFE < 2 / 3


def test_certificates_of_a_minute_are_renewed_ten_times_and_never_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = minute(tmp_path, monkeypatch)
    world.chance = random.Random(5).random
    with structlog.testing.capture_logs() as said:
        world.run(10 * 41)
    assert 10 <= len(world.serials) - 1 <= 12
    assert {line["log_level"] for line in said} == {"info"}
    assert world.keeper.report.failures == 0


def test_without_an_answer_two_thirds_of_the_life_hold_and_it_never_gives_up(
    world: World,
) -> None:
    world.down = True
    with structlog.testing.capture_logs() as said:
        world.run(LIFE * 0.65)
        failed = [line for line in said if line["event"] == "not renewed"]
        assert failed
        assert {line["log_level"] for line in failed} == {"info"}
        assert world.standing() is Standing.GOOD
        assert "CLIENT.UNREACHABLE" in str(world.keeper.report.error)
        world.run(LIFE * 0.02)
        assert world.standing() is Standing.LATE
        warned = [line for line in said if line["log_level"] == "warning"]
        assert any("less than a third" in line["event"] for line in warned)
        assert world.in_place == world.serials[0], "the old one stays while it lasts"
        world.down = False
        world.run(2 * HOUR)
    assert len(world.serials) == 2
    assert world.standing() is Standing.GOOD
    assert world.keeper.report.error is None


def test_the_wait_after_failures_grows_and_is_bounded(world: World) -> None:
    world.down = True
    world.run(LIFE * 0.61)
    before = len(world.asked)
    world.run(3 * DAY)
    tries = [one for one in world.asked[before:] if one == "POST /identity/renew"]
    assert 72 <= len(tries) <= 110, "about one in three quarters of an hour, however long"


def test_after_an_expiry_it_says_what_to_do_and_goes_on_by_itself_when_that_was_done(
    world: World,
) -> None:
    world.down = True
    with structlog.testing.capture_logs() as said:
        world.run(LIFE * 1.5)
        assert world.standing() is Standing.EXPIRED
        (told,) = [line for line in said if line["event"] == "expired"]
        assert "sealcast identity enroll" in told["why"]
        world.down = False
        world.run(2 * HOUR)
        assert "IDENTITY.RENEW_EXPIRED" in str(world.keeper.report.error)
        assert len(world.serials) == 1
        # What `identity issue --out` or `identity enroll` would put there.
        world.issue_again()
        world.run(60)
        assert world.standing() is Standing.GOOD
        world.run(LIFE * 0.67)
    assert len(world.serials) == 3
    assert world.in_place == world.serials[0]


def test_a_revoked_certificate_is_told_and_asked_for_until_a_new_one_comes(world: World) -> None:
    world.authority.revoke(ENCODER, Reason.KEY_COMPROMISE, world.true_now, who="ada")
    world.run(60)
    assert str(world.keeper.report.error).startswith("IDENTITY.RENEW_REVOKED:"), (
        "long before it is due"
    )
    world.run(LIFE * 0.67)
    assert str(world.keeper.report.error).startswith("IDENTITY.RENEW_REVOKED:")
    assert len(world.serials) == 1


def test_the_node_can_order_a_renewal_at_once(world: World) -> None:
    world.run(HOUR)
    assert len(world.serials) == 1
    at = world.clock.wall()
    world.window = (at - 120, at - 60)
    world.run(2 * HOUR)
    assert len(world.serials) >= 2


def test_a_window_moves_the_moment_without_drawing_it_anew(world: World) -> None:
    world.run(60)
    at = world.clock.wall()
    world.window = (at + 10 * HOUR, at + 20 * HOUR)
    world.run(2 * HOUR)
    assert world.keeper.report.renew_at_unix == int(at + 15 * HOUR)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_of_the_agents_clock_by_a_day_loses_no_certificate_of_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Backwards: what is due by the steady clock is due. Forwards: the certificate looks expired;
    the node is asked all the same, and its answer is not used while the clocks differ.
    """
    world = World(tmp_path, monkeypatch)
    world.run(HOUR)
    world.clock.set_by(jump)
    world.run(0.66 * DAY)
    tried = [one for one in world.asked if one == "POST /identity/renew"]
    assert tried, "it was tried in time, whatever the clock says"
    assert world.in_place == world.serials[-1] or jump < 0
    world.clock.set_by(-jump)
    world.run(0.2 * DAY)
    assert world.in_place != world.serials[-1]
    pair = world.place.read()
    assert pair.life.begins_unix <= world.true_now.timestamp() < pair.life.ends_unix
    assert world.standing() is Standing.GOOD


@pytest.mark.parametrize(("skew", "life"), [(DAY, 3 * DAY), (-DAY, DAY)])
def test_a_certificate_of_an_authority_whose_clock_jumped_by_a_day_takes_no_good_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew: float, life: float
) -> None:
    world = World(tmp_path, monkeypatch, life)
    world.run(1.5 * DAY)
    first = world.in_place
    world.skew_s = skew
    world.window = (0, 1)
    world.run(0.2 * DAY)
    assert world.in_place == first
    assert str(world.keeper.report.error).startswith("AGENT.CLOCKS_DIFFER:")
    world.skew_s, world.window = 0, None
    world.run(0.5 * DAY)
    assert world.in_place != first
    assert len(set(world.serials)) == len(world.serials)


def test_a_file_that_fits_no_more_is_told_and_mended_from_outside(world: World) -> None:
    world.run(10)
    good = world.place.chain.read_bytes()
    world.place.chain.write_bytes(b"nonsense")
    world.run(60)
    assert world.standing() is Standing.UNREADABLE
    assert "IDENTITY.CERTIFICATE_MALFORMED" in str(world.keeper.report.error)
    world.place.chain.write_bytes(good)
    world.run(60)
    assert world.standing() is Standing.GOOD


def test_a_key_that_others_can_read_is_not_used(world: World) -> None:
    world.place.key.chmod(0o644)
    world.run(LIFE * 0.7)
    assert str(world.keeper.report.error).startswith("IDENTITY.KEY_EXPOSED:")
    assert world.asked == []


def test_a_fault_of_ours_is_told_and_ends_no_renewals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks after an encoder at night: what nobody thought of is tried again as well."""

    def broken(*_words: object, **_named: object) -> None:
        raise ZeroDivisionError("not thought of")

    with monkeypatch.context() as patched, structlog.testing.capture_logs() as said:
        patched.setattr(renewal, "ask", broken)
        world.run(60)
    assert any(line["event"] == "bug in the agent" for line in said)
    world.run(LIFE * 0.67)
    assert len(world.serials) == 2
    assert world.in_place == world.serials[0]


def test_a_roll_of_the_root_comes_to_the_file_of_roots(world: World) -> None:
    world.run(10)
    world.place.roots.write_bytes(world.authority.bundle_pem(world.true_now) * 2)
    world.run(2 * HOUR)
    assert world.place.roots_pem() == world.authority.bundle_pem(world.true_now)


def test_without_a_node_it_says_so(world: World) -> None:
    world.keeper = world.fresh_keeper(Settings())
    world.run(60)
    assert str(world.keeper.report.error).startswith("AGENT.NO_NODE:")
    world.place.remember_node(str(NODE))
    world.run(2 * HOUR)
    assert world.keeper.report.error is None


def test_the_report_says_how_it_stands_and_holds_no_secret(world: World) -> None:
    world.run(LIFE * 0.67)
    told = json.loads((world.place.kept / "agent.json").read_text())
    assert told["standing"] == "good"
    assert told["serial"] == world.in_place
    assert told["failures"] == 0
    assert told["not_after_unix"] == int(world.place.read().life.ends_unix)
    assert "PRIVATE" not in json.dumps(told)


# ---- the hook ------------------------------------------------------------------------------------


def with_hook(world: World, command: str) -> None:
    world.keeper = world.fresh_keeper(Settings(node=NODE, hook=Hook(command)))


def test_the_hook_runs_for_each_new_certificate_and_not_for_the_first(
    world: World, tmp_path: Path
) -> None:
    log = tmp_path / "hook.log"
    with_hook(world, f'echo "$SEALCAST_SERIAL $SEALCAST_CERTIFICATE $SEALCAST_KEY" >> {log}')
    world.run(LIFE * 0.5)
    assert not log.exists()
    world.run(LIFE * 0.17)
    (line,) = log.read_text().splitlines()
    chain, key = str(world.place.chain), str(world.place.key)
    assert line.split() == [world.in_place, chain, key]
    with_hook(world, f"echo again >> {log}")
    world.run(HOUR)
    assert "again" not in log.read_text(), "a restart is no news"
    world.issue_again()
    world.run(60)
    assert "again" in log.read_text(), "whoever put it there"


def test_a_hook_that_fails_is_told_and_stops_nothing(world: World) -> None:
    with_hook(world, "exit 3")
    with structlog.testing.capture_logs() as said:
        world.run(LIFE * 0.67)
    line = next(line for line in said if line["event"] == "the hook failed")
    assert "It ended with 3." in line["why"]
    assert world.keeper.report.hook_failed
    assert world.standing() is Standing.GOOD
    world.run(LIFE * 0.67)
    assert len(world.serials) == 3


def test_a_hook_that_fails_is_run_again_later_and_later_until_it_succeeds(
    world: World, tmp_path: Path
) -> None:
    """An encoder that could not be reloaded would else go on with a certificate that ends."""
    log, ready = tmp_path / "hook.log", tmp_path / "ready"
    with_hook(world, f"echo $SEALCAST_SERIAL >> {log}; test -e {ready}")
    with structlog.testing.capture_logs() as said:
        world.run(LIFE * 0.67 + 4 * HOUR)
    waits = [line["again_in_s"] for line in said if line["event"] == "the hook failed"]
    assert len(waits) > 5
    assert waits == sorted(waits)
    assert max(waits) <= HOUR
    with_hook(world, f"echo $SEALCAST_SERIAL >> {log}; test -e {ready}")
    assert world.keeper.report.hook_failed, "a restart forgets nothing"
    ready.touch()
    world.run(HOUR)
    assert world.keeper.report.hook_failed is None
    done = log.read_text()
    assert set(done.split()) == {world.in_place}
    world.run(2 * HOUR)
    assert log.read_text() == done, "once it has succeeded it is not run again"


def test_a_hook_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch, 10)
    with_hook(world, "sleep 1000")
    world.run(6.8)
    assert "It took over 1 s." in str(world.keeper.report.hook_failed)
    assert len(world.serials) == 2


# ---- times ---------------------------------------------------------------------------------------


def test_a_life_is_counted_from_the_issue_and_not_from_the_backdated_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = minute(tmp_path, monkeypatch).place.read().life
    assert life.length_s == 60
    assert life.moment(0) == life.begins_unix + 36
    assert life.moment(1) == life.begins_unix + 40


@pytest.mark.parametrize(
    ("length", "shortest", "longest"), [(60, 0.5, 2.5), (DAY, 60, 3600), (90 * DAY, 60, 3600)]
)
def test_patience_fits_the_life(length: float, shortest: float, longest: float) -> None:
    patience = Patience(length)
    assert patience.after(1, 1) == pytest.approx(min(max(length / 600, 0.5), 60))
    assert patience.shortest_s == pytest.approx(shortest)
    assert patience.after(10_000, 1) == patience.longest_s == pytest.approx(longest)
    assert patience.after(5, 0) == patience.after(5, 1) / 2
    assert patience.look_s() <= 30
    assert patience.ask_s(1) == min(60, length / 6)
    assert patience.ask_s(None) <= 3600


def test_a_report_of_another_version_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text('{"standing": "splendid"}')
    assert ReportFile(tmp_path).read() is None


def test_late_is_less_than_a_third() -> None:
    life = Life(0, 90)
    assert not life.is_late(60)
    assert life.is_late(60.1)
    assert datetime.timedelta(seconds=life.left_s(60)) == datetime.timedelta(seconds=30)
