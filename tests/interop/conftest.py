"""The long calls run beside the other tests of this folder."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long calls begin before the other tests here and are judged after them: nobody waits."""
    places = [place for place, item in enumerate(items) if HERE in item.path.parents]

    def turn(place: int) -> int:
        name = items[place].name
        return -1 if name.startswith(FIRST) else 1 if name.startswith(LAST) else 0

    ordered = [items[place] for place in sorted(places, key=turn)]
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def long_calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongCalls]:
    require("core", "ffmpeg-whip")
    with ExitStack() as stack:
        yield LongCalls(tmp_path_factory.mktemp("long-calls"), stack)
