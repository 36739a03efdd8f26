//! The shard's sockets, each with one batch on its way out.
//!
//! Packets are written in place into the batch of the socket they leave from, viewer after viewer,
//! so that a run for one viewer becomes one segmented message and many viewers one system call.
//! When the kernel has no room, what was written stays, the port is *congested*, and viewers wait
//! in their tracks' histories until it is writable again: nothing blocks and nothing is lost on the
//! way.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use sealcast_leg::Path;

use crate::codes as code;
use crate::error::RelayError;
use crate::limits;
use crate::udp::{local_addresses, SendBatch, UdpSocket};

/// One socket.
pub(crate) struct Port {
    pub socket: UdpSocket,
    out: SendBatch,
    congested: bool,
}

/// All sockets.
pub(crate) struct Ports {
    list: Vec<Port>,
    addresses: Vec<SocketAddr>,
}

impl Ports {
    /// Binds a socket to every address.
    ///
    /// # Errors
    /// [`RelayError::BindFailed`], or [`RelayError::NoAddress`] if no peer could reach any of them.
    pub fn bind(binds: &[SocketAddr]) -> Result<Ports, RelayError> {
        let mut list = Vec::new();
        let (mut bound, mut discovered) = (Vec::new(), Vec::new());
        for &address in binds {
            let failed = |reason| RelayError::BindFailed { address, reason };
            let socket = UdpSocket::bind(address, limits::SOCKET_BUFFER).map_err(failed)?;
            let local = socket.local_address();
            let found = local_addresses(local).map_err(failed)?;
            if local.ip().is_unspecified() {
                discovered.extend(found);
            } else {
                bound.extend(found);
            }
            warn_of_small_buffers(&socket);
            list.push(Port {
                socket,
                out: SendBatch::new(limits::OUT_BATCH),
                congested: false,
            });
        }
        // Loopback is of use to nobody else: it counts only if it was asked for, or if there is
        // nothing beside it.
        let reaches_out = |address: &SocketAddr| !address.ip().is_loopback();
        if bound.iter().chain(&discovered).any(reaches_out) {
            discovered.retain(reaches_out);
        }
        let addresses: Vec<SocketAddr> = bound.into_iter().chain(discovered).collect();
        if addresses.is_empty() {
            return Err(RelayError::NoAddress);
        }
        Ok(Ports { list, addresses })
    }

    /// The addresses that candidates may name.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn get_mut(&mut self, port: usize) -> &mut Port {
        &mut self.list[port]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.list.iter()
    }

    /// The socket that packets with this source address leave from.
    pub fn of_local(&self, local: SocketAddr) -> Option<usize> {
        self.list.iter().position(|port| {
            let bound = port.socket.local_address();
            let covers = bound.ip() == local.ip()
                || (bound.ip().is_unspecified() && bound.is_ipv4() == local.is_ipv4());
            covers && bound.port() == local.port()
        })
    }

    /// Whether new media should wait.
    pub fn is_congested(&self, port: usize) -> bool {
        self.list[port].congested
    }

    /// Room for a media packet of up to `len` bytes, after sending what is there if need be. Media
    /// leaves [`limits::CONTROL_ROOM`] to reports, checks and handshakes: it can wait in its
    /// history, they cannot.
    pub fn reserve_media(&mut self, port: usize, len: usize) -> Option<&mut [u8]> {
        let needed = len + limits::CONTROL_ROOM;
        if self.list[port].out.room() < needed {
            self.flush(port);
        }
        let out = &mut self.list[port].out;
        if out.room() < needed {
            return None;
        }
        out.reserve(len)
    }

    /// Room for any other packet of up to `len` bytes, likewise.
    pub fn reserve(&mut self, port: usize, len: usize) -> Option<&mut [u8]> {
        if self.list[port].out.reserve(len).is_none() {
            self.flush(port);
        }
        self.list[port].out.reserve(len)
    }

    /// The first `len` bytes of the room reserved last are a packet for this path.
    pub fn commit(&mut self, port: usize, path: Path, len: usize) {
        self.list[port].out.commit(path.local, path.remote, len);
    }

    /// Queues one datagram of a leg's own protocols.
    ///
    /// # Errors
    /// The code of the drop.
    pub fn transmit(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), &'static str> {
        let port = self.of_local(local).ok_or(code::NO_PATH)?;
        let room = self
            .reserve(port, datagram.len())
            .ok_or(code::SEND_WOULD_BLOCK)?;
        room.copy_from_slice(datagram);
        self.commit(port, Path { local, remote }, datagram.len());
        Ok(())
    }

    /// Gives the kernel what waits.
    pub fn flush(&mut self, port: usize) {
        let port = &mut self.list[port];
        if !port.out.is_empty() {
            port.congested = port.socket.send(&mut port.out).unsent > 0;
        }
    }

    /// Tries again where the kernel had no room. True if a port has come free by it.
    pub fn retry_congested(&mut self) -> bool {
        let mut came_free = false;
        for port in 0..self.list.len() {
            if self.list[port].congested {
                self.flush(port);
                came_free |= !self.list[port].congested;
            }
        }
        came_free
    }

    /// Gives the kernel everything that waits.
    pub fn flush_all(&mut self) {
        for port in 0..self.list.len() {
            self.flush(port);
        }
    }
}

impl Port {
    pub fn is_congested(&self) -> bool {
        self.congested
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn warn_of_small_buffers(socket: &UdpSocket) {
    let granted = socket.receive_buffer().min(socket.send_buffer());
    let address = socket.local_address();
    tracing::debug!(%address, receive = socket.receive_buffer(), send = socket.send_buffer(), "socket buffers granted");
    if granted < limits::SOCKET_BUFFER / 4 {
        tracing::warn!(
            %address,
            granted,
            wanted = limits::SOCKET_BUFFER,
            "small socket buffers lose packets in bursts: raise net.core.rmem_max and net.core.wmem_max"
        );
    }
}
