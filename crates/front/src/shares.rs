//! What one address holds of something that all addresses share.
//!
//! Whoever is beyond the share of its address waits in the address' own queue, so that it does not
//! stand before anybody else.
//!
//! A v6 address counts by its first 64 bits: a single host has all the rest to choose from (RFC
//! 4291 §2.5.4). No address is exempt, loopback neither.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// The shares of all addresses.
pub(crate) struct Shares {
    /// Places that one address may hold.
    share: usize,
    /// How many of one address may be here at once, those that wait included.
    crowd: usize,
    /// Whoever is here, so bounded by what the doors admit.
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

struct Address {
    places: Arc<Semaphore>,
    present: usize,
}

/// One of an address that is here. The address is forgotten with the last of them.
pub(crate) struct Presence {
    shares: Arc<Shares>,
    address: IpAddr,
}

impl Shares {
    pub(crate) fn new(share: usize, crowd: usize) -> Arc<Self> {
        Arc::new(Self {
            share,
            crowd,
            addresses: Mutex::default(),
        })
    }

    /// Places that one address may hold.
    pub(crate) fn share(&self) -> usize {
        self.share
    }

    /// One more of an address, and the places that it may wait for; `None` if too many are here.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(Presence, Arc<Semaphore>)> {
        let address = network(address);
        let mut addresses = self.addresses();
        let entry = addresses.entry(address).or_insert_with(|| Address {
            places: Arc::new(Semaphore::new(self.share)),
            present: 0,
        });
        if entry.present >= self.crowd {
            return None;
        }
        entry.present += 1;
        let presence = Presence {
            shares: Arc::clone(self),
            address,
        };
        Some((presence, Arc::clone(&entry.places)))
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Addresses of which somebody is here.
    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.addresses().len()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut addresses = self.shares.addresses();
        if let Some(entry) = addresses.get_mut(&self.address) {
            entry.present -= 1;
            if entry.present == 0 {
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
