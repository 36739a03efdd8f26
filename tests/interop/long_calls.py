"""Calls that last longer than every timer of a leg: ffmpeg publishes, a viewer counts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from sealcast.testing import ffmpeg_peer
from sealcast.testing.node_process import Node, running_node
from sealcast.testing.patient_viewer import PatientViewer, patient_viewer

# Small: they run beside tests that encode and decode too.
PICTURE = ffmpeg_peer.Picture(size="320x180", rate=15, bitrate="200k", lasts_s=900)


class LongCalls:
    """A node, an ffmpeg in each DTLS role that publishes to it, and a viewer of each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.node: Node = stack.enter_context(running_node(folder / "node"))
        self.encoders: dict[str, ffmpeg_peer.Encoder] = {}
        self.viewers: dict[str, PatientViewer] = {}
        self.legs: dict[str, int] = {}
        for role in ("passive", "active"):
            (folder / role).mkdir()
            self.encoders[role] = stack.enter_context(
                ffmpeg_peer.whip(
                    folder / role,
                    self.node.url("whip", role),
                    authority=self.node.authority,
                    token=self.node.token("publish", role),
                    picture=PICTURE,
                    dtls_active=role == "active",
                )
            )
        for role in self.encoders:
            self.legs[role] = self.node.leg(stream=role, role="ingest", state="live")["id"]
            self.viewers[role] = stack.enter_context(
                patient_viewer(
                    self.node.url("whep", role),
                    self.node.token("watch", role),
                    self.node.authority,
                )
            )

    def end(self) -> None:
        """Ends all of it; more than once does no harm."""
        self._stack.close()
