//! The key frames in a track's history: where a viewer may start.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;

/// A key frame in the history.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct KeyFrame {
    /// Arrival number of the first packet of it that came.
    pub arrival: u64,
    /// Sequence number of its first packet.
    pub sequence: u64,
    pub(super) timestamp: u64,
    pub(super) entered: Instant,
}

/// The newest of them, oldest first.
#[derive(Debug)]
pub(super) struct KeyFrames {
    recent: VecDeque<KeyFrame>,
    count: u64,
    is_announced: bool,
}

impl KeyFrames {
    pub fn new() -> KeyFrames {
        KeyFrames {
            recent: VecDeque::with_capacity(limits::KEY_FRAMES),
            count: 0,
            is_announced: false,
        }
    }

    pub fn note(&mut self, found: KeyFrame) {
        // Parameter sets and the picture of one key frame share a timestamp; any of them may come
        // first.
        if let Some(known) = self
            .recent
            .iter_mut()
            .rev()
            .find(|known| known.timestamp == found.timestamp)
        {
            known.sequence = known.sequence.min(found.sequence);
            return;
        }
        if self.recent.len() == limits::KEY_FRAMES {
            self.recent.pop_front();
        }
        self.recent.push_back(found);
        self.count += 1;
    }

    /// The newest one, if the history, whose oldest arrival number is given, still has all of it.
    pub fn newest(&self, oldest: u64) -> Option<KeyFrame> {
        let newest = self.recent.back().copied();
        newest.filter(|key| key.arrival >= oldest)
    }

    /// How long ago the newest came.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let newest = self.recent.back();
        newest.map(|key| now.saturating_duration_since(key.entered))
    }

    /// How many there ever were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Another source goes live: its first key frame is to be announced again.
    pub fn begin_source(&mut self) {
        self.is_announced = false;
    }

    /// True once per source, as soon as there is a key frame.
    pub fn take_announcement(&mut self) -> bool {
        let is_first = !self.is_announced && self.count > 0;
        self.is_announced |= is_first;
        is_first
    }
}
