"""What holds for every test: the kit's fixtures, each started when a test first asks for it; with
REQUIRE_ALL=1 a skip is a failure, whoever asked for it; no property has a deadline, because how
long an example takes says more of the machine than of the code; and workers (`pytest -n`) take
tests file by file, the attacks all together.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("sealcast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sealcast")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background. What tests start inherits it, and would not hear their Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As plugins, so that their assertions explain themselves as those of a test do.
pytest_plugins = ("sealcast.testing.fixtures", "sealcast.testing.evidence")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Tests of a file share its fixtures; all attacks share one node with control legs."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/attack" if file.startswith("tests/attack/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that skips itself."""
    report = yield
    if _counts(report) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 and {item.nodeid} was skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips as a whole."""
    report = yield
    if _counts(report):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 and {collector.nodeid} was skipped: {report.longrepr}"
    return report


def _counts(report: pytest.TestReport | pytest.CollectReport) -> bool:
    return report.outcome == "skipped" and os.environ.get("REQUIRE_ALL") == "1"
