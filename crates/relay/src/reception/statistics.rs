//! Loss and jitter of one stream (RFC 3550 A.3 and A.8).

use std::time::Instant;

/// Counters that receiver reports are made from.
#[derive(Debug, Default)]
pub(super) struct Interarrival {
    /// Time and extended sequence number of the first packet.
    origin: Option<(Instant, u64)>,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    fraction_lost: u8,
    /// Transit time of the last packet, in timestamp units, wrapping: only differences count.
    transit: Option<u32>,
    /// Sixteen times the jitter estimate, as in A.8.
    jitter_16: u32,
}

impl Interarrival {
    /// Notes the arrival of any packet of the stream, duplicates included (RFC 3550 A.3).
    pub(super) fn note(
        &mut self,
        now: Instant,
        extended_seq: u64,
        timestamp: u32,
        clock_rate: u32,
    ) {
        self.received += 1;
        let (origin, _) = *self.origin.get_or_insert((now, extended_seq));
        let since = now.saturating_duration_since(origin);
        let arrival = since.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp); // wraps as the timestamp does
        if let Some(before) = self.transit.replace(transit) {
            // RFC 3550 A.8: J += |D| - ((J + 8) >> 4). A jump of the timestamps' origin would keep
            // the estimate high for long: it counts as one second.
            let difference = (transit.wrapping_sub(before) as i32)
                .unsigned_abs()
                .min(clock_rate);
            let decay = (self.jitter_16.saturating_add(8)) >> 4;
            self.jitter_16 = self
                .jitter_16
                .saturating_add(difference)
                .saturating_sub(decay);
        }
    }

    /// Packets that should have come so far, given the highest extended sequence number.
    fn expected(&self, highest: Option<u64>) -> u64 {
        match (self.origin, highest) {
            (Some((_, first)), Some(highest)) => highest.saturating_sub(first) + 1,
            _ => 0,
        }
    }

    /// Packets expected and not received; negative if duplicates outnumber losses.
    pub(super) fn lost(&self, highest: Option<u64>) -> i64 {
        let (expected, received) = (self.expected(highest), self.received);
        i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(received).unwrap_or(i64::MAX)
    }

    /// Ends a report interval: `(fraction lost in it, in 1/256; packets lost so far)`.
    pub(super) fn interval_loss(&mut self, highest: Option<u64>) -> (u8, i64) {
        let expected = self.expected(highest);
        let expected_interval = expected - self.expected_prior; // `highest` never falls
        let received_interval = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        self.fraction_lost = match lost_interval
            .saturating_mul(256)
            .checked_div(expected_interval)
        {
            Some(fraction) => u8::try_from(fraction).unwrap_or(u8::MAX), // 256: all were lost
            None => 0,
        };
        (self.fraction_lost, self.lost(highest))
    }

    /// The fraction that [`Interarrival::interval_loss`] returned last.
    pub(super) fn last_fraction_lost(&self) -> u8 {
        self.fraction_lost
    }

    /// Jitter in timestamp units.
    pub(super) fn jitter(&self) -> u32 {
        self.jitter_16 >> 4
    }
}
