//! RTP payload formats: frames to payloads for what a sink pushes, payloads to frames for a tap.
//!
//! Does: packetize H264 (RFC 6184, packetization mode 1) and Opus (RFC 7587); depacketize H264,
//! Opus, VP8 (RFC 7741) and VP9 (RFC 9628); tell for these, H265 (RFC 7798) and AV1 whether a
//! payload begins a key frame, so that whole packets can be forwarded unread.
//! Does not: decode, reorder, wait for missing packets; turn H265 or AV1 into frames.
//! The caller must: push packets in ascending order of unwrapped sequence numbers. A tap is lossy:
//! a frame with a gap in it is cut out, and the next one says [`Frame::discontinuity`].

mod assembly;
pub mod h264;
pub mod opus;
pub mod vp8;
pub mod vp9;

pub use assembly::{Depacketizer, DepacketizerCounts, Frame, MAX_FRAME_LEN};

use crate::spec::Codec;

/// Why a payload or a frame is refused.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum PayloadError {
    /// The payload contradicts its format, or a fragment has no beginning.
    Malformed,
    /// The assembled frame would exceed [`MAX_FRAME_LEN`].
    FrameTooBig,
    /// The frame to be packetized holds no start code (ITU-T H.264 Annex B).
    NotAnnexB,
    /// The payload size to aim for is too small to packetize into.
    RoomTooSmall,
}

impl PayloadError {
    /// The code under which it is counted.
    pub const fn code(self) -> &'static str {
        match self {
            PayloadError::Malformed => "PAYLOAD.MALFORMED",
            PayloadError::FrameTooBig => "PAYLOAD.FRAME_TOO_BIG",
            PayloadError::NotAnnexB => "PAYLOAD.NOT_ANNEX_B",
            PayloadError::RoomTooSmall => "PAYLOAD.ROOM_TOO_SMALL",
        }
    }
}

/// Whether this RTP payload begins, or lies at the beginning of, a frame from which a decoder can
/// start. Never panics; a malformed payload is no key frame.
pub fn is_key(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264::is_key(payload),
        Codec::H265 => h265_is_key(payload),
        Codec::Vp8 => vp8::is_key(payload),
        Codec::Vp9 => vp9::is_key(payload),
        Codec::Av1 => av1_is_key(payload),
        Codec::Opus => true,
    }
}

/// Aggregation header `Z Y W W N - - -` (RTP Payload Format for AV1, §4.4): N is set on the first
/// packet of a coded video sequence, which Z (a continued fragment) excludes.
fn av1_is_key(payload: &[u8]) -> bool {
    payload
        .first()
        .is_some_and(|aggregation| aggregation & 0b1000_1000 == 0b0000_1000)
}

/// IRAP pictures (ITU-T H.265 table 7-1) and the parameter sets before them, alone, aggregated or
/// as the first fragment (RFC 7798 §4.4).
fn h265_is_key(payload: &[u8]) -> bool {
    const AGGREGATION: u8 = 48;
    const FRAGMENTATION: u8 = 49;
    let is_key_type = |nal_type: u8| matches!(nal_type, 16..=21 | 32 | 33);
    let Some((header, rest)) = payload.split_first_chunk::<2>() else {
        return false;
    };
    match header[0] >> 1 & 0x3F {
        AGGREGATION => {
            let mut units = rest;
            while let Some((len, after)) = units.split_first_chunk::<2>() {
                let len = usize::from(u16::from_be_bytes(*len));
                let Some((unit, after)) = after.split_at_checked(len) else {
                    return false;
                };
                if unit
                    .first()
                    .is_some_and(|first| is_key_type(first >> 1 & 0x3F))
                {
                    return true;
                }
                units = after;
            }
            false
        }
        FRAGMENTATION => rest
            .first()
            .is_some_and(|fu| fu & 0x80 != 0 && is_key_type(fu & 0x3F)),
        nal_type => is_key_type(nal_type),
    }
}
