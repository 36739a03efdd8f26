"""The hub: which streams there are, who publishes and who watches them.

Does: decides who may publish a name, who takes over from whom, which legs end for it, and what a
viewer can be offered. Returns values.

Does not: carry media, wait, or know legs beyond their ids.

The caller must still: carry out what the values say (make tracks, close legs), and tell the hub
what the relay reports (`went_live`, `leave`).
"""

from sealcast.streams.hub import Change, Ending, Hub, HubLimits, Publication
from sealcast.streams.names import check_stream_name
from sealcast.streams.stream import Publisher, Stream, Track, TrackShape, Viewer

__all__ = [
    "Change",
    "Ending",
    "Hub",
    "HubLimits",
    "Publication",
    "Publisher",
    "Stream",
    "Track",
    "TrackShape",
    "Viewer",
    "check_stream_name",
]
