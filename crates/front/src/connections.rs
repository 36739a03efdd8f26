//! The table of open connections: id → facts, the way to end it, and the untaken half of an
//! ingest's socket pair.
//!
//! A connection enters only after its handshake was completed, and leaves when it ends, so the
//! table is bounded by what the doors admit. Ids count up from 1 and are never used again.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealcast_tls::server::CertificateId;
use sealcast_tls::Facts;
use serde::Serialize;
use tokio::sync::watch;

use crate::door::DoorKind;
use crate::timing::Timing;

/// What is known of an open connection.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionFacts {
    /// Its id.
    pub connection: u64,
    /// The name of its door.
    pub door: Arc<str>,
    /// What the door is for.
    pub kind: DoorKind,
    /// Address and port of the peer.
    pub peer: String,
    /// What TLS negotiated, and who the peer proved to be.
    pub facts: Arc<Facts>,
    /// When it came and how long its handshake took.
    pub timing: Timing,
}

struct Entry {
    facts: ConnectionFacts,
    /// What the certificates of the peer's chain are called.
    chain: Vec<CertificateId>,
    close: watch::Sender<Option<Arc<str>>>,
    ingest: Option<OwnedFd>,
}

impl Entry {
    /// The first code counts.
    fn ask_to_close(&self, code: &str) {
        self.close.send_if_modified(|slot| {
            let first = slot.is_none();
            slot.get_or_insert_with(|| code.into());
            first
        });
    }
}

/// The open connections of a front.
#[derive(Default)]
pub(crate) struct Connections {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Entry>>,
}

impl Connections {
    pub(crate) fn next_id(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u64, Entry>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters a connection; it stays until [`Self::leave`].
    pub(crate) fn enter(
        &self,
        facts: ConnectionFacts,
        chain: Vec<CertificateId>,
        ingest: Option<OwnedFd>,
    ) -> CloseRequest {
        let (close, request) = watch::channel(None);
        let entry = Entry {
            facts,
            chain,
            close,
            ingest,
        };
        self.with(|open| open.insert(entry.facts.connection, entry));
        CloseRequest(request)
    }

    pub(crate) fn leave(&self, connection: u64) {
        // Dropped outside the lock: closing a descriptor is a system call.
        drop(self.with(|open| open.remove(&connection)));
    }

    pub(crate) fn facts(&self, connection: u64) -> Option<ConnectionFacts> {
        self.with(|open| open.get(&connection).map(|entry| entry.facts.clone()))
    }

    pub(crate) fn take_ingest(&self, connection: u64) -> Option<OwnedFd> {
        self.with(|open| open.get_mut(&connection)?.ingest.take())
    }

    /// Asks a connection to end, if it is open; the first code counts.
    pub(crate) fn close(&self, connection: u64, code: &str) {
        self.with(|open| {
            if let Some(entry) = open.get(&connection) {
                entry.ask_to_close(code);
            }
        });
    }

    /// Asks those to end whose peer's chain `is_meant`; how many they are.
    pub(crate) fn close_where(
        &self,
        code: &str,
        is_meant: impl Fn(&[CertificateId]) -> bool,
    ) -> usize {
        self.with(|open| {
            let meant = open.values().filter(|entry| is_meant(&entry.chain));
            meant.map(|entry| entry.ask_to_close(code)).count()
        })
    }
}

/// The connection's end of "please close".
pub(crate) struct CloseRequest(watch::Receiver<Option<Arc<str>>>);

impl CloseRequest {
    /// Waits until somebody asks for the end, and says with which code.
    pub(crate) async fn wait(&mut self) -> Arc<str> {
        let asked = match self.0.wait_for(Option::is_some).await {
            Ok(slot) => slot.clone(),
            // The entry is dropped only by the connection itself, which then waits no more.
            Err(_) => None,
        };
        match asked {
            Some(code) => code,
            None => std::future::pending().await,
        }
    }
}
