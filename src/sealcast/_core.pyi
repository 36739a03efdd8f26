"""The native side: packets, TLS records and keys. See `crates/core`.

Nothing here decides; what crosses is decided by `sealcast.policy`. JSON shapes are the structs of
`sealcast.wire`. Every method may raise `CoreError`.
"""

from collections.abc import Sequence
from typing import Final, final

__all__ = [
    "RELAY_LEGS",
    "RELAY_TRACKS",
    "CoreError",
    "FrameSink",
    "FrameTap",
    "Front",
    "MediaIdentity",
    "Relay",
    "__version__",
    "codes",
    "srtp_profiles",
]

__version__: str
RELAY_LEGS: Final[int]
"""Legs that one relay carries at a time."""
RELAY_TRACKS: Final[int]
"""Tracks that one relay carries at a time."""

class CoreError(Exception):
    """A refusal of the native side: `code` is a row of `sealcast.codes`, `detail` a sentence."""

    code: str
    detail: str

@final
class MediaIdentity:
    """A fresh certificate and key for one media leg; the key never leaves it."""

    @staticmethod
    def generate() -> MediaIdentity:
        """Make a self-signed P-256 certificate that nothing links to another leg."""
    def fingerprint(self, algorithm: str = "sha-256") -> str:
        """The certificate's digest as `AB:CD:…` (RFC 8122 §5)."""

@final
class Relay:
    """One thread with its UDP sockets, legs and tracks. Ids are the caller's to choose."""

    def __new__(cls, *, binds: Sequence[str]) -> Relay: ...
    def local_addresses(self) -> list[str]:
        """The `ip:port` that candidates may name."""
    def fileno(self) -> int:
        """An eventfd, readable while events wait."""
    def drain_events(self) -> bytes:
        """All waiting events: a JSON array of `sealcast.wire.RelayEvent`."""
    def add_track(self, track: int, kind: str, codec: str, clock_rate: int) -> None: ...
    def remove_track(self, track: int) -> None: ...
    def add_leg(self, spec: bytes, identity: MediaIdentity) -> None:
        """Start a leg from the JSON of a `sealcast.wire.LegSpec`."""
    def restart_ice(
        self, leg: int, local_ufrag: str, local_pwd: str, remote_ufrag: str, remote_pwd: str
    ) -> None:
        """Begin ICE anew (RFC 8445 §9). Waits until the relay has done it; after a refusal
        (RELAY.UNKNOWN_LEG, RELAY.UFRAG_TAKEN, ICE.BAD_CREDENTIALS, RELAY.NO_ANSWER) the leg is as
        it was. From any thread.
        """
    def add_remote_candidate(self, leg: int, address: str) -> None: ...
    def close_leg(self, leg: int, code: str) -> None: ...
    def frame_sink(self, track: int, source: int) -> FrameSink: ...
    def frame_tap(self, track: int) -> FrameTap: ...
    def snapshot(self) -> bytes:
        """Counters of the relay, its legs and its tracks: JSON of `sealcast.wire.RelayNumbers`.

        Read in several turns of the relay's loop: dear where legs are many, but it delays no media.
        """
    def leg_snapshot(self, leg: int) -> bytes | None:
        """Counters of one leg: JSON of `sealcast.wire.LegNumbers`; None if there is none (now)."""
    def stop(self) -> None: ...

@final
class FrameSink:
    """A publisher's frames on their way into one track."""

    def push(self, data: bytes, timestamp: int, node_time_ns: int, key: bool) -> None:
        """Hand over one frame: an access unit (H264: Annex B) or an Opus packet.

        `timestamp` counts the track's clock, unwrapped; `node_time_ns` is its capture time on
        `time.monotonic_ns()`.
        """
    def close(self) -> None: ...

@final
class FrameTap:
    """Frames on their way out of one track; a slow reader loses frames and slows nobody."""

    def fileno(self) -> int: ...
    def read(self) -> list[tuple[bytes, int, bool]]:
        """All waiting frames: data, timestamp on the track's clock, key frame or not."""
    def close(self) -> None: ...

@final
class Front:
    """The TCP side: doors, the proxy to the application, raw TLS ingest."""

    def __new__(cls, *, app_socket: str, secret: str, threads: int = 1) -> Front: ...
    def open_door(
        self, spec: bytes, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> list[str]:
        """Open a door from the JSON of a `sealcast.wire.DoorSpec`; returns its addresses."""
    def swap(
        self, door: str, chain_pem: bytes, key_pem: bytes, client_roots_pem: bytes | None
    ) -> None: ...
    def fileno(self) -> int: ...
    def drain_events(self) -> bytes: ...
    def take_ingest(self, connection: int) -> int:
        """The plaintext end of an ingest connection: a blocking socket the caller now owns."""
    def facts(self, connection: int) -> bytes | None: ...
    def close_connection(self, connection: int, code: str) -> None: ...
    def counters(self) -> bytes: ...
    def stop(self) -> None: ...

def srtp_profiles() -> list[tuple[str, int | None]]: ...
def codes() -> list[str]: ...
