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
//! Linux only. All foreign calls of the relay's sockets stand in this file.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Datagrams in one receive batch.
pub const RECEIVE_BATCH: usize = 64;
/// Longest datagram received; a longer one is dropped and counted.
pub const MAX_DATAGRAM: usize = 2048;
/// The code under which a datagram longer than [`MAX_DATAGRAM`] is counted.
pub const TRUNCATED: &str = "RELAY.DATAGRAM_TRUNCATED";
/// Messages in one `sendmmsg` call.
const SEND_MESSAGES: usize = 64;
/// Segments in one message: the kernel's UDP_MAX_SEGMENTS was 64 before Linux 6.9.
const MAX_SEGMENTS: usize = 64;
/// Bytes in one message: what an IPv4 datagram can hold (65535 - 20 - 8).
const MAX_MESSAGE: usize = 65_507;
/// Messages refused for segmentation before any was accepted, after which it is given up.
const MAX_REFUSALS: u32 = 8;
/// Ancillary bytes of one message: PKTINFO of either family and UDP_SEGMENT or alignment slack.
const CONTROL_WORDS: usize = 12;

/// Aligned as `cmsghdr` wants it.
type Control = [u64; CONTROL_WORDS];

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

/// One received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The address it was sent to, with the socket's port.
    pub local: SocketAddr,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Its bytes, to be opened in place.
    pub bytes: &'a mut [u8],
}

/// Preallocated room for [`RECEIVE_BATCH`] datagrams.
pub struct RecvBatch {
    buffers: Box<[[u8; MAX_DATAGRAM]]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
    filled: Vec<Filled>,
}

// SAFETY: the raw pointers inside `vectors` and `messages` are written and used only within
// `RecvBatch::call`, always into this value's own boxes; between calls nothing reads them.
unsafe impl Send for RecvBatch {}

#[derive(Copy, Clone, Debug)]
struct Filled {
    index: usize,
    len: usize,
    local: SocketAddr,
    remote: SocketAddr,
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RecvBatch")
            .field("filled", &self.filled.len())
            .finish()
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBatch {
    /// Allocates all of it, once.
    pub fn new() -> RecvBatch {
        // SAFETY: `sockaddr_storage`, `iovec` and `mmsghdr` are plain C structures of integers and
        // raw pointers, for which all zeros is a valid value.
        let (name, vector, message) = unsafe { (zeroed(), zeroed(), zeroed()) };
        RecvBatch {
            buffers: vec![[0; MAX_DATAGRAM]; RECEIVE_BATCH].into_boxed_slice(),
            names: vec![name; RECEIVE_BATCH].into_boxed_slice(),
            controls: vec![[0; CONTROL_WORDS]; RECEIVE_BATCH].into_boxed_slice(),
            vectors: vec![vector; RECEIVE_BATCH].into_boxed_slice(),
            messages: vec![message; RECEIVE_BATCH].into_boxed_slice(),
            filled: Vec::with_capacity(RECEIVE_BATCH),
        }
    }

    /// The datagrams of the last [`UdpSocket::receive`], in order of arrival.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let mut filled = self.filled.iter();
        let mut wanted = filled.next();
        self.buffers
            .iter_mut()
            .enumerate()
            .filter_map(move |(index, buffer)| {
                let found = *wanted.filter(|found| found.index == index)?;
                wanted = filled.next();
                let bytes = &mut buffer[..found.len];
                Some(Datagram {
                    local: found.local,
                    remote: found.remote,
                    bytes,
                })
            })
    }

    /// Datagrams in the batch.
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// The last receive brought nothing.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    fn call(&mut self, fd: RawFd) -> io::Result<usize> {
        let rooms = self.messages.iter_mut().zip(&mut self.vectors).zip(
            self.buffers
                .iter_mut()
                .zip(&mut self.names)
                .zip(&mut self.controls),
        );
        for ((message, vector), ((buffer, name), control)) in rooms {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = MAX_DATAGRAM;
            let header = &mut message.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut *vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        // SAFETY: `messages` holds RECEIVE_BATCH headers whose pointers were set just above to
        // this value's own boxes, each with its true length; none is touched until the call
        // returns. A null timeout is allowed, and MSG_DONTWAIT keeps it from blocking.
        let outcome = unsafe {
            libc::recvmmsg(
                fd,
                self.messages.as_mut_ptr(),
                RECEIVE_BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }

    /// Reads the addresses of `count` messages; returns how many were truncated.
    fn read_messages(&mut self, count: usize, bound: SocketAddr) -> usize {
        let mut truncated = 0;
        for index in 0..count.min(RECEIVE_BATCH) {
            let message = &self.messages[index];
            if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                truncated += 1;
                continue;
            }
            let Some(remote) = address_of(&self.names[index]) else {
                continue; // an AF_INET or AF_INET6 socket names no other family
            };
            let ip = local_ip(&message.msg_hdr).unwrap_or(bound.ip());
            let local = SocketAddr::new(ip, bound.port());
            let len = (message.msg_len as usize).min(MAX_DATAGRAM);
            self.filled.push(Filled {
                index,
                len,
                local,
                remote,
            });
        }
        truncated
    }
}

/// The address in a `sockaddr_storage` that the kernel filled in. The flow label is dropped and
/// the scope kept for link-local addresses only, so that equal peers compare equal.
fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is a `sockaddr_in`; the storage is large enough
            // and aligned for every address type.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with `sockaddr_in6`.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let scope = if ip.is_unicast_link_local() {
                v6.sin6_scope_id
            } else {
                0
            };
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, scope).into())
        }
        _ => None,
    }
}

/// The destination address of a received message, from its PKTINFO.
fn local_ip(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled `msg_control` up to the length that it left in `msg_controllen`,
    // and both still lie in the batch's own boxes. The CMSG functions stay within that length, and
    // data is read unaligned only after type and length were compared.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            let len = (*message).cmsg_len as usize;
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO)
                    if len >= libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as _) as usize =>
                {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)
                    if len >= libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as _) as usize =>
                {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

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
    buffer: Box<[u8]>,
    /// Where the next datagram goes.
    end: usize,
    entries: Vec<Entry>,
    scratch: SendScratch,
}

/// A run of datagrams of one size (the last may be shorter) from one address to another.
#[derive(Copy, Clone, Debug)]
struct Entry {
    local: SocketAddr,
    remote: SocketAddr,
    start: usize,
    len: usize,
    segment: usize,
}

impl Entry {
    fn datagrams(&self) -> usize {
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
    fn split(&mut self, at: usize) {
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
struct SendScratch {
    names: Box<[SockAddr]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
}

// SAFETY: as for `RecvBatch`: the pointers are written and used only within `SendScratch::call`.
unsafe impl Send for SendScratch {}

impl SendScratch {
    fn new() -> SendScratch {
        let nowhere = SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        // SAFETY: `iovec` and `mmsghdr` are plain C structures of integers and raw pointers, for
        // which all zeros is a valid value.
        let (vector, message) = unsafe { (zeroed(), zeroed()) };
        SendScratch {
            names: vec![nowhere; SEND_MESSAGES].into_boxed_slice(),
            controls: vec![[0; CONTROL_WORDS]; SEND_MESSAGES].into_boxed_slice(),
            vectors: vec![vector; SEND_MESSAGES].into_boxed_slice(),
            messages: vec![message; SEND_MESSAGES].into_boxed_slice(),
        }
    }

    /// Sends the first [`SEND_MESSAGES`] entries at most; returns how many the kernel took.
    fn call(&mut self, fd: RawFd, entries: &[Entry], buffer: &[u8]) -> io::Result<usize> {
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
            let control_len = write_control(header, entry);
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

/// Writes PKTINFO (unless the local address is a wildcard) and UDP_SEGMENT (for a run) into the
/// header's control room; returns its used length.
fn write_control(header: &mut libc::msghdr, entry: &Entry) -> usize {
    let mut used = 0;
    // SAFETY: `msg_control` points to a zeroable, aligned `Control` of `msg_controllen` bytes that
    // is ours alone; two messages of at most 40 and 24 bytes fit into its 96. CMSG_FIRSTHDR and
    // CMSG_NXTHDR return null beyond it. The room is zeroed first because CMSG_NXTHDR reads the
    // length of the message that it steps to.
    unsafe {
        header
            .msg_control
            .cast::<Control>()
            .write([0; CONTROL_WORDS]);
        let mut message = libc::CMSG_FIRSTHDR(header);
        match entry.local.ip() {
            ip if ip.is_unspecified() => {}
            IpAddr::V4(ip) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
                used += put(message, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
            IpAddr::V6(ip) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                used += put(message, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
        if entry.datagrams() > 1 {
            // At most MAX_MESSAGE: fits.
            used += put(
                message,
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                entry.segment as u16,
            );
        }
    }
    used
}

/// Writes one control message; returns the space it takes, 0 if there was no room for it.
///
/// # Safety
/// `message` is null or points to a writable control message header with room for `value` behind.
unsafe fn put<T>(
    message: *mut libc::cmsghdr,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    if message.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller vouches for the room.
    unsafe {
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<T>() as _) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
        libc::CMSG_SPACE(size_of::<T>() as _) as usize
    }
}

/// Addresses at which a socket bound to `bound` can be reached: itself, or for a wildcard every
/// address of the same family on an interface that is up. Link-local IPv6 is left out (browsers do
/// not pair it), and so is loopback unless there is nothing else.
///
/// # Errors
/// As the system says when it cannot list interfaces.
pub fn local_addresses(bound: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !bound.ip().is_unspecified() {
        return Ok(vec![bound]);
    }
    let mut found = interface_ips()?;
    found.retain(|ip| ip.is_ipv4() == bound.is_ipv4());
    if found.iter().any(|ip| !ip.is_loopback()) {
        found.retain(|ip| !ip.is_loopback());
    }
    found.sort_unstable();
    found.dedup();
    Ok(found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, bound.port()))
        .collect())
}

fn interface_ips() -> io::Result<Vec<IpAddr>> {
    let mut list = std::ptr::null_mut();
    // SAFETY: `list` is a live pointer variable that the call sets on success.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an element of the list that getifaddrs made and that is freed only
        // below; an address that is not null belongs to a sockaddr of the family it names, which
        // for the two families read here is as long as that family's structure.
        unsafe {
            let element = &*next;
            next = element.ifa_next;
            let is_up = element.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
            if !is_up || element.ifa_addr.is_null() {
                continue;
            }
            match libc::c_int::from((*element.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let v4 = element
                        .ifa_addr
                        .cast::<libc::sockaddr_in>()
                        .read_unaligned();
                    found.push(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into());
                }
                libc::AF_INET6 => {
                    let v6 = element
                        .ifa_addr
                        .cast::<libc::sockaddr_in6>()
                        .read_unaligned();
                    let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                    if !ip.is_unicast_link_local() {
                        found.push(ip.into());
                    }
                }
                _ => {}
            }
        }
    }
    // SAFETY: `list` came from getifaddrs, is freed once, and no reference into it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}
