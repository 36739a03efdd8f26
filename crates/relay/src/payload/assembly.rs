//! Putting frames together from payloads, one codec-blind walk for all formats.

use super::{h264, vp8, vp9, PayloadError};
use crate::spec::Codec;

/// Longest frame that is put together: an access unit at 100 Mbit/s and 3 frames per second.
pub const MAX_FRAME_LEN: usize = 4 << 20;

/// One frame: an Annex B access unit, a VP8 or VP9 frame (all spatial layers), an Opus packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// The coded bytes.
    pub data: Vec<u8>,
    /// As pushed: units of the track's clock, unwrapped.
    pub timestamp: u64,
    /// A decoder can start here.
    pub key: bool,
    /// Something between the frame before and this one was lost or refused. Not set on the very
    /// first frame.
    pub discontinuity: bool,
}

/// What was not turned into frames.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct DepacketizerCounts {
    /// Frames cut out because a packet of theirs was missing.
    pub cut: u64,
    /// Frames dropped because a payload was refused (PAYLOAD.MALFORMED).
    pub malformed: u64,
    /// Frames dropped because they grew too long (PAYLOAD.FRAME_TOO_BIG).
    pub too_big: u64,
    /// Packets that came after their successors, or twice.
    pub late: u64,
}

/// Turns one track's packets into frames.
#[derive(Debug)]
pub struct Depacketizer {
    format: Format,
    last_sequence: Option<u64>,
    assembly: Option<Assembly>,
    /// Bytes of the frame being put together.
    data: Vec<u8>,
    discontinuity: bool,
    counts: DepacketizerCounts,
}

#[derive(Debug)]
enum Format {
    H264(h264::Units),
    Vp8,
    Vp9,
    Opus,
}

/// The frame being put together.
#[derive(Copy, Clone, Debug)]
struct Assembly {
    timestamp: u64,
    key: bool,
    verdict: Verdict,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Verdict {
    Whole,
    Cut,
    Refused(PayloadError),
}

impl Format {
    /// Whether a frame can be proved to begin with this payload.
    fn begins_frame(&self, payload: &[u8]) -> bool {
        match self {
            Format::H264(_) => h264::begins_access_unit(payload),
            Format::Vp8 => vp8::Descriptor::parse(payload).is_some_and(|d| d.begins_frame),
            Format::Vp9 => vp9::Descriptor::parse(payload).is_some_and(|d| d.begins_picture()),
            Format::Opus => true,
        }
    }

    fn is_key(&self, payload: &[u8]) -> bool {
        match self {
            Format::H264(_) => h264::is_idr(payload),
            Format::Vp8 => vp8::is_key(payload),
            Format::Vp9 => vp9::is_key(payload),
            Format::Opus => true,
        }
    }

    fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), PayloadError> {
        let coded = match self {
            Format::H264(units) => return units.append(payload, data),
            Format::Vp8 => vp8::Descriptor::parse(payload).map(|found| found.payload),
            Format::Vp9 => vp9::Descriptor::parse(payload).map(|found| found.payload),
            Format::Opus => Some(payload),
        };
        data.extend_from_slice(coded.ok_or(PayloadError::Malformed)?);
        Ok(())
    }

    /// Ends a frame; `false` if a fragment is left open.
    fn finish(&mut self) -> bool {
        match self {
            Format::H264(units) => units.finish(),
            Format::Vp8 | Format::Vp9 | Format::Opus => true,
        }
    }
}

impl Depacketizer {
    /// For one track of this codec; `None` for a codec whose frames are not put together here.
    pub fn new(codec: Codec) -> Option<Depacketizer> {
        let format = match codec {
            Codec::H264 => Format::H264(h264::Units::default()),
            Codec::Vp8 => Format::Vp8,
            Codec::Vp9 => Format::Vp9,
            Codec::Opus => Format::Opus,
            Codec::H265 | Codec::Av1 => return None,
        };
        Some(Depacketizer {
            format,
            last_sequence: None,
            assembly: None,
            data: Vec::new(),
            discontinuity: false,
            counts: DepacketizerCounts::default(),
        })
    }

    /// Takes the next packet and hands out the frames it finishes: none, the one before it, its
    /// own, or both. A frame ends with its marker or with the next timestamp. Packets not above
    /// the last sequence number are ignored and counted; an empty payload only counts as seen.
    pub fn push(
        &mut self,
        sequence: u64,
        timestamp: u64,
        marker: bool,
        payload: &[u8],
        mut emit: impl FnMut(Frame),
    ) {
        let follows = match self.last_sequence {
            Some(last) if sequence <= last => {
                self.counts.late += 1;
                return;
            }
            Some(last) => sequence - last == 1,
            // Joined in the middle: only a provable beginning is one.
            None => false,
        };
        if !follows && self.last_sequence.is_some() {
            self.discontinuity = true;
        }
        self.last_sequence = Some(sequence);

        if let Some(assembly) = &mut self.assembly {
            if !follows {
                assembly.verdict = Verdict::Cut; // its tail, or something within it
            }
            if assembly.timestamp != timestamp {
                self.finish(&mut emit);
            }
        }
        if payload.is_empty() {
            return;
        }
        let assembly = self.assembly.get_or_insert_with(|| Assembly {
            timestamp,
            key: false,
            verdict: match follows || self.format.begins_frame(payload) {
                true => Verdict::Whole,
                false => Verdict::Cut,
            },
        });
        if assembly.verdict == Verdict::Whole {
            assembly.key |= self.format.is_key(payload);
            if self.data.len() + payload.len() > MAX_FRAME_LEN {
                assembly.verdict = Verdict::Refused(PayloadError::FrameTooBig);
            } else if let Err(error) = self.format.append(payload, &mut self.data) {
                assembly.verdict = Verdict::Refused(error);
            }
        }
        if marker || matches!(self.format, Format::Opus) {
            self.finish(&mut emit);
        }
    }

    /// What was not turned into frames so far.
    pub fn counts(&self) -> DepacketizerCounts {
        self.counts
    }

    fn finish(&mut self, emit: &mut impl FnMut(Frame)) {
        let Some(assembly) = self.assembly.take() else {
            return;
        };
        let is_closed = self.format.finish();
        let data = std::mem::take(&mut self.data);
        match assembly.verdict {
            Verdict::Whole if is_closed && !data.is_empty() => {
                let discontinuity = std::mem::take(&mut self.discontinuity);
                emit(Frame {
                    data,
                    timestamp: assembly.timestamp,
                    key: assembly.key,
                    discontinuity,
                });
                return;
            }
            Verdict::Cut => self.counts.cut += 1,
            Verdict::Refused(PayloadError::FrameTooBig) => self.counts.too_big += 1,
            Verdict::Whole | Verdict::Refused(_) => self.counts.malformed += 1,
        }
        self.discontinuity = true;
    }
}
