//! Access units to payloads.

use super::parameter_sets::{ParameterSets, MAX_SETS};
use super::{nal_type, type_of};
use crate::payload::PayloadError;

/// FU indicator and FU header (RFC 6184 §5.8).
const FU_HEAD_LEN: usize = 2;
/// Smallest payload size that is worth cutting into.
const MIN_PAYLOAD: usize = 16;

/// Cuts Annex B access units into RTP payloads; remembers the stream's parameter sets.
#[derive(Debug, Default)]
pub struct Packetizer {
    sets: ParameterSets,
}

impl Packetizer {
    /// A stream whose parameter sets are not known yet.
    pub fn new() -> Packetizer {
        Packetizer::default()
    }

    /// Remembers parameter sets from outside the stream: Annex B, like an encoder's extradata.
    pub fn learn(&mut self, annex_b: &[u8]) {
        NalUnits::new(annex_b)
            .filter(|nal| !is_damaged(nal))
            .for_each(|nal| self.sets.learn(nal));
    }

    /// Cuts one access unit into payloads of at most `max_payload` bytes and hands each to `emit`
    /// in parts to be written one after the other; `last` marks the last payload, whose packet gets
    /// the marker bit. Before an IDR picture all known parameter sets are sent, aggregated.
    /// Delimiters, filler and units marked as damaged are dropped; an access unit without a slice is only learnt from.
    ///
    /// Returns the number of payloads. Allocates only when a parameter set changes.
    ///
    /// # Errors
    /// [`PayloadError::NotAnnexB`] without any start code, [`PayloadError::RoomTooSmall`] for a
    /// `max_payload` below 16. Nothing was emitted.
    pub fn packetize(
        &mut self,
        access_unit: &[u8],
        max_payload: usize,
        mut emit: impl FnMut(&[&[u8]], bool),
    ) -> Result<usize, PayloadError> {
        if max_payload < MIN_PAYLOAD {
            return Err(PayloadError::RoomTooSmall);
        }
        let max_payload = max_payload.min(usize::from(u16::MAX)); // what a STAP-A can express
        let (mut has_units, mut has_idr, mut sent) = (false, false, 0_usize);
        let mut has_slice = false;
        self.sets.begin();
        for nal in NalUnits::new(access_unit) {
            has_units = true;
            if is_damaged(nal) {
                continue;
            }
            match type_of(nal[0]) {
                nal_type::SPS | nal_type::PPS => self.sets.learn(nal),
                unit @ nal_type::SLICE..=nal_type::IDR => {
                    has_idr |= unit == nal_type::IDR;
                    has_slice = true;
                }
                _ => {}
            }
        }
        self.sets.settle();
        if !has_units {
            return Err(PayloadError::NotAnnexB);
        }
        if !has_slice {
            return Ok(0);
        }

        let sets = &self.sets;
        let is_sent = |nal: &&[u8]| match type_of(nal[0]) {
            _ if is_damaged(nal) => false,
            // Types outside the codec's own range would be read as STAP, MTAP or FU.
            nal_type::DELIMITER | nal_type::FILLER => false,
            nal_type::SPS | nal_type::PPS => !(has_idr && sets.contains(nal)), // sent in front
            unit => nal_type::SINGLE.contains(&unit),
        };
        let mut emit = |parts: &[&[u8]], last: bool| {
            sent += 1;
            emit(parts, last);
        };
        if has_idr {
            emit_parameter_sets(sets, max_payload, &mut emit);
        }
        let mut units = NalUnits::new(access_unit).filter(is_sent).peekable();
        while let Some(nal) = units.next() {
            emit_unit(nal, max_payload, units.peek().is_none(), &mut emit);
        }
        Ok(sent)
    }
}

/// Whether the unit itself says that it is broken (forbidden_zero_bit, RFC 6184 §1.3).
const fn is_damaged(nal: &[u8]) -> bool {
    nal[0] & 0x80 != 0
}

/// All sets, as few payloads as they fit into: STAP-A (RFC 6184 §5.7.1), or alone.
fn emit_parameter_sets(
    sets: &ParameterSets,
    max_payload: usize,
    emit: &mut impl FnMut(&[&[u8]], bool),
) {
    let mut group: [&[u8]; MAX_SETS] = [&[]; MAX_SETS];
    let (mut count, mut len) = (0, 1);
    for set in sets.iter().take(MAX_SETS) {
        if count > 0 && len + 2 + set.len() > max_payload {
            emit_group(&group[..count], max_payload, emit);
            (count, len) = (0, 1);
        }
        group[count] = set;
        count += 1;
        len += 2 + set.len();
    }
    if count > 0 {
        emit_group(&group[..count], max_payload, emit);
    }
}

fn emit_group(group: &[&[u8]], max_payload: usize, emit: &mut impl FnMut(&[&[u8]], bool)) {
    if let [single] = group {
        return emit_unit(single, max_payload, false, emit);
    }
    // The highest importance of the aggregated units (RFC 6184 §5.7.1).
    let importance = group.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
    let header = [importance | nal_type::STAP_A];
    let mut lens = [[0_u8; 2]; MAX_SETS];
    let mut parts: [&[u8]; 1 + 2 * MAX_SETS] = [&[]; 1 + 2 * MAX_SETS];
    for (len, nal) in lens.iter_mut().zip(group) {
        *len = (nal.len() as u16).to_be_bytes(); // at most `max_payload`, checked by the grouping
    }
    parts[0] = &header;
    for (index, (len, nal)) in lens.iter().zip(group).enumerate() {
        parts[1 + 2 * index] = len;
        parts[2 + 2 * index] = nal;
    }
    emit(&parts[..1 + 2 * group.len()], false);
}

/// One NAL unit, alone or in fragments (FU-A, RFC 6184 §5.8). All fragments but the last have the
/// same size, which lets the kernel segment them in one call.
fn emit_unit(nal: &[u8], max_payload: usize, last: bool, emit: &mut impl FnMut(&[&[u8]], bool)) {
    if nal.len() <= max_payload {
        return emit(&[nal], last);
    }
    let Some((&header, body)) = nal.split_first() else {
        return;
    };
    let indicator = header & 0x60 | nal_type::FU_A;
    let mut fragments = body.chunks(max_payload - FU_HEAD_LEN).peekable();
    let mut start = 0x80;
    while let Some(fragment) = fragments.next() {
        let end = if fragments.peek().is_none() { 0x40 } else { 0 };
        let head = [indicator, start | end | type_of(header)];
        emit(&[&head, fragment], last && end != 0);
        start = 0;
    }
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros; none is empty.
/// Bytes before the first start code are skipped.
#[derive(Clone)]
struct NalUnits<'a> {
    /// From behind a start code on.
    rest: Option<&'a [u8]>,
}

impl<'a> NalUnits<'a> {
    fn new(stream: &'a [u8]) -> Self {
        NalUnits {
            rest: find_start_code(stream).map(|at| &stream[at + 3..]),
        }
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest.take()?;
            let end = match find_start_code(rest) {
                Some(at) => {
                    self.rest = Some(&rest[at + 3..]);
                    at
                }
                None => rest.len(),
            };
            // A NAL unit never ends in zero: those belong to the start code or fill the stream.
            let len = rest[..end]
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |at| at + 1);
            if len > 0 {
                return Some(&rest[..len]);
            }
        }
    }
}

/// Index of the first `00 00 01`.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            [_, _, 0] => at += 1,
            _ => at += 3, // the third byte is neither zero nor the end of a start code here
        }
    }
}
