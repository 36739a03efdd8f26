"""Protection of media packets and their keys."""

from typing import Final

from sealcast.codes.row import failures

ROWS: Final = failures(
    "keys",
    (
        "SRTP.MALFORMED",
        "A packet is not well-formed RTP or RTCP, and was neither protected nor opened.",
        "Look at the program that made it: the peer's if it was received, this side's if it was to "
        "be sent.",
    ),
    (
        "SRTP.REPLAYED",
        "A packet came twice and was dropped.",
        "Harmless: networks duplicate; attackers replay.",
    ),
    (
        "SRTP.REPLAY_OLD",
        "A packet older than the replay window was dropped.",
        "Harmless unless it goes on: then the network delays packets by seconds.",
    ),
    (
        "SRTP.AUTH_FAILED",
        "A packet was forged or damaged and was dropped.",
        "Harmless in small numbers; if none gets through, the keys of the two ends differ.",
    ),
    (
        "SRTP.TOO_MANY_SSRCS",
        "A packet has one source more than its context may hold, and was dropped.",
        "Send fewer sources (SSRCs) under one key, or make the context for more of them.",
    ),
    (
        "SRTP.KEY_EXHAUSTED",
        "A master key has protected as many packets as is safe.",
        "Agree on a new key: join again, or add one to both ends.",
    ),
    (
        "SRTP.SSRC_EXHAUSTED",
        "A packet's SSRC has used its last packet index.",
        "Send on under another SSRC: a new key does not begin this one again.",
    ),
    (
        "SRTP.INDEX_USED",
        "A packet would have used a packet index twice and was not sent.",
        "Protect a sequence number once and send it again as RTX (RFC 4588); if a node says this, "
        "report it.",
    ),
    (
        "SRTP.BUFFER_TOO_SMALL",
        "The buffer for a packet's result is too small, and nothing was protected or opened.",
        "Leave the sender's overhead free behind a packet to protect, and give a packet to open as "
        "many bytes as it has; if a node says this, report it.",
    ),
    (
        "SRTP.SSRC_NOT_DECLARED",
        "A packet has an SSRC that its context was not made for, and was dropped.",
        "Declare the SSRC when the context is made, or declare none.",
    ),
    (
        "SRTP.UNKNOWN_MKI",
        "A packet names a master key that the receiver does not hold, and was dropped.",
        "Add the new key at the receiver before the sender uses it.",
    ),
    (
        "SRTP.UNENCRYPTED_RTCP",
        "An RTCP packet came authenticated but not encrypted, and was dropped.",
        "Let the peer encrypt SRTCP; or, if it cannot, allow E = 0 for this context.",
    ),
    (
        "SRTP.HEADER_NOT_PROTECTED",
        "A packet's header extension or CSRCs are not protected as agreed, or cannot be.",
        "Agree on the same header protection at both ends; use RFC 8285 extensions with it.",
    ),
    (
        "SRTP.ENGINE_FAILED",
        "The cipher could not be run, and the packet was dropped.",
        "The process is out of memory; give it more.",
    ),
    (
        "SRTP.KEY_NEARLY_SPENT",
        "A master key has few packets left.",
        "Agree on another key, and let both ends add it. A leg cannot and ends with its key: let "
        "the peer join again.",
    ),
    (
        "SRTP.KEY_IN_USE",
        "A living sender has the same master key and salt: keystream would repeat.",
        "Use that sender, or declare disjoint sets of SSRCs for both.",
    ),
    (
        "SRTP.KEY_USED_BEFORE",
        "A sender that is gone protected packets with this key and salt: keystream would repeat.",
        "Agree on a new key, or keep one sender for the key's whole life.",
    ),
    (
        "SRTP.NULL_CIPHER",
        "The profile of a key does not encrypt.",
        "Choose one that does; only tests and tools may ask for this one.",
    ),
    (
        "SRTP.BAD_OPTION",
        "An option of an SRTP context has a value that it cannot have.",
        "Give one of the values that the detail names.",
    ),
    (
        "SRTP.ROC_TOO_LATE",
        "The rollover counter of an SSRC is settled by its packets and cannot be set any more.",
        "Set it before the first packet.",
    ),
    (
        "SRTP.NOT_READY",
        "Media came before the keys and was dropped.",
        "Harmless: it was early.",
    ),
    (
        "SRTP.BAD_KEY",
        "A key, or its identifier, does not fit its profile or its context.",
        "The detail says what fits: lengths, profile, identifier.",
    ),
    (
        "SRTP.UNKNOWN_PROFILE",
        "No SRTP profile has this name.",
        "Use a member of sealcast.SrtpProfile.",
    ),
    (
        "SRTP.CONTEXT_CLOSED",
        "The SRTP context was closed and its keys are gone.",
        "Make a new context with a new key.",
    ),
    (
        "SRTP.CONTEXT_FORKED",
        "An SRTP context was used in a process that was forked after the context was made.",
        "Make contexts in the process that uses them; senders each with a key of its own.",
    ),
)
