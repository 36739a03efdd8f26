//! H264 (RFC 6184), packetization mode 1: single NAL units, STAP-A and FU-A, both ways.
//!
//! Does: cut Annex B access units into payloads, put remembered parameter sets before each IDR
//! picture that lacks them, put payloads together again, find key frames in foreign payloads.
//! Does not: interleaved mode, STAP-B, MTAP, FU-B (refused), parse slices beyond their first bit.
//! The caller must: hand whole access units to [`Packetizer::packetize`].

mod depacketize;
mod packetize;
mod parameter_sets;

pub use depacketize::Units;
pub use packetize::Packetizer;
pub use parameter_sets::profile_level_id;

pub(crate) mod nal_type {
    //! NAL unit types: ITU-T H.264 table 7-1 and RFC 6184 table 1.
    pub const SLICE: u8 = 1;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const DELIMITER: u8 = 9;
    pub const FILLER: u8 = 12;
    pub const PREFIX: u8 = 14;
    pub const STAP_A: u8 = 24;
    pub const FU_A: u8 = 28;
    /// The types that name one NAL unit of the codec, which may stand alone in a payload.
    pub const SINGLE: std::ops::RangeInclusive<u8> = 1..=23;
}

/// The type of a NAL unit or payload, from its first byte.
pub(crate) fn type_of(header: u8) -> u8 {
    header & 0x1F
}

/// The NAL units that a payload shows the beginning of: itself, those of a STAP-A, or the one whose
/// first fragment it is. Yields `(type, bytes from its header on)`; for a fragment the bytes start
/// at the FU header, so that index 1 is the first byte of the body in each case.
fn visible_units(payload: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let (mut whole, mut aggregated) = (None, payload.get(..0).unwrap_or_default());
    match payload.first().map(|&header| type_of(header)) {
        Some(nal_type::STAP_A) => aggregated = &payload[1..],
        Some(nal_type::FU_A) => {
            let fragment = &payload[1..];
            whole = fragment
                .first()
                .filter(|&&fu| fu & 0x80 != 0)
                .map(|&fu| (type_of(fu), fragment));
        }
        Some(single) => whole = Some((single, payload)),
        None => {}
    }
    whole
        .into_iter()
        .chain(Aggregated(aggregated).map(|unit| (type_of(unit[0]), unit)))
}

/// The NAL units of a STAP-A after its header byte (RFC 6184 §5.7.1); ends at the first that is
/// empty or longer than what is left. None of them is empty.
struct Aggregated<'a>(&'a [u8]);

impl<'a> Iterator for Aggregated<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        if unit.is_empty() {
            return None;
        }
        self.0 = rest;
        Some(unit)
    }
}

/// Whether a payload belongs to the beginning of a key frame: an IDR picture, or a sequence
/// parameter set, which encoders send only before one.
pub fn is_key(payload: &[u8]) -> bool {
    visible_units(payload).any(|(unit, _)| matches!(unit, nal_type::IDR | nal_type::SPS))
}

/// Whether a payload begins a slice of an IDR picture.
pub(crate) fn is_idr(payload: &[u8]) -> bool {
    visible_units(payload).any(|(unit, _)| unit == nal_type::IDR)
}

/// Whether a payload can be proved to stand at the beginning of its access unit: it begins with
/// what precedes the slices (ITU-T H.264 §7.4.1.2.3), or with a slice whose `first_mb_in_slice`
/// is 0 (one bit, set, in Exp-Golomb code).
pub(crate) fn begins_access_unit(payload: &[u8]) -> bool {
    visible_units(payload)
        .next()
        .is_some_and(|(unit, bytes)| match unit {
            nal_type::SLICE | nal_type::IDR => bytes.get(1).is_some_and(|first| first & 0x80 != 0),
            nal_type::SEI..=nal_type::DELIMITER | nal_type::PREFIX => true,
            _ => false,
        })
}
