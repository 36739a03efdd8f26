"""Over which nodes a stream comes here, so that nodes never take it from one another in a circle.

A node draws a name for itself when it starts. Who asks for a stream says its name
(`sealcast-node`); the answer says the names of all nodes over which the stream comes, the answering
one first (`sealcast-path`). A node that finds the asker's name in its path refuses with PULL.LOOP;
an asker refuses an answer that names itself. When the path of a stream changes, whoever was told
another one is sent away (PULL.PATH_CHANGED) and asks again: a circle that came about piece by piece
breaks there.

Both headers count between nodes alone, after both certificates were judged. A node that lies harms
the stream that it takes, and no other.

Does not: know sockets or HTTP beyond the two headers' texts.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from sealcast.errors import RemoteError

NODE_HEADER: Final = "sealcast-node"
PATH_HEADER: Final = "sealcast-path"
MOST_HOPS: Final = 8
"""A path that is longer than any sensible tree is a circle that nobody has closed yet."""
_NAME: Final = re.compile(r"[0-9a-f]{32}")


class Paths:
    """Of all streams of one node."""

    def __init__(self) -> None:
        self.own: Final = secrets.token_hex(16)
        self._upstream: dict[str, tuple[int, tuple[str, ...]]] = {}
        """By stream: the leg of the pull, and over which nodes it comes."""
        self._told: dict[int, tuple[str, tuple[str, ...]]] = {}
        """By the leg of a node that takes a stream: the stream, and what it was told."""

    def of(self, stream: str) -> tuple[str, ...]:
        """Over which nodes it comes here; empty for what is published here."""
        return self._upstream.get(stream, (0, ()))[1]

    def check_asker(self, stream: str, asker: str | None) -> None:
        """Whether the node called `asker` may have the stream from here; PULL.LOOP.

        A node that does not say what it is called is not held up: it may be of another make.
        """
        if asker == self.own:
            raise RemoteError("PULL.LOOP", "It asks itself.")
        if asker is not None and asker in self.of(stream):
            raise RemoteError("PULL.LOOP", f"{stream!r} comes here from the node that asks.")
        if len(self.of(stream)) >= MOST_HOPS:
            raise RemoteError("PULL.LOOP", f"It came over {MOST_HOPS} nodes already.")

    def tell(self, stream: str, leg: int) -> str:
        """The path for the answer to a node that takes the stream by `leg`."""
        path = (self.own, *self.of(stream))
        self._told[leg] = (stream, path)
        return ", ".join(path)

    def read(self, header: str | None) -> tuple[str, ...]:
        """What an origin answered; PULL.LOOP if it names us, CLIENT.BAD_ANSWER for anything else
        than names.
        """
        names = [name.strip() for name in header.split(",")] if header else []
        if not all(map(_NAME.fullmatch, names)):
            raise RemoteError("CLIENT.BAD_ANSWER", f"Its {PATH_HEADER} holds no names of nodes.")
        if self.own in names or len(names) > MOST_HOPS:
            raise RemoteError("PULL.LOOP", f"It comes over {len(names)} nodes, this one included.")
        return tuple(names)

    def begin(self, stream: str, leg: int, path: tuple[str, ...]) -> tuple[int, ...]:
        """`stream` comes by `leg` over `path` from now on. The legs of nodes that were told another
        path: they must go and ask again.
        """
        self._upstream[stream] = (leg, path)
        now = (self.own, *path)
        return tuple(
            taker for taker, (taken, told) in self._told.items() if taken == stream and told != now
        )

    def over(self, leg: int) -> None:
        """A leg is over, whatever it was."""
        self._told.pop(leg, None)
        for stream in [name for name, (fed_by, _) in self._upstream.items() if fed_by == leg]:
            del self._upstream[stream]
