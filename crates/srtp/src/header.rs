//! Just enough of the RTP and RTCP headers to know what is authenticated and what is encrypted.

use crate::error::SrtpError;

/// The fixed part of an RTP header (RFC 3550 §5.1).
const RTP_FIXED_LEN: usize = 12;

/// The part of an SRTCP packet that stays in the clear (RFC 3711 §3.4).
pub(crate) const RTCP_CLEAR_LEN: usize = 8;

/// What protection needs to know of an RTP packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct RtpHeader {
    /// Fixed header, CSRCs and extension: authenticated, not encrypted.
    pub(crate) len: usize,
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
}

impl RtpHeader {
    /// Reads the header of a packet that ends with `trailer_len` bytes of tag.
    pub(crate) fn parse(packet: &[u8], trailer_len: usize) -> Result<Self, SrtpError> {
        let (fixed, _) = packet
            .split_first_chunk::<RTP_FIXED_LEN>()
            .ok_or(SrtpError::Malformed)?;
        if fixed[0] >> 6 != 2 {
            return Err(SrtpError::Malformed);
        }
        let mut len = RTP_FIXED_LEN + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: 16 bits of profile, 16 bits of length in words.
            let words = packet.get(len + 2..len + 4).ok_or(SrtpError::Malformed)?;
            len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if packet.len() < len + trailer_len {
            return Err(SrtpError::Malformed);
        }
        Ok(Self {
            len,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

/// The SSRC of the sender of an RTCP packet that ends with `trailer_len` bytes of tag and index.
pub(crate) fn rtcp_ssrc(packet: &[u8], trailer_len: usize) -> Result<u32, SrtpError> {
    let (clear, rest) = packet
        .split_first_chunk::<RTCP_CLEAR_LEN>()
        .ok_or(SrtpError::Malformed)?;
    if clear[0] >> 6 != 2 || rest.len() < trailer_len {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]))
}
