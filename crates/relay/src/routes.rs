//! Which leg a datagram belongs to: three tables, and for every leg what it has in them.
//!
//! An address enters only after an authenticated request came from it (design: nobody can aim a
//! leg's traffic by guessing an address); a client leg, which asks first, is also found by the
//! addresses that it probes, for STUN alone. Leaving costs a leg its own entries, however many the
//! others have: thousands may leave at once, while media waits.
//!
//! It authenticates nothing itself; the leg does.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::limits;

/// A leg's place in the shard's table.
pub(crate) type Index = usize;

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
    /// By the leg's place.
    claims: Vec<Claims>,
    /// Entries looked at to take some away: what a test counts.
    #[cfg(test)]
    looked_at: usize,
}

/// What one leg has in the tables: a few of each. A generation of ICE knows 16 addresses at most
/// (crate `leg`), and a leg has two generations at most.
#[derive(Debug, Default)]
struct Claims {
    ufrags: Vec<Box<[u8]>>,
    sources: Vec<Peer>,
    probed: Vec<SocketAddr>,
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
        let ufrag: Box<[u8]> = ufrag.as_bytes().into();
        if let Some(owner) = self.ufrags.get(&ufrag) {
            return *owner == leg;
        }
        self.of(leg).ufrags.push(ufrag.clone());
        self.ufrags.insert(ufrag, leg);
        true
    }

    /// Enters an authenticated address.
    pub fn claim_source(&mut self, peer: Peer, leg: Index) -> Claimed {
        match self.sources.get(&peer) {
            Some(owner) if *owner == leg => Claimed::Yes,
            Some(owner) => Claimed::TakenBy(*owner),
            None if self.sources.len() >= limits::ADDRESSES => Claimed::Full,
            None => {
                self.sources.insert(peer, leg);
                self.of(leg).sources.push(peer);
                Claimed::Yes
            }
        }
    }

    /// Gives an address whose owner is silent to another leg.
    pub fn take_over_source(&mut self, peer: Peer, leg: Index) {
        if let Some(owner) = self.sources.insert(peer, leg) {
            self.look_at(self.claims.get(owner).map_or(0, |of| of.sources.len()));
            self.of(owner).sources.retain(|known| *known != peer);
        }
        self.of(leg).sources.push(peer);
    }

    /// Enters an address that a client leg probes; false if another leg probes it.
    pub fn claim_probe(&mut self, remote: SocketAddr, leg: Index) -> bool {
        if let Some(owner) = self.probed.get(&remote) {
            return *owner == leg;
        }
        self.probed.insert(remote, leg);
        self.of(leg).probed.push(remote);
        true
    }

    /// The leg has no more use for this address, on whichever of our sockets.
    pub fn forget_source(&mut self, remote: SocketAddr, leg: Index) {
        let mut sources = std::mem::take(&mut self.of(leg).sources);
        self.look_at(sources.len());
        sources.retain(|peer| {
            let is_kept = peer.remote != remote;
            if !is_kept {
                self.sources.remove(peer);
            }
            is_kept
        });
        self.of(leg).sources = sources;
    }

    /// The user fragments of a leg are these now.
    pub fn keep_ufrags<'a>(&mut self, leg: Index, kept: impl Iterator<Item = &'a str>) {
        let kept: Vec<&str> = kept.collect();
        let mut ufrags = std::mem::take(&mut self.of(leg).ufrags);
        self.look_at(ufrags.len());
        ufrags.retain(|ufrag| {
            let is_kept = kept.iter().any(|kept| kept.as_bytes() == &**ufrag);
            if !is_kept {
                self.ufrags.remove(ufrag);
            }
            is_kept
        });
        self.of(leg).ufrags = ufrags;
    }

    /// The leg has ended.
    pub fn forget_leg(&mut self, leg: Index) {
        let Claims {
            ufrags,
            sources,
            probed,
        } = std::mem::take(self.of(leg));
        self.look_at(ufrags.len() + sources.len() + probed.len());
        for ufrag in ufrags {
            self.ufrags.remove(&ufrag);
        }
        for peer in sources {
            self.sources.remove(&peer);
        }
        for remote in probed {
            self.probed.remove(&remote);
        }
    }

    fn of(&mut self, leg: Index) -> &mut Claims {
        if leg >= self.claims.len() {
            self.claims.resize_with(leg + 1, Claims::default);
        }
        &mut self.claims[leg]
    }

    fn look_at(&mut self, _entries: usize) {
        #[cfg(test)]
        {
            self.looked_at += _entries;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> SocketAddr {
        let [a, b] = u16::try_from(number).expect("a small test").to_be_bytes();
        SocketAddr::from(([192, 0, a, b], 5_000))
    }

    fn peer(number: usize) -> Peer {
        Peer {
            socket: 0,
            remote: address(number),
        }
    }

    #[test]
    fn an_address_in_use_is_not_taken_away() {
        let mut routes = Routes::default();
        assert_eq!(routes.claim_source(peer(7), 1), Claimed::Yes);
        assert_eq!(routes.claim_source(peer(7), 2), Claimed::TakenBy(1));
        assert_eq!(routes.by_source(peer(7)), Some(1));
        routes.forget_leg(1);
        assert_eq!(routes.by_source(peer(7)), None);
        assert_eq!(routes.claim_source(peer(7), 2), Claimed::Yes);
    }

    #[test]
    fn a_leg_that_leaves_looks_at_its_own_entries_and_no_others() {
        let mut routes = Routes::default();
        let legs = limits::LEGS;
        for leg in 0..legs {
            assert!(routes.claim_ufrag(&format!("ufrag{leg}"), leg));
            for at in 0..4 {
                assert_eq!(routes.claim_source(peer(leg * 4 + at), leg), Claimed::Yes);
            }
            assert!(routes.claim_probe(address(leg), leg));
        }
        routes.forget_leg(17);
        assert_eq!(routes.looked_at, 6, "one fragment, four addresses, a probe");
        for leg in (0..legs).filter(|leg| *leg != 17) {
            routes.forget_leg(leg);
        }
        assert_eq!(routes.looked_at, 6 * legs, "all together, each entry once");
        assert!(routes.ufrags.is_empty());
        assert!(routes.sources.is_empty());
        assert!(routes.probed.is_empty());
    }

    #[test]
    fn a_change_of_path_looks_at_the_legs_own_entries_and_no_others() {
        let mut routes = Routes::default();
        for leg in 0..1_000 {
            for generation in 0..2 {
                assert!(routes.claim_ufrag(&format!("{generation}of{leg}"), leg));
            }
            for at in 0..3 {
                routes.claim_source(peer(leg * 3 + at), leg);
            }
        }
        routes.forget_source(address(3 * 500 + 1), 500);
        routes.keep_ufrags(500, ["1of500"].into_iter());
        assert_eq!(routes.looked_at, 3 + 2);
        assert_eq!(routes.by_source(peer(3 * 500 + 1)), None);
        assert_eq!(routes.by_source(peer(3 * 500)), Some(500));
        assert_eq!(routes.by_ufrag(b"0of500"), None);
        assert_eq!(routes.by_ufrag(b"1of500"), Some(500));
        assert_eq!(routes.by_ufrag(b"0of501"), Some(501));
    }

    #[test]
    fn an_address_of_one_leg_is_forgotten_on_all_sockets_and_anothers_on_none() {
        let mut routes = Routes::default();
        let on = |socket| Peer { socket, ..peer(1) };
        routes.claim_source(on(0), 1);
        routes.claim_source(on(1), 1);
        routes.claim_source(on(2), 2);
        routes.forget_source(address(1), 1);
        assert_eq!(
            [0, 1, 2].map(|socket| routes.by_source(on(socket))),
            [None, None, Some(2)]
        );
    }

    #[test]
    fn the_end_of_a_former_owner_leaves_an_address_with_the_leg_that_took_it_over() {
        let mut routes = Routes::default();
        routes.claim_source(peer(1), 1);
        routes.take_over_source(peer(1), 2);
        routes.forget_leg(1);
        assert_eq!(routes.by_source(peer(1)), Some(2));
        routes.forget_leg(2);
        assert_eq!(routes.by_source(peer(1)), None);
    }
}
