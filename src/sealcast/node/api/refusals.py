"""Counts the requests that are refused before there is a leg.

Does: adds one for the role and the code, where `sealcast.node.sessions` does not count itself:
tokens, bodies, preconditions, origins. Does not: answer, log or list them; anybody can make as many
as they like.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sealcast.node.ports import native_refusal
from sealcast.node.switchboard import Switchboard
from sealcast.policy import Role


@contextmanager
def counted(board: Switchboard, role: Role) -> Iterator[None]:
    """A refusal that is raised inside is counted, and goes on."""
    try:
        yield
    except Exception as error:
        refusal = native_refusal(error)
        if refusal is not None:
            board.refused[role.value, refusal.code] += 1
        raise
