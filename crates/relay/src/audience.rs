//! Which legs take which track: so that a packet calls its own viewers and nobody else's.
//!
//! Joining and leaving cost the same however many others watch: a whole audience may leave at once.

use std::collections::hash_map::{Entry, HashMap};

use crate::routes::Index;
use crate::spec::TrackId;

/// Places of legs by track, in no order.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    by_track: HashMap<TrackId, Vec<Index>>,
    /// Where in its track's list a leg stands.
    seats: HashMap<(TrackId, Index), usize>,
}

impl Audience {
    /// The leg takes the track, whether that exists already or not.
    pub fn join(&mut self, track: TrackId, leg: Index) {
        if let Entry::Vacant(seat) = self.seats.entry((track, leg)) {
            let legs = self.by_track.entry(track).or_default();
            seat.insert(legs.len());
            legs.push(leg);
        }
    }

    /// The leg takes the track no more.
    pub fn leave(&mut self, track: TrackId, leg: Index) {
        let Some(seat) = self.seats.remove(&(track, leg)) else {
            return;
        };
        let Some(legs) = self.by_track.get_mut(&track) else {
            return;
        };
        legs.swap_remove(seat);
        if let Some(moved) = legs.get(seat) {
            self.seats.insert((track, *moved), seat);
        }
        if legs.is_empty() {
            self.by_track.remove(&track);
        }
    }

    /// The track has ended.
    pub fn dismiss(&mut self, track: TrackId) {
        for leg in self.by_track.remove(&track).unwrap_or_default() {
            self.seats.remove(&(track, leg));
        }
    }

    /// Who takes the track.
    pub fn of(&self, track: TrackId) -> &[Index] {
        self.by_track.get(&track).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_called_for_the_tracks_it_takes_and_no_more_once_it_left() {
        let mut audience = Audience::default();
        for (track, leg) in [(1, 4), (1, 5), (2, 5), (1, 4)] {
            audience.join(track, leg);
        }
        assert_eq!(audience.of(1), [4, 5]);
        audience.leave(1, 4);
        audience.dismiss(2);
        assert_eq!(audience.of(1), [5]);
        assert!(audience.of(2).is_empty());
    }

    #[test]
    fn whoever_stays_is_called_once_in_whatever_order_the_others_left() {
        let mut audience = Audience::default();
        for leg in 0..8 {
            audience.join(1, leg);
        }
        let mut stay: Vec<Index> = (0..8).collect();
        for leaver in [0, 7, 3, 3, 6, 1] {
            audience.leave(1, leaver);
            stay.retain(|leg| *leg != leaver);
            let mut called = audience.of(1).to_vec();
            called.sort_unstable();
            assert_eq!(called, stay, "after {leaver} left");
        }
        audience.dismiss(1);
        audience.join(1, 2);
        assert_eq!(audience.of(1), [2]);
        audience.leave(1, 2);
        assert!(audience.seats.is_empty() && audience.by_track.is_empty());
    }
}
