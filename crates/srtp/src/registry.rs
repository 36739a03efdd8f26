//! Which master keys senders of this process use, and which ones senders have used.
//!
//! Two senders with one master key and salt start at the same index and make the same keystream
//! (RFC 3711 §9.1): with AES-CM the XOR of two packets is laid open, with AES-GCM the
//! authentication key. So the second one is refused, unless both declared their SSRCs and have
//! none in common. The same holds for a sender that comes after one which protected a packet: it
//! too would start at index 0. Of such past keys the newest 65,536 are known; that is a net under a
//! mistake, not a ledger: it ends with the process. The registry holds no key: it knows each by an HMAC under a key that is drawn
//! at random when the process first needs it and goes nowhere. The profile is no part of it,
//! because two profiles can share a cipher.
//!
//! After a fork the child has copies of its parent's claims, and the senders that made them go on
//! in the parent: so such a claim is never released in the child, whatever becomes of the copy of
//! its sender there. No thread may hold the registry when the process forks, for none would let go
//! of it in the child; in Python it is asked with the GIL held, under which forks happen.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::hmac::{self, HmacSha1};
use crate::key::{KeyError, MasterKey};
use crate::process::Process;

/// How many past keys are known; the one that was let go of first goes first.
const MOST_PAST: usize = 1 << 16;

/// More SSRCs than this under one past key count as all.
const MOST_PAST_SSRCS: usize = 256;

/// Whether a sender may take a key that another one has protected with before.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(crate) enum Past {
    /// It starts at index 0, so no.
    Counts,
    /// It knows the indices of that past, because it was its own; or it is a test.
    Known,
}

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
    has_protected: bool,
}

impl Claim {
    /// Claims a key, for all SSRCs or for those that the sender declared.
    pub(crate) fn new(
        fingerprint: Fingerprint,
        ssrcs: Option<&Arc<BTreeSet<u32>>>,
        past: Past,
    ) -> Result<Self, KeyError> {
        let mut claims = REGISTRY.claims();
        if past == Past::Counts && claims.past.overlaps(fingerprint, ssrcs) {
            return Err(KeyError::UsedBefore);
        }
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
            has_protected: false,
        })
    }

    /// A packet was protected under it: the key is remembered when the claim is dropped.
    pub(crate) fn spend(&mut self) {
        self.has_protected = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.made_in.is_current() {
            return;
        }
        let mut claims = REGISTRY.claims();
        let Some(held) = claims.by_key.get_mut(&self.fingerprint) else {
            return;
        };
        let place = held.iter().position(|claim| claim.number == self.number);
        let released = place.map(|place| held.swap_remove(place));
        if held.is_empty() {
            claims.by_key.remove(&self.fingerprint);
        }
        if let (Some(released), true) = (released, self.has_protected) {
            claims.past.add(self.fingerprint, released.ssrcs.as_deref());
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
    past: PastKeys,
}

/// Keys that senders have protected with and let go of, with the SSRCs if those were declared.
#[derive(Default)]
struct PastKeys {
    by_key: HashMap<Fingerprint, Option<BTreeSet<u32>>>,
    oldest_first: VecDeque<Fingerprint>,
}

impl PastKeys {
    fn overlaps(&self, fingerprint: Fingerprint, ssrcs: Option<&Arc<BTreeSet<u32>>>) -> bool {
        match (self.by_key.get(&fingerprint), ssrcs) {
            (None, _) => false,
            (Some(Some(theirs)), Some(ours)) => !theirs.is_disjoint(ours),
            (Some(_), _) => true,
        }
    }

    fn add(&mut self, fingerprint: Fingerprint, ssrcs: Option<&BTreeSet<u32>>) {
        if let Some(former) = self.by_key.get_mut(&fingerprint) {
            match (&mut *former, ssrcs) {
                (Some(former), Some(ssrcs)) => former.extend(ssrcs),
                _ => *former = None,
            }
        } else {
            if self.oldest_first.len() == MOST_PAST {
                if let Some(oldest) = self.oldest_first.pop_front() {
                    self.by_key.remove(&oldest);
                }
            }
            self.oldest_first.push_back(fingerprint);
            self.by_key.insert(fingerprint, ssrcs.cloned());
        }
        if let Some(known) = self.by_key.get_mut(&fingerprint) {
            if known
                .as_ref()
                .is_some_and(|ssrcs| ssrcs.len() > MOST_PAST_SSRCS)
            {
                *known = None;
            }
        }
    }
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
        let first = Claim::new(fingerprint(1), None, Past::Counts).expect("nobody has it");
        assert!(Claim::new(fingerprint(1), None, Past::Counts).is_err());
        assert!(Claim::new(fingerprint(2), None, Past::Counts).is_ok());
        drop(first);
        assert!(Claim::new(fingerprint(1), None, Past::Counts).is_ok());
    }

    #[test]
    fn disjoint_sets_of_ssrcs_share_a_key_and_others_do_not() {
        let (ours, theirs) = (ssrcs(&[1, 2]), ssrcs(&[3]));
        let first = Claim::new(fingerprint(3), Some(&ours), Past::Counts).expect("nobody has it");
        let second = Claim::new(fingerprint(3), Some(&theirs), Past::Counts).expect("disjoint");
        assert!(Claim::new(fingerprint(3), Some(&ssrcs(&[2, 9])), Past::Counts).is_err());
        assert!(Claim::new(fingerprint(3), None, Past::Counts).is_err());
        drop(first);
        let third =
            Claim::new(fingerprint(3), Some(&ssrcs(&[2, 9])), Past::Counts).expect("now disjoint");
        drop((second, third));
        assert!(!REGISTRY.claims().by_key.contains_key(&fingerprint(3)));
    }

    #[test]
    fn a_key_that_protected_a_packet_is_not_claimed_again_but_for_other_ssrcs() {
        let mut first =
            Claim::new(fingerprint(4), Some(&ssrcs(&[1])), Past::Counts).expect("nobody has it");
        first.spend();
        drop(first);
        assert!(Claim::new(fingerprint(4), None, Past::Counts).is_err());
        assert!(Claim::new(fingerprint(4), Some(&ssrcs(&[1, 2])), Past::Counts).is_err());
        assert!(Claim::new(fingerprint(4), None, Past::Known).is_ok());
        let mut second =
            Claim::new(fingerprint(4), Some(&ssrcs(&[2])), Past::Counts).expect("disjoint");
        second.spend();
        drop(second);
        assert!(Claim::new(fingerprint(4), Some(&ssrcs(&[2])), Past::Counts).is_err());
        assert!(Claim::new(fingerprint(4), Some(&ssrcs(&[1])), Past::Counts).is_err());
    }

    #[test]
    fn past_keys_are_bounded_and_the_oldest_goes_first() {
        let mut past = PastKeys::default();
        let number = |number: usize| {
            let mut bytes = [0; hmac::TAG_LEN];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Fingerprint(bytes)
        };
        for one in 0..=MOST_PAST {
            past.add(number(one), None);
        }
        assert_eq!(past.by_key.len(), MOST_PAST);
        assert!(!past.overlaps(number(0), None));
        assert!(past.overlaps(number(1), None));
        let many = BTreeSet::from_iter(0..=MOST_PAST_SSRCS as u32);
        past.add(number(0), Some(&many));
        assert!(past.overlaps(number(0), Some(&ssrcs(&[u32::MAX]))));
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
