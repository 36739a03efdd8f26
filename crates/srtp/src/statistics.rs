//! What a context has counted, per SSRC and in all.

use crate::error::SrtpError;

/// What a context knows of one SSRC.
///
/// Bytes are those of plain packets. What was refused is counted for SSRCs that the context knows;
/// [`Totals`] has the rest.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct StreamStatistics {
    /// The synchronisation source.
    pub ssrc: u32,
    /// SRTP packets protected or opened.
    pub rtp_packets: u64,
    /// The bytes of those.
    pub rtp_bytes: u64,
    /// SRTCP packets protected or opened.
    pub rtcp_packets: u64,
    /// The bytes of those.
    pub rtcp_bytes: u64,
    /// Packets refused because their index had been received, or was used by this sender.
    pub replayed: u64,
    /// Packets refused because they were behind the replay window.
    pub too_old: u64,
    /// Packets refused because their tag did not fit. Anyone can make this number grow.
    pub authentication_failed: u64,
    /// The rollover counter of the newest packet, or the one that was set.
    pub roc: u32,
    /// The newest SRTP index: the rollover counter times 2^16 and the sequence number.
    pub highest_index: Option<u64>,
    /// The newest SRTCP index.
    pub highest_rtcp_index: Option<u32>,
}

/// What a context has counted over all SSRCs, known or not.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct Totals {
    /// SRTP packets protected or opened.
    pub rtp_packets: u64,
    /// The bytes of those, as plain packets.
    pub rtp_bytes: u64,
    /// SRTCP packets protected or opened.
    pub rtcp_packets: u64,
    /// The bytes of those, as plain packets.
    pub rtcp_bytes: u64,
    refused: [u64; SrtpError::ALL.len()],
}

impl Totals {
    /// How many packets met this fate.
    #[must_use]
    pub const fn refused(&self, fate: SrtpError) -> u64 {
        self.refused[fate as usize]
    }

    /// These refusals and the sums of what the streams have counted.
    pub(crate) fn with_streams(mut self, streams: impl Iterator<Item = StreamStatistics>) -> Self {
        for stream in streams {
            self.rtp_packets += stream.rtp_packets;
            self.rtp_bytes += stream.rtp_bytes;
            self.rtcp_packets += stream.rtcp_packets;
            self.rtcp_bytes += stream.rtcp_bytes;
        }
        self
    }

    #[cold]
    pub(crate) fn count_refused(&mut self, fate: SrtpError) {
        self.refused[fate as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_has_a_counter_of_its_own() {
        let mut totals = Totals::default();
        for (number, fate) in SrtpError::ALL.into_iter().enumerate() {
            for _ in 0..=number {
                totals.count_refused(fate);
            }
        }
        for (number, fate) in SrtpError::ALL.into_iter().enumerate() {
            assert_eq!(totals.refused(fate), number as u64 + 1);
        }
    }
}
