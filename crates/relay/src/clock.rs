//! The node clock: one monotonic time line for all tracks, and its face as NTP time in sender
//! reports.
//!
//! Node time is nanoseconds of `CLOCK_MONOTONIC`, which Python reads as `time.monotonic_ns()`. The
//! offset to `CLOCK_REALTIME` is captured once at start: a step of the wall clock must not tear lip
//! sync apart. It reads no clock after the start; every conversion is arithmetic.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970), RFC 5905 §6.
const NTP_UNIX_SECONDS: u64 = 2_208_988_800;

/// Converts between [`Instant`], node nanoseconds and NTP time.
#[derive(Copy, Clone, Debug)]
pub struct NodeClock {
    origin: Instant,
    origin_ns: u64,
    /// Unix nanoseconds at node nanosecond zero.
    unix_offset_ns: i128,
}

impl NodeClock {
    /// Captures the three clocks once.
    pub fn capture() -> NodeClock {
        let origin = Instant::now();
        let origin_ns = monotonic_ns();
        let unix_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        NodeClock {
            origin,
            origin_ns,
            unix_offset_ns: i128::try_from(unix_ns).unwrap_or(0) - i128::from(origin_ns),
        }
    }

    /// Node nanoseconds of an instant.
    pub fn ns(&self, at: Instant) -> u64 {
        match at.checked_duration_since(self.origin) {
            Some(after) => self.origin_ns.saturating_add(nanoseconds(after)),
            None => self
                .origin_ns
                .saturating_sub(nanoseconds(self.origin.duration_since(at))),
        }
    }

    /// The 64-bit NTP timestamp (32.32 fixed point, RFC 3550 §4) of a node time.
    pub fn ntp(&self, node_ns: u64) -> u64 {
        let unix_ns = u128::try_from(i128::from(node_ns) + self.unix_offset_ns).unwrap_or(0);
        // The seconds wrap in 2036 as RFC 5905 §6 says; the cast keeps the low 32 bits of the era.
        let seconds = (unix_ns / 1_000_000_000) as u64 + NTP_UNIX_SECONDS;
        let fraction = ((unix_ns % 1_000_000_000) << 32) / 1_000_000_000;
        (seconds << 32) | fraction as u64
    }
}

/// Nanoseconds of an NTP timestamp since its era's start. Only differences of two of them mean
/// something.
pub fn ntp_ns(ntp: u64) -> i128 {
    let seconds = i128::from(ntp >> 32);
    let fraction = i128::from(ntp & 0xffff_ffff);
    seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32)
}

/// The middle 32 bits of an NTP timestamp, as reports carry it (RFC 3550 §6.4.1).
pub fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// `CLOCK_MONOTONIC` now, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// CPU time that the calling thread has used, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid, writable timespec for the length of the call, and both callers
    // pass a constant that Linux always has.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_time_advances_as_node_time_does() {
        let clock = NodeClock::capture();
        let start = clock.ns(Instant::now());
        let first = clock.ntp(start);
        let second = clock.ntp(start + 1_500_000_000);
        let advanced = ntp_ns(second) - ntp_ns(first);
        assert!((advanced - 1_500_000_000).abs() < 4, "{advanced}");
    }

    #[test]
    fn an_instant_before_the_start_is_not_in_the_future() {
        let before = Instant::now();
        let clock = NodeClock::capture();
        assert!(clock.ns(before) <= clock.ns(Instant::now()));
    }

    #[test]
    fn the_middle_of_an_ntp_timestamp_is_seconds_and_fraction() {
        assert_eq!(ntp_middle(0x1122_3344_5566_7788), 0x3344_5566);
    }
}
