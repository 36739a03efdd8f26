//! The missing packets of one stream: which were seen, which are to be asked for again and when.
//!
//! A window of the last [`WINDOW`] sequence numbers tells late packets from duplicates; a list of
//! at most [`MAX_MISSING`] holds what is asked for (RFC 4585 §6.2.1). What is too much, too old or
//! asked for too often is given up: the caller then wants a key frame instead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sequence numbers remembered as received or not.
const WINDOW: u64 = 2048;
/// Packets asked for at a time. A larger hole is an outage: a key frame mends it sooner.
const MAX_MISSING: usize = 256;
/// A packet overtaken by others within this time is no loss.
const REORDER_PATIENCE: Duration = Duration::from_millis(5);
/// Times that a packet is asked for.
const MAX_TRIES: u8 = 10;
/// A packet missing for longer is of no use to a live viewer.
const MAX_AGE: Duration = Duration::from_millis(1500);
/// A repetition waits one round trip, within these bounds.
const MIN_RETRY: Duration = Duration::from_millis(20);
const MAX_RETRY: Duration = Duration::from_millis(500);

/// Received and missing packets of one stream.
#[derive(Debug)]
pub(super) struct Missing {
    highest: Option<u64>,
    /// Bit `n % WINDOW` stands for the sequence number `n` of the window that ends at `highest`.
    seen: Box<[u64; (WINDOW / 64) as usize]>,
    /// In ascending order.
    list: VecDeque<Wanted>,
    due: Option<Instant>,
}

#[derive(Copy, Clone, Debug)]
struct Wanted {
    sequence: u64,
    since: Instant,
    due: Instant,
    tries: u8,
}

impl Default for Missing {
    fn default() -> Self {
        Missing {
            highest: None,
            seen: Box::new([0; (WINDOW / 64) as usize]),
            list: VecDeque::new(),
            due: None,
        }
    }
}

impl Missing {
    /// Whether this number, not above the highest, was received or is too old to tell.
    pub(super) fn was_received(&self, sequence: u64) -> bool {
        match self.highest {
            Some(highest) if sequence <= highest => {
                highest - sequence >= WINDOW || self.bit(sequence)
            }
            _ => false,
        }
    }

    /// Notes a received packet. With `ask` (the round-trip time) the packets skipped by it are put
    /// on the list. Returns how many were given up because the hole is too large.
    pub(super) fn on_received(
        &mut self,
        now: Instant,
        sequence: u64,
        ask: Option<Duration>,
    ) -> usize {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            self.set_bit(sequence, true);
            return 0;
        };
        if sequence <= highest {
            self.on_recovered(sequence);
            return 0;
        }
        let skipped = sequence - highest - 1;
        if skipped < WINDOW {
            for skipped in highest + 1..sequence {
                self.set_bit(skipped, false);
            }
        } else {
            self.seen.fill(0);
        }
        self.highest = Some(sequence);
        self.set_bit(sequence, true);

        let mut abandoned = 0;
        if skipped > 0 && ask.is_some() {
            let room = (MAX_MISSING - self.list.len()) as u64;
            if skipped > room {
                abandoned = self.list.len() + usize::try_from(skipped).unwrap_or(usize::MAX);
                self.list.clear();
                self.due = None;
            } else {
                let due = now + REORDER_PATIENCE;
                self.list
                    .extend((highest + 1..sequence).map(|sequence| Wanted {
                        sequence,
                        since: now,
                        due,
                        tries: 0,
                    }));
                self.due = Some(self.due.map_or(due, |before| before.min(due)));
            }
        }
        abandoned
    }

    /// Notes that a missing packet, not above the highest, has come after all.
    pub(super) fn on_recovered(&mut self, sequence: u64) {
        let Some(highest) = self.highest else {
            return;
        };
        if sequence > highest || highest - sequence >= WINDOW {
            return;
        }
        self.set_bit(sequence, true);
        if let Ok(index) = self
            .list
            .binary_search_by_key(&sequence, |wanted| wanted.sequence)
        {
            self.list.remove(index);
            self.plan();
        }
    }

    /// When a packet is to be asked for next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Gives up what is too old or was asked for too often; returns how many.
    pub(super) fn drop_hopeless(&mut self, now: Instant) -> usize {
        let before = self.list.len();
        let oldest = self.highest.unwrap_or(0).saturating_sub(WINDOW - 1);
        self.list.retain(|wanted| {
            let spent = wanted.tries >= MAX_TRIES && wanted.due <= now;
            let old = now.saturating_duration_since(wanted.since) >= MAX_AGE;
            !spent && !old && wanted.sequence >= oldest
        });
        self.plan();
        before - self.list.len()
    }

    /// The numbers to be asked for now, as sent, in ascending order.
    pub(super) fn due_sequences(&self, now: Instant) -> impl Iterator<Item = u16> + '_ {
        self.list
            .iter()
            .filter(move |wanted| wanted.due <= now)
            .map(|wanted| wanted.sequence as u16) // the low 16 bits are the number as sent
    }

    /// Notes that the first `count` of [`Missing::due_sequences`] were asked for.
    pub(super) fn asked(&mut self, now: Instant, count: usize, rtt: Duration) {
        let retry = rtt.clamp(MIN_RETRY, MAX_RETRY);
        for wanted in self
            .list
            .iter_mut()
            .filter(|wanted| wanted.due <= now)
            .take(count)
        {
            wanted.tries = wanted.tries.saturating_add(1);
            wanted.due = now + retry;
        }
        self.plan();
    }

    fn plan(&mut self) {
        self.due = self.list.iter().map(|wanted| wanted.due).min();
    }

    fn bit(&self, sequence: u64) -> bool {
        let place = sequence % WINDOW;
        self.seen[(place / 64) as usize] >> (place % 64) & 1 != 0
    }

    fn set_bit(&mut self, sequence: u64, received: bool) {
        let place = sequence % WINDOW;
        let word = &mut self.seen[(place / 64) as usize];
        *word &= !(1 << (place % 64));
        *word |= u64::from(received) << (place % 64);
    }
}
