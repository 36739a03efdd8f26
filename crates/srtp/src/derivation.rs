//! Session keys from a master key (RFC 3711 §4.3, RFC 6188 §2, RFC 7714 §11, RFC 6904 §3.1).

use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::{MasterKey, MAX_KEY_LEN, MAX_SALT_LEN};
use crate::profile::Profile;

const MAX_AUTH_KEY_LEN: usize = 20;

/// Which keys to derive: the labels of RFC 3711 §4.3.2 and RFC 6904 §3.1.
#[derive(Copy, Clone)]
pub(crate) struct Labels {
    encryption: u8,
    authentication: u8,
    salt: u8,
    /// RFC 7714 §11 gives AEAD session salts 12 bytes; header extensions are encrypted in counter
    /// mode whatever the profile, and that salt has 14.
    long_salt: bool,
}

impl Labels {
    /// Of [`RTP_HEADER`](Self::RTP_HEADER), whatever the profile.
    pub(crate) const HEADER_SALT_LEN: usize = MAX_SALT_LEN;

    pub(crate) const RTP: Self = Self {
        encryption: 0,
        authentication: 1,
        salt: 2,
        long_salt: false,
    };
    pub(crate) const RTCP: Self = Self {
        encryption: 3,
        authentication: 4,
        salt: 5,
        long_salt: false,
    };
    /// The authentication label is never used: the packet's tag covers its header extension.
    pub(crate) const RTP_HEADER: Self = Self {
        encryption: 6,
        authentication: 1,
        salt: 7,
        long_salt: true,
    };
}

/// What one kind of packet (SRTP or SRTCP) is protected with for one derivation period.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionKeys {
    #[zeroize(skip)]
    profile: Profile,
    encryption: [u8; MAX_KEY_LEN],
    authentication: [u8; MAX_AUTH_KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
}

impl SessionKeys {
    /// The keys of one period: `index DIV key_derivation_rate`, or 0 (RFC 3711 §4.3.1).
    pub(crate) fn derive(master: &MasterKey, labels: Labels, period: u64) -> Self {
        let profile = master.profile();
        let mut keys = Self {
            profile,
            encryption: [0; MAX_KEY_LEN],
            authentication: [0; MAX_AUTH_KEY_LEN],
            salt: [0; MAX_SALT_LEN],
        };
        let salt_len = if labels.long_salt {
            Labels::HEADER_SALT_LEN
        } else {
            profile.salt_len()
        };
        for (label, out) in [
            (labels.encryption, &mut keys.encryption[..profile.key_len()]),
            (
                labels.authentication,
                &mut keys.authentication[..profile.auth_key_len()],
            ),
            (labels.salt, &mut keys.salt[..salt_len]),
        ] {
            derive(master, label, period, out);
        }
        keys
    }

    pub(crate) const fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn encryption(&self) -> &[u8] {
        &self.encryption[..self.profile.key_len()]
    }

    pub(crate) fn authentication(&self) -> &[u8] {
        &self.authentication[..self.profile.auth_key_len()]
    }

    /// Zeros follow a salt that is shorter than the array.
    pub(crate) const fn salt(&self) -> &[u8; MAX_SALT_LEN] {
        &self.salt
    }

    /// Session keys that are not derived but stated, as published vectors do.
    pub(crate) fn stated(keys: &MasterKey) -> Self {
        let mut encryption = [0; MAX_KEY_LEN];
        encryption[..keys.key().len()].copy_from_slice(keys.key());
        Self {
            profile: keys.profile(),
            encryption,
            authentication: [0; MAX_AUTH_KEY_LEN],
            salt: *keys.salt(),
        }
    }
}

/// RFC 3711 §4.3.1 and §4.3.3: AES in counter mode over `(label ‖ period) XOR salt`, times 2^16.
fn derive(master: &MasterKey, label: u8, period: u64, out: &mut [u8]) {
    let mut block = Zeroizing::new([0_u8; 16]);
    block[..MAX_SALT_LEN].copy_from_slice(master.salt());
    // The key id ends where the salt ends. Its index has 48 bits for SRTCP too, whose index has
    // 31: RFC 3711 §4.3.2 leaves the width open, and this is where every stack has the label.
    block[MAX_SALT_LEN - 7] ^= label;
    for (byte, period) in block[MAX_SALT_LEN - 6..MAX_SALT_LEN]
        .iter_mut()
        .zip(&period.to_be_bytes()[2..])
    {
        *byte ^= period;
    }
    match master.key().len() {
        16 => fill_with_counter_blocks::<aes::Aes128>(master.key(), &block, out),
        24 => fill_with_counter_blocks::<aes::Aes192>(master.key(), &block, out),
        _ => fill_with_counter_blocks::<aes::Aes256>(master.key(), &block, out),
    }
}

/// Encrypts consecutive counter blocks until `out` is full.
fn fill_with_counter_blocks<C>(key: &[u8], first: &[u8; 16], out: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = aes::cipher::typenum::U16>,
{
    let cipher = C::new_from_slice(key).expect("a master key has its profile's length");
    for (number, chunk) in out.chunks_mut(16).enumerate() {
        let mut block = Array::from(*first);
        let number = u16::try_from(number).expect("session keys are a few blocks long");
        block[14..].copy_from_slice(&number.to_be_bytes());
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
        block.as_mut_slice().zeroize();
    }
}
