"""`sealcast token`: tokens signed with the node's key."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.durations import seconds
from sealcast.cli.settings import ConfigFile, load_config, open_state
from sealcast.identity import Verb
from sealcast.identity.tokens import ANY_STREAM
from sealcast.streams import check_stream_name

Lifetime = Annotated[str, Parameter(name="--for", help="How long it is valid: 90s, 15m, 1h, 7d.")]
Subject = Annotated[
    str,
    Parameter(
        help="Name of the holder. A publisher who comes back under the same name takes over."
    ),
]


def publish(
    stream: str, *, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None
) -> None:
    """Print a token that publishes STREAM."""
    _issue(check_stream_name(stream), Verb.PUBLISH, lifetime, subject, config)


def watch(
    stream: str, *, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None
) -> None:
    """Print a token that watches STREAM."""
    _issue(check_stream_name(stream), Verb.WATCH, lifetime, subject, config)


def admin(*, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None) -> None:
    """Print a token that reads legs and metrics."""
    _issue(ANY_STREAM, Verb.ADMIN, lifetime, subject, config)


def _issue(stream: str, verb: Verb, lifetime: str, subject: str, file: ConfigFile) -> None:
    state = open_state(load_config(file))
    print(state.issuer.issue(stream, verb, seconds(lifetime), subject, now=time.time()))
