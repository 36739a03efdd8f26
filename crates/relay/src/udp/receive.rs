//! Datagrams on their way in: preallocated room, the one call that fills it, and the addresses
//! that the kernel wrote beside them.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use super::control::{local_ip, Control, EMPTY};

/// Datagrams in one receive batch.
pub const RECEIVE_BATCH: usize = 64;
/// Longest datagram received; a longer one is dropped and counted.
pub const MAX_DATAGRAM: usize = 2048;

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
    pub(super) filled: Vec<Filled>,
}

// SAFETY: the raw pointers inside `vectors` and `messages` are written and used only within
// `RecvBatch::call`, always into this value's own boxes; between calls nothing reads them.
unsafe impl Send for RecvBatch {}

#[derive(Copy, Clone, Debug)]
pub(super) struct Filled {
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
            controls: vec![EMPTY; RECEIVE_BATCH].into_boxed_slice(),
            vectors: vec![vector; RECEIVE_BATCH].into_boxed_slice(),
            messages: vec![message; RECEIVE_BATCH].into_boxed_slice(),
            filled: Vec::with_capacity(RECEIVE_BATCH),
        }
    }

    /// The datagrams of the last [`super::UdpSocket::receive`], in order of arrival.
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

    pub(super) fn call(&mut self, fd: RawFd) -> io::Result<usize> {
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
    pub(super) fn read_messages(&mut self, count: usize, bound: SocketAddr) -> usize {
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
