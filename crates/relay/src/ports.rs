//! The shard's sockets, each with one batch on its way out.
//!
//! Most legs share those that the relay was bound to. A leg that asks may have sockets of its own,
//! which end with it: two such legs may ask the same server, and on one socket nothing would tell
//! their packets apart, neither here nor there.
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
use crate::routes::Index;
use crate::udp::{local_addresses, SendBatch, UdpSocket};

/// One socket.
pub(crate) struct Port {
    pub socket: UdpSocket,
    out: SendBatch,
    congested: bool,
    /// The leg whose own it is; none for one that all share.
    owner: Option<Index>,
}

/// All sockets.
pub(crate) struct Ports {
    /// A place is empty when the leg whose own it was is over.
    list: Vec<Option<Port>>,
    addresses: Vec<SocketAddr>,
}

/// Sockets that are bound and belong to no leg yet.
pub(crate) struct Bound {
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// The addresses that candidates may name.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Ports {
    /// Binds a socket to every address.
    ///
    /// # Errors
    /// [`RelayError::BindFailed`], or [`RelayError::NoAddress`] if no peer could reach any of them.
    pub fn bind(binds: &[SocketAddr]) -> Result<Ports, RelayError> {
        let Bound { sockets, addresses } = Ports::bind_apart(binds)?;
        sockets.iter().for_each(warn_of_small_buffers);
        let list = sockets.into_iter().map(|socket| Port::new(socket, None));
        Ok(Ports {
            list: list.map(Some).collect(),
            addresses,
        })
    }

    /// Binds sockets that are a leg's own, once [`Ports::give`] gives them to one.
    ///
    /// # Errors
    /// As [`Ports::bind`].
    pub fn bind_apart(binds: &[SocketAddr]) -> Result<Bound, RelayError> {
        let mut sockets = Vec::new();
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
            sockets.push(socket);
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
        Ok(Bound { sockets, addresses })
    }

    /// These are `leg`'s own from now on.
    pub fn give(&mut self, bound: Bound, leg: Index) {
        for socket in bound.sockets {
            let port = Some(Port::new(socket, Some(leg)));
            match self.list.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = port,
                None => self.list.push(port),
            }
        }
    }

    /// Ends a leg's own sockets; what waits in them still goes out, if the kernel has room.
    pub fn take_back(&mut self, leg: Index) {
        for port in 0..self.list.len() {
            if self.owner(port) == Some(leg) {
                self.flush(port);
                self.list[port] = None;
            }
        }
        while self.list.last().is_some_and(Option::is_none) {
            self.list.pop();
        }
    }

    /// The leg whose own a socket is.
    pub fn owner(&self, port: usize) -> Option<Index> {
        self.get(port).and_then(|port| port.owner)
    }

    /// The addresses that candidates of legs without sockets of their own may name.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many places there are, empty ones included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, port: usize) -> Option<&Port> {
        self.list.get(port).and_then(Option::as_ref)
    }

    pub fn get_mut(&mut self, port: usize) -> Option<&mut Port> {
        self.list.get_mut(port).and_then(Option::as_mut)
    }

    /// Those that all legs share.
    pub fn shared(&self) -> impl Iterator<Item = &Port> {
        let all = self.list.iter().flatten();
        all.filter(|port| port.owner.is_none())
    }

    /// The socket that packets with this source address leave from.
    pub fn of_local(&self, local: SocketAddr) -> Option<usize> {
        self.list.iter().position(|place| {
            let Some(port) = place else {
                return false;
            };
            let bound = port.socket.local_address();
            let covers = bound.ip() == local.ip()
                || (bound.ip().is_unspecified() && bound.is_ipv4() == local.is_ipv4());
            covers && bound.port() == local.port()
        })
    }

    /// Whether new media should wait.
    pub fn is_congested(&self, port: usize) -> bool {
        self.get(port).is_none_or(|port| port.congested)
    }

    /// Room for a media packet of up to `len` bytes, after sending what is there if need be. Media
    /// leaves [`limits::CONTROL_ROOM`] to reports, checks and handshakes: it can wait in its
    /// history, they cannot.
    pub fn reserve_media(&mut self, port: usize, len: usize) -> Option<&mut [u8]> {
        let needed = len + limits::CONTROL_ROOM;
        let port = self.get_mut(port)?;
        if port.out.room() < needed {
            port.flush();
        }
        if port.out.room() < needed {
            return None;
        }
        port.out.reserve(len)
    }

    /// Room for any other packet of up to `len` bytes, likewise.
    pub fn reserve(&mut self, port: usize, len: usize) -> Option<&mut [u8]> {
        let port = self.get_mut(port)?;
        if port.out.reserve(len).is_none() {
            port.flush();
        }
        port.out.reserve(len)
    }

    /// The first `len` bytes of the room reserved last are a packet for this path.
    pub fn commit(&mut self, port: usize, path: Path, len: usize) {
        if let Some(port) = self.get_mut(port) {
            port.out.commit(path.local, path.remote, len);
        }
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
        if let Some(port) = self.get_mut(port) {
            port.flush();
        }
    }

    /// Tries again where the kernel had no room. True if a port has come free by it.
    pub fn retry_congested(&mut self) -> bool {
        let mut came_free = false;
        for port in 0..self.list.len() {
            if self.get(port).is_some_and(Port::is_congested) {
                self.flush(port);
                came_free |= !self.is_congested(port);
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
    fn new(socket: UdpSocket, owner: Option<Index>) -> Port {
        Port {
            socket,
            out: SendBatch::new(limits::OUT_BATCH),
            congested: false,
            owner,
        }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.congested = self.socket.send(&mut self.out).unsent > 0;
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, 1], 0))]
    }

    fn own(ports: &mut Ports, leg: Index) -> SocketAddr {
        let bound = Ports::bind_apart(&loopback()).expect("loopback can be bound");
        let address = bound.addresses()[0];
        ports.give(bound, leg);
        address
    }

    #[test]
    fn a_socket_of_a_leg_ends_with_it_and_its_place_is_the_next_ones() {
        let mut ports = Ports::bind(&loopback()).expect("loopback can be bound");
        let (first, second) = (own(&mut ports, 7), own(&mut ports, 8));
        assert_eq!(
            [0, 1, 2].map(|port| ports.owner(port)),
            [None, Some(7), Some(8)]
        );
        assert_eq!(ports.of_local(second), Some(2));
        ports.take_back(7);
        assert!(UdpSocket::bind(first, 0).is_ok(), "its port is free again");
        assert_eq!([1, 2].map(|port| ports.owner(port)), [None, Some(8)]);
        assert_eq!(ports.transmit(first, second, b"late"), Err(code::NO_PATH));
        let third = own(&mut ports, 9);
        assert_eq!(ports.of_local(third), Some(1));
        ports.take_back(8);
        ports.take_back(9);
        assert_eq!((ports.len(), ports.shared().count()), (1, 1));
        assert_eq!(
            ports.addresses().len(),
            1,
            "candidates of others never name them"
        );
    }
}
