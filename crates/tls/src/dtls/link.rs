//! The endpoint's side of the datagram transport: one datagram in, a bounded queue out.
//!
//! BoringSSL reads and writes through it. It never blocks and never fails: a datagram that does
//! not fit is lost like any other, and DTLS sends it again.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// Largest datagram taken in. A jumbo frame; no DTLS peer behind ICE has reason to send more, and
/// the engine's own buffer holds 16 kB.
pub const MAX_DATAGRAM: usize = 9_216;

/// Datagrams kept for sending. The largest flight (certificate chains of a few kB in pieces of
/// 1200 bytes) takes fewer than ten.
const MAX_QUEUED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Link {
    arrived: Vec<u8>,
    is_waiting: bool,
    departing: VecDeque<Vec<u8>>,
    sent: u64,
    dropped: u64,
}

impl Link {
    /// Lays down the next datagram for the engine. The buffer is reused.
    pub(super) fn arrive(&mut self, datagram: &[u8]) {
        self.arrived.clear();
        self.arrived.extend_from_slice(datagram);
        self.is_waiting = true;
    }

    pub(super) fn depart(&mut self) -> Option<Vec<u8>> {
        self.departing.pop_front()
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_waiting {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.is_waiting = false;
        let len = self.arrived.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.arrived[..len]);
        Ok(len)
    }
}

impl Write for Link {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.sent += 1;
        if self.departing.len() < MAX_QUEUED {
            self.departing.push_back(datagram.to_vec());
        } else {
            self.dropped += 1;
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
