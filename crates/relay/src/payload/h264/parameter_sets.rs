//! The parameter sets of a stream, remembered by their identifiers.

use super::{nal_type, type_of};

/// Sets remembered. Encoders use two to four; the standard allows 32 and 256.
pub(super) const MAX_SETS: usize = 24;
/// Longest set remembered; a longer one is passed on where it stands.
const MAX_SET_LEN: usize = 1024;

/// Sequence sets first, then picture sets, as they are to be sent.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sets: Vec<ParameterSet>,
}

#[derive(Debug)]
struct ParameterSet {
    unit: u8,
    id: u32,
    bytes: Vec<u8>,
    /// Seen in the access unit at hand.
    is_fresh: bool,
}

impl ParameterSets {
    /// A new access unit begins.
    pub(super) fn begin(&mut self) {
        for set in &mut self.sets {
            set.is_fresh = false;
        }
    }

    /// Remembers a set, in place of the one with its identifier.
    pub(super) fn learn(&mut self, nal: &[u8]) {
        let Some((unit, id)) = identify(nal) else {
            return;
        };
        if nal.len() > MAX_SET_LEN {
            return;
        }
        if let Some(set) = self
            .sets
            .iter_mut()
            .find(|set| (set.unit, set.id) == (unit, id))
        {
            set.is_fresh = true;
            if set.bytes != nal {
                set.bytes.clear();
                set.bytes.extend_from_slice(nal);
            }
            return;
        }
        if self.sets.len() < MAX_SETS {
            let at = self.sets.partition_point(|set| set.unit <= unit);
            self.sets.insert(
                at,
                ParameterSet {
                    unit,
                    id,
                    bytes: nal.to_vec(),
                    is_fresh: true,
                },
            );
        }
    }

    /// An access unit that brought both kinds says what is valid from here on: older sets go.
    pub(super) fn settle(&mut self) {
        let brought = |unit| self.sets.iter().any(|set| set.unit == unit && set.is_fresh);
        if brought(nal_type::SPS) && brought(nal_type::PPS) {
            self.sets.retain(|set| set.is_fresh);
        }
    }

    /// Whether exactly this set is remembered.
    pub(super) fn contains(&self, nal: &[u8]) -> bool {
        self.sets.iter().any(|set| set.bytes == nal)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.sets.iter().map(|set| set.bytes.as_slice())
    }
}

/// Type and identifier of a parameter set (ITU-T H.264 §7.3.2.1.1, §7.3.2.2).
fn identify(nal: &[u8]) -> Option<(u8, u32)> {
    let (&header, body) = nal.split_first()?;
    match type_of(header) {
        // profile_idc, constraint flags and level_idc stand before the identifier.
        unit @ nal_type::SPS => Some((unit, Bits::new(body.get(3..)?).exp_golomb()?)),
        unit @ nal_type::PPS => Some((unit, Bits::new(body).exp_golomb()?)),
        _ => None,
    }
}

/// `profile_idc`, constraint flags and `level_idc` of a sequence parameter set (without start
/// code): what SDP writes as `profile-level-id` in hex (RFC 6184 §8.1).
pub fn profile_level_id(sps: &[u8]) -> Option<[u8; 3]> {
    let (&header, body) = sps.split_first()?;
    if type_of(header) != nal_type::SPS {
        return None;
    }
    body.first_chunk::<3>().copied()
}

/// Bits from the top. Emulation prevention bytes need not be removed: the identifiers read here
/// end before three bytes of any NAL unit could need one.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    /// ue(v), ITU-T H.264 §9.1. Identifiers go up to 255: at most 8 leading zeros.
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 8 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_in_exp_golomb_code() {
        assert_eq!(identify(&[0x67, 66, 0xC0, 31, 0x80]), Some((7, 0)));
        assert_eq!(identify(&[0x67, 66, 0xC0, 31, 0b0110_0000]), Some((7, 2)));
        assert_eq!(
            identify(&[0x68, 0b0000_0000, 0b1000_0000, 0]),
            Some((8, 255))
        );
        assert_eq!(identify(&[0x68, 0, 0, 0, 0]), None);
        assert_eq!(identify(&[0x67, 66, 0xC0]), None);
    }

    #[test]
    fn profile_and_level_are_the_three_bytes_after_the_header() {
        assert_eq!(
            profile_level_id(&[0x67, 0x42, 0xE0, 0x1F, 0x80]),
            Some([0x42, 0xE0, 0x1F])
        );
        assert_eq!(profile_level_id(&[0x68, 0x42, 0xE0, 0x1F]), None);
        assert_eq!(profile_level_id(&[0x67, 0x42]), None);
    }
}
