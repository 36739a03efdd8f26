//! RTP headers, read where they lie and written into the caller's buffer.
//!
//! Does: RFC 3550 §5.1 headers, RFC 8285 extensions in both forms, unwrapping of 16-bit sequence
//! numbers and 32-bit timestamps into 64 bits, the split of an RFC 4588 payload.
//! Does not: authenticate (only opened, authenticated packets may change state), interpret an
//! extension, look into a payload, allocate.
//! The caller must: hand in plain packets and treat a returned error as "drop and count its code".

use std::ops::Range;

/// Length of an RTP header without CSRCs and extensions (RFC 3550 §5.1).
pub const FIXED_HEADER_LEN: usize = 12;

/// `defined by profile` value of the one-byte extension form (RFC 8285 §4.2).
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// `defined by profile` value of the two-byte form; its low four bits are free (RFC 8285 §4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;

/// Why a packet is not RTP.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum RtpError {
    /// The packet ends inside its fixed header, its CSRC list or its extension block.
    TooShort,
    /// The version field is not 2.
    BadVersion,
    /// The padding count is zero or longer than what follows the header.
    BadPadding,
}

impl RtpError {
    /// The code under which the drop is counted: one for all three, the variant is the detail.
    pub const fn code(self) -> &'static str {
        crate::drops::code::BAD_RTP
    }
}

/// One parsed header; borrows the packet, copies nothing.
#[derive(Clone, Debug)]
pub struct RtpHeader<'a> {
    /// Marker bit: for video the last packet of a frame.
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Sequence number as sent.
    pub sequence: u16,
    /// Timestamp as sent, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload lies in the packet, padding excluded. Empty for a padding-only probe.
    pub payload: Range<usize>,
    /// Bytes of padding at the packet's end, count byte included; 0 without padding.
    pub padding: usize,
    csrcs: &'a [u8],
    extension_profile: u16,
    extension_block: &'a [u8],
}

impl<'a> RtpHeader<'a> {
    /// Reads the header at the start of `packet`, which is one whole plain RTP packet.
    pub fn parse(packet: &'a [u8]) -> Result<RtpHeader<'a>, RtpError> {
        let (fixed, rest) = packet
            .split_first_chunk::<FIXED_HEADER_LEN>()
            .ok_or(RtpError::TooShort)?;
        if fixed[0] >> 6 != 2 {
            return Err(RtpError::BadVersion);
        }
        let csrc_len = usize::from(fixed[0] & 0x0F) * 4;
        let (csrcs, mut rest) = rest.split_at_checked(csrc_len).ok_or(RtpError::TooShort)?;

        let mut extension_profile = 0;
        let mut extension_block: &[u8] = &[];
        if fixed[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: 16 bits defined by the profile, then the length in 32-bit words.
            let (head, body) = rest.split_first_chunk::<4>().ok_or(RtpError::TooShort)?;
            extension_profile = u16::from_be_bytes([head[0], head[1]]);
            let block_len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            (extension_block, rest) = body.split_at_checked(block_len).ok_or(RtpError::TooShort)?;
        }

        let padding = if fixed[0] & 0x20 != 0 {
            match rest.last() {
                Some(&count) if count != 0 && usize::from(count) <= rest.len() => {
                    usize::from(count)
                }
                _ => return Err(RtpError::BadPadding),
            }
        } else {
            0
        };
        let start = packet.len() - rest.len();
        Ok(RtpHeader {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            payload: start..packet.len() - padding,
            padding,
            csrcs,
            extension_profile,
            extension_block,
        })
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.csrcs
            .chunks_exact(4)
            .map(|csrc| u32::from_be_bytes([csrc[0], csrc[1], csrc[2], csrc[3]]))
    }

    /// The RFC 8285 extension elements in the order sent. A broken element ends the iteration:
    /// what stood before it is still good.
    pub fn extensions(&self) -> Extensions<'a> {
        let form = match self.extension_profile {
            ONE_BYTE_PROFILE => Form::OneByte,
            profile if profile & 0xFFF0 == TWO_BYTE_PROFILE => Form::TwoByte,
            _ => Form::Foreign,
        };
        Extensions {
            form,
            rest: self.extension_block,
        }
    }

    /// The value of the first extension element with this local identifier.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions()
            .find_map(|(found, value)| (found == id).then_some(value))
    }

    /// A packet that only probes for bandwidth: it has padding and no payload.
    pub fn is_padding_only(&self) -> bool {
        self.payload.is_empty()
    }
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Form {
    OneByte,
    TwoByte,
    /// Another profile's extension: nothing in it is ours to read.
    Foreign,
}

/// Iterator over `(local identifier, value)` of RFC 8285 elements.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            let (id, len, body) = match self.form {
                Form::OneByte => match first {
                    0 => {
                        self.rest = rest; // a padding byte (RFC 8285 §4.1.1)
                        continue;
                    }
                    // Identifier 0 with a length, and 15, end the block (RFC 8285 §4.2).
                    0x01..=0x0F | 0xF0..=0xFF => (0, 0, None),
                    _ => (first >> 4, usize::from(first & 0x0F) + 1, Some(rest)),
                },
                Form::TwoByte => match (first, rest.split_first()) {
                    (0, _) => {
                        self.rest = rest;
                        continue;
                    }
                    (id, Some((&len, body))) => (id, usize::from(len), Some(body)),
                    (_, None) => (0, 0, None),
                },
                Form::Foreign => (0, 0, None),
            };
            let Some((value, rest)) = body.and_then(|body| body.split_at_checked(len)) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            return Some((id, value));
        }
    }
}

/// The fields of a header to be written.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct HeaderFields {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0..=127 (the eighth bit is ignored).
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Writes a header with these extension elements and returns its length, or 0 if `out` is too
/// small. The one-byte form is used unless an element needs the two-byte form (identifier above
/// 14, an empty value, or one longer than 16 bytes). Elements with identifier 0 or a value longer
/// than 255 bytes cannot be expressed and are left out.
pub fn write_packet_header(
    out: &mut [u8],
    fields: &HeaderFields,
    extensions: &[(u8, &[u8])],
) -> usize {
    let usable = |&&(id, value): &&(u8, &[u8])| id != 0 && value.len() <= 255;
    let (mut count, mut value_len, mut wide) = (0_usize, 0_usize, false);
    for (id, value) in extensions.iter().filter(usable) {
        count += 1;
        value_len += value.len();
        wide |= *id > 14 || value.is_empty() || value.len() > 16;
    }
    let block_len = (value_len + count * if wide { 2 } else { 1 }).next_multiple_of(4);
    let header_len = FIXED_HEADER_LEN + if count == 0 { 0 } else { 4 + block_len };
    let Ok(words) = u16::try_from(block_len / 4) else {
        return 0;
    };
    let Some(out) = out.get_mut(..header_len) else {
        return 0;
    };

    out[0] = if count == 0 { 0x80 } else { 0x90 };
    out[1] = u8::from(fields.marker) << 7 | (fields.payload_type & 0x7F);
    out[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
    out[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
    if count == 0 {
        return header_len;
    }
    let profile = if wide {
        TWO_BYTE_PROFILE
    } else {
        ONE_BYTE_PROFILE
    };
    out[12..14].copy_from_slice(&profile.to_be_bytes());
    out[14..16].copy_from_slice(&words.to_be_bytes());
    let mut at = 16;
    for (id, value) in extensions.iter().filter(usable) {
        if wide {
            out[at] = *id;
            out[at + 1] = value.len() as u8; // at most 255: `usable`
            at += 2;
        } else {
            out[at] = id << 4 | (value.len() - 1) as u8; // 1..=16: else `wide`
            at += 1;
        }
        out[at..at + value.len()].copy_from_slice(value);
        at += value.len();
    }
    out[at..].fill(0);
    header_len
}

/// The 64-bit sequence number nearest to `reference` that ends in `sequence`.
pub fn unwrap_sequence(reference: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(reference as u16) as i16;
    reference.saturating_add_signed(i64::from(step))
}

/// The 64-bit timestamp nearest to `reference` that ends in `timestamp`.
pub fn unwrap_timestamp(reference: u64, timestamp: u32) -> u64 {
    let step = timestamp.wrapping_sub(reference as u32) as i32;
    reference.saturating_add_signed(i64::from(step))
}

/// Unwraps the sequence numbers of one source. It starts one cycle up (at 65536 + the first
/// number), so that packets sent before the first one received still get a number.
#[derive(Copy, Clone, Debug, Default)]
pub struct ExtendedSequence {
    highest: Option<u64>,
}

impl ExtendedSequence {
    /// The cycle in which the count starts; subtract it for RFC 3550's extended highest number.
    pub const FIRST_CYCLE: u64 = 1 << 16;

    /// Unwraps `sequence` and remembers it if it is the highest so far.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let extended = self.peek(sequence);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// Unwraps `sequence` without remembering it.
    pub fn peek(&self, sequence: u16) -> u64 {
        match self.highest {
            Some(highest) => unwrap_sequence(highest, sequence),
            None => Self::FIRST_CYCLE + u64::from(sequence),
        }
    }

    /// The highest number seen.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Unwraps the timestamps of one source, following them forwards and backwards. Starts one cycle
/// up, like [`ExtendedSequence`].
#[derive(Copy, Clone, Debug, Default)]
pub struct ExtendedTimestamp {
    last: Option<u64>,
}

impl ExtendedTimestamp {
    /// Unwraps `timestamp` and remembers it.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let extended = match self.last {
            Some(last) => unwrap_timestamp(last, timestamp),
            None => (1 << 32) + u64::from(timestamp),
        };
        self.last = Some(extended);
        extended
    }
}

/// Splits the payload of a retransmission into the original sequence number and the original
/// payload (RFC 4588 §4). `None` for a padding-only probe on the retransmission stream.
pub fn split_retransmission(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (number, original) = payload.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), original))
}
