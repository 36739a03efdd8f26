"""The relay: its sockets, legs, tracks, sources and taps."""

from typing import Final

from sealcast.codes.row import answers, failures

_NODE: Final = failures(
    "node",
    (
        "RELAY.BIND_FAILED",
        "The media port cannot be opened.",
        "Another program has it, or the address is not this machine's; choose another.",
    ),
    (
        "RELAY.NO_ADDRESS",
        "No address was found that a peer could send media to.",
        "Bind the media port to an address of this machine, or set `advertise`.",
    ),
    (
        "RELAY.SINK_FULL",
        "A frame was dropped because the track was busy.",
        "The machine is overloaded; lower the bitrate or the number of viewers.",
    ),
    ("RELAY.UNKNOWN_SOURCE", "A packet from an unproved address was dropped.", "Harmless."),
    (
        "RELAY.ADDRESS_TAKEN",
        "Two legs claim one remote address.",
        "Harmless: the older one keeps it.",
    ),
    (
        "RELAY.DTLS_QUEUE_FULL",
        "Too many handshake packets at once; some were dropped.",
        "Harmless: handshakes repeat them.",
    ),
    ("RELAY.AWAITING_KEY_FRAME", "A packet before the first key frame was held back.", "Harmless."),
    ("RELAY.SOURCE_SUPERSEDED", "A packet of a replaced publisher was dropped.", "Harmless."),
    ("RELAY.NO_TRACK", "A packet for a track that has ended was dropped.", "Harmless."),
    ("RELAY.FRAME_REFUSED", "A frame cannot be packetized and was dropped.", "Report the encoder."),
    ("RELAY.FRAME_TOO_BIG", "A frame is too big and was dropped.", "Lower the encoder's bitrate."),
    ("RELAY.TAP_FULL", "A slow reader lost a frame.", "Harmless to everybody else."),
    ("RELAY.TAP_GAP", "A frame with a missing packet was not handed on.", "Harmless."),
    (
        "RELAY.VIEWER_LAGGED",
        "A viewer fell behind and was moved to the newest picture.",
        "The viewer's network is too slow for the stream's bitrate.",
    ),
    ("RELAY.SEND_WOULD_BLOCK", "The kernel's send buffer was full.", "Raise net.core.wmem_max."),
    ("RELAY.SEND_FAILED", "The kernel refused to send a packet.", "Look at the machine's network."),
    ("RELAY.NO_PATH", "A packet had no proved path and was not sent.", "Harmless: it was early."),
    ("RELAY.EVENT_LOST", "Events of the relay were lost.", "The node is overloaded; report it."),
    (
        "RELAY.BAD_SPEC",
        "The relay was given a leg that makes no sense.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.START_FAILED",
        "The relay's thread could not be started.",
        "The detail has the system's words.",
    ),
    (
        "RELAY.CLOSED",
        "The leg was closed by command.",
        "Nothing is wrong.",
    ),
    (
        "RELAY.LEG_REFUSED",
        "The relay has a leg of that id already.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.TRACK_REFUSED",
        "The relay refused a track: it exists, is one too many, or has no such codec.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.TOO_MANY_SOURCES",
        "A track has as many sources as it may have.",
        "Wait until an older publisher has ended.",
    ),
    (
        "RELAY.TOO_MANY_TAPS",
        "A track has as many readers as it may have.",
        "Close one.",
    ),
    (
        "RELAY.RECEIVE_FAILED",
        "A socket could not be read.",
        "Look at the machine's network.",
    ),
    (
        "RELAY.DATAGRAM_TRUNCATED",
        "A datagram was longer than any that WebRTC sends and was dropped.",
        "Harmless unless it goes on.",
    ),
)

_NODE_ANSWERS: Final = answers(
    "node",
    (
        503,
        "RELAY.BUSY",
        "The relay has more commands waiting than it takes.",
        "Try again in a moment.",
    ),
    (
        503,
        "RELAY.NO_ANSWER",
        "The relay did not answer in time.",
        "The machine is overloaded; report it if it stays.",
    ),
    (
        503,
        "RELAY.STOPPED",
        "The relay has stopped.",
        "Start the node again; its log says why.",
    ),
    (
        503,
        "RELAY.TOO_MANY_LEGS",
        "The relay has as many legs as it may have.",
        "Try again later.",
    ),
    (
        503,
        "RELAY.UFRAG_TAKEN",
        "Another leg has this ICE user fragment.",
        "Try again: the next one is drawn anew.",
    ),
    (
        404,
        "RELAY.UNKNOWN_LEG",
        "The relay knows no such leg.",
        "It has ended meanwhile.",
    ),
)

ROWS: Final = (*_NODE, *_NODE_ANSWERS)
