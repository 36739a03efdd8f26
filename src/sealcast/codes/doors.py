"""Requests as they come in: HTTP itself, and the front that takes connections for the node."""

from typing import Final

from sealcast.codes.row import answers, failures

_SIGNALLING: Final = answers(
    "signalling",
    (
        415,
        "HTTP.WRONG_TYPE",
        "The body has a type that this address does not take.",
        "Send an offer as application/sdp, a trickle update as application/trickle-ice-sdpfrag.",
    ),
    (
        400,
        "HTTP.MALFORMED",
        "The request cannot be read.",
        "Correct the field that the detail names.",
    ),
    (
        413,
        "HTTP.TOO_LARGE",
        "The body is larger than this address takes.",
        "Send a smaller body; the detail names the limit.",
    ),
    (
        428,
        "HTTP.PRECONDITION_REQUIRED",
        "A change of a session must say which version of it it changes.",
        'Add If-Match with the ETag of the session, or If-Match: "*" for an ICE restart '
        "(RFC 9725 §4.3.1).",
    ),
    (
        412,
        "HTTP.PRECONDITION_FAILED",
        "The session has changed since: this update is for an older ICE generation.",
        "Use the ETag of the newest answer, or drop the update.",
    ),
    (
        404,
        "HTTP.NOT_FOUND",
        "There is nothing at this address.",
        "Check the address; a session ends when it is deleted or its path is lost.",
    ),
    (
        405,
        "HTTP.METHOD_NOT_ALLOWED",
        "This address does not take that method.",
        "Use one of the methods in the Allow header.",
    ),
    (
        403,
        "HTTP.FORBIDDEN_ORIGIN",
        "This page's origin is not admitted here.",
        "Name the origin in the node's configuration under cors.",
    ),
    (
        503,
        "HTTP.TOO_MANY",
        "The node has as many sessions as it admits.",
        "Wait as long as Retry-After says, then try again.",
    ),
    (
        500,
        "HTTP.INTERNAL",
        "The node made a mistake of its own.",
        "Report it with its instance: the line of the node's log with the same one says where.",
    ),
    (
        502,
        "FRONT.APP_BAD_ANSWER",
        "The application behind the door gave an answer that is not HTTP.",
        "A fault of this node; report it.",
    ),
    (
        503,
        "FRONT.APP_BUSY",
        "Every connection to the application is in use, or the client holds its share of them.",
        "Send fewer requests at once, and take the answers; try again in a moment.",
    ),
    (
        504,
        "FRONT.APP_TIMEOUT",
        "The application took too long to answer.",
        "Try again; report it if it stays.",
    ),
    (
        502,
        "FRONT.APP_UNAVAILABLE",
        "The application behind the door does not answer.",
        "The node is starting or stopping; try again in a moment.",
    ),
    (
        400,
        "FRONT.BAD_HTTP",
        "What the client sent is not valid HTTP.",
        "Use an HTTP/1.1 or HTTP/2 client.",
    ),
    (
        431,
        "FRONT.HEADER_TOO_LARGE",
        "The head of the request is larger than the door admits.",
        "Send fewer or shorter headers.",
    ),
    (
        400,
        "FRONT.BAD_REQUEST",
        "The request cannot be forwarded as it is.",
        "Correct what the detail names.",
    ),
    (
        408,
        "FRONT.BODY_STALLED",
        "The client stopped sending the body of its request, or sent it too slowly.",
        "Send it again in one go: an offer is a few kilobytes, and a stream never pauses for long.",
    ),
    (
        400,
        "FRONT.BODY_BROKEN",
        "The body of a request broke off before its end.",
        "The client or its network stopped; it can send it again.",
    ),
    (
        500,
        "FRONT.ANSWER_STALLED",
        "The client stopped taking the answer to its request, or took it too slowly.",
        "Read answers to their end, or cancel the request.",
    ),
    (
        500,
        "FRONT.HTTP2_FLOOD",
        "The client began and abandoned more over HTTP/2 than a connection may.",
        "Connect again, and wait for answers before more requests are cancelled.",
    ),
    (
        403,
        "HTTP.NOT_AT_THIS_DOOR",
        "The origin door answers what viewers read, and nothing else.",
        "Publish, watch by WebRTC and administer at the other doors; `sealcast doors` lists them.",
    ),
    (
        403,
        "HTTP.NOT_THE_FRONT",
        "The request did not come through a door of this node.",
        "Use the address of a door; the private socket is the node's own.",
    ),
)

_HANDSHAKE: Final = failures(
    "handshake",
    (
        "FRONT.TOO_MANY_CONNECTIONS",
        "The door has as many connections as it admits.",
        "Try again later.",
    ),
    (
        "FRONT.TOO_MANY_HANDSHAKES",
        "The handshake found no free place within its time, "
        "or its address holds its share of them.",
        "Try again in a moment; many clients came at once.",
    ),
)

_NODE: Final = failures(
    "node",
    (
        "FRONT.BIND_FAILED",
        "A door's port cannot be opened.",
        "Another program has it, or the address is not this machine's; choose another.",
    ),
    (
        "FRONT.ACCEPT_FAILED",
        "The system refused to hand over a waiting connection.",
        "Raise the limit of open files (ulimit -n).",
    ),
    (
        "FRONT.BAD_DOOR",
        "The description of a door makes no sense.",
        "Correct the door in the configuration.",
    ),
    (
        "FRONT.BAD_SECRET",
        "The secret between front and application is malformed.",
        "A fault of this node; report it.",
    ),
    (
        "FRONT.DOOR_EXISTS",
        "A door of that name is open already.",
        "Give each door a name of its own.",
    ),
    (
        "FRONT.NO_SUCH_DOOR",
        "There is no door of that name.",
        "Use a name of the configuration.",
    ),
    (
        "FRONT.NO_CLIENT_ROOTS",
        "A door asks for client certificates and has no authority to judge them by.",
        "Give the door its trust bundle.",
    ),
    (
        "FRONT.EVENTS_FULL",
        "A connection was refused because the node does not keep up with events.",
        "The machine is overloaded; report it if it stays.",
    ),
    (
        "FRONT.INGEST_FAILED",
        "No socket pair could be made for an ingest connection.",
        "Raise the limit of open files (ulimit -n).",
    ),
    (
        "FRONT.START_FAILED",
        "The front's threads could not be started.",
        "The detail has the system's words.",
    ),
    (
        "FRONT.STOPPED",
        "The front has stopped.",
        "Start the node again; its log says why.",
    ),
    (
        "FRONT.OTHER_CODES",
        "Counts under codes beyond the number that is kept apart.",
        "Report it.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_HANDSHAKE, *_NODE)
