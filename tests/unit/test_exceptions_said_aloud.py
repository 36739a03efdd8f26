"""What an operator allowed beyond the standard is said at each start, and only what is so."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from sealcast.node import config, supervisor
from sealcast.policy import Policy, load


def said(settings: str) -> list[tuple[str, str]]:
    structlog.reset_defaults()
    with capture_logs() as lines:
        supervisor._name_exceptions(config.loads(settings))
    return [(line["log_level"], line["event"]) for line in lines]


def test_the_default_has_nothing_to_say() -> None:
    assert said("") == []
    assert said('[policy]\ningest = "strict"\n') == []


def test_a_preset_that_admits_no_more_is_not_called_weaker() -> None:
    [line] = said('[policy]\ningest = "compatible"\n')
    assert line == ("info", "compatible admits no more than standard yet")


def test_a_preset_that_admits_more_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(name: str) -> Policy:
        # As if `standard` were `strict`: then today's `compatible` admits more than it.
        return load("strict" if name == "standard" else name)

    monkeypatch.setattr(supervisor, "load", older)
    structlog.reset_defaults()
    with capture_logs() as lines:
        supervisor._name_exceptions(config.loads('[policy]\ndelivery = "compatible"\n'))
    [line] = [line for line in lines if line["role"] == "delivery"]
    assert line["log_level"] == "warning"
    assert "AES128_CM_SHA1_80" in line["more"]


def test_a_public_stream_is_a_warning() -> None:
    assert said("[streams.a]\npublic = true\n") == [("warning", "anybody may watch")]
