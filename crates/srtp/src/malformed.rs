//! What is wrong with a packet that was refused as malformed, for the person who made it.
//!
//! Does: names the offset and the field. Does not: judge; [`header`](crate::header) and
//! [`sender`](crate::sender) do, and this is asked only after they said no, about the packet as it
//! was: a malformed one is refused before anything of it is changed.
//!
//! Specs: RFC 3550 §5.1 and §5.3.1 (RTP), §6.4 (RTCP), RFC 5761 §4.

use crate::header::{
    EXTENSION_BIT, EXTENSION_PREFIX_LEN, MAX_PACKET_LEN, NO_RTP, RTCP_CLEAR_LEN, RTCP_TYPES,
    RTP_FIXED_LEN,
};
use crate::lifetime::PacketKind;

/// A sentence about the first field for which a sender with this
/// [`overhead`](crate::Sender::overhead) refused a packet, without a full stop.
#[must_use]
pub fn why_not_protected(kind: PacketKind, packet: &[u8], overhead: usize) -> String {
    if let Some(fault) = fault_of_header(kind, packet) {
        return fault;
    }
    let second = packet[1];
    match kind {
        PacketKind::Rtp if NO_RTP.contains(&second) => {
            format!("Byte 1: {second} is a packet type of RTCP (RFC 3551 §6)")
        }
        PacketKind::Rtcp if !RTCP_TYPES.contains(&second) => format!(
            "Byte 1: {second} is no packet type of RTCP, which are {} to {} (RFC 5761 §4)",
            RTCP_TYPES.start(),
            RTCP_TYPES.end()
        ),
        _ => too_long(packet.len(), MAX_PACKET_LEN - overhead),
    }
}

/// As [`why_not_protected`], of a receiver.
#[must_use]
pub fn why_not_opened(kind: PacketKind, packet: &[u8], overhead: usize) -> String {
    fault_of_header(kind, packet).unwrap_or_else(|| {
        let len = packet.len();
        format!(
            "Behind the header, {len} bytes leave no room for the {overhead} that protection adds"
        )
    })
}

fn too_long(len: usize, most: usize) -> String {
    format!("The packet has {len} bytes and may have {most}")
}

/// What the two directions refuse alike.
fn fault_of_header(kind: PacketKind, packet: &[u8]) -> Option<String> {
    let len = packet.len();
    let (protocol, least) = match kind {
        PacketKind::Rtp => ("RTP", RTP_FIXED_LEN),
        PacketKind::Rtcp => ("RTCP", RTCP_CLEAR_LEN),
    };
    if len < least {
        return Some(format!(
            "The packet has {len} bytes and the header of {protocol} takes {least}"
        ));
    }
    if len > MAX_PACKET_LEN {
        return Some(too_long(len, MAX_PACKET_LEN));
    }
    let first = packet[0];
    if first >> 6 != 2 {
        let version = first >> 6;
        return Some(format!("Byte 0: the version is {version} and must be 2"));
    }
    if kind == PacketKind::Rtcp {
        return None;
    }
    let csrcs = usize::from(first & 0x0f);
    let mut header = RTP_FIXED_LEN + 4 * csrcs;
    if len < header {
        return Some(format!(
            "Byte 0: with {csrcs} CSRCs the header takes {header} bytes of {len}"
        ));
    }
    if first & EXTENSION_BIT != 0 {
        let at = header;
        let Some(prefix) = packet[at..].first_chunk::<EXTENSION_PREFIX_LEN>() else {
            return Some(format!(
                "Byte {at}: the header extension takes 4 bytes at least of {len}"
            ));
        };
        let words = usize::from(u16::from_be_bytes([prefix[2], prefix[3]]));
        header += EXTENSION_PREFIX_LEN + 4 * words;
        if len < header {
            let at = at + 2;
            return Some(format!(
                "Byte {at}: with an extension of {words} words the header takes {header} bytes of \
                 {len}"
            ));
        }
    }
    None
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
            let sentence = why_not_protected(PacketKind::Rtp, &packet, 16);
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
                "27 bytes leave no room for the 20 that protection adds",
            ),
        ] {
            rtcp_ssrc(&packet, trailer_len).expect_err("it is malformed");
            let sentence = why_not_opened(PacketKind::Rtcp, &packet, trailer_len);
            assert!(sentence.contains(said), "{sentence}");
        }
    }
}
