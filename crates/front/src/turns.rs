//! Turns in the handshake: a door works on so many at once, and on no more than a share of them for
//! one address.
//!
//! A handshake costs us more than it costs whoever begins it, so places are few. Somebody who takes
//! them and stays silent would lock out everybody else until the time limit; with the share, others
//! still find places. Who is beyond the share waits as everybody waits, but before the door's own
//! queue, not in it. Waiting takes a connection's place, so an address has a share of those, too;
//! beyond that one it is refused at once.
//!
//! A v6 address counts by its first 64 bits: a single host has all the rest to choose from (RFC
//! 4291 §2.5.4). No address is exempt, loopback neither.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{timeout_at, Instant};

use crate::limits::Limits;

/// The places of one door.
pub(crate) struct Turns {
    all: Semaphore,
    total: usize,
    share: usize,
    unproved: usize,
    /// Whoever is here; bounded by the connections that the door admits.
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

struct Address {
    places: Arc<Semaphore>,
    unproved: usize,
}

/// A place, held while the handshake runs.
pub(crate) struct Turn<'a> {
    // Given back in this order.
    _place: SemaphorePermit<'a>,
    _share: OwnedSemaphorePermit,
    _presence: Presence<'a>,
}

/// One connection of an address that is not proved yet.
struct Presence<'a> {
    turns: &'a Turns,
    address: IpAddr,
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        let one_in = limits.address_share.max(1);
        Self {
            all: Semaphore::new(limits.handshakes_per_door),
            total: limits.handshakes_per_door,
            share: (limits.handshakes_per_door / one_in).max(1),
            unproved: (limits.connections_per_door / one_in).max(1),
            addresses: Mutex::default(),
        }
    }

    /// Waits for a place; the error says what was full.
    pub(crate) async fn take(
        &self,
        address: IpAddr,
        deadline: Instant,
    ) -> Result<Turn<'_>, String> {
        let (presence, places) = self.enter(network(address)).ok_or_else(|| {
            let unproved = self.unproved;
            format!("{unproved} connections of this address are not proved yet")
        })?;
        let Ok(Ok(share)) = timeout_at(deadline, places.acquire_owned()).await else {
            let share = self.share;
            return Err(format!("{share} handshakes of this address are under way"));
        };
        let Ok(Ok(place)) = timeout_at(deadline, self.all.acquire()).await else {
            return Err(format!("{} handshakes are under way", self.total));
        };
        Ok(Turn {
            _place: place,
            _share: share,
            _presence: presence,
        })
    }

    fn enter(&self, address: IpAddr) -> Option<(Presence<'_>, Arc<Semaphore>)> {
        let mut addresses = self.addresses();
        let entry = addresses.entry(address).or_insert_with(|| Address {
            places: Arc::new(Semaphore::new(self.share)),
            unproved: 0,
        });
        if entry.unproved >= self.unproved {
            return None;
        }
        entry.unproved += 1;
        let presence = Presence {
            turns: self,
            address,
        };
        Some((presence, Arc::clone(&entry.places)))
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        let mut addresses = self.turns.addresses();
        if let Some(entry) = addresses.get_mut(&self.address) {
            entry.unproved -= 1;
            if entry.unproved == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Whom an address belongs to, as far as it shows.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Turns;
    use crate::limits::Limits;

    fn turns() -> Turns {
        Turns::new(&Limits {
            handshakes_per_door: 8,
            connections_per_door: 12,
            address_share: 4,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// A deadline for those that cannot get a turn.
    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    /// A deadline for those that must get one.
    fn late() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn an_address_holds_its_share_and_others_find_the_rest() {
        let turns = turns();
        let crowd = ip("127.0.0.1");
        let first = turns.take(crowd, late()).await.expect("a place");
        let _second = turns.take(crowd, late()).await.expect("a place");
        let refusal = turns.take(crowd, soon()).await.err().expect("no third");
        assert!(refusal.contains("2 handshakes of this address"));

        let others = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        let mut held = Vec::new();
        for other in others.map(ip) {
            held.push(turns.take(other, late()).await.expect("a place"));
            held.push(turns.take(other, late()).await.expect("a place"));
        }
        // Now the door itself is full.
        let refusal = turns.take(ip("192.0.2.4"), soon()).await.err();
        assert_eq!(refusal.as_deref(), Some("8 handshakes are under way"));

        drop(first);
        let _third = turns.take(crowd, late()).await.expect("the freed place");
    }

    #[tokio::test]
    async fn those_that_wait_for_their_address_do_not_stand_in_the_doors_queue() {
        let turns = turns();
        let crowd = ip("192.0.2.1");
        let _held = (
            turns.take(crowd, late()).await.expect("a place"),
            turns.take(crowd, late()).await.expect("a place"),
        );
        tokio::select! {
            biased;
            _ = turns.take(crowd, late()) => panic!("a third place"),
            turn = turns.take(ip("192.0.2.2"), late()) => assert!(turn.is_ok()),
        }
    }

    #[tokio::test]
    async fn an_address_with_too_many_unproved_connections_is_refused_without_waiting() {
        let turns = turns();
        let crowd = ip("192.0.2.1");
        let _held = (
            turns.take(crowd, late()).await.expect("a place"),
            turns.take(crowd, late()).await.expect("a place"),
        );
        tokio::select! {
            biased;
            _ = turns.take(crowd, late()) => panic!("a third place"),
            // The third waits; the fourth is one too many.
            fourth = turns.take(crowd, late()) => {
                let refusal = fourth.err().expect("a refusal");
                assert!(refusal.contains("3 connections of this address"), "{refusal}");
            }
        }
    }

    #[tokio::test]
    async fn a_v6_host_counts_once_whatever_its_lower_half() {
        let turns = turns();
        let _first = turns.take(ip("2001:db8::1"), late()).await.expect("one");
        let _second = turns.take(ip("2001:db8::ffff:1"), late()).await;
        assert!(turns.take(ip("2001:db8::2"), soon()).await.is_err());
        assert!(turns.take(ip("2001:db8:0:1::2"), late()).await.is_ok());
    }

    #[tokio::test]
    async fn an_address_that_has_gone_is_forgotten() {
        let turns = turns();
        drop(turns.take(ip("192.0.2.1"), late()).await);
        assert!(turns.addresses().is_empty());
    }
}
