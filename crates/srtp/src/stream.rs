//! What a context remembers of one SSRC.

use crate::error::SrtpError;
use crate::index::nearest;
use crate::replay::{Seen, Window};
use crate::statistics::StreamStatistics;

/// The rollover counter of an SSRC could not be set.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, thiserror::Error)]
pub enum RocError {
    /// A packet of the SSRC was protected or opened, so the counter is known.
    #[error("a packet of this SSRC has settled its rollover counter")]
    StreamStarted,
    /// As [`SrtpError::TooManySsrcs`].
    #[error("the context holds as many SSRCs as it may")]
    TooManySsrcs,
    /// As [`SrtpError::SsrcNotDeclared`].
    #[error("the SSRC is not one that the context was made for")]
    SsrcNotDeclared,
}

impl RocError {
    pub(crate) const CODE: &'static str = "SRTP.ROC_TOO_LATE";

    /// The code that events and documents use.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::StreamStarted => Self::CODE,
            Self::TooManySsrcs => SrtpError::TooManySsrcs.code(),
            Self::SsrcNotDeclared => SrtpError::SsrcNotDeclared.code(),
        }
    }
}

/// Of `SsrcTable::admits`, which has two reasons to refuse.
impl From<SrtpError> for RocError {
    fn from(refusal: SrtpError) -> Self {
        match refusal {
            SrtpError::SsrcNotDeclared => Self::SsrcNotDeclared,
            _ => Self::TooManySsrcs,
        }
    }
}

/// The indices of SRTP: 16 bits of sequence number under 32 bits of rollover counter.
pub(crate) type RtpTrack = Track<16, 32>;

/// Which indices of one SSRC are used, and which index a sequence number means.
///
/// The widths of the sequence number and of the rollover counter are parameters so that a test can
/// walk every rollover of narrow ones, to the very last index.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Track<const SEQUENCE: u32, const ROLLOVER: u32> {
    roc_at_start: u64,
    window: Window,
}

impl<const SEQUENCE: u32, const ROLLOVER: u32> Track<SEQUENCE, ROLLOVER> {
    const END: u64 = 1 << (SEQUENCE + ROLLOVER);

    pub(crate) fn new(window_len: u64) -> Self {
        Self {
            roc_at_start: 0,
            window: Window::new(window_len),
        }
    }

    /// Where the rollover counter of the first packet is.
    pub(crate) fn start_at(&mut self, roc: u32) -> Result<(), RocError> {
        if self.window.newest().is_some() {
            return Err(RocError::StreamStarted);
        }
        self.roc_at_start = u64::from(roc);
        Ok(())
    }

    /// The index that a sequence number means (RFC 3711 §3.3.1); `None` when it would be past the
    /// last one, for which the SSRC would need a rollover counter that does not exist.
    #[inline(always)]
    pub(crate) fn index_of(&self, sequence: u16) -> Option<u64> {
        let sequence = u64::from(sequence);
        let index = match self.window.newest() {
            Some(newest) => nearest::<SEQUENCE>(newest, sequence),
            None => (self.roc_at_start << SEQUENCE) + sequence,
        };
        (index < Self::END).then_some(index)
    }

    #[inline(always)]
    pub(crate) fn check(&self, index: u64) -> Seen {
        self.window.check(index)
    }

    #[inline(always)]
    pub(crate) fn record(&mut self, index: u64) {
        self.window.record(index);
    }

    pub(crate) const fn newest(&self) -> Option<u64> {
        self.window.newest()
    }

    pub(crate) fn roc(&self) -> u32 {
        let roc = match self.window.newest() {
            Some(newest) => newest >> SEQUENCE,
            None => self.roc_at_start,
        };
        // An index has no more than 32 bits above its sequence number.
        roc as u32
    }
}

/// What has passed and what has not, for one SSRC.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Counts {
    rtp_packets: u64,
    rtp_bytes: u64,
    rtcp_packets: u64,
    rtcp_bytes: u64,
    replayed: u64,
    too_old: u64,
    authentication_failed: u64,
}

impl Counts {
    #[inline(always)]
    pub(crate) fn count_rtp(&mut self, len: usize) {
        self.rtp_packets += 1;
        self.rtp_bytes += len as u64;
    }

    #[inline]
    pub(crate) fn count_rtcp(&mut self, len: usize) {
        self.rtcp_packets += 1;
        self.rtcp_bytes += len as u64;
    }

    #[cold]
    pub(crate) fn count_refused(&mut self, fate: SrtpError) {
        match fate {
            SrtpError::Replayed | SrtpError::IndexUsed => self.replayed += 1,
            SrtpError::TooOld => self.too_old += 1,
            SrtpError::AuthenticationFailed => self.authentication_failed += 1,
            _ => {}
        }
    }

    pub(crate) fn statistics(
        &self,
        ssrc: u32,
        rtp: &RtpTrack,
        highest_rtcp_index: Option<u32>,
    ) -> StreamStatistics {
        StreamStatistics {
            ssrc,
            rtp_packets: self.rtp_packets,
            rtp_bytes: self.rtp_bytes,
            rtcp_packets: self.rtcp_packets,
            rtcp_bytes: self.rtcp_bytes,
            replayed: self.replayed,
            too_old: self.too_old,
            authentication_failed: self.authentication_failed,
            roc: rtp.roc(),
            highest_index: rtp.newest(),
            highest_rtcp_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six bits of sequence number and two of rollover counter, with the smallest window.
    type Narrow = Track<6, 2>;

    /// Every distance that a packet can have from the newest one, at every index of the whole
    /// life of an SSRC: guessed right, accepted once, refused twice.
    #[test]
    fn with_narrow_counters_every_index_is_guessed_right_and_taken_once() {
        let half = 1_u64 << 5;
        for newest in 0..Narrow::END {
            let nearby = newest.saturating_sub(half - 1)..Narrow::END.min(newest + half + 1);
            for index in nearby {
                let mut track = Narrow::new(64);
                let (roc, first) = (newest >> 6, newest & 63);
                track.start_at(roc as u32).expect("no packet yet");
                assert_eq!(track.index_of(first as u16), Some(newest));
                track.record(newest);
                assert_eq!(track.index_of((index & 63) as u16), Some(index));
                let expected = if index == newest { Seen::Yes } else { Seen::No };
                assert_eq!(track.check(index), expected);
                if expected == Seen::No {
                    track.record(index);
                }
                assert_eq!(track.check(index), Seen::Yes);
                assert_eq!(u64::from(track.roc()), newest.max(index) >> 6);
            }
        }
    }

    #[test]
    fn past_the_last_index_there_is_none() {
        let mut track = Narrow::new(64);
        track.start_at(3).expect("no packet yet");
        track.record(Narrow::END - 1);
        for sequence in 0..32 {
            assert_eq!(track.index_of(sequence), None);
        }
        assert_eq!(track.index_of(63), Some(Narrow::END - 1));
    }

    /// The whole life of an SSRC in order, with every pattern of loss over six packets.
    #[test]
    fn with_narrow_counters_no_pattern_of_loss_loses_the_rollover() {
        for pattern in 1_u64..64 {
            let mut track = Narrow::new(64);
            for index in (0..Narrow::END).filter(|index| pattern >> (index % 6) & 1 == 1) {
                assert_eq!(track.index_of((index & 63) as u16), Some(index));
                assert_eq!(track.check(index), Seen::No);
                track.record(index);
            }
        }
    }
}
