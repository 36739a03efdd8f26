//! Counters by door and code.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The counters of one door while it runs.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) accepted: AtomicU64,
    pub(crate) handshakes: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) open: AtomicUsize,
    pub(crate) handshaking: AtomicUsize,
    codes: Mutex<BTreeMap<String, u64>>,
}

/// Where codes beyond the limit are counted together.
const OTHER: &str = "FRONT.OTHER_CODES";

impl Tally {
    /// Adds one to a code. Codes that Python invents are bounded: beyond `limit` names they are
    /// counted together.
    pub(crate) fn count(&self, code: &str, limit: usize) {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = codes.get_mut(code) {
            *count += 1;
        } else {
            let name = if codes.len() < limit { code } else { OTHER };
            *codes.entry(name.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn snapshot(&self) -> DoorCounters {
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        DoorCounters {
            accepted: self.accepted.load(Ordering::Relaxed),
            handshakes: self.handshakes.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            handshaking: self.handshaking.load(Ordering::Relaxed),
            codes: codes.clone(),
        }
    }
}

/// One more of something, for as long as it lives.
pub(crate) struct Gauge<'a>(&'a AtomicUsize);

impl<'a> Gauge<'a> {
    pub(crate) fn hold(gauge: &'a AtomicUsize) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one door has counted since it was opened.
#[derive(Clone, Debug, Serialize)]
pub struct DoorCounters {
    /// TCP connections taken from the kernel.
    pub accepted: u64,
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// HTTP requests that were begun.
    pub requests: u64,
    /// TCP connections that are open now.
    pub open: usize,
    /// Handshakes that are under way now.
    pub handshaking: usize,
    /// How often each code was given.
    pub codes: BTreeMap<String, u64>,
}

/// What the whole front has counted since it was started.
#[derive(Clone, Debug, Serialize)]
pub struct CountersSnapshot {
    /// By the name of the door.
    pub doors: BTreeMap<String, DoorCounters>,
    /// Events that were counted but not told, because too many waited.
    pub events_dropped: u64,
    /// Connections to the application that are open now.
    pub app_connections: usize,
}

#[cfg(test)]
mod tests {
    use super::{Tally, OTHER};

    #[test]
    fn invented_codes_beyond_the_limit_are_counted_together() {
        let tally = Tally::default();
        for index in 0..10 {
            tally.count(&format!("A.B{index}"), 3);
            tally.count("A.B0", 3);
        }
        let codes = tally.snapshot().codes;
        assert_eq!(codes["A.B0"], 11);
        assert_eq!(codes[OTHER], 7);
        assert_eq!(codes.len(), 4);
    }
}
