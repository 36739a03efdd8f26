//! The connection's side of the byte stream: what arrived and was not read, what is to be sent.
//!
//! BoringSSL reads and writes through it. It never blocks and never fails.

use std::io::{self, Read, Write};

/// How many of the server's first bytes are kept, to tell what speaks when it is not TLS.
const FIRST_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Pipe {
    arrived: Vec<u8>,
    taken: usize,
    has_ended: bool,
    first: Vec<u8>,
    departing: Vec<u8>,
}

impl Pipe {
    /// Appends what the server sent.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        let wanted = FIRST_BYTES.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(wanted)]);
        self.arrived.drain(..self.taken);
        self.taken = 0;
        self.arrived.extend_from_slice(bytes);
    }

    /// Nothing more will arrive.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Forgets what was not read: the connection is over.
    pub(super) fn discard(&mut self) {
        self.arrived = Vec::new();
        self.taken = 0;
    }

    /// How the server's bytes began.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// What is to be sent, in order; the pipe is empty afterwards.
    pub(super) fn depart(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.departing)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.arrived[self.taken..];
        if waiting.is_empty() {
            return match self.has_ended {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let len = waiting.len().min(buffer.len());
        buffer[..len].copy_from_slice(&waiting[..len]);
        self.taken += len;
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, sealed: &[u8]) -> io::Result<usize> {
        self.departing.extend_from_slice(sealed);
        Ok(sealed.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
