//! A snapshot of everything, taken a bounded part per turn of the loop.
//!
//! Thousands of legs have tens of thousands of numbers, and media must not wait while they are
//! written down: each turn reads at most [`limits::SURVEY_ROWS_PER_TURN`] legs and tracks, so a
//! row's numbers are of one moment and the rows of one snapshot are a few turns apart. Whoever
//! comes or goes in between may be in it or not.
//!
//! It sorts and serializes nothing: that is the work of whoever asked.

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::legs::Legs;
use crate::limits;
use crate::routes::Index;
use crate::snapshot::{LegSnapshot, Snapshot, TrackSnapshot};
use crate::spec::TrackId;
use crate::tracks::Tracks;

/// One snapshot on its way.
struct Survey {
    asker: Sender<Snapshot>,
    next_leg: Index,
    tracks_left: Vec<TrackId>,
    found: Snapshot,
}

/// Snapshots that were asked for, in the order of asking.
#[derive(Default)]
pub(crate) struct Surveys {
    waiting: VecDeque<Survey>,
}

impl Surveys {
    /// Begins one. Of too many at a time, the last one gets no answer: its asker is dropped, which
    /// it sees at once.
    pub fn begin(&mut self, asker: Sender<Snapshot>, tracks: &Tracks) {
        if self.waiting.len() < limits::SURVEYS {
            self.waiting.push_back(Survey {
                asker,
                next_leg: 0,
                tracks_left: tracks.iter().map(|track| track.id()).collect(),
                found: Snapshot::default(),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Reads this turn's rows. `complete` gets every snapshot whose rows are all read, to add what
    /// is no row.
    pub fn advance(
        &mut self,
        now: Instant,
        legs: &Legs,
        tracks: &Tracks,
        complete: impl Fn(&mut Snapshot),
    ) {
        let mut rows_left = limits::SURVEY_ROWS_PER_TURN;
        while let Some(survey) = self.waiting.front_mut() {
            survey.read(now, legs, tracks, &mut rows_left);
            if rows_left == 0 {
                return;
            }
            if let Some(mut whole) = self.waiting.pop_front() {
                complete(&mut whole.found);
                // An asker that no longer waits is no error.
                let _ = whole.asker.try_send(whole.found);
            }
        }
    }
}

impl Survey {
    /// Reads until there is nothing left, or no row may be read any more.
    fn read(&mut self, now: Instant, legs: &Legs, tracks: &Tracks, rows_left: &mut usize) {
        while *rows_left > 0 && self.next_leg < legs.places().end {
            // An empty place costs a look, too.
            *rows_left -= 1;
            if let Some(entry) = legs.get(self.next_leg) {
                self.found.legs.push(LegSnapshot::of(entry, now));
            }
            self.next_leg += 1;
        }
        while *rows_left > 0 {
            let Some(id) = self.tracks_left.pop() else {
                return;
            };
            *rows_left -= 1;
            if let Some(track) = tracks.get(id) {
                self.found.tracks.push(TrackSnapshot::of(track, now));
            }
        }
    }
}
