//! Session keys from a master key (RFC 3711 §4.3, RFC 6188 §2, RFC 7714 §11, RFC 6904 §3.1).

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::key::{KeyError, MasterKey, MAX_KEY_LEN, MAX_SALT_LEN};
use crate::keystream::{counter_block, CounterCipher};
use crate::profile::Profile;

const MAX_AUTH_KEY_LEN: usize = 20;

/// Which keys to derive: the labels of RFC 3711 §4.3.2 and RFC 6904 §3.1.
#[derive(Copy, Clone)]
pub(crate) struct Labels {
    encryption: u8,
    authentication: u8,
    salt: u8,
}

impl Labels {
    pub(crate) const RTP: Self = Self {
        encryption: 0,
        authentication: 1,
        salt: 2,
    };
    pub(crate) const RTCP: Self = Self {
        encryption: 3,
        authentication: 4,
        salt: 5,
    };
    /// The authentication label is never used: the packet's tag covers its header extension. The
    /// salt has the profile's length, and that of an AEAD is padded with zeros to that of the
    /// counter mode which encrypts header extensions under every profile, as in libsrtp.
    pub(crate) const RTP_HEADER: Self = Self {
        encryption: 6,
        authentication: 1,
        salt: 7,
    };
}

/// What one kind of packet (SRTP or SRTCP) is protected with for one derivation period.
///
/// As with the master key, the bytes stay where they were made.
pub(crate) struct SessionKeys {
    profile: Profile,
    bytes: Box<Bytes>,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes {
    encryption: [u8; MAX_KEY_LEN],
    authentication: [u8; MAX_AUTH_KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
}

impl SessionKeys {
    /// The keys of one period: `index DIV key_derivation_rate`, or 0 (RFC 3711 §4.3.1).
    pub(crate) fn derive(
        master: &MasterKey,
        labels: Labels,
        period: u64,
    ) -> Result<Self, KeyError> {
        let profile = master.profile();
        let mut keys = Self::zeros(profile);
        let bytes = &mut *keys.bytes;
        // The pseudo-random function of RFC 3711 §4.3.3 is the keystream under the master key.
        let mut cipher = CounterCipher::new(master.key())?;
        for (label, out) in [
            (
                labels.encryption,
                &mut bytes.encryption[..profile.key_len()],
            ),
            (
                labels.authentication,
                &mut bytes.authentication[..profile.auth_key_len()],
            ),
            (labels.salt, &mut bytes.salt[..profile.salt_len()]),
        ] {
            cipher
                .apply(out, &start(master.salt(), label, period))
                .map_err(|_| KeyError::Engine)?;
        }
        Ok(keys)
    }

    pub(crate) const fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn encryption(&self) -> &[u8] {
        &self.bytes.encryption[..self.profile.key_len()]
    }

    /// Zeros for a profile that has no such key.
    pub(crate) fn authentication(&self) -> &[u8; MAX_AUTH_KEY_LEN] {
        &self.bytes.authentication
    }

    /// Zeros follow a salt that is shorter than the array.
    pub(crate) fn salt(&self) -> &[u8; MAX_SALT_LEN] {
        &self.bytes.salt
    }

    /// Session keys that are not derived but stated, as published vectors do.
    pub(crate) fn stated(keys: &MasterKey) -> Self {
        let mut stated = Self::zeros(keys.profile());
        stated.bytes.encryption[..keys.key().len()].copy_from_slice(keys.key());
        stated.bytes.salt = *keys.salt();
        stated
    }

    fn zeros(profile: Profile) -> Self {
        Self {
            profile,
            bytes: Box::new(Bytes {
                encryption: [0; MAX_KEY_LEN],
                authentication: [0; MAX_AUTH_KEY_LEN],
                salt: [0; MAX_SALT_LEN],
            }),
        }
    }
}

/// RFC 3711 §4.3.1 and §4.3.3: `(label ‖ period) XOR salt`, times 2^16.
///
/// The period has 48 bits for SRTCP too, whose index has 31: RFC 3711 §4.3.2 leaves the width open,
/// and this is where every stack has the label.
fn start(salt: &[u8; MAX_SALT_LEN], label: u8, period: u64) -> [u8; 16] {
    // A counter block has the packet index where this wants the period, and above it the SSRC,
    // whose last byte stands where this wants the label.
    counter_block(salt, u32::from(label), period, 0)
}
