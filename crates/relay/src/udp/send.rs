//! Datagrams on their way out, and the one call that gives many of them to the kernel.
//!
//! Runs of equal size to one destination lie in one piece and leave as one message.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;

use socket2::SockAddr;

use super::control::{write_control, Control, EMPTY};

/// Messages in one `sendmmsg` call.
pub(super) const SEND_MESSAGES: usize = 64;
/// Segments in one message: the kernel's UDP_MAX_SEGMENTS was 64 before Linux 6.9.
const MAX_SEGMENTS: usize = 64;
/// Bytes in one message: what an IPv4 datagram can hold (65535 - 20 - 8).
const MAX_MESSAGE: usize = 65_507;

/// What became of a batch, in datagrams.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct SendReport {
    /// Given to the kernel.
    pub sent: usize,
    /// Still in the batch: the kernel had no room.
    pub unsent: usize,
    /// Refused for good and dropped.
    pub failed: usize,
}

/// Datagrams on their way out: one contiguous buffer and a list of runs in it.
pub struct SendBatch {
    pub(super) buffer: Box<[u8]>,
    /// Where the next datagram goes.
    end: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) scratch: SendScratch,
}

/// A run of datagrams of one size (the last may be shorter) from one address to another.
#[derive(Copy, Clone, Debug)]
pub(super) struct Entry {
    local: SocketAddr,
    remote: SocketAddr,
    start: usize,
    len: usize,
    segment: usize,
}

impl Entry {
    pub(super) fn datagrams(&self) -> usize {
        self.len.div_ceil(self.segment)
    }

    /// Whether a datagram of `len` bytes behind the run can join it: the run has no shorter one at
    /// its end yet, and this one is not longer.
    fn can_grow(&self, len: usize) -> bool {
        len <= self.segment
            && self.len.is_multiple_of(self.segment)
            && self.len / self.segment < MAX_SEGMENTS
            && self.len + len <= MAX_MESSAGE
    }
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SendBatch")
            .field("datagrams", &self.datagrams())
            .field("bytes", &self.end)
            .finish()
    }
}

impl SendBatch {
    /// Allocates `buffer_len` bytes, once.
    pub fn new(buffer_len: usize) -> SendBatch {
        SendBatch {
            buffer: vec![0; buffer_len].into_boxed_slice(),
            end: 0,
            entries: Vec::with_capacity(SEND_MESSAGES),
            scratch: SendScratch::new(),
        }
    }

    /// Bytes that are free.
    pub fn room(&self) -> usize {
        self.buffer.len() - self.end
    }

    /// Room for one datagram of up to `len` bytes, to be written in place and then committed with
    /// [`SendBatch::commit`]; `None` if the batch is full: send it first.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buffer.get_mut(self.end..)?.get_mut(..len)
    }

    /// Queues the first `len` bytes of the room reserved last as one datagram. The datagrams leave
    /// in the order of their commits, per destination. A zero length, or more than the buffer
    /// holds, is ignored.
    pub fn commit(&mut self, local: SocketAddr, remote: SocketAddr, len: usize) {
        if len == 0 || len > self.buffer.len() - self.end {
            return;
        }
        let start = self.end;
        self.end += len;
        if let Some(run) = self.entries.last_mut() {
            if (run.local, run.remote) == (local, remote)
                && run.start + run.len == start
                && run.can_grow(len)
            {
                run.len += len;
                return;
            }
        }
        self.entries.push(Entry {
            local,
            remote,
            start,
            len,
            segment: len,
        });
    }

    /// Copies one datagram in; `false` if the batch is full.
    #[must_use]
    pub fn push(&mut self, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) -> bool {
        let Some(room) = self.reserve(datagram.len()) else {
            return false;
        };
        room.copy_from_slice(datagram);
        self.commit(local, remote, datagram.len());
        true
    }

    /// Datagrams queued.
    pub fn datagrams(&self) -> usize {
        self.entries.iter().map(Entry::datagrams).sum()
    }

    /// Nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Destinations of what is queued and how many datagrams go to each, in order; one destination
    /// may come more than once.
    pub fn destinations(&self) -> impl Iterator<Item = (SocketAddr, usize)> + '_ {
        self.entries
            .iter()
            .map(|entry| (entry.remote, entry.datagrams()))
    }

    /// Drops what is queued.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.end = 0;
    }

    /// Makes one entry per datagram of the run at `at`. The list may grow beyond its first
    /// capacity: refused segmentation is rare.
    pub(super) fn split(&mut self, at: usize) {
        let run = self.entries[at];
        let singles = (0..run.datagrams()).map(|index| {
            let offset = index * run.segment;
            let len = run.segment.min(run.len - offset);
            Entry {
                start: run.start + offset,
                len,
                segment: len,
                ..run
            }
        });
        self.entries.splice(at..=at, singles);
    }
}

/// Preallocated headers of one `sendmmsg` call.
pub(super) struct SendScratch {
    names: Box<[SockAddr]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
}

// SAFETY: as for `super::RecvBatch`: the pointers are written and used only within `SendScratch::call`.
unsafe impl Send for SendScratch {}

impl SendScratch {
    fn new() -> SendScratch {
        let nowhere = SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        // SAFETY: `iovec` and `mmsghdr` are plain C structures of integers and raw pointers, for
        // which all zeros is a valid value.
        let (vector, message) = unsafe { (zeroed(), zeroed()) };
        SendScratch {
            names: vec![nowhere; SEND_MESSAGES].into_boxed_slice(),
            controls: vec![EMPTY; SEND_MESSAGES].into_boxed_slice(),
            vectors: vec![vector; SEND_MESSAGES].into_boxed_slice(),
            messages: vec![message; SEND_MESSAGES].into_boxed_slice(),
        }
    }

    /// Sends the first [`SEND_MESSAGES`] entries at most; returns how many the kernel took.
    pub(super) fn call(
        &mut self,
        fd: RawFd,
        entries: &[Entry],
        buffer: &[u8],
    ) -> io::Result<usize> {
        let rooms = self
            .messages
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(self.names.iter_mut().zip(&mut self.controls));
        let mut count = 0;
        for (entry, ((message, vector), (name, control))) in entries.iter().zip(rooms) {
            let bytes = &buffer[entry.start..entry.start + entry.len];
            *name = SockAddr::from(entry.remote);
            vector.iov_base = bytes.as_ptr().cast_mut().cast(); // only read by sendmmsg
            vector.iov_len = bytes.len();
            let header = &mut message.msg_hdr;
            header.msg_name = name.as_ptr().cast_mut().cast(); // only read, as above
            header.msg_namelen = name.len();
            header.msg_iov = &raw mut *vector;
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            // At most MAX_MESSAGE: fits.
            let segment = (entry.datagrams() > 1).then_some(entry.segment as u16);
            let control_len = write_control(header, entry.local.ip(), segment);
            header.msg_controllen = control_len as _;
            if control_len == 0 {
                header.msg_control = std::ptr::null_mut();
            }
            count += 1;
        }
        // SAFETY: the first `count` headers were set just above; their pointers lead into this
        // value's boxes and into `buffer`, all of which outlive the call and are only read by it.
        let outcome = unsafe {
            libc::sendmmsg(
                fd,
                self.messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }
}
