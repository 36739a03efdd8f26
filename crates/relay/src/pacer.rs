//! How fast one viewer's pictures may leave: a bucket of bytes that fills with time.
//!
//! A key frame is ten to fifty times as long as its neighbours; sent at once it overruns the
//! shallow buffers on the way. The bucket holds ten milliseconds, so an ordinary frame leaves in
//! one piece (one segmented message, one wake-up of its viewer) and a key frame in many. It knows
//! no clock and no packets.

use std::time::{Duration, Instant};

use crate::limits;

/// A bucket of bytes.
#[derive(Clone, Debug)]
pub struct Pacer {
    budget: f64,
    filled: Option<Instant>,
    bytes_per_second: f64,
}

impl Default for Pacer {
    fn default() -> Self {
        Pacer {
            budget: 0.0,
            filled: None,
            bytes_per_second: limits::PACING_FLOOR / 8.0,
        }
    }
}

impl Pacer {
    /// Sets the speed from the track's recent bitrate and whether the viewer catches up, and fills
    /// the bucket for the time that has passed.
    pub fn refill(&mut self, now: Instant, bitrate: f64, catching_up: bool) {
        let factor = if catching_up {
            limits::PACING_CATCH_UP
        } else {
            limits::PACING_FRESH
        };
        let bits = (bitrate * factor).clamp(limits::PACING_FLOOR, limits::PACING_CEILING);
        self.bytes_per_second = bits / 8.0;
        let capacity = self.bytes_per_second * limits::PACING_BURST.as_secs_f64();
        let passed = match self.filled {
            Some(filled) => now.saturating_duration_since(filled),
            None => limits::PACING_BURST,
        };
        self.filled = Some(now);
        self.budget = (self.budget + self.bytes_per_second * passed.as_secs_f64()).min(capacity);
    }

    /// Whether one more packet may leave.
    pub fn allows(&self) -> bool {
        self.budget > 0.0
    }

    /// A packet of this length has left.
    pub fn spend(&mut self, len: usize) {
        self.budget -= len as f64;
    }

    /// How long until the next batch is worth a system call: half a bucket.
    pub fn pause(&self) -> Duration {
        let half = self.bytes_per_second * limits::PACING_BURST.as_secs_f64() / 2.0;
        let missing = (half - self.budget).max(0.0);
        Duration::from_secs_f64(missing / self.bytes_per_second)
    }
}

/// Recent bitrate, smoothed over about a second.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    window_start: Option<Instant>,
    window_bytes: u64,
    bits_per_second: f64,
}

impl RateMeter {
    const WINDOW: Duration = Duration::from_millis(250);

    /// Counts bytes that arrived at `now`.
    pub fn count(&mut self, now: Instant, bytes: usize) {
        let start = *self.window_start.get_or_insert(now);
        let passed = now.saturating_duration_since(start);
        if passed >= Self::WINDOW {
            let rate = self.window_bytes as f64 * 8.0 / passed.as_secs_f64();
            // The first window stands for itself; later ones move the mean by a quarter.
            self.bits_per_second = if self.bits_per_second == 0.0 {
                rate
            } else {
                self.bits_per_second + (rate - self.bits_per_second) / 4.0
            };
            self.window_start = Some(now);
            self.window_bytes = 0;
        }
        self.window_bytes += bytes as u64;
    }

    /// Bits per second.
    pub fn bitrate(&self) -> f64 {
        self.bits_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_leaves_in_batches_of_at_most_ten_milliseconds() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        let (mut now, mut left, mut largest) = (start, 400, 0);
        while left > 0 {
            pacer.refill(now, 4_000_000.0, false);
            let mut batch = 0;
            while pacer.allows() && left > 0 {
                pacer.spend(1_200);
                batch += 1;
                left -= 1;
            }
            largest = largest.max(batch);
            now += pacer.pause();
        }
        assert!(largest <= 17, "{largest} packets at once");
        let spent = now.duration_since(start);
        // 480 kB at 16 Mbit/s are 240 ms.
        assert!((200..260).contains(&spent.as_millis()), "{spent:?}");
    }

    #[test]
    fn catching_up_is_faster_than_fresh_media() {
        let now = Instant::now();
        let (mut fresh, mut late) = (Pacer::default(), Pacer::default());
        fresh.refill(now, 20_000_000.0, false);
        late.refill(now, 20_000_000.0, true);
        assert!(late.bytes_per_second > 2.0 * fresh.bytes_per_second);
    }

    #[test]
    fn silence_does_not_save_up_more_than_one_burst() {
        let now = Instant::now();
        let mut pacer = Pacer::default();
        pacer.refill(now, 0.0, false);
        pacer.refill(now + Duration::from_secs(60), 0.0, false);
        assert!(pacer.budget <= limits::PACING_FLOOR / 8.0 * 0.0101);
    }

    #[test]
    fn the_rate_meter_finds_the_bitrate() {
        let mut now = Instant::now();
        let mut meter = RateMeter::default();
        for _ in 0..1_000 {
            meter.count(now, 500);
            now += Duration::from_millis(2);
        }
        assert!(
            (meter.bitrate() - 2_000_000.0).abs() < 100_000.0,
            "{}",
            meter.bitrate()
        );
    }
}
