"""Legs between nodes: one takes a stream from another."""

from typing import Final

from sealcast.codes.row import answers, failures

_SIGNALLING: Final = answers(
    "signalling",
    (
        409,
        "PULL.LOOP",
        "This node would get its own stream back: the nodes take it from one another in a circle.",
        "Take one [[pull]] out of the circle; the stream comes from where its encoder publishes.",
    ),
)

_IDENTITY: Final = failures(
    "identity",
    (
        "PULL.NOT_A_NODE",
        "One end of a leg between nodes has a certificate that is not a node's.",
        "Show certificates of the profile node, of one trust domain, at both ends.",
    ),
)

_MEDIA: Final = failures(
    "media",
    (
        "PULL.PATH_CHANGED",
        "The stream comes to this node over other nodes than before, so who takes it asks anew.",
        "Nothing: the other node asks again at once, and no circle of nodes can come about.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_IDENTITY, *_MEDIA)
