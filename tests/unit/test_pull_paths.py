"""Nodes never take a stream from one another in a circle."""

from __future__ import annotations

import pytest

from sealcast.errors import RemoteError
from sealcast.node.pull.paths import MOST_HOPS, Paths

STREAM = "venue/stage-1"


def asks(asker: Paths, origin: Paths, leg: int) -> tuple[int, ...]:
    """`asker` takes the stream from `origin`; whom it must send away for it."""
    origin.check_asker(STREAM, asker.own)
    return asker.begin(STREAM, leg, asker.read(origin.tell(STREAM, leg)))


def refused(asker: Paths, origin: Paths) -> str:
    with pytest.raises(RemoteError) as error:
        origin.check_asker(STREAM, asker.own)
    return error.value.code


def test_a_node_does_not_ask_itself() -> None:
    paths = Paths()
    assert refused(paths, paths) == "PULL.LOOP"


def test_a_node_does_not_get_back_what_it_gave_however_far_it_went() -> None:
    first, second, third = Paths(), Paths(), Paths()
    asks(second, first, 1)
    asks(third, second, 2)
    assert third.of(STREAM) == (second.own, first.own)
    assert refused(first, second) == refused(first, third) == "PULL.LOOP"
    third.check_asker("another", first.own)


def test_what_no_longer_comes_from_a_node_may_go_there() -> None:
    first, second = Paths(), Paths()
    asks(second, first, 1)
    second.over(1)
    assert second.of(STREAM) == ()
    second.check_asker(STREAM, first.own)


def test_who_was_told_another_path_is_sent_away_to_ask_again() -> None:
    """A circle that comes about from behind: it was a line when its last link was made."""
    first, second, third = Paths(), Paths(), Paths()
    assert asks(third, second, 7) == ()  # an encoder publishes at the second
    # It leaves, and the second takes the stream from the first.
    assert asks(second, first, 8) == (7,)
    second.over(7)
    assert asks(third, second, 9) == ()
    # The same way again is no news.
    second.over(8)
    assert asks(second, first, 10) == ()


def test_an_answer_that_names_the_asker_is_refused_whoever_did_not_notice() -> None:
    paths = Paths()
    with pytest.raises(RemoteError) as error:
        paths.read(f"{'0' * 32}, {paths.own}")
    assert error.value.code == "PULL.LOOP"


def test_a_path_without_end_is_a_circle() -> None:
    paths = Paths()
    with pytest.raises(RemoteError) as error:
        paths.read(", ".join(["0" * 32] * (MOST_HOPS + 1)))
    assert error.value.code == "PULL.LOOP"
    paths.begin(STREAM, 1, paths.read(", ".join(["0" * 32] * MOST_HOPS)))
    assert refused(Paths(), paths) == "PULL.LOOP"


@pytest.mark.parametrize("header", ["me", "0" * 31, "0" * 32 + ",", "0" * 32 + ";x", "A" * 32])
def test_an_answer_with_anything_but_names_is_refused(header: str) -> None:
    with pytest.raises(RemoteError) as error:
        Paths().read(header)
    assert error.value.code == "CLIENT.BAD_ANSWER"


def test_a_node_of_another_make_says_nothing_and_is_served() -> None:
    paths = Paths()
    paths.check_asker(STREAM, None)
    assert paths.read(None) == ()
