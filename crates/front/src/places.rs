//! Places at the application: who may hold how many connections to it at once.
//!
//! The application takes so many requests at a time and no more. Whoever holds places and gives
//! none back locks out everybody else, so nobody can hold all:
//!
//! - one connection of a client holds at most `app_per_connection`,
//! - one address at most one in `address_share` of the places that its door may use,
//! - and one in `app_reserve` of all places is kept for doors that require a client certificate:
//!   however many strangers come to the others, an administrator finds a place.
//!
//! Who is beyond its own share waits in its own queue, not in the common one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::Limits;
use crate::shares::{Presence, Shares};

/// All places, and who may use which.
pub(crate) struct Places {
    open: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    strangers: Arc<Shares>,
    proved: Arc<Shares>,
    wait: Duration,
}

/// One connection of a client, as a holder of places.
pub(crate) struct Guest {
    address: IpAddr,
    /// Its door requires a client certificate.
    proved: bool,
    own: Arc<Semaphore>,
}

/// The right to one connection to the application.
pub(crate) struct Place {
    // Given back in this order.
    _place: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _presence: Presence,
}

impl Guest {
    pub(crate) fn new(address: IpAddr, proved: bool, limits: &Limits) -> Self {
        Self {
            address,
            proved,
            own: Arc::new(Semaphore::new(limits.app_per_connection)),
        }
    }
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let all = limits.app_connections;
        let reserved = all / limits.app_reserve.max(1);
        let share = |places: usize| {
            let share = (places / limits.address_share.max(1)).max(1);
            // Requests that wait are bounded by streams and connections already.
            Shares::new(share, usize::MAX)
        };
        Self {
            open: Arc::new(Semaphore::new(all - reserved)),
            reserved: Arc::new(Semaphore::new(reserved)),
            strangers: share(all - reserved),
            proved: share(all),
            wait: limits.app_wait,
        }
    }

    /// Waits for a place; the error says what was full.
    pub(crate) async fn take(&self, guest: &Guest) -> Result<Place, String> {
        let mut full = "places of this connection";
        let place = timeout(self.wait, self.wait(guest, &mut full)).await;
        match place {
            Ok(Some(place)) => Ok(place),
            _ => Err(format!("the {full} stayed in use for {:?}", self.wait)),
        }
    }

    /// `None` only if the semaphores are closed, which nobody does.
    async fn wait(&self, guest: &Guest, full: &mut &'static str) -> Option<Place> {
        let own = Arc::clone(&guest.own).acquire_owned().await.ok()?;
        *full = "places of this address";
        let shares = if guest.proved {
            &self.proved
        } else {
            &self.strangers
        };
        let (presence, share) = shares.enter(guest.address)?;
        let share = share.acquire_owned().await.ok()?;
        *full = "places that this door may use";
        let open = Arc::clone(&self.open).acquire_owned();
        let place = if guest.proved {
            tokio::select! {
                biased;
                place = Arc::clone(&self.reserved).acquire_owned() => place,
                place = open => place,
            }
        } else {
            open.await
        };
        Some(Place {
            _place: place.ok()?,
            _share: share,
            _own: own,
            _presence: presence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            app_connections: 16,
            app_reserve: 4,
            app_per_connection: 2,
            address_share: 4,
            app_wait: Duration::from_secs(5),
            ..Limits::default()
        }
    }

    fn guest(address: &str, proved: bool) -> Guest {
        Guest::new(address.parse().expect("an address"), proved, &limits())
    }

    // Time is paused: whoever waits in vain is told so without a test that waits.
    #[tokio::test(start_paused = true)]
    async fn a_connection_holds_its_places_and_no_more() {
        let places = Places::new(&limits());
        let crowd = guest("192.0.2.1", false);
        let first = places.take(&crowd).await.expect("a place");
        let _second = places.take(&crowd).await.expect("a place");
        let refusal = places.take(&crowd).await.err().expect("no third");
        assert!(refusal.contains("this connection"), "{refusal}");
        // Another connection of the same address is not in its way.
        let neighbour = guest("192.0.2.1", false);
        let _third = places.take(&neighbour).await.expect("a place");
        drop(first);
        let _fourth = places.take(&crowd).await.expect("the freed place");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_holds_its_share_over_all_its_connections() {
        let places = Places::new(&limits());
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.take(&guest("192.0.2.1", false)).await.expect("one"));
        }
        let refusal = places.take(&guest("192.0.2.1", false)).await.err();
        assert!(refusal.is_some_and(|refusal| refusal.contains("this address")));
        assert!(places.take(&guest("192.0.2.2", false)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_from_everywhere_leave_places_to_those_with_a_certificate() {
        let places = Places::new(&limits());
        let mut held = Vec::new();
        for host in 0..12 {
            let stranger = guest(&format!("192.0.2.{host}"), false);
            held.push(places.take(&stranger).await.expect("a place"));
        }
        let refusal = places.take(&guest("198.51.100.1", false)).await.err();
        assert!(refusal.is_some_and(|refusal| refusal.contains("this door")));
        // Even from an address that is among the strangers.
        let mut reserved = Vec::new();
        for host in 0..4 {
            let proved = guest(&format!("192.0.2.{host}"), true);
            reserved.push(places.take(&proved).await.expect("a reserved place"));
        }
        assert!(places.take(&guest("192.0.2.9", true)).await.is_err());
        held.clear();
        assert!(places.take(&guest("192.0.2.9", true)).await.is_ok());
    }
}
