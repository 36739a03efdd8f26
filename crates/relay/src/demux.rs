//! Whose datagram it is.
//!
//! STUN requests find their leg by the local user fragment in USERNAME, never by address;
//! everything else by the source address, and an address enters that table only after an
//! authenticated request came from it (RFC 7983 tells the protocols apart; design: nobody can aim a
//! leg's traffic by guessing an address). A client leg, which asks first, is found by the addresses
//! that it probes, for STUN alone.
//!
//! It authenticates nothing itself; the leg does.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::limits;

/// A leg's place in the shard's table.
pub(crate) type Index = usize;

/// RFC 8489 §5.
const MAGIC_COOKIE: u32 = 0x2112_a442;
const HEADER_LEN: usize = 20;
/// Class bits of the message type (RFC 8489 §5): zero in a request.
const CLASS_BITS: u16 = 0x0110;
const USERNAME: u16 = 0x0006;

/// How a STUN message is routed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum StunRoute<'a> {
    /// A request: the part of USERNAME before the colon (RFC 8445 §7.2.2).
    Request { local_ufrag: &'a [u8] },
    /// A response or an indication: by address.
    ByAddress,
    /// It cannot be read that far.
    Malformed,
}

/// Reads as much of a STUN message as routing needs.
pub(crate) fn route_stun(datagram: &[u8]) -> StunRoute<'_> {
    let Some((header, mut attributes)) = datagram.split_at_checked(HEADER_LEN) else {
        return StunRoute::Malformed;
    };
    let be16 = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if cookie != MAGIC_COOKIE || usize::from(be16(header, 2)) != attributes.len() {
        return StunRoute::Malformed;
    }
    if be16(header, 0) & CLASS_BITS != 0 {
        return StunRoute::ByAddress;
    }
    while attributes.len() >= 4 {
        let (kind, len) = (be16(attributes, 0), usize::from(be16(attributes, 2)));
        let Some(value) = attributes.get(4..4 + len) else {
            return StunRoute::Malformed;
        };
        if kind == USERNAME {
            let colon = value.iter().position(|byte| *byte == b':');
            return match colon {
                Some(colon) => StunRoute::Request {
                    local_ufrag: &value[..colon],
                },
                None => StunRoute::Malformed,
            };
        }
        // Values are padded to four bytes (RFC 8489 §14).
        let padded = 4 + len.next_multiple_of(4);
        attributes = attributes.get(padded..).unwrap_or_default();
    }
    StunRoute::Malformed
}

/// Where a peer is: which of our sockets it talks to, and its address.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub(crate) struct Peer {
    pub socket: usize,
    pub remote: SocketAddr,
}

/// Whether an address could be entered.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Claimed {
    Yes,
    /// Another leg uses it.
    TakenBy(Index),
    /// The table is full.
    Full,
}

/// The tables. Looked up with the hash of the standard library, whose key is random: addresses are
/// chosen by peers.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    ufrags: HashMap<Box<[u8]>, Index>,
    sources: HashMap<Peer, Index>,
    probed: HashMap<SocketAddr, Index>,
}

impl Routes {
    pub fn by_ufrag(&self, ufrag: &[u8]) -> Option<Index> {
        self.ufrags.get(ufrag).copied()
    }

    pub fn by_source(&self, peer: Peer) -> Option<Index> {
        self.sources.get(&peer).copied()
    }

    /// For STUN only: the client leg that probes this address.
    pub fn by_probe(&self, remote: SocketAddr) -> Option<Index> {
        self.probed.get(&remote).copied()
    }

    /// Enters a leg's user fragment; false if another leg has it.
    pub fn claim_ufrag(&mut self, ufrag: &str, leg: Index) -> bool {
        *self.ufrags.entry(ufrag.as_bytes().into()).or_insert(leg) == leg
    }

    /// Enters an authenticated address.
    pub fn claim_source(&mut self, peer: Peer, leg: Index) -> Claimed {
        match self.sources.get(&peer) {
            Some(owner) if *owner == leg => Claimed::Yes,
            Some(owner) => Claimed::TakenBy(*owner),
            None if self.sources.len() >= limits::ADDRESSES => Claimed::Full,
            None => {
                self.sources.insert(peer, leg);
                Claimed::Yes
            }
        }
    }

    /// Gives an address whose owner is silent to another leg.
    pub fn take_over_source(&mut self, peer: Peer, leg: Index) {
        self.sources.insert(peer, leg);
    }

    /// Enters an address that a client leg probes; false if another leg probes it.
    pub fn claim_probe(&mut self, remote: SocketAddr, leg: Index) -> bool {
        *self.probed.entry(remote).or_insert(leg) == leg
    }

    /// The leg has no more use for this address.
    pub fn forget_source(&mut self, remote: SocketAddr, leg: Index) {
        self.sources
            .retain(|peer, owner| *owner != leg || peer.remote != remote);
    }

    /// The user fragments of a leg are these now.
    pub fn keep_ufrags<'a>(&mut self, leg: Index, kept: impl Iterator<Item = &'a str>) {
        let kept: Vec<&str> = kept.collect();
        self.ufrags.retain(|ufrag, owner| {
            *owner != leg || kept.iter().any(|kept| kept.as_bytes() == &**ufrag)
        });
    }

    /// The leg has ended.
    pub fn forget_leg(&mut self, leg: Index) {
        self.ufrags.retain(|_, owner| *owner != leg);
        self.sources.retain(|_, owner| *owner != leg);
        self.probed.retain(|_, owner| *owner != leg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((attributes.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE.to_be_bytes());
        message.extend([7; 12]);
        message.extend(attributes);
        message
    }

    #[test]
    fn a_request_is_routed_by_the_local_ufrag() {
        let attributes = [
            0x80, 0x22, 0, 3, b'a', b'b', b'c', 0, 0, 6, 0, 7, b'u', b's', b':', b't', b'h', b'e',
            b'm', 0,
        ];
        let request = stun(0x0001, &attributes);
        assert_eq!(
            route_stun(&request),
            StunRoute::Request { local_ufrag: b"us" }
        );
    }

    #[test]
    fn responses_and_indications_are_routed_by_address() {
        for kind in [0x0101, 0x0111, 0x0011] {
            assert_eq!(route_stun(&stun(kind, &[])), StunRoute::ByAddress);
        }
    }

    #[test]
    fn a_damaged_message_is_malformed_at_every_length() {
        let whole = stun(
            0x0001,
            &[0, 6, 0, 7, b'u', b's', b':', b't', b'h', b'e', b'm', 0],
        );
        for len in 0..whole.len() {
            assert_eq!(route_stun(&whole[..len]), StunRoute::Malformed, "{len}");
        }
        assert_eq!(
            route_stun(&stun(0x0001, &[])),
            StunRoute::Malformed,
            "no USERNAME"
        );
        assert_eq!(
            route_stun(&stun(0x0001, &[0, 6, 0xff, 0xff])),
            StunRoute::Malformed,
            "an attribute beyond the end"
        );
        assert_eq!(
            route_stun(&stun(0x0001, &[0, 6, 0, 4, b'n', b'o', b'n', b'e'])),
            StunRoute::Malformed,
            "no colon"
        );
    }

    #[test]
    fn an_address_in_use_is_not_taken_away() {
        let mut routes = Routes::default();
        let peer = Peer {
            socket: 0,
            remote: "192.0.2.1:5000".parse().expect("an address"),
        };
        assert_eq!(routes.claim_source(peer, 1), Claimed::Yes);
        assert_eq!(routes.claim_source(peer, 2), Claimed::TakenBy(1));
        assert_eq!(routes.by_source(peer), Some(1));
        routes.forget_leg(1);
        assert_eq!(routes.by_source(peer), None);
        assert_eq!(routes.claim_source(peer, 2), Claimed::Yes);
    }
}
