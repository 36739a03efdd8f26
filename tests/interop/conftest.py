"""The long calls run beside the last tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.interop.long_calls import LongCalls

from sealcast.testing.requirement import require

HERE = Path(__file__).parent
FIRST = "test_ffmpeg_begins_two_long_calls"
LAST = "test_a_call_of_forty_seconds_has_no_silence"
BESIDE = 25
"""So many tests run between the two. What they lack of 40 s is waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long calls begin before the last tests here and are judged after them: nobody waits."""
    places = [place for place, item in enumerate(items) if HERE in item.path.parents]
    here = [items[place] for place in places]
    begin = [item for item in here if item.name.startswith(FIRST)]
    judge = [item for item in here if item.name.startswith(LAST)]
    others = [item for item in here if item not in begin + judge]
    cut = max(0, len(others) - BESIDE)
    for place, item in zip(places, [*others[:cut], *begin, *others[cut:], *judge], strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def long_calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongCalls]:
    require("core", "ffmpeg-whip")
    with ExitStack() as stack:
        yield LongCalls(tmp_path_factory.mktemp("long-calls"), stack)
