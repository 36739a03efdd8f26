//! When each leg wants attention next.
//!
//! A dense list of deadlines that is scanned, twice per turn of the loop: for 4,096 legs it is
//! 32 kB, read in two microseconds. A heap would have to be put in order again for every packet
//! that moves a deadline. It knows nothing of what the attention is for.

use crate::routes::Index;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// Deadlines in node nanoseconds, by the leg's place.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    due_ns: Vec<u64>,
}

impl Agenda {
    /// Replaces a leg's deadline.
    pub fn set(&mut self, leg: Index, due_ns: Option<u64>) {
        if leg >= self.due_ns.len() {
            self.due_ns.resize(leg + 1, NEVER);
        }
        self.due_ns[leg] = due_ns.unwrap_or(NEVER);
    }

    /// The first leg at or behind `from` that is due.
    pub fn due_from(&self, from: Index, now_ns: u64) -> Option<Index> {
        let found = self
            .due_ns
            .get(from..)?
            .iter()
            .position(|due_ns| *due_ns <= now_ns)?;
        Some(from + found)
    }

    /// The earliest deadline of all.
    pub fn earliest(&self) -> Option<u64> {
        self.due_ns
            .iter()
            .copied()
            .min()
            .filter(|due_ns| *due_ns != NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leg_that_is_due_is_found_once_in_a_walk() {
        let mut agenda = Agenda::default();
        for (leg, due_ns) in [(5, Some(30)), (0, Some(10)), (3, None), (9, Some(20))] {
            agenda.set(leg, due_ns);
        }
        assert_eq!(agenda.earliest(), Some(10));
        let (mut from, mut found) = (0, Vec::new());
        while let Some(leg) = agenda.due_from(from, 20) {
            found.push(leg);
            from = leg + 1;
        }
        assert_eq!(found, [0, 9]);
        agenda.set(0, None);
        assert_eq!(agenda.earliest(), Some(20));
    }

    #[test]
    fn an_empty_agenda_has_nothing_due() {
        let mut agenda = Agenda::default();
        assert_eq!(agenda.earliest(), None);
        assert_eq!(agenda.due_from(0, u64::MAX - 1), None);
        agenda.set(2, None);
        assert_eq!(agenda.earliest(), None);
    }
}
