//! Just enough of the RTP and RTCP headers to know what is authenticated and what is encrypted.

use std::ops::RangeInclusive;

use crate::error::SrtpError;
use crate::profile::SRTCP_INDEX_LEN;

/// The fixed part of an RTP header (RFC 3550 §5.1).
pub(crate) const RTP_FIXED_LEN: usize = 12;

/// The tag and the length of a header extension (RFC 3550 §5.3.1).
pub(crate) const EXTENSION_PREFIX_LEN: usize = 4;

/// The X bit in the first byte of an RTP packet.
pub(crate) const EXTENSION_BIT: u8 = 0x10;

/// The part of an SRTCP packet that stays in the clear (RFC 3711 §3.4).
pub(crate) const RTCP_CLEAR_LEN: usize = 8;

/// The longest packet that UDP or RFC 4571 framing carries. AES-CM has keystream for 2^20 bytes
/// (RFC 3711 §4.1.1); a longer packet would run into that of the next index.
pub(crate) const MAX_PACKET_LEN: usize = 65_535;

/// The packet types of RTCP: the first range of them that RFC 5761 §4 names, and where all are.
pub(crate) const RTCP_TYPES: RangeInclusive<u8> = 192..=223;

/// Second bytes that no RTP packet has: SR, RR, SDES, BYE and APP. With the marker they would be
/// the payload types 72 to 76, which RFC 3551 §6 reserves for this reason.
pub(crate) const NO_RTP: RangeInclusive<u8> = 200..=204;

/// What protection needs to know of an RTP packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct RtpHeader {
    /// Fixed header, CSRCs and extension.
    pub(crate) len: usize,
    /// The CSRCs alone.
    pub(crate) csrcs_len: usize,
    /// The "defined by profile" field of the extension, if there is one.
    pub(crate) extension: Option<u16>,
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
    /// CSRCs and extension are encrypted with the payload (RFC 9335).
    pub(crate) is_cryptex: bool,
}

impl RtpHeader {
    /// Reads the header of a packet that ends with `trailer_len` bytes of tag.
    #[inline]
    pub(crate) fn parse(packet: &[u8], trailer_len: usize) -> Result<Self, SrtpError> {
        let (fixed, _) = packet
            .split_first_chunk::<RTP_FIXED_LEN>()
            .ok_or(SrtpError::Malformed)?;
        if fixed[0] >> 6 != 2 || packet.len() > MAX_PACKET_LEN {
            return Err(SrtpError::Malformed);
        }
        let csrcs_len = 4 * usize::from(fixed[0] & 0x0f);
        let mut len = RTP_FIXED_LEN + csrcs_len;
        let mut extension = None;
        if fixed[0] & EXTENSION_BIT != 0 {
            let prefix = packet
                .get(len..)
                .and_then(<[u8]>::first_chunk::<EXTENSION_PREFIX_LEN>)
                .ok_or(SrtpError::Malformed)?;
            extension = Some(u16::from_be_bytes([prefix[0], prefix[1]]));
            let words = u16::from_be_bytes([prefix[2], prefix[3]]);
            len += EXTENSION_PREFIX_LEN + 4 * usize::from(words);
        }
        if packet.len() < len + trailer_len {
            return Err(SrtpError::Malformed);
        }
        Ok(Self {
            len,
            csrcs_len,
            extension,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            is_cryptex: false,
        })
    }

    /// Where the extension's tag stands, if there is an extension.
    pub(crate) const fn extension_at(&self) -> usize {
        RTP_FIXED_LEN + self.csrcs_len
    }
}

/// The SSRC of the sender of an RTCP packet that ends with `trailer_len` bytes of tag and index.
pub(crate) fn rtcp_ssrc(packet: &[u8], trailer_len: usize) -> Result<u32, SrtpError> {
    let (clear, rest) = packet
        .split_first_chunk::<RTCP_CLEAR_LEN>()
        .ok_or(SrtpError::Malformed)?;
    if clear[0] >> 6 != 2 || rest.len() < trailer_len || packet.len() > MAX_PACKET_LEN {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]))
}

/// The word that every SRTCP packet carries: the E flag and the index (RFC 3711 §3.4).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct SrtcpWord(u32);

impl SrtcpWord {
    const ENCRYPTED: u32 = 1 << 31;

    pub(crate) const fn new(index: u32, is_encrypted: bool) -> Self {
        Self(if is_encrypted {
            index | Self::ENCRYPTED
        } else {
            index
        })
    }

    pub(crate) const fn from_bytes(bytes: [u8; SRTCP_INDEX_LEN]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    pub(crate) const fn to_bytes(self) -> [u8; SRTCP_INDEX_LEN] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn is_encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    pub(crate) const fn index(self) -> u32 {
        self.0 & !Self::ENCRYPTED
    }
}
