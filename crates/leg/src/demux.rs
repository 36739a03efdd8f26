//! What a datagram is, by its first byte and, for media, its second.

/// What a datagram on a media port can be.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Kind {
    /// STUN (RFC 8489), which carries ICE.
    Stun,
    /// ZRTP (RFC 6189).
    Zrtp,
    /// DTLS.
    Dtls,
    /// TURN ChannelData (RFC 8656).
    TurnChannel,
    /// QUIC (RFC 9000).
    Quic,
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// An empty datagram, or a first byte nobody owns.
    Unknown,
}

/// RFC 9443 §3, which updates RFC 7983 §7. First bytes in no row belong to nobody.
const FIRST_BYTES: [(u8, u8, Kind); 7] = [
    (0, 3, Kind::Stun),
    (16, 19, Kind::Zrtp),
    (20, 63, Kind::Dtls),
    (64, 79, Kind::TurnChannel),
    (80, 127, Kind::Quic),
    (128, 191, Kind::Rtp),
    (192, 255, Kind::Quic),
];

/// RFC 5761 §4: second bytes of RTCP packets; RTP on the same port must not use them.
const RTCP_PACKET_TYPES: (u8, u8) = (192, 223);

/// The table unrolled, because this is asked for every packet.
const BY_FIRST_BYTE: [Kind; 256] = {
    let mut kinds = [Kind::Unknown; 256];
    let mut row = 0;
    while row < FIRST_BYTES.len() {
        let (first, last, kind) = FIRST_BYTES[row];
        let mut byte = first as usize;
        while byte <= last as usize {
            kinds[byte] = kind;
            byte += 1;
        }
        row += 1;
    }
    kinds
};

/// Says what a datagram claims to be. Nothing is proved by it.
#[inline]
#[must_use]
pub fn classify(datagram: &[u8]) -> Kind {
    let Some(first) = datagram.first() else {
        return Kind::Unknown;
    };
    match BY_FIRST_BYTE[usize::from(*first)] {
        Kind::Rtp => match datagram.get(1) {
            Some(second) if (RTCP_PACKET_TYPES.0..=RTCP_PACKET_TYPES.1).contains(second) => {
                Kind::Rtcp
            }
            Some(_) => Kind::Rtp,
            None => Kind::Unknown,
        },
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_is_sorted_as_rfc_9443_says() {
        for byte in 0..=255_u8 {
            let expected = match byte {
                0..=3 => Kind::Stun,
                4..=15 => Kind::Unknown,
                16..=19 => Kind::Zrtp,
                20..=63 => Kind::Dtls,
                64..=79 => Kind::TurnChannel,
                80..=127 => Kind::Quic,
                128..=191 => Kind::Rtp,
                192..=255 => Kind::Quic,
            };
            assert_eq!(classify(&[byte, 96]), expected, "first byte {byte}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_the_second_byte() {
        for packet_type in 192..=223 {
            assert_eq!(classify(&[0x80, packet_type]), Kind::Rtcp);
        }
        // Payload type 96 with and without the marker bit.
        assert_eq!(classify(&[0x80, 96]), Kind::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 96]), Kind::Rtp);
    }

    #[test]
    fn datagrams_of_no_length_or_one_byte_are_no_media() {
        assert_eq!(classify(&[]), Kind::Unknown);
        assert_eq!(classify(&[0x80]), Kind::Unknown);
    }
}
