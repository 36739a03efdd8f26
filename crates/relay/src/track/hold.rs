//! Packets that entered a track and that its viewers may not read yet.
//!
//! The packets of a frame come one by one, and each alone would cost every viewer a system call's
//! worth of work. So they are held until the frame is whole, a run is long enough or the first of
//! them is [`limits::HOLD`] old; a decoder waits for the whole frame anyway.

use std::time::Instant;

use crate::limits;

/// How far viewers may read, in arrival numbers.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Up to which they may.
    released: u64,
    /// Up to which they were called.
    called: u64,
    /// Since when the oldest packet that is not released waits.
    since: Option<Instant>,
}

impl Hold {
    pub fn released(&self) -> u64 {
        self.released
    }

    /// Whether there are packets below `next` that [`Hold::release`] has not told of.
    pub fn has_news(&self, next: u64) -> bool {
        self.called < next
    }

    /// A packet entered. `is_whole`: nobody needs to wait for another behind it.
    pub fn enter(&mut self, arrival: u64, is_whole: bool, entered: Instant) {
        let is_run = arrival + 1 >= self.released + limits::HELD_PACKETS;
        if is_whole || is_run {
            self.release_all(arrival + 1);
        } else {
            self.since.get_or_insert(entered);
        }
    }

    /// Releases what was held for long enough. Returns whether viewers may read more than at the
    /// call before, and when the rest is due. `next` is the arrival number behind the last.
    pub fn release(&mut self, now: Instant, next: u64) -> (bool, Option<Instant>) {
        if self.since.is_some_and(|since| since + limits::HOLD <= now) {
            self.release_all(next);
        }
        let is_more = self.called < self.released;
        self.called = self.released;
        (is_more, self.since.map(|since| since + limits::HOLD))
    }

    fn release_all(&mut self, next: u64) {
        self.released = next;
        self.since = None;
    }
}
