"""Finding and keeping a path: ICE, and packets that are of no known kind."""

from typing import Final

from sealcast.codes.row import failures

ROWS: Final = failures(
    "path",
    (
        "ICE.TIMEOUT",
        "No path to the peer was found in time: no authenticated packet came back.",
        "Open the node's UDP port in the firewalls between, or set `advertise` to the address that "
        "the peer can reach.",
    ),
    (
        "ICE.CONSENT_LOST",
        "The peer no longer answers on any path.",
        "The peer vanished or its network changed; it can rejoin.",
    ),
    (
        "ICE.BAD_INTEGRITY",
        "A path check had a wrong password and was dropped.",
        "Harmless unless a leg never gets a path: then offer and checks come from different peers.",
    ),
    (
        "ICE.UNKNOWN_UFRAG",
        "A path check named no leg of this node and was dropped.",
        "Harmless: a leg that has ended, or a stranger.",
    ),
    (
        "ICE.MALFORMED",
        "A path check cannot be read and was dropped.",
        "Harmless unless it goes on: then find who sends to this port.",
    ),
    (
        "ICE.TOO_MANY_SOURCES",
        "One leg's checks came from more addresses than a leg may have.",
        "A peer behind a NAT that changes ports for each packet; use another network.",
    ),
    (
        "PACKET.UNKNOWN_KIND",
        "A datagram belongs to no known protocol and was dropped.",
        "Harmless unless it goes on: then find who sends to this port.",
    ),
    (
        "ICE.UNEXPECTED_RESPONSE",
        "A path check was answered that nobody had sent, and the answer was dropped.",
        "Harmless unless it goes on.",
    ),
    (
        "ICE.UNKNOWN_LOCAL_ADDRESS",
        "A path check came to an address that is no candidate and was dropped.",
        "Bind the media port to that address if peers shall use it.",
    ),
    (
        "ICE.BAD_CREDENTIALS",
        "A leg was given ICE credentials that RFC 8445 does not admit.",
        "A fault of this node; report it.",
    ),
    (
        "ICE.NO_LOCAL_ADDRESS",
        "A leg was given no local address that can be a candidate.",
        "Bind the media port to an address of this machine, or set `advertise`.",
    ),
)
