//! Which master keys living senders of this process use.
//!
//! Two senders with one master key and salt start at the same index and make the same keystream
//! (RFC 3711 §9.1): with AES-CM the XOR of two packets is laid open, with AES-GCM the
//! authentication key. So the second one is refused, unless both declared their SSRCs and have
//! none in common. The registry holds no key: it knows each by an HMAC under a key that is drawn
//! at random when the process first needs it and goes nowhere. The profile is no part of it,
//! because two profiles can share a cipher.
//!
//! After a fork the child has copies of its parent's claims, and the senders that made them go on
//! in the parent: so such a claim is never released in the child, whatever becomes of the copy of
//! its sender there. No thread may hold the registry when the process forks, for none would let go
//! of it in the child; in Python it is asked with the GIL held, under which forks happen.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::hmac::{self, HmacSha1};
use crate::key::{KeyError, MasterKey};
use crate::process::Process;

/// What a master key and salt look like to those who may not know them.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub(crate) struct Fingerprint([u8; hmac::TAG_LEN]);

impl Fingerprint {
    pub(crate) fn of(master: &MasterKey) -> Self {
        // The padded salt has one length, so the boundary between the two is not in doubt.
        Self(REGISTRY.hash.tag([master.salt(), master.key()]))
    }
}

/// The right to protect with a master key, held as long as a sender may do so.
pub(crate) struct Claim {
    fingerprint: Fingerprint,
    number: u64,
    made_in: Process,
}

impl Claim {
    /// Claims a key, for all SSRCs or for those that the sender declared.
    pub(crate) fn new(
        fingerprint: Fingerprint,
        ssrcs: Option<&Arc<BTreeSet<u32>>>,
    ) -> Result<Self, KeyError> {
        let mut claims = REGISTRY.claims();
        let number = claims.next_number;
        claims.next_number += 1;
        // A new entry holds nobody and so refuses nobody: a refusal leaves no empty entry behind.
        let held = claims.by_key.entry(fingerprint).or_default();
        let disjoint = held.iter().all(|other| match (&other.ssrcs, ssrcs) {
            (Some(theirs), Some(ours)) => theirs.is_disjoint(ours),
            _ => false,
        });
        if !disjoint {
            return Err(KeyError::InUseElsewhere);
        }
        held.push(Held {
            number,
            ssrcs: ssrcs.cloned(),
        });
        Ok(Self {
            fingerprint,
            number,
            made_in: Process::current(),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.made_in.is_current() {
            return;
        }
        let mut claims = REGISTRY.claims();
        if let Some(held) = claims.by_key.get_mut(&self.fingerprint) {
            held.retain(|claim| claim.number != self.number);
            if held.is_empty() {
                claims.by_key.remove(&self.fingerprint);
            }
        }
    }
}

struct Held {
    number: u64,
    ssrcs: Option<Arc<BTreeSet<u32>>>,
}

#[derive(Default)]
struct Claims {
    by_key: HashMap<Fingerprint, Vec<Held>>,
    next_number: u64,
}

struct Registry {
    hash: HmacSha1,
    claims: Mutex<Claims>,
}

impl Registry {
    /// No code panics while it holds the lock, and if it did, the claims would still be right.
    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut key = Zeroizing::new([0_u8; 32]);
    boring::rand::rand_bytes(&mut *key).expect("BoringSSL aborts rather than lack randomness");
    Registry {
        hash: HmacSha1::new(&key),
        claims: Mutex::default(),
    }
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn fingerprint(first: u8) -> Fingerprint {
        let mut key = [0xab; 16];
        key[0] = first;
        let master = MasterKey::new(Profile::AeadAes128Gcm, &key, &[0xcd; 12]);
        Fingerprint::of(&master.expect("right lengths"))
    }

    fn ssrcs(ssrcs: &[u32]) -> Arc<BTreeSet<u32>> {
        Arc::new(ssrcs.iter().copied().collect())
    }

    #[test]
    fn a_key_is_claimed_once_until_the_claim_is_dropped() {
        let first = Claim::new(fingerprint(1), None).expect("nobody has it");
        assert!(Claim::new(fingerprint(1), None).is_err());
        assert!(Claim::new(fingerprint(2), None).is_ok());
        drop(first);
        assert!(Claim::new(fingerprint(1), None).is_ok());
    }

    #[test]
    fn disjoint_sets_of_ssrcs_share_a_key_and_others_do_not() {
        let (ours, theirs) = (ssrcs(&[1, 2]), ssrcs(&[3]));
        let first = Claim::new(fingerprint(3), Some(&ours)).expect("nobody has it");
        let second = Claim::new(fingerprint(3), Some(&theirs)).expect("disjoint");
        assert!(Claim::new(fingerprint(3), Some(&ssrcs(&[2, 9]))).is_err());
        assert!(Claim::new(fingerprint(3), None).is_err());
        drop(first);
        let third = Claim::new(fingerprint(3), Some(&ssrcs(&[2, 9]))).expect("now disjoint");
        drop((second, third));
        assert!(!REGISTRY.claims().by_key.contains_key(&fingerprint(3)));
    }

    #[test]
    fn two_profiles_with_one_key_and_salt_are_one_key() {
        let of = |profile| {
            let master = MasterKey::new(profile, &[7; 16], &[8; 14]).expect("right lengths");
            Fingerprint::of(&master)
        };
        assert!(of(Profile::Aes128CmSha1_80) == of(Profile::Aes128CmSha1_32));
    }
}
