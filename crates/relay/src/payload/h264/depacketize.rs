//! Payloads to NAL units in Annex B form.

use super::{nal_type, type_of, Aggregated};
use crate::payload::PayloadError;

/// What stands before each NAL unit (ITU-T H.264 Annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Appends NAL units to an access unit; remembers only whether a fragment is open.
#[derive(Debug, Default)]
pub struct Units {
    /// Type of the NAL unit whose fragments are coming.
    open: Option<u8>,
}

impl Units {
    /// Appends what `payload` holds to `data`.
    ///
    /// # Errors
    /// [`PayloadError::Malformed`] for an unknown type, a broken aggregate, a fragment without its
    /// beginning or anything else while a fragment is open. `data` may then hold a part of it: the
    /// access unit is to be dropped.
    pub fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), PayloadError> {
        let (&header, rest) = payload.split_first().ok_or(PayloadError::Malformed)?;
        // The forbidden bit says that a middle box saw a damaged unit (RFC 6184 §1.3).
        if header & 0x80 != 0 {
            return Err(PayloadError::Malformed);
        }
        match type_of(header) {
            nal_type::FU_A => return self.append_fragment(header, rest, data),
            _ if self.open.is_some() => return Err(PayloadError::Malformed),
            nal_type::STAP_A => {
                let mut len = 0;
                for unit in Aggregated(rest) {
                    if !nal_type::SINGLE.contains(&type_of(unit[0])) {
                        return Err(PayloadError::Malformed);
                    }
                    append_unit(unit, data);
                    len += 2 + unit.len();
                }
                if len == 0 || len != rest.len() {
                    return Err(PayloadError::Malformed);
                }
            }
            single if nal_type::SINGLE.contains(&single) => append_unit(payload, data),
            _ => return Err(PayloadError::Malformed),
        }
        Ok(())
    }

    /// RFC 6184 §5.8: start and end never both, the start exactly once and first.
    fn append_fragment(
        &mut self,
        indicator: u8,
        rest: &[u8],
        data: &mut Vec<u8>,
    ) -> Result<(), PayloadError> {
        let (&fu, fragment) = rest.split_first().ok_or(PayloadError::Malformed)?;
        let (is_start, is_end, unit) = (fu & 0x80 != 0, fu & 0x40 != 0, type_of(fu));
        let is_fitting = match self.open {
            None => is_start && !is_end && nal_type::SINGLE.contains(&unit),
            Some(open) => !is_start && open == unit,
        };
        if !is_fitting || fragment.is_empty() {
            return Err(PayloadError::Malformed);
        }
        if is_start {
            data.extend_from_slice(&START_CODE);
            data.push(indicator & 0x60 | unit);
        }
        data.extend_from_slice(fragment);
        self.open = (!is_end).then_some(unit);
        Ok(())
    }

    /// Ends the access unit; `false` if a fragment was left open.
    pub fn finish(&mut self) -> bool {
        self.open.take().is_none()
    }
}

fn append_unit(unit: &[u8], data: &mut Vec<u8>) {
    data.extend_from_slice(&START_CODE);
    data.extend_from_slice(unit);
}
