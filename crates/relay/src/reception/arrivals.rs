//! Arrival times of packets that carry transport-wide sequence numbers.
//!
//! A fixed ring; a late packet is reported again together with what followed it, as libwebrtc's
//! own receiver does: the sender ignores what it knows already.

use std::time::Instant;

use crate::rtp::ExtendedSequence;

/// Packets remembered: two seconds at 10 Mbit/s in full packets.
/// [`crate::rtcp::CompoundWriter`] covers as many in one message.
const RING: usize = 2048;
/// A slot without an arrival.
const NONE: i64 = i64::MIN;
/// Microseconds in a tick of the feedback's clock.
const TICK_US: u128 = 250;

/// Ring of arrival times, by transport-wide sequence number.
#[derive(Debug)]
pub(super) struct TransportArrivals {
    epoch: Instant,
    sequence: ExtendedSequence,
    /// First packet of the next feedback message: the one after the last reported, or a late one.
    next: u64,
    /// Lowest number that the ring still holds.
    oldest: u64,
    /// Arrival in ticks since `epoch`, at `number % RING`; made with the first packet.
    ticks: Vec<i64>,
}

impl TransportArrivals {
    pub(super) fn new(epoch: Instant) -> Self {
        TransportArrivals {
            epoch,
            sequence: ExtendedSequence::default(),
            next: 0,
            oldest: 0,
            ticks: Vec::new(),
        }
    }

    /// Notes a packet; one older than the ring is ignored.
    pub(super) fn note(&mut self, now: Instant, sequence: u16) {
        if self.ticks.is_empty() {
            self.ticks = vec![NONE; RING];
        }
        let before = self.sequence.highest();
        let number = self.sequence.unwrap(sequence);
        match before {
            None => (self.oldest, self.next) = (number, number),
            Some(highest) if number > highest => {
                if number - highest >= RING as u64 {
                    // An outage or a restart: what lies between is of no use to the sender.
                    self.ticks.fill(NONE);
                    self.oldest = number;
                    self.next = number;
                } else {
                    for between in highest + 1..number {
                        self.ticks[slot(between)] = NONE;
                    }
                    self.oldest = self.oldest.max((number + 1).saturating_sub(RING as u64));
                    self.next = self.next.max(self.oldest);
                }
            }
            Some(highest) => {
                if highest - number >= RING as u64 / 2 {
                    return;
                }
                if number < self.oldest {
                    // Older than the first packet, yet near it: its slot and those between were
                    // never written since the ring was cleared.
                    self.oldest = number;
                }
                if self.ticks[slot(number)] != NONE {
                    return; // a duplicate: the first arrival counts
                }
            }
        }
        let elapsed = now.saturating_duration_since(self.epoch).as_micros() / TICK_US;
        self.ticks[slot(number)] = i64::try_from(elapsed).unwrap_or(i64::MAX);
        self.next = self.next.min(number);
    }

    /// Whether packets came that were not reported.
    pub(super) fn has_unreported(&self) -> bool {
        self.sequence
            .highest()
            .is_some_and(|highest| self.next <= highest)
    }

    /// Number of the first packet to be reported, as sent, and the arrivals from it on. The last
    /// of them is one that was received.
    pub(super) fn unreported(&self) -> (u16, impl Iterator<Item = Option<i64>> + '_) {
        let end = self.sequence.highest().map_or(0, |highest| highest + 1);
        let arrivals = (self.next..end).map(|number| {
            let ticks = self.ticks[slot(number)];
            (ticks != NONE).then_some(ticks)
        });
        (self.next as u16, arrivals) // the low 16 bits are the number as sent
    }

    /// Notes that the first `covered` of [`TransportArrivals::unreported`] were reported.
    pub(super) fn reported(&mut self, covered: usize) {
        self.next += covered as u64;
    }

    /// Gives up what was not reported.
    pub(super) fn skip(&mut self) {
        self.next = self.sequence.highest().map_or(0, |highest| highest + 1);
    }
}

fn slot(number: u64) -> usize {
    (number % RING as u64) as usize
}
