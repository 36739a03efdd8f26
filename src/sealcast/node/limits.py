"""How much the node takes and how long it waits. One table; the front and the relay have theirs."""

from __future__ import annotations

from typing import Final

SDP_BYTES: Final = 64 * 1024
"""A body at a WHIP or WHEP endpoint; `sealcast.sdp.limits` reads as much."""
FRAGMENT_BYTES: Final = 16 * 1024
"""A body at a session."""
SESSIONS: Final = 20_000
"""WHIP and WHEP sessions at once."""
READY_WAIT_S: Final = 2.0
"""How long a viewer's request waits for the first parameter sets of a stream that has begun."""
RETRY_AFTER_S: Final = 2
"""What a viewer of an absent stream is told to wait."""
SWEEP_S: Final = 5.0
"""How often streams without a publisher are looked for."""
MEASURE_S: Final = 0.5
"""Counters are asked from the relay at most this often, however many ask us."""
ATTACH_S: Final = 5.0
"""How long a demuxer's thread waits for the event loop."""
STOP_S: Final = 3.0
"""How long each part has to stop."""
TAKEN_IN_TURN: Final = 512
"""Events of one drain that are worked off before the loop may do something else."""
