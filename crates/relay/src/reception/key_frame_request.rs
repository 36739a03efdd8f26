//! When a publisher is asked for a key frame, and again until it comes (RFC 4585 §6.3.1).

use std::time::{Duration, Instant};

use crate::limits::KEY_FRAME_REQUEST_INTERVAL;

/// A key-frame request is repeated after this time if no key frame came: the PLI or the frame was
/// lost. It doubles with each repetition.
const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(1);
/// Times that one request is written.
const KEY_FRAME_TRIES: u8 = 5;

/// One request may serve many askers: it is sent at once if the last is old enough, else when it
/// is, and again until a key frame comes.
#[derive(Debug, Default)]
pub(super) struct KeyFrameRequest {
    pub due: Option<Instant>,
    last_sent: Option<Instant>,
    tries: u8,
}

impl KeyFrameRequest {
    pub fn ask(&mut self, now: Instant) {
        let earliest = self
            .last_sent
            .map_or(now, |sent| sent + KEY_FRAME_REQUEST_INTERVAL);
        let due = earliest.max(now);
        self.due = Some(self.due.map_or(due, |planned| planned.min(due)));
        self.tries = 0;
    }

    pub fn sent(&mut self, now: Instant) {
        self.last_sent = Some(now);
        self.tries += 1; // at most KEY_FRAME_TRIES: `due` is None from there on
        self.due = (self.tries < KEY_FRAME_TRIES)
            .then(|| now + KEY_FRAME_PATIENCE * (1 << (self.tries - 1)));
    }

    pub fn answered(&mut self) {
        self.due = None;
        self.tries = 0;
    }
}
