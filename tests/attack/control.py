"""The control legs: a publisher and a viewer that have nothing to do with any attack.

Does: carries numbered frames through the node for as long as the tests run, and says which of them
did not arrive.

Does not: ask for anything again. A frame that was lost once counts as lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

from .peer import Peer

FPS = 50
KEY_EVERY = 50
STREAM = "control"
ARRIVES_WITHIN_S = 5.0


class Running:
    """A connected peer that a thread of its own drives until `stop`."""

    def __init__(self, peer: Peer, *, sends: bool) -> None:
        self.peer = peer
        self.sent = 0
        """The number of the newest frame that was sent."""
        self._stopping = threading.Event()
        work = self._publish if sends else self._watch
        self._thread = threading.Thread(target=work, name=f"{peer.offer.way} peer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; the leg stays until its consent is lost, or until it is deleted."""
        self._stopping.set()
        self._thread.join(timeout=5)
        assert not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def _publish(self) -> None:
        due = time.monotonic()
        # A port whose node has gone refuses; the test that took it away looks at that.
        with suppress(ConnectionError):
            while not self._stopping.is_set():
                number = self.sent + 1
                self.peer.send_frame(number, key=number % KEY_EVERY == 1, fps=FPS)
                self.sent = number
                due = max(due + 1 / FPS, time.monotonic() - 1)
                self.peer.pump(max(0.0, due - time.monotonic()))

    def _watch(self) -> None:
        with suppress(ConnectionError):
            while not self._stopping.is_set():
                self.peer.pump(0.05)


@contextmanager
def running(peer: Peer, *, sends: bool) -> Iterator[Running]:
    """The peer at work; both end with the block."""
    driven = Running(peer, sends=sends)
    try:
        yield driven
    finally:
        driven.stop()


class Control:
    """Both control legs."""

    def __init__(self, node: Node, publisher: Running, viewer: Running) -> None:
        self.publisher = publisher
        self.viewer = viewer
        self._node = node
        self._legs = wait_for(
            lambda: legs if len(legs := self._living_legs()) == 2 else None,
            what="both control legs are live",
        )

    def newest(self) -> int:
        """The number of the newest frame that was sent."""
        return self.publisher.sent

    def lost_since(self, number: int) -> list[int]:
        """Which of the frames after `number` and up to now did not arrive.

        At least one frame was sent meanwhile; those under way get time to arrive.
        """
        wait_for(lambda: self.newest() > number, what="the control publisher sends", every_s=0.005)
        last = self.newest()

        def missing() -> list[int]:
            arrived = {frame.number for frame in tuple(self.viewer.peer.frames)}
            return [sent for sent in range(number + 1, last + 1) if sent not in arrived]

        deadline = time.monotonic() + ARRIVES_WITHIN_S
        while (gone := missing()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return gone

    def assert_unharmed(self, since: int) -> None:
        """No frame after `since` was lost, and both legs are the ones that they were."""
        lost = self.lost_since(since)
        assert not lost, f"the control viewer lost {len(lost)} frames, {lost[:20]}"
        assert self._living_legs() == self._legs, "the control legs are still the same ones"

    def _living_legs(self) -> set[tuple[int, str]]:
        legs = self._node.legs(stream=STREAM, state="live")
        return {(leg["id"], leg["path"]["remote"]) for leg in legs}


@contextmanager
def control_legs(node: Node, publish_token: str, watch_token: str) -> Iterator[Control]:
    """A live publisher and a live viewer."""
    publisher = Peer(node, "whip", STREAM, publish_token)
    viewer = Peer(node, "whep", STREAM, watch_token)
    try:
        publisher.connect()
        with running(publisher, sends=True) as sending:
            viewer.connect()
            with running(viewer, sends=False) as watching:
                wait_for(lambda: viewer.frames, what="the control viewer's first frame")
                yield Control(node, sending, watching)
    finally:
        publisher.close()
        viewer.close()
