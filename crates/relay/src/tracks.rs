//! The table of tracks: what enters them, and which of them have news for their viewers.

use std::collections::HashMap;
use std::time::Instant;

use crate::codes as code;
use crate::event::Event;
use crate::limits;
use crate::outbox::Outbox;
use crate::spec::{Kind, SourceId, TrackId};
use crate::track::{Incoming, Outcome, Track};

/// All tracks of a shard.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    by_id: HashMap<TrackId, Track>,
    /// Tracks with packets that their viewers were not called for yet.
    stirred: Vec<TrackId>,
}

impl Tracks {
    pub fn is_full(&self) -> bool {
        self.by_id.len() >= limits::TRACKS
    }

    pub fn contains(&self, id: TrackId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn insert(&mut self, track: Track) {
        self.by_id.insert(track.id(), track);
    }

    pub fn remove(&mut self, id: TrackId) {
        self.by_id.remove(&id);
        self.stirred.retain(|stirred| *stirred != id);
    }

    pub fn get(&self, id: TrackId) -> Option<&Track> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: TrackId) -> Option<&mut Track> {
        self.by_id.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Track> {
        self.by_id.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.by_id.values_mut()
    }

    /// A packet's way into its track, and what the caller is told about it.
    pub fn enter(
        &mut self,
        outbox: &mut Outbox,
        id: TrackId,
        source: SourceId,
        packet: Incoming<'_>,
    ) -> Outcome {
        let Some(track) = self.by_id.get(&id) else {
            return Outcome::Dropped(code::NO_TRACK);
        };
        // Sound follows the switch of the pictures, so that a viewer never hears one publisher and
        // sees another.
        if track.kind() == Kind::Audio && track.live().is_some() && track.is_pending(source) {
            let waits = |track: &Track| track.kind() == Kind::Video && track.is_pending(source);
            if self.by_id.values().any(waits) {
                return Outcome::Dropped(code::AWAITING_KEY_FRAME);
            }
        }
        let Some(track) = self.by_id.get_mut(&id) else {
            return Outcome::Dropped(code::NO_TRACK);
        };
        let had_news = track.has_news();
        let outcome = track.accept(source, packet);
        if track.has_news() && !had_news {
            self.stirred.push(id);
        }
        if outcome == (Outcome::Entered { went_live: true }) {
            outbox.push(Event::TrackLive { track: id, source });
            if track.take_key_frame_announcement() {
                outbox.push(Event::TrackKeyFrame { track: id, source });
            }
        }
        outcome
    }

    /// Releases what waited long enough, and names every track with released packets to `call`.
    /// Returns when something that is still held is to be released.
    pub fn release(&mut self, now: Instant, mut call: impl FnMut(TrackId)) -> Option<Instant> {
        let Tracks { by_id, stirred } = self;
        let mut next: Option<Instant> = None;
        stirred.retain(|id| {
            let Some(track) = by_id.get_mut(id) else {
                return false;
            };
            let (is_released, again) = track.release(now);
            if is_released {
                call(*id);
            }
            next = [next, again].into_iter().flatten().min();
            again.is_some()
        });
        next
    }
}
