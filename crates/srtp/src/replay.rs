//! The replay window of RFC 3711 §3.3.2: which indices of one SSRC are gone.
//!
//! A ring of bits, one per index, addressed by the index itself: moving forward by one clears one
//! bit and nothing is ever shifted. Checking and recording are two calls, because between them
//! stands the authentication of the packet.

/// How many indices back from the newest an SRTP packet may arrive.
pub const REPLAY_WINDOW: u64 = RtpWindow::LEN;

/// The window of SRTP: at 4 Mbit/s of video about three seconds of packets.
pub(crate) type RtpWindow = Window<16>;

/// The window of SRTCP, whose packets are few (RFC 3711 §3.3.2 asks for 64 at least).
pub(crate) type RtcpWindow = Window<2>;

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

/// The newest index and, for each of the `WORDS` × 64 up to it, whether it was recorded.
#[derive(Clone)]
pub(crate) struct Window<const WORDS: usize> {
    highest: u64,
    bits: [u64; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    const LEN: u64 = (WORDS * 64) as u64;

    /// A window whose only recorded index is `first`.
    pub(crate) fn starting_at(first: u64) -> Self {
        let mut window = Self {
            highest: first,
            bits: [0; WORDS],
        };
        window.set(first);
        window
    }

    /// The newest recorded index.
    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Looks, changes nothing.
    pub(crate) fn check(&self, index: u64) -> Seen {
        if index > self.highest {
            return Seen::No;
        }
        if self.highest - index >= Self::LEN {
            return Seen::TooOld;
        }
        let (word, bit) = Self::place(index);
        if self.bits[word] & bit == 0 {
            Seen::No
        } else {
            Seen::Yes
        }
    }

    /// Records an index for which [`check`](Self::check) said [`Seen::No`].
    pub(crate) fn record(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= Self::LEN {
                self.bits = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    let (word, bit) = Self::place(skipped);
                    self.bits[word] &= !bit;
                }
            }
            self.highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        let (word, bit) = Self::place(index);
        self.bits[word] |= bit;
    }

    fn place(index: u64) -> (usize, u64) {
        let position = index % Self::LEN;
        ((position / 64) as usize, 1 << (position % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_oldest_index_of_the_window_is_known_and_the_one_before_it_is_not() {
        let mut window = RtpWindow::starting_at(5);
        window.record(5 + REPLAY_WINDOW - 1);
        assert_eq!(window.check(5), Seen::Yes);
        assert_eq!(window.check(6), Seen::No);
        window.record(5 + REPLAY_WINDOW);
        assert_eq!(window.check(5), Seen::TooOld);
    }

    proptest! {
        /// The ring of bits against a plain set.
        #[test]
        fn the_window_agrees_with_a_set_of_all_indices(
            start in 0_u64..5000,
            steps in prop::collection::vec(-200_i64..200, 1..300),
        ) {
            let mut window = RtcpWindow::starting_at(start);
            let mut seen = BTreeSet::from([start]);
            for step in steps {
                let index = window.highest().saturating_add_signed(step);
                let highest = *seen.last().expect("the first index is always in it");
                let expected = if index + RtcpWindow::LEN <= highest {
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
                prop_assert_eq!(window.highest(), *seen.last().expect("never empty"));
            }
        }
    }
}
