//! Every code that this crate adds to those of `srtp` and `tls`, once.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $text;)*
        /// All codes of this crate's own.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// No path was proved in time.
    ICE_TIMEOUT = "ICE.TIMEOUT";
    /// The peer stopped answering our checks (RFC 7675).
    ICE_CONSENT_LOST = "ICE.CONSENT_LOST";
    /// A STUN message whose MESSAGE-INTEGRITY does not fit.
    ICE_BAD_INTEGRITY = "ICE.BAD_INTEGRITY";
    /// A STUN request for other credentials than this leg's.
    ICE_UNKNOWN_UFRAG = "ICE.UNKNOWN_UFRAG";
    /// A check from one address more than a leg may have.
    ICE_TOO_MANY_SOURCES = "ICE.TOO_MANY_SOURCES";
    /// Bytes that begin like STUN and are not, or a STUN message that ICE does not use.
    ICE_MALFORMED = "ICE.MALFORMED";
    /// A response to no request of ours, or from another address than was asked.
    ICE_UNEXPECTED_RESPONSE = "ICE.UNEXPECTED_RESPONSE";
    /// A check to an address that is not a local candidate.
    ICE_UNKNOWN_LOCAL_ADDRESS = "ICE.UNKNOWN_LOCAL_ADDRESS";
    /// Credentials that RFC 8445 §5.3 does not admit: a configuration error.
    ICE_BAD_CREDENTIALS = "ICE.BAD_CREDENTIALS";
    /// No local address that can be a candidate: a configuration error.
    ICE_NO_LOCAL_ADDRESS = "ICE.NO_LOCAL_ADDRESS";
    /// DTLS from an address that has not answered a check of ours.
    DTLS_UNVALIDATED_SOURCE = "DTLS.UNVALIDATED_SOURCE";
    /// Media before the keys are there.
    SRTP_NOT_READY = "SRTP.NOT_READY";
    /// A datagram that is none of STUN, DTLS, RTP and RTCP.
    PACKET_UNKNOWN_KIND = "PACKET.UNKNOWN_KIND";
    /// A datagram for a leg that has ended.
    LEG_ENDED = "LEG.ENDED";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_there_once_and_reads_area_dot_reason() {
        let unique: BTreeSet<_> = super::ALL.iter().collect();
        assert_eq!(unique.len(), super::ALL.len());
        for code in super::ALL {
            let (area, reason) = code.split_once('.').expect("a dot between area and reason");
            assert!(!area.is_empty() && !reason.is_empty());
            assert!(code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'.' || b == b'_'));
        }
    }
}
