"""MPEG-TS as a way in: H264 with AAC, MPEG audio or Opus, over a connection that the front opened.

Does: everything between the plain bytes of an authenticated TLS connection and frames in the
relay. `clock` is pure arithmetic, `h264` and `opus` know one codec each, `source` reads one
connection after another as one stream, `programme` demuxes and pushes, `publisher` is the thread,
`events` what it tells.

Does not: terminate TLS, name streams or decide who may publish.
"""

from sealcast.ingest.mpegts.events import (
    BFramesSeen,
    Continued,
    Counters,
    Ended,
    Event,
    ParameterSetsSeen,
    ProgrammeFound,
    Remarked,
    Sink,
    Sinks,
)
from sealcast.ingest.mpegts.publisher import TsPublisher
from sealcast.ingest.mpegts.source import Inlet

__all__ = [
    "BFramesSeen",
    "Continued",
    "Counters",
    "Ended",
    "Event",
    "Inlet",
    "ParameterSetsSeen",
    "ProgrammeFound",
    "Remarked",
    "Sink",
    "Sinks",
    "TsPublisher",
]
