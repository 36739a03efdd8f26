//! The replay window of RFC 3711 §3.3.2: which indices of one SSRC are gone.
//!
//! A ring of bits, one per index, addressed by the index itself: moving forward clears the bits of
//! the indices that were skipped and nothing is ever shifted. Checking and recording are two
//! calls, because between them stands the authentication of the packet.

/// How many indices back from the newest an SRTP packet may arrive, unless an option says
/// otherwise.
pub const REPLAY_WINDOW: u64 = 1024;

/// What the window knows of an index.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Seen {
    /// Never recorded.
    No,
    /// Recorded.
    Yes,
    /// Behind the window: nobody knows.
    TooOld,
}

/// The newest index and, for each of the `len` up to it, whether it was recorded.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Window {
    newest: Option<u64>,
    len: u64,
    /// A power of two of words, at least `len` bits, so that an index finds its bit by masking.
    ring: Box<[u64]>,
}

impl Window {
    /// A window of `len` indices, none of them recorded. The only allocation of its life.
    pub(crate) fn new(len: u64) -> Self {
        // At most 512 words: the largest window has 32,768 indices.
        let words = (len.div_ceil(64) as usize).next_power_of_two();
        Self {
            newest: None,
            len,
            ring: vec![0; words].into_boxed_slice(),
        }
    }

    /// The newest recorded index.
    #[inline(always)]
    pub(crate) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Looks, changes nothing.
    #[inline(always)]
    pub(crate) fn check(&self, index: u64) -> Seen {
        let Some(newest) = self.newest else {
            return Seen::No;
        };
        if index > newest {
            return Seen::No;
        }
        if newest - index >= self.len {
            return Seen::TooOld;
        }
        if self.ring[self.word(index)] & bit(index) == 0 {
            Seen::No
        } else {
            Seen::Yes
        }
    }

    /// Records an index for which [`check`](Self::check) said [`Seen::No`].
    #[inline(always)]
    pub(crate) fn record(&mut self, index: u64) {
        match self.newest {
            Some(newest) if index > newest => {
                if index - newest > 1 {
                    self.forget(newest + 1, index - 1);
                }
                self.newest = Some(index);
                let word = self.word(index);
                self.ring[word] |= bit(index);
            }
            newest => {
                self.newest = newest.or(Some(index));
                let word = self.word(index);
                self.ring[word] |= bit(index);
            }
        }
    }

    /// Clears the bits of indices that were skipped, a word at a time.
    fn forget(&mut self, first: u64, last: u64) {
        if last - first >= 64 * self.ring.len() as u64 {
            self.ring.fill(0);
            return;
        }
        let mut from = first;
        while from <= last {
            let to = last.min(from | 63);
            let mask = (u64::MAX >> (63 - (to - from))) << (from % 64);
            let word = self.word(from);
            self.ring[word] &= !mask;
            from = to + 1;
        }
    }

    #[inline(always)]
    const fn word(&self, index: u64) -> usize {
        (index / 64) as usize & (self.ring.len() - 1)
    }
}

#[inline]
const fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_oldest_index_of_the_window_is_known_and_the_one_before_it_is_not() {
        for len in [64, 192, 1024, 32_768] {
            let mut window = Window::new(len);
            window.record(5);
            window.record(5 + len - 1);
            assert_eq!(window.check(5), Seen::Yes);
            assert_eq!(window.check(6), Seen::No);
            window.record(5 + len);
            assert_eq!(window.check(5), Seen::TooOld);
        }
    }

    proptest! {
        /// The ring of bits against a plain set.
        #[test]
        fn the_window_agrees_with_a_set_of_all_indices(
            len in prop::sample::select(&[64_u64, 128, 192, 320][..]),
            start in 0_u64..5000,
            steps in prop::collection::vec(
                prop_oneof![9 => -200_i64..200, 1 => -700_i64..700],
                1..300,
            ),
        ) {
            let mut window = Window::new(len);
            window.record(start);
            let mut seen = BTreeSet::from([start]);
            for step in steps {
                let highest = *seen.last().expect("the first index is always in it");
                let index = highest.saturating_add_signed(step);
                let expected = if index + len <= highest {
                    Seen::TooOld
                } else if seen.contains(&index) {
                    Seen::Yes
                } else {
                    Seen::No
                };
                prop_assert_eq!(window.check(index), expected);
                if expected == Seen::No {
                    window.record(index);
                    seen.insert(index);
                }
                prop_assert_eq!(window.newest(), seen.last().copied());
            }
        }
    }
}
