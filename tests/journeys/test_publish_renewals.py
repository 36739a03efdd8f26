"""A stream whose encoder's certificate lasts twelve seconds: ten renewals and a new root, and the
viewers' legs, pictures and sound know nothing of it.

The field has certificates of hours and days; everything but their length is as there, and
SEALCAST_RENEWAL_LIFE_S makes them longer (60 takes about seven minutes). The node runs under the
policy `strict`, which ends a leg when its certificate ends.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import math
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from tests.interop.own_authority import PASSPHRASE, found_own

from sealcast.cli.demo_picture import (
    BITS,
    RATE,
    SAMPLE_RATE,
    TONES_HZ,
    picture_source,
    read_count,
    samples_of,
    tone_source,
)
from sealcast.client import Frame, watch
from sealcast.identity.authority import Wanted
from sealcast.identity.private_files import write_private
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret
from sealcast.testing.browsers import ChromiumTab
from sealcast.testing.evidence import wait_for_frames
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import COMMAND, Client, Node, running_node
from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

STREAM = "stage"
LIFETIME = datetime.timedelta(seconds=int(os.environ.get("SEALCAST_RENEWAL_LIFE_S", "12")))
RENEWALS = 10
ROLL_AFTER = 3
DONE = Counter(ended=RENEWALS, live=1)
OVERLAP = 2.5 * LIFETIME
SETTINGS = f"""
[policy]
ingest = "strict"
[streams.{STREAM}]
public = true
"""
ENCODER = (
    *("-hide_banner", "-loglevel", "warning"),
    *("-re", "-f", "lavfi", "-i", picture_source(), "-re", "-f", "lavfi", "-i", tone_source()),
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
    *("-profile:v", "baseline", "-bf", "0", "-g", str(RATE), "-sc_threshold", "0", "-b:v", "1M"),
    *("-c:a", "aac", "-b:a", "128k"),
)


class Venue:
    """A node with an authority of its own, and an encoder's folder."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.folder = folder
        folder.mkdir()
        self.ends: dict[str, float] = {}
        """When each certificate that was issued ends, by its serial."""

    @property
    def identity(self) -> Path:
        return self.folder / STREAM

    @property
    def log(self) -> str:
        return (self.folder / "publish.log").read_text()

    def renew(self, lifetime: datetime.timedelta = LIFETIME) -> None:
        """A new certificate of whoever issues now, and the roots that are trusted now."""
        assert self.node.own is not None
        authority, now = self.node.own.authority, datetime.datetime.now(datetime.UTC)
        write_private(self.folder / "authority.pem", authority.bundle_pem(now), mode=0o644)
        wanted = Wanted(f"encoder/{STREAM}", "encoder", lifetime=lifetime)
        issued = authority.issue(wanted, now, who="test")
        issued.save(self.folder, STREAM)
        self.ends[issued.serial] = issued.not_after_unix

    def take_roots(self) -> None:
        """The test's own copy of the roots becomes the one that the agent brought."""
        self.node.authority.write_bytes((self.folder / "authority.pem").read_bytes())

    @property
    def secure(self) -> str:
        return f"https://{self.node.address}:{self.node.secure_port}"

    def new_root(self) -> None:
        assert self.node.own is not None
        keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
        now = datetime.datetime.now(datetime.UTC)
        roll(self.node.own.authority, Roll(OVERLAP, root=True), keys, now, who="test")

    def legs(self, role: str, admin: Client | None = None) -> list[dict[str, Any]]:
        if admin is None:
            return self.node.legs(role=role)
        status, body = self.node.request("GET", "/api/legs", client=admin)
        assert status == 200, body
        return [leg for leg in json.loads(body)["legs"] if leg["role"] == role]


@dataclass
class Viewer:
    """Takes every frame of a leg in a thread, until it is told to stop or the leg ends."""

    node: Node
    frames: list[Frame] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self._thread.start()

    async def _watch(self) -> None:
        url = self.node.url("whep", STREAM)
        async with await watch(url, ca_file=self.node.authority) as viewer:
            async for frame in viewer.frames():
                self.frames.append(frame)
                if self._stopped.is_set():
                    return
            self.ended = True

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(20)

    def timestamps(self, kind: str) -> list[int]:
        return [frame.timestamp for frame in self.frames if frame.kind == kind]

    def counts(self) -> list[int]:
        """The numbers that stand in the pictures."""
        decoder: Any = av.CodecContext.create("h264", "r")
        found: list[int] = []
        for frame in self.frames:
            if frame.kind == "video":
                for picture in decoder.decode(av.Packet(frame.data)):
                    plane = picture.planes[0]
                    count = read_count(memoryview(plane).cast("B"), plane.line_size)
                    assert count is not None
                    found.append(count)
        return found

    def samples(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The left ear, as it is heard."""
        decoder: Any = av.CodecContext.create("libopus", "r")
        decoder.sample_rate, decoder.layout = SAMPLE_RATE, "stereo"
        heard: list[float] = []
        for frame in self.frames:
            if frame.kind == "audio":
                for sound in decoder.decode(av.Packet(frame.data)):
                    heard += next(samples_of(sound))
        return np.array(heard)


class ViewerInChromium:
    """The watch page, and whether it ever had to join again."""

    # What the page says of itself, from now on.
    _NOTE = """
    ((state) => {
      globalThis.first = globalThis.sealcast.pc;
      globalThis.seen = [state()];
      const note = () => globalThis.seen.push(state());
      new MutationObserver(note).observe(document.body, { attributes: true });
    })(() => document.body.dataset.state)
    """

    def __init__(self, tab: ChromiumTab) -> None:
        self._tab = tab
        self._frames = wait_for_frames(tab)["received"]["video"]["frames"]
        tab.evaluate(self._NOTE)
        self._resource = tab.evaluate("globalThis.sealcast.resource")

    def goes_on(self) -> None:
        """Waits for the next second of decoded pictures."""
        self._frames = wait_for_frames(self._tab, self._frames + RATE)["received"]["video"][
            "frames"
        ]

    def assert_never_joined_again(self) -> None:
        seen = set(self._tab.evaluate("globalThis.seen"))
        assert seen <= {"live", "stalled"}, seen
        assert self._tab.evaluate("globalThis.sealcast.resource") == self._resource
        assert self._tab.evaluate("globalThis.sealcast.pc === globalThis.first")


@contextmanager
def publishing(venue: Venue, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    with (venue.folder / "publish.log").open("wb") as errors:
        process = subprocess.Popen(
            [
                *(*COMMAND, "publish", f"tls://{venue.node.ts_address}"),
                *("--identity", str(venue.identity), *options, "--", *ENCODER),
            ],
            stdin=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
    assert code == 0, venue.log


def turns_of_the_phase(samples: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """How far the tone turns from one 100 ms to the next beside what its frequency says, in
    radians. Two lossy codecs make it wobble by less than 0.2.
    """
    block = SAMPLE_RATE // 10
    times = np.arange(len(samples) // block * block)
    mixed = samples[: len(times)] * np.exp(-2j * math.pi * TONES_HZ[0] / SAMPLE_RATE * times)
    phases = np.angle((mixed.reshape(-1, block) * np.hanning(block)).sum(axis=1))
    return [float(turn) for turn in np.angle(np.exp(1j * np.diff(phases)))]


def assert_unbroken(viewer: Viewer, seconds: float) -> None:
    """Every picture, in order, none twice; sound without a hole; time without a step."""
    counts = viewer.counts()
    assert len(counts) > seconds * RATE
    assert {(b - a) % (1 << BITS) for a, b in itertools.pairwise(counts)} == {1}
    assert _steps(viewer.timestamps("video")) == {90_000 // RATE}
    assert _steps(viewer.timestamps("audio")) == {SAMPLE_RATE // 50}
    # A lost frame of AAC turns it by 2.2, one of Opus by 1.0. The decoder's start is left out.
    turns = turns_of_the_phase(viewer.samples())[10:]
    assert max(map(abs, turns)) < 0.5


def states(legs: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(leg["state"] for leg in legs)


def _steps(timestamps: Sequence[int]) -> set[int]:
    return {after - before for before, after in itertools.pairwise(timestamps)}


def test_ten_renewals_and_a_new_root_cost_no_frame_and_no_viewer(
    tmp_path: Path, open_chromium: OpenChromium
) -> None:
    require("core", "ffmpeg")
    own = found_own(tmp_path)
    with running_node(tmp_path / "node", own=own, settings=SETTINGS) as node:
        venue = Venue(node, tmp_path / "encoder")
        venue.renew()
        began = time.monotonic()

        def changed(times: int) -> None:
            wait_for(
                lambda: venue.log.count("changed connections") >= times,
                what=f"{times} changes",
                timeout_s=times * LIFETIME.total_seconds(),
                explain=lambda: venue.log,
            )

        with publishing(venue, "--agent", "--node", venue.secure) as process:
            node.leg(stream=STREAM, role="ingest", state="live")
            viewers = [Viewer(node), Viewer(node)]
            wait_for(lambda: all(viewer.frames for viewer in viewers), what="first frames")
            page = ViewerInChromium(open_chromium(node, node.url("watch", STREAM)))
            watching = {leg["id"] for leg in venue.legs("delivery")}
            assert len(watching) == len(viewers) + 1
            first = node.leg(stream=STREAM, role="ingest", state="live")["id"]
            for times in range(1, RENEWALS + 1):
                changed(times)
                page.goes_on()
                if times == ROLL_AFTER:
                    venue.new_root()
            page.assert_never_joined_again()
            venue.take_roots()
            admin = node.client("admin/after")
            wait_for(lambda: states(venue.legs("ingest", admin)) == DONE, what="the last leg's end")
            assert process.poll() is None
            published = venue.legs("ingest", admin)
            delivered = venue.legs("delivery", admin)
            for viewer in viewers:
                viewer.stop()
        seconds = time.monotonic() - began
    assert {leg["id"] for leg in delivered if leg["state"] == "live"} == watching
    over = [leg for leg in published if leg["state"] != "live"]
    assert {leg["end"]["code"] for leg in over} == {"STREAM.TAKEN_OVER"}
    assert first in {leg["id"] for leg in over}
    # Each leg was over before its certificate was: none of them rested on anybody's patience.
    ends = sorted(venue.ends.values())
    for leg, end in zip(sorted(over, key=lambda leg: leg["id"]), ends, strict=False):
        assert leg["ended_unix"] < end
    for viewer in viewers:
        assert not viewer.ended
        assert_unbroken(viewer, RENEWALS * LIFETIME.total_seconds() / 2 - 10)
    print(f"{seconds:.0f} s, {len(viewers[0].frames)} frames a viewer, {RENEWALS} renewals")
    assert "left_out=0" in venue.log


def test_a_node_that_was_away_and_a_revoked_certificate_are_survived(tmp_path: Path) -> None:
    """ffmpeg runs on through both; only what nobody could take is left out, and counted."""
    require("core", "ffmpeg")
    own = found_own(tmp_path)
    hour = datetime.timedelta(hours=1)
    with running_node(tmp_path / "node", own=own, settings=SETTINGS) as node:
        venue = Venue(node, tmp_path / "encoder")
        venue.renew(hour)
        with publishing(venue):
            node.leg(stream=STREAM, role="ingest", state="live")
            assert node.stop() == 0
            wait_for(lambda: "the node is gone" in venue.log, what="it is noticed")
            node.start()
            leg = node.leg(stream=STREAM, role="ingest", state="live", timeout_s=60)
            now = datetime.datetime.now(datetime.UTC)
            name = f"encoder/{STREAM}"
            own.authority.revoke(name, Reason.KEY_COMPROMISE, now, who="test")
            ended = node.leg(id=leg["id"], state="failed")
            assert ended["end"]["code"] == "IDENTITY.REVOKED"
            wait_for(lambda: "TLS.REFUSED_AS_REVOKED" in venue.log, what="the alert is told")
            venue.renew(hour)
            node.leg(stream=STREAM, role="ingest", state="live", timeout_s=60)
            wait_for(lambda: venue.log.count("goes on") == 2, what="it goes on")
    assert "left_out=0" not in venue.log
