"""Streams and the legs on them: who publishes, who watches, how it ended."""

from typing import Final

from sealcast.codes.row import answers, failures

_SIGNALLING: Final = answers(
    "signalling",
    (
        400,
        "STREAM.BAD_NAME",
        "That is not a name a stream can have.",
        "Use 1 to 128 of a-z, A-Z, 0-9, dot, dash, underscore, in parts divided by slashes.",
    ),
    (
        409,
        "STREAM.TAKEN",
        "Another identity is publishing this stream.",
        "Wait until it has stopped, publish under another name, or use the same identity.",
    ),
    (
        409,
        "STREAM.ABSENT",
        "Nobody is publishing this stream.",
        "Try again when the publisher has started; Retry-After says when.",
    ),
    (
        503,
        "STREAM.NOT_READY",
        "The stream has started, but its first picture has not come yet.",
        "Try again in a moment; Retry-After says when.",
    ),
    (
        406,
        "STREAM.B_FRAMES",
        "The stream has B-frames, which WebRTC cannot play.",
        "Encode without them: add `-bf 0` (x264: `bframes=0`) to the encoder.",
    ),
    (
        503,
        "STREAM.TOO_MANY_VIEWERS",
        "The stream has as many viewers as this node admits.",
        "Try again later, or watch at another node.",
    ),
    (
        503,
        "STREAM.TOO_MANY",
        "The node carries as many streams as it admits.",
        "Stop another one first, or publish to another node.",
    ),
)

# Ends of legs; an upload is answered with them.
_MEDIA_ANSWERS: Final = answers(
    "media",
    (
        409,
        "STREAM.TAKEN_OVER",
        "The same identity publishes this stream from a newer leg.",
        "Nothing is wrong, unless both are yours and should not be: then stop one.",
    ),
    (
        403,
        "LEG.CLOSED_BY_OPERATOR",
        "An operator of this node ended the leg.",
        "Ask the operator.",
    ),
)

_MEDIA: Final = failures(
    "media",
    (
        "STREAM.CODEC_CHANGED",
        "The publisher came back with another codec, so this viewer must join again.",
        "Join again; the pages do it by themselves.",
    ),
    (
        "STREAM.ENDED",
        "The publisher stopped the stream.",
        "Nothing is wrong if it was meant to; viewers join again when the stream is live.",
    ),
    (
        "STREAM.PUBLISHER_REVOKED",
        "The certificate that the stream was published with has been revoked.",
        "Ask who runs the stream; viewers join again when it is published anew.",
    ),
    (
        "LEG.DELETED",
        "The peer ended its session.",
        "Nothing is wrong: it left.",
    ),
    (
        "LEG.ENDED",
        "A datagram for a leg that has ended was dropped.",
        "Harmless.",
    ),
)

_NODE: Final = failures(
    "node",
    (
        "STREAM.YIELDED",
        "Another publisher came to this stream before this one had finished its handshake.",
        "Connect, or leave the stream to the other; a publisher with its keys does not yield.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_MEDIA_ANSWERS, *_MEDIA, *_NODE)
