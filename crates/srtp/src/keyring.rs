//! The master keys of a context, by their identifiers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::SrtpError;
use crate::key::{KeyError, MasterKey};
use crate::lifetime::{KeyEvent, PacketKind, Reached, Usage};
use crate::mki::Mki;
use crate::options::{NullCipher, Options};
use crate::profile::Profile;
use crate::registry::{Claim, Fingerprint, Past};
use crate::session::Sessions;

/// The most keys that a context holds at a time.
const MOST_KEYS: usize = 64;

/// The most removed keys that it remembers; the one removed first goes first.
const MOST_REMOVED: usize = 1024;

/// One master key: its sessions and what it has protected.
pub(crate) struct Key {
    pub(crate) mki: Mki,
    pub(crate) rtp: Sessions,
    pub(crate) rtcp: Sessions,
    pub(crate) rtp_usage: Usage,
    pub(crate) rtcp_usage: Usage,
    fingerprint: Fingerprint,
    /// A sender's right to the key; a receiver needs none.
    claim: Option<Claim>,
}

impl Key {
    fn has_protected(&self) -> bool {
        self.rtp_usage.has_begun() || self.rtcp_usage.has_begun()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if self.has_protected() {
            if let Some(claim) = &mut self.claim {
                claim.spend();
            }
        }
    }
}

/// All keys of a context: one profile, identifiers of one length.
pub(crate) struct KeyRing {
    profile: Profile,
    mki_len: usize,
    keys: Vec<Key>,
    /// The key used last, by its place in `keys`.
    current: usize,
    /// What removed keys have protected: a key that comes back goes on where it stood.
    removed: VecDeque<(Fingerprint, Usage, Usage)>,
    events: VecDeque<KeyEvent>,
}

impl KeyRing {
    /// A ring with its first key. `claim` makes a sender's claim to it.
    pub(crate) fn new(
        mki: Mki,
        master: MasterKey,
        options: &Options,
        claim: impl FnOnce(Fingerprint, Past) -> Result<Option<Claim>, KeyError>,
    ) -> Result<Self, KeyError> {
        let mut ring = Self {
            profile: master.profile(),
            mki_len: mki.as_bytes().len(),
            keys: Vec::with_capacity(1),
            current: 0,
            removed: VecDeque::new(),
            events: VecDeque::new(),
        };
        ring.add(mki, master, options, claim)?;
        Ok(ring)
    }

    pub(crate) const fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) const fn mki_len(&self) -> usize {
        self.mki_len
    }

    pub(crate) fn add(
        &mut self,
        mki: Mki,
        master: MasterKey,
        options: &Options,
        claim: impl FnOnce(Fingerprint, Past) -> Result<Option<Claim>, KeyError>,
    ) -> Result<(), KeyError> {
        let profile = master.profile();
        if profile != self.profile {
            let (expected, got) = (self.profile, profile);
            return Err(KeyError::ProfileDiffers { expected, got });
        }
        if !profile.encrypts() && options.null_cipher == NullCipher::Refused {
            return Err(KeyError::NullCipher { profile });
        }
        if mki.as_bytes().len() != self.mki_len {
            let (expected, got) = (self.mki_len, mki.as_bytes().len());
            return Err(KeyError::MkiLength { expected, got });
        }
        if self.place_of(mki.as_bytes()).is_some() {
            return Err(KeyError::MkiTaken);
        }
        if self.keys.len() == MOST_KEYS {
            return Err(KeyError::TooManyKeys { most: MOST_KEYS });
        }
        let fingerprint = Fingerprint::of(&master);
        let is_own = self.removed.iter().any(|(one, ..)| *one == fingerprint);
        let claim = claim(fingerprint, if is_own { Past::Known } else { Past::Counts })?;
        let master = Arc::new(master);
        let rtp = Sessions::new(&master, PacketKind::Rtp, options)?;
        let rtcp = Sessions::new(&master, PacketKind::Rtcp, options)?;
        let (rtp_usage, rtcp_usage) = self.usage_so_far(fingerprint).unwrap_or((
            Usage::new(options.lifetime.rtp),
            Usage::new(options.lifetime.rtcp),
        ));
        self.keys.push(Key {
            mki,
            rtp,
            rtcp,
            rtp_usage,
            rtcp_usage,
            fingerprint,
            claim,
        });
        Ok(())
    }

    fn usage_so_far(&mut self, fingerprint: Fingerprint) -> Option<(Usage, Usage)> {
        let at = self
            .removed
            .iter()
            .position(|(removed, ..)| *removed == fingerprint)?;
        let (_, rtp, rtcp) = self.removed.remove(at)?;
        Some((rtp, rtcp))
    }

    /// Makes a key the one that a sender protects with.
    pub(crate) fn choose(&mut self, mki: &Mki) -> Result<(), KeyError> {
        self.current = self.place_of(mki.as_bytes()).ok_or(KeyError::MkiUnknown)?;
        Ok(())
    }

    pub(crate) fn remove(&mut self, mki: &Mki) -> Result<(), KeyError> {
        let place = self.place_of(mki.as_bytes()).ok_or(KeyError::MkiUnknown)?;
        let key = self.keys.remove(place);
        // One that did nothing may serve another sender now, and is then no longer this one's.
        if key.has_protected() {
            if self.removed.len() == MOST_REMOVED {
                self.removed.pop_front();
            }
            self.removed
                .push_back((key.fingerprint, key.rtp_usage, key.rtcp_usage));
        }
        if self.current >= place {
            self.current = self.current.saturating_sub(1);
        }
        Ok(())
    }

    /// The identifier of the key that a sender protects with.
    pub(crate) fn current_mki(&self) -> Option<&Mki> {
        self.keys.get(self.current).map(|key| &key.mki)
    }

    /// The key that a sender protects with: a sender's ring is never empty.
    #[inline(always)]
    pub(crate) fn current(&mut self) -> Result<&mut Key, SrtpError> {
        self.keys.get_mut(self.current).ok_or(SrtpError::UnknownMki)
    }

    /// The key that a received packet names. The last one is tried first.
    #[inline(always)]
    pub(crate) fn named(&mut self, mki: &[u8]) -> Result<&mut Key, SrtpError> {
        // Without identifiers there is one key, and comparing nothing with nothing costs 20 ns.
        if self.mki_len > 0 {
            self.find_named(mki)?;
        }
        self.current()
    }

    fn find_named(&mut self, mki: &[u8]) -> Result<(), SrtpError> {
        let is_current =
            matches!(self.keys.get(self.current), Some(key) if key.mki.as_bytes() == mki);
        if !is_current {
            self.current = self.place_of(mki).ok_or(SrtpError::UnknownMki)?;
        }
        Ok(())
    }

    fn place_of(&self, mki: &[u8]) -> Option<usize> {
        self.keys.iter().position(|key| key.mki.as_bytes() == mki)
    }

    pub(crate) fn mkis(&self) -> impl Iterator<Item = &Mki> {
        self.keys.iter().map(|key| &key.mki)
    }

    #[cold]
    pub(crate) fn report(&mut self, kind: PacketKind, reached: Reached) {
        let Some(mki) = self.current_mki().cloned() else {
            return;
        };
        self.events.push_back(match reached {
            Reached::Soft { remaining } => KeyEvent::NearlySpent {
                mki,
                kind,
                remaining,
            },
            Reached::Hard => KeyEvent::Spent { mki, kind },
        });
    }

    pub(crate) fn take_event(&mut self) -> Option<KeyEvent> {
        self.events.pop_front()
    }
}
