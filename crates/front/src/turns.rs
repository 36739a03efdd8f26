//! Turns in the handshake: a door works on so many at once, and on no more than a share of them for
//! one address.
//!
//! A handshake costs us more than it costs whoever begins it, so places are few. Somebody who takes
//! them and stays silent would lock out everybody else until the time limit; with the share, others
//! still find places. Who is beyond the share waits as everybody waits, but before the door's own
//! queue, not in it. Waiting takes a connection's place, so an address has a share of those, too;
//! beyond that one it is refused at once.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{timeout_at, Instant};

use crate::limits::Limits;
use crate::shares::{Presence, Shares};

/// The places of one door.
pub(crate) struct Turns {
    all: Semaphore,
    total: usize,
    unproved: usize,
    shares: Arc<Shares>,
}

/// A place, held while the handshake runs.
pub(crate) struct Turn<'a> {
    // Given back in this order.
    _place: SemaphorePermit<'a>,
    _share: OwnedSemaphorePermit,
    _presence: Presence,
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        let one_in = limits.address_share.max(1);
        let unproved = (limits.connections_per_door / one_in).max(1);
        Self {
            all: Semaphore::new(limits.handshakes_per_door),
            total: limits.handshakes_per_door,
            unproved,
            shares: Shares::new((limits.handshakes_per_door / one_in).max(1), unproved),
        }
    }

    /// Waits for a place; the error says what was full.
    pub(crate) async fn take(
        &self,
        address: IpAddr,
        deadline: Instant,
    ) -> Result<Turn<'_>, String> {
        let (presence, places) = self.shares.enter(address).ok_or_else(|| {
            let unproved = self.unproved;
            format!("{unproved} connections of this address are not proved yet")
        })?;
        let Ok(Ok(share)) = timeout_at(deadline, places.acquire_owned()).await else {
            let share = self.shares.share();
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
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Turn, Turns};
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

    /// The two places of one address.
    async fn share_of(turns: &Turns, address: IpAddr) -> (Turn<'_>, Turn<'_>) {
        (
            turns.take(address, late()).await.expect("a place"),
            turns.take(address, late()).await.expect("a place"),
        )
    }

    #[tokio::test]
    async fn an_address_holds_its_share_and_others_find_the_rest() {
        let turns = turns();
        let crowd = ip("127.0.0.1");
        let (first, _second) = share_of(&turns, crowd).await;
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
        let _share = share_of(&turns, crowd).await;
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
        let _share = share_of(&turns, crowd).await;
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
        assert_eq!(turns.shares.known(), 0);
    }
}
