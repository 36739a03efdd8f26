//! When a connection came and how long its way to a proved one took.
//!
//! Durations are measured with the monotonic clock; the wall clock is read once, as the connection
//! is accepted, and only to place them in a day.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::time::Instant;

/// The times of a connection that was proved.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// When TCP was accepted: milliseconds since 1970, by the wall clock.
    pub accepted_unix_ms: u64,
    /// From there until the handshake had its turn and began.
    pub queued_ms: f64,
    /// From there until it was finished. A client that is slow with its first byte is slow here.
    pub handshake_ms: f64,
}

/// A connection as it was accepted.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    pub(crate) at: Instant,
    unix_ms: u64,
}

impl Arrival {
    /// To be called as soon as the connection is there.
    pub(crate) fn now(peer: SocketAddr) -> Self {
        // A clock before 1970 is no reason to refuse anybody.
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            // A v4 address that came through a v6 socket is a v4 address.
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            at: Instant::now(),
            unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The times of a handshake that began at `began` and is finished now.
    pub(crate) fn finished(&self, began: Instant) -> Timing {
        Timing {
            accepted_unix_ms: self.unix_ms,
            queued_ms: milliseconds(began.duration_since(self.at)),
            handshake_ms: milliseconds(began.elapsed()),
        }
    }

    pub(crate) fn elapsed_ms(&self) -> f64 {
        milliseconds(self.at.elapsed())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
