//! Every code that the relay can emit, once. Codes of a leg (`ICE.*`, `DTLS.*`, `SRTP.*`, `LEG.*`)
//! pass through unchanged and stand in the crates that make them.

use crate::payload::PayloadError;
use crate::reception::TooManyStreams;
use crate::udp;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// All codes of this crate's own.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// The datagram is empty or its first byte belongs to no protocol of RFC 7983.
    UNKNOWN_KIND = "PACKET.UNKNOWN_KIND";
    /// The datagram came from an address that no leg has proved.
    UNKNOWN_SOURCE = "RELAY.UNKNOWN_SOURCE";
    /// A STUN request names a user fragment that no leg owns.
    UNKNOWN_UFRAG = "ICE.UNKNOWN_UFRAG";
    /// A STUN message cannot be read far enough to find its leg.
    BAD_STUN = "ICE.MALFORMED";
    /// An authenticated address is in use by another living leg.
    ADDRESS_TAKEN = "RELAY.ADDRESS_TAKEN";
    /// The queue of DTLS datagrams is full.
    DTLS_QUEUE_FULL = "RELAY.DTLS_QUEUE_FULL";
    /// An authenticated packet has a payload type that was not negotiated.
    UNKNOWN_PAYLOAD = "RTP.UNKNOWN_PAYLOAD";
    /// An authenticated packet's SSRC belongs to no media section.
    UNKNOWN_SSRC = "RTP.UNKNOWN_SSRC";
    /// An authenticated packet's payload is longer than a track takes.
    PAYLOAD_TOO_BIG = "RTP.PAYLOAD_TOO_BIG";
    /// The packet was already there: a duplicate, or the original of one that was recovered.
    DUPLICATE = "RTP.DUPLICATE";
    /// The packet is older than the history reaches.
    TOO_OLD = "RTP.TOO_OLD";
    /// Padding-only probe, consumed (counted, not an error).
    PADDING = "RTP.PADDING_CONSUMED";
    /// A pending source's packet before its first key frame.
    AWAITING_KEY_FRAME = "RELAY.AWAITING_KEY_FRAME";
    /// A packet of a source whose track another source feeds now.
    SUPERSEDED = "RELAY.SOURCE_SUPERSEDED";
    /// A packet for a track that does not exist (any more).
    NO_TRACK = "RELAY.NO_TRACK";
    /// A frame too long for the history.
    FRAME_TOO_BIG = "RELAY.FRAME_TOO_BIG";
    /// A frame that found its sink's queue full.
    SINK_FULL = "RELAY.SINK_FULL";
    /// A frame that found its tap's queue full.
    TAP_FULL = "RELAY.TAP_FULL";
    /// A frame with a packet missing, not given to the tap.
    TAP_GAP = "RELAY.TAP_GAP";
    /// A viewer fell behind the history and was moved to the newest key frame.
    VIEWER_LAGGED = "RELAY.VIEWER_LAGGED";
    /// The socket had no room: a retransmission, a report or a datagram of the leg's own protocols
    /// was dropped. Fresh media is never dropped for this; it waits in its history.
    SEND_WOULD_BLOCK = "RELAY.SEND_WOULD_BLOCK";
    /// The kernel refused to send for another reason.
    SEND_FAILED = "RELAY.SEND_FAILED";
    /// The leg has no proved path to send on.
    NO_PATH = "RELAY.NO_PATH";
    /// A viewer asks again for a packet that is no longer (or never was) in the history.
    NACK_UNANSWERED = "RTCP.NACK_UNANSWERED";
    /// A viewer's share for retransmissions is used up.
    NACK_LIMITED = "RTCP.NACK_LIMITED";
    /// A socket could not be read for a reason other than that nothing waits.
    RECEIVE_FAILED = "RELAY.RECEIVE_FAILED";
    /// A track that exists already, is one too many, or whose codec does not make its kind.
    TRACK_REFUSED = "RELAY.TRACK_REFUSED";
    /// A leg whose id is in use.
    LEG_REFUSED = "RELAY.LEG_REFUSED";
    /// The relay has as many legs as it may have.
    TOO_MANY_LEGS = "RELAY.TOO_MANY_LEGS";
    /// There is no such leg, or no longer.
    UNKNOWN_LEG = "RELAY.UNKNOWN_LEG";
    /// Another leg has this local user fragment.
    UFRAG_TAKEN = "RELAY.UFRAG_TAKEN";
    /// A track has as many sources as it may have, or the codec of a sink cannot be packetized.
    TOO_MANY_SOURCES = "RELAY.TOO_MANY_SOURCES";
    /// A track has as many taps as it may have.
    TOO_MANY_TAPS = "RELAY.TOO_MANY_TAPS";
    /// The leg was closed by command (only where the caller gave no code of its own).
    CLOSED = "RELAY.CLOSED";
    /// The RTP header cannot be read.
    BAD_RTP = "RTP.MALFORMED";
    /// The RTCP compound cannot be read.
    BAD_RTCP = "RTCP.MALFORMED";
    /// A leg receives as many streams as it may.
    RTP_TOO_MANY_STREAMS = TooManyStreams.code();
    /// A payload or frame contradicts its format.
    PAYLOAD_MALFORMED = PayloadError::Malformed.code();
    /// A frame put together from packets grew too long.
    PAYLOAD_FRAME_TOO_BIG = PayloadError::FrameTooBig.code();
    /// A frame to be packetized has no start code.
    PAYLOAD_NOT_ANNEX_B = PayloadError::NotAnnexB.code();
    /// The payload size to aim for is too small.
    PAYLOAD_ROOM_TOO_SMALL = PayloadError::RoomTooSmall.code();
    /// A datagram is longer than any this relay takes.
    DATAGRAM_TRUNCATED = udp::TRUNCATED;
    /// No socket could be bound.
    BIND_FAILED = "RELAY.BIND_FAILED";
    /// No address is there that a peer could reach.
    NO_ADDRESS = "RELAY.NO_ADDRESS";
    /// A thread or descriptor could not be made.
    START_FAILED = "RELAY.START_FAILED";
    /// The relay has stopped.
    STOPPED = "RELAY.STOPPED";
    /// Too many commands wait.
    BUSY = "RELAY.BUSY";
    /// The specification of a leg is not well formed.
    BAD_SPEC = "RELAY.BAD_SPEC";
    /// A snapshot was not answered in time.
    NO_ANSWER = "RELAY.NO_ANSWER";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_stands_once_and_is_written_area_dot_reason() {
        let unique: HashSet<_> = ALL.iter().collect();
        assert_eq!(unique.len(), ALL.len());
        for code in ALL {
            let (area, reason) = code
                .split_once('.')
                .expect("a code has an area and a reason");
            let is_word = |word: &str| {
                word.bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            };
            assert!(
                is_word(area) && is_word(reason) && !reason.is_empty(),
                "{code}"
            );
        }
    }
}
