//! Which legs take which track: so that a packet calls its own viewers and nobody else's.

use std::collections::HashMap;

use crate::demux::Index;
use crate::spec::TrackId;

/// Places of legs by track.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    by_track: HashMap<TrackId, Vec<Index>>,
}

impl Audience {
    /// The leg takes the track, whether that exists already or not.
    pub fn join(&mut self, track: TrackId, leg: Index) {
        let legs = self.by_track.entry(track).or_default();
        if !legs.contains(&leg) {
            legs.push(leg);
        }
    }

    /// The leg takes the track no more.
    pub fn leave(&mut self, track: TrackId, leg: Index) {
        if let Some(legs) = self.by_track.get_mut(&track) {
            legs.retain(|known| *known != leg);
            if legs.is_empty() {
                self.by_track.remove(&track);
            }
        }
    }

    /// The track has ended.
    pub fn dismiss(&mut self, track: TrackId) {
        self.by_track.remove(&track);
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
}
