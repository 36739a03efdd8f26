"""`sealcast token`: tokens signed with the node's key.

Standard output is the token and nothing else, so that a script can take it as it is; what it is
for, and whose key signed it, goes to standard error.
"""

from __future__ import annotations

import datetime
import sys
import time
from typing import Annotated

from cyclopts import Parameter

from sealcast.cli.durations import seconds
from sealcast.cli.settings import ConfigFile, load_config, open_state
from sealcast.identity import Verb
from sealcast.identity.tokens import ANY_STREAM
from sealcast.streams import check_stream_name

Stream = Annotated[str, Parameter(help="Which stream, such as venue/stage-1.")]
Lifetime = Annotated[str, Parameter(name="--for", help="How long it is valid: 90s, 15m, 1h, 7d.")]
Subject = Annotated[
    str,
    Parameter(
        help="Name of the holder. A publisher who comes back under the same name takes over."
    ),
]


def publish(
    stream: Stream, *, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None
) -> None:
    """Print a token that publishes STREAM."""
    _issue(check_stream_name(stream), Verb.PUBLISH, lifetime, subject, config)


def watch(
    stream: Stream, *, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None
) -> None:
    """Print a token that watches STREAM."""
    _issue(check_stream_name(stream), Verb.WATCH, lifetime, subject, config)


def admin(*, lifetime: Lifetime = "1h", subject: Subject = "", config: ConfigFile = None) -> None:
    """Print a token that reads legs and metrics."""
    _issue(ANY_STREAM, Verb.ADMIN, lifetime, subject, config)


def _issue(stream: str, verb: Verb, lifetime: str, subject: str, file: ConfigFile) -> None:
    now, valid_s = time.time(), seconds(lifetime, "--for")
    state = open_state(load_config(file))
    print(state.issuer.issue(stream, verb, valid_s, subject, now=now), flush=True)
    until = datetime.datetime.fromtimestamp(now + valid_s, datetime.UTC)
    purpose = "to administer" if verb is Verb.ADMIN else f"to {verb} {stream}"
    holder = f" as {subject}" if subject else ""
    print(f"{purpose}{holder}, until {until:%Y-%m-%d %H:%M:%S} UTC", file=sys.stderr)
    made = "the new key" if state.first_start else "the key"
    print(f"signed with {made} in {state.path}", file=sys.stderr)
