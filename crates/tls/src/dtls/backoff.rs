//! How the retransmission timer grows.
//!
//! The engine doubles it up to 60 s and gives a flight up after 12 repetitions (`d1_both.cc`).
//! Within a handshake deadline of some ten seconds most of those would never be sent, and under
//! heavy loss it is their number that decides. So the doubling ends where the remaining
//! repetitions, evenly spread, just fill the time: all 12 are used, and the last one can still be
//! answered.
//!
//! DEVIATES RFC 9147 §5.8.2 (back off to 60 s): one flight per second or so, for the bounded time
//! of one handshake, loads a network less than one frame of the media that follows.

use std::time::Duration;

/// Repetitions of one flight after which the engine refuses (`DTLS1_MAX_TIMEOUTS`).
const MAX_REPETITIONS: u32 = 12;

/// The longest timer to wait for, given the first one and the time of the whole handshake.
pub(super) fn longest(initial: Duration, handshake: Duration) -> Duration {
    let mut timer = initial;
    let mut spent = Duration::ZERO;
    // One more than repetitions: the time to wait for the answer to the last.
    for remaining in (1..=MAX_REPETITIONS + 1).rev() {
        let even = handshake.saturating_sub(spent) / remaining;
        if timer >= even {
            return even.max(initial);
        }
        spent += timer;
        timer *= 2;
    }
    timer
}

#[cfg(test)]
mod tests {
    use super::{longest, MAX_REPETITIONS};
    use std::time::Duration;

    #[test]
    fn all_repetitions_fit_the_handshake_and_the_last_one_is_near_its_end() {
        for handshake_s in [6, 10, 30, 60] {
            for initial_ms in [50, 100, 400] {
                let handshake = Duration::from_secs(handshake_s);
                let initial = Duration::from_millis(initial_ms);
                let longest = longest(initial, handshake);
                let timers = (0..=MAX_REPETITIONS).map(|n| (initial * 2_u32.pow(n)).min(longest));
                let total: Duration = timers.sum();
                assert!(
                    total <= handshake,
                    "{handshake_s} s, {initial_ms} ms: {total:?}"
                );
                assert!(total > handshake.mul_f64(0.9), "{total:?}");
            }
        }
    }

    #[test]
    fn the_longest_timer_is_never_shorter_than_the_first() {
        let initial = Duration::from_secs(3);
        assert_eq!(longest(initial, Duration::from_secs(1)), initial);
    }
}
