//! What the front tells Python: a bounded queue and an eventfd that is readable while events wait.
//!
//! The queue stays bounded whatever peers do, and nothing is lost that would leave a leg in the
//! ledger for ever:
//!
//! - failed handshakes are told while the queue is at most half full; beyond, they are only
//!   counted;
//! - a connection that must be announced is refused when the queue is full (`FRONT.EVENTS_FULL`);
//! - the end of an announced connection is always told: there are at most as many as doors admit
//!   connections; so is the end of a body that the application took, of which a connection has at
//!   most as many as HTTP/2 admits streams.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealcast_tls::Facts;
use serde::Serialize;

use crate::timing::Timing;

/// One thing that happened on a door.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A connection is proved and open. Told for every connection of an ingest door, and on HTTPS
    /// doors for those that showed a certificate.
    ConnectionOpened {
        /// The name of the door.
        door: Arc<str>,
        /// The connection's id.
        connection: u64,
        /// Address and port of the peer.
        peer: String,
        /// What TLS negotiated.
        facts: Arc<Facts>,
        /// When it came and how long its handshake took.
        timing: Timing,
    },
    /// A peer did not get past the handshake.
    HandshakeFailed {
        /// The name of the door.
        door: Arc<str>,
        /// Address and port of the peer.
        peer: String,
        /// Why.
        code: &'static str,
        /// The evidence.
        detail: String,
        /// From the accepted connection to this end.
        elapsed_ms: f64,
    },
    /// A connection that was told of has ended.
    ConnectionClosed {
        /// The connection's id.
        connection: u64,
        /// Why.
        code: String,
        /// The evidence.
        detail: String,
        /// Application bytes from the peer.
        bytes_in: u64,
        /// Application bytes to the peer.
        bytes_out: u64,
    },
    /// A body that the application took is over.
    BodyEnded {
        /// Its ticket.
        ticket: u64,
        /// Why.
        code: String,
        /// The evidence.
        detail: String,
        /// Bytes that came of it.
        bytes_in: u64,
    },
}

/// The queue and its descriptor.
pub(crate) struct EventQueue {
    waiting: Mutex<VecDeque<Event>>,
    limit: usize,
    wake: File,
    dropped: AtomicU64,
}

impl EventQueue {
    pub(crate) fn new(limit: usize) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            limit,
            wake: eventfd()?,
            dropped: AtomicU64::new(0),
        })
    }

    /// Tells of a failure, if there is room for one.
    pub(crate) fn tell_failure(&self, event: Event) {
        if !self.push_below(event, self.limit / 2) {
            self.count_dropped();
        }
    }

    /// Announces a connection; `false` if there is no room and the connection has to be refused.
    #[must_use]
    pub(crate) fn announce(&self, event: Event) -> bool {
        self.push_below(event, self.limit)
    }

    /// Tells of the end of an announced connection, always.
    pub(crate) fn tell_end(&self, event: Event) {
        self.push_below(event, usize::MAX);
    }

    /// A failure beyond the rate of its door.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn push_below(&self, event: Event, limit: usize) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= limit {
            return false;
        }
        waiting.push_back(event);
        if waiting.len() == 1 {
            // Fails only if the counter would overflow, and then the descriptor is readable
            // already.
            let _ = (&self.wake).write(&1_u64.to_ne_bytes());
        }
        true
    }

    /// Takes all that waits and makes the descriptor unreadable.
    pub(crate) fn drain(&self) -> Vec<Event> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no event can slip between the two. Nothing to read is no failure.
        let _ = (&self.wake).read(&mut [0; 8]);
        waiting.drain(..).collect()
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

#[allow(unsafe_code)]
fn eventfd() -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: the call takes no pointers; it returns a new descriptor or -1.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Event {
        Event::HandshakeFailed {
            door: "public".into(),
            peer: "192.0.2.1:1".into(),
            code: "TLS.TIMEOUT",
            detail: String::new(),
            elapsed_ms: 0.0,
        }
    }

    fn end() -> Event {
        Event::ConnectionClosed {
            connection: 1,
            code: "TLS.IDLE".into(),
            detail: String::new(),
            bytes_in: 1,
            bytes_out: 0,
        }
    }

    fn readable(queue: &EventQueue) -> bool {
        let mut before = [0; 8];
        let readable = (&queue.wake).read(&mut before).is_ok();
        if readable {
            (&queue.wake)
                .write_all(&before)
                .expect("the counter was just read");
        }
        readable
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_events_wait() {
        let queue = EventQueue::new(4).expect("an eventfd");
        assert!(!readable(&queue));
        queue.tell_failure(failure());
        queue.tell_end(end());
        assert!(readable(&queue));
        assert_eq!(queue.drain().len(), 2);
        assert!(!readable(&queue));
        assert!(queue.drain().is_empty());
    }

    #[test]
    fn failures_leave_room_for_connections_and_ends_are_always_told() {
        let queue = EventQueue::new(4).expect("an eventfd");
        for _ in 0..10 {
            queue.tell_failure(failure());
        }
        assert_eq!(queue.dropped(), 8);
        assert!(queue.announce(failure()) && queue.announce(failure()));
        assert!(!queue.announce(failure()));
        queue.tell_end(end());
        assert_eq!(queue.drain().len(), 5);
    }

    #[test]
    fn events_cross_as_tagged_json() {
        assert_eq!(
            serde_json::to_string(&end()).expect("plain data"),
            r#"{"type":"connection_closed","connection":1,"code":"TLS.IDLE","detail":"","bytes_in":1,"bytes_out":0}"#
        );
    }
}
