//! What is wrong with a packet that was refused as malformed, for the person who made it.
//!
//! Does: names the offset and the field. Does not: judge; [`header`](crate::header) does, and this
//! is asked only after it said no.
//!
//! Specs: RFC 3550 §5.1 and §5.3.1 (RTP), §6.4 (RTCP).

use crate::header::{
    EXTENSION_BIT, EXTENSION_PREFIX_LEN, MAX_PACKET_LEN, RTCP_CLEAR_LEN, RTP_FIXED_LEN,
};
use crate::lifetime::PacketKind;

/// A sentence about the first field that does not fit, without a full stop.
#[must_use]
pub fn what_is_malformed(kind: PacketKind, packet: &[u8]) -> String {
    let len = packet.len();
    let (protocol, least) = match kind {
        PacketKind::Rtp => ("RTP", RTP_FIXED_LEN),
        PacketKind::Rtcp => ("RTCP", RTCP_CLEAR_LEN),
    };
    if len < least {
        return format!("The packet has {len} bytes and the header of {protocol} takes {least}");
    }
    if len > MAX_PACKET_LEN {
        return format!("The packet has {len} bytes and may have {MAX_PACKET_LEN}");
    }
    let first = packet[0];
    if first >> 6 != 2 {
        return format!("Byte 0: the version is {} and must be 2", first >> 6);
    }
    if kind == PacketKind::Rtp {
        let csrcs = usize::from(first & 0x0f);
        let mut header = RTP_FIXED_LEN + 4 * csrcs;
        if len < header {
            return format!("Byte 0: with {csrcs} CSRCs the header takes {header} bytes of {len}");
        }
        if first & EXTENSION_BIT != 0 {
            let at = header;
            let Some(prefix) = packet[at..].first_chunk::<EXTENSION_PREFIX_LEN>() else {
                return format!("Byte {at}: the header extension takes 4 bytes at least of {len}");
            };
            let words = usize::from(u16::from_be_bytes([prefix[2], prefix[3]]));
            header += EXTENSION_PREFIX_LEN + 4 * words;
            if len < header {
                return format!(
                    "Byte {}: with an extension of {words} words the header takes {header} bytes \
                     of {len}",
                    at + 2
                );
            }
        }
    }
    // Only what is to be opened has to have more.
    format!("Behind the header, {len} bytes leave no room for the authentication tag")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{rtcp_ssrc, RtpHeader};

    #[test]
    fn every_refusal_of_the_headers_has_its_field_and_offset() {
        let with = |first: u8, len: usize| {
            let mut packet = vec![0; len];
            packet[0] = first;
            packet
        };
        let mut long_extension = with(0x91, 24);
        long_extension[18..20].copy_from_slice(&[0, 9]);
        for (packet, said) in [
            (vec![], "has 0 bytes and the header of RTP takes 12"),
            (with(0x80, 65_536), "has 65536 bytes and may have 65535"),
            (with(0x40, 12), "Byte 0: the version is 1 and must be 2"),
            (
                with(0x8f, 71),
                "Byte 0: with 15 CSRCs the header takes 72 bytes of 71",
            ),
            (
                with(0x90, 15),
                "Byte 12: the header extension takes 4 bytes at least of 15",
            ),
            (
                long_extension,
                "Byte 18: with an extension of 9 words the header takes 56 bytes of 24",
            ),
        ] {
            RtpHeader::parse(&packet, 0).expect_err("it is malformed");
            let sentence = what_is_malformed(PacketKind::Rtp, &packet);
            assert!(sentence.contains(said), "{sentence}");
        }
        for (packet, trailer_len, said) in [
            (
                vec![0x80; 7],
                0,
                "has 7 bytes and the header of RTCP takes 8",
            ),
            (with(0xc0, 8), 0, "Byte 0: the version is 3 and must be 2"),
            (
                with(0x80, 27),
                20,
                "27 bytes leave no room for the authentication tag",
            ),
        ] {
            rtcp_ssrc(&packet, trailer_len).expect_err("it is malformed");
            let sentence = what_is_malformed(PacketKind::Rtcp, &packet);
            assert!(sentence.contains(said), "{sentence}");
        }
    }
}
