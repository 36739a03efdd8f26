//! UDP sockets in batches: many datagrams per system call, both ways.
//!
//! Does: `recvmmsg` into preallocated buffers with the local address of each datagram
//! (IP_PKTINFO, IPV6_RECVPKTINFO), `sendmmsg` from one contiguous buffer, runs of equal-size
//! datagrams for one destination as one message (UDP_SEGMENT), answers from the address that was
//! asked (PKTINFO again), interface addresses.
//! Does not: block, retry by itself, read a byte of a datagram, know what a leg is. IPv4 and IPv6
//! have a socket each (IPV6_V6ONLY), so no v4-mapped address ever appears.
//! The caller must: wait for readiness itself ([`std::os::fd::AsRawFd`]); use one [`SendBatch`] per
//! socket; decide what becomes of datagrams that the kernel had no room for.
//!
//! Linux only. All foreign calls of the relay's sockets stand in this folder: [`UdpSocket`] here,
//! what comes in `receive`, what goes out in `send`, what travels beside a datagram in `control`.

mod control;
mod interfaces;
mod receive;
mod send;

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

pub use interfaces::local_addresses;
pub use receive::{Datagram, RecvBatch, MAX_DATAGRAM, RECEIVE_BATCH};
use send::{Entry, SEND_MESSAGES};
pub use send::{SendBatch, SendReport};

/// The code under which a datagram longer than [`MAX_DATAGRAM`] is counted.
pub const TRUNCATED: &str = "RELAY.DATAGRAM_TRUNCATED";
/// Messages refused for segmentation before any was accepted, after which it is given up.
const MAX_REFUSALS: u32 = 8;

/// What the sockets did, since they were made.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct UdpCounters {
    /// Datagrams received whole.
    pub received: u64,
    /// Calls of `recvmmsg`.
    pub receive_calls: u64,
    /// Datagrams dropped for being longer than [`MAX_DATAGRAM`] ([`TRUNCATED`]).
    pub truncated: u64,
    /// Datagrams given to the kernel.
    pub sent: u64,
    /// Calls of `sendmmsg`.
    pub send_calls: u64,
    /// Datagrams that travelled in a segmented message.
    pub segmented: u64,
    /// Segmented messages that the kernel refused; they were sent datagram by datagram.
    pub segmentation_refused: u64,
    /// Times that the kernel had no room (RELAY.SEND_WOULD_BLOCK).
    pub would_block: u64,
    /// Datagrams that the kernel refused for another reason (RELAY.SEND_FAILED).
    pub failed: u64,
}

/// One bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    receive_buffer: usize,
    send_buffer: usize,
    segmentation: Segmentation,
    counters: UdpCounters,
    /// A test's way to play a kernel that has no room.
    #[cfg(test)]
    pub(crate) is_full: bool,
}

/// Whether UDP_SEGMENT works here.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Segmentation {
    /// Not yet accepted; refused so often.
    Untried(u32),
    Works,
    Off,
}

impl UdpSocket {
    /// Binds, asks for socket buffers of `buffer_len` bytes and switches on what the batches need.
    ///
    /// # Errors
    /// As the system says: address in use, not ours, no permission.
    pub fn bind(address: SocketAddr, buffer_len: usize) -> io::Result<UdpSocket> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
            set_flag(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)?;
        } else {
            set_flag(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO)?;
        }
        // The kernel cuts the wish down to net.core.rmem_max and wmem_max and says nothing.
        socket.set_recv_buffer_size(buffer_len)?;
        socket.set_send_buffer_size(buffer_len)?;
        // It doubles what it grants for its own bookkeeping and reports the double (socket(7)).
        let receive_buffer = socket.recv_buffer_size()? / 2;
        let send_buffer = socket.send_buffer_size()? / 2;
        socket.bind(&address.into())?;
        let local = socket
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(UdpSocket {
            socket,
            local,
            receive_buffer,
            send_buffer,
            segmentation: Segmentation::Untried(0),
            counters: UdpCounters::default(),
            #[cfg(test)]
            is_full: false,
        })
    }

    /// The bound address, with the port that the kernel chose if it was asked to.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Bytes granted for datagrams waiting to be read.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Bytes granted for datagrams waiting to leave.
    pub fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// What the socket did so far.
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    /// Never uses segmentation offload from here on.
    pub fn disable_segmentation(&mut self) {
        self.segmentation = Segmentation::Off;
    }

    /// Fills `batch` with what waits, at most [`RECEIVE_BATCH`] datagrams, and returns how many
    /// (whole) ones there are; 0 if nothing waits. A return of less than a full batch does not
    /// prove that nothing waits.
    ///
    /// # Errors
    /// As the system says; a pending error of an earlier send does not end the socket.
    pub fn receive(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.filled.clear();
        loop {
            self.counters.receive_calls += 1;
            match batch.call(self.socket.as_raw_fd()) {
                Ok(count) => {
                    let truncated = batch.read_messages(count, self.local);
                    self.counters.truncated += truncated as u64;
                    self.counters.received += batch.filled.len() as u64;
                    return Ok(batch.filled.len());
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Ok(0),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Gives the batch to the kernel without waiting. What it had no room for stays at the front
    /// of the batch, in order; what it refuses is dropped and counted.
    pub fn send(&mut self, batch: &mut SendBatch) -> SendReport {
        let mut report = SendReport::default();
        let mut at = 0;
        while at < batch.entries.len() {
            let entries = &batch.entries[at..];
            let mut count = entries.len().min(SEND_MESSAGES);
            if self.segmentation == Segmentation::Off {
                let is_run = |entry: &Entry| entry.datagrams() > 1;
                count = entries[..count].iter().position(is_run).unwrap_or(count);
                if count == 0 {
                    batch.split(at);
                    continue;
                }
            }
            self.counters.send_calls += 1;
            #[cfg(test)]
            if self.is_full {
                self.counters.would_block += 1;
                break;
            }
            match batch
                .scratch
                .call(self.socket.as_raw_fd(), &entries[..count], &batch.buffer)
            {
                Ok(0) => break, // never seen; but a loop must end
                Ok(taken) => {
                    for entry in &batch.entries[at..at + taken.min(count)] {
                        report.sent += entry.datagrams();
                        if entry.datagrams() > 1 {
                            self.counters.segmented += entry.datagrams() as u64;
                            self.segmentation = Segmentation::Works;
                        }
                    }
                    at += taken.min(count);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::ENOBUFS) => {
                        self.counters.would_block += 1;
                        break;
                    }
                    // EINVAL: segments longer than the path's MTU, or no support; EIO: no checksum
                    // offload on the way (udp_send_skb). Datagram by datagram both may leave.
                    Some(error @ (libc::EINVAL | libc::EIO | libc::EMSGSIZE))
                        if batch.entries[at].datagrams() > 1 =>
                    {
                        self.note_refusal(error);
                        batch.split(at);
                    }
                    _ => {
                        report.failed += batch.entries[at].datagrams();
                        at += 1;
                    }
                },
            }
        }
        batch.entries.drain(..at);
        if batch.entries.is_empty() {
            batch.clear();
        }
        report.unsent = batch.datagrams();
        self.counters.sent += report.sent as u64;
        self.counters.failed += report.failed as u64;
        report
    }

    fn note_refusal(&mut self, error: i32) {
        self.counters.segmentation_refused += 1;
        self.segmentation = match self.segmentation {
            Segmentation::Untried(refusals) if refusals < MAX_REFUSALS && error != libc::EIO => {
                Segmentation::Untried(refusals + 1)
            }
            // One path with a small MTU must not slow down all the others.
            Segmentation::Works if error != libc::EIO => Segmentation::Works,
            _ => Segmentation::Off,
        };
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<UdpSocket> for OwnedFd {
    fn from(socket: UdpSocket) -> OwnedFd {
        socket.socket.into()
    }
}

fn set_flag(socket: &Socket, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the life of `socket`; the value is a live `c_int` and its
    // length is given.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
