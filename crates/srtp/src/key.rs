//! Master keys and the session keys derived from them (RFC 3711 §4.3, RFC 7714 §11).

use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::profile::Profile;

const MAX_KEY_LEN: usize = 32;
const MAX_AUTH_KEY_LEN: usize = 20;

/// Salts are at most 14 bytes; a shorter one stands at the front (RFC 7714 §11 pads with zeros).
pub(crate) const MAX_SALT_LEN: usize = 14;

/// A key or salt of the wrong length.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key does not have the profile's length.
    #[error("{profile} takes a master key of {expected} bytes, got {got}", profile = .profile.name())]
    KeyLength {
        /// The profile asked for.
        profile: Profile,
        /// What it takes, in bytes.
        expected: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// The master salt does not have the profile's length.
    #[error("{profile} takes a master salt of {expected} bytes, got {got}", profile = .profile.name())]
    SaltLength {
        /// The profile asked for.
        profile: Profile,
        /// What it takes, in bytes.
        expected: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// The exported material is not two keys and two salts long.
    #[error("{profile} takes {expected} bytes of exported material, got {got}", profile = .profile.name())]
    MaterialLength {
        /// The profile asked for.
        profile: Profile,
        /// What it takes, in bytes.
        expected: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// The engine refused the key; BoringSSL does this only when it is out of memory.
    #[error("the cipher could not be set up")]
    Engine,
}

impl KeyError {
    /// The code of every one of them.
    pub(crate) const CODE: &'static str = "SRTP.BAD_KEY";

    /// The code that events and documents use.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Self::CODE
    }
}

/// The master key and salt of one direction. Wiped on drop; it can be neither shown nor compared.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    #[zeroize(skip)]
    profile: Profile,
    key: [u8; MAX_KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
}

impl MasterKey {
    /// Takes a key and a salt of exactly the profile's lengths.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != profile.key_len() {
            let (expected, got) = (profile.key_len(), key.len());
            return Err(KeyError::KeyLength {
                profile,
                expected,
                got,
            });
        }
        if salt.len() != profile.salt_len() {
            let (expected, got) = (profile.salt_len(), salt.len());
            return Err(KeyError::SaltLength {
                profile,
                expected,
                got,
            });
        }
        let mut master = Self {
            profile,
            key: [0; MAX_KEY_LEN],
            salt: [0; MAX_SALT_LEN],
        };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// How much keying material a DTLS handshake must export for this profile.
    #[must_use]
    pub const fn exported_len(profile: Profile) -> usize {
        2 * (profile.key_len() + profile.salt_len())
    }

    /// Splits exported material into what the DTLS client and what the DTLS server write with.
    ///
    /// RFC 5764 §4.2: client key, server key, client salt, server salt.
    pub fn split_exported(profile: Profile, material: &[u8]) -> Result<(Self, Self), KeyError> {
        let (expected, got) = (Self::exported_len(profile), material.len());
        if got != expected {
            return Err(KeyError::MaterialLength {
                profile,
                expected,
                got,
            });
        }
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Ok((
            Self::new(profile, client_key, client_salt)?,
            Self::new(profile, server_key, server_salt)?,
        ))
    }

    /// The profile the key is for.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The session keys for one kind of packet. The key derivation rate is zero: derived once.
    pub(crate) fn session(&self, labels: Labels) -> SessionKeys {
        let mut keys = SessionKeys {
            profile: self.profile,
            encryption: [0; MAX_KEY_LEN],
            authentication: [0; MAX_AUTH_KEY_LEN],
            salt: [0; MAX_SALT_LEN],
        };
        self.derive(
            labels.encryption,
            &mut keys.encryption[..self.profile.key_len()],
        );
        self.derive(
            labels.authentication,
            &mut keys.authentication[..self.profile.auth_key_len()],
        );
        self.derive(labels.salt, &mut keys.salt[..self.profile.salt_len()]);
        keys
    }

    /// RFC 3711 §4.3.1 and §4.3.3: AES in counter mode over `(label ‖ 0^48) XOR salt`, times 2^16.
    fn derive(&self, label: u8, out: &mut [u8]) {
        let mut block = Zeroizing::new([0_u8; 16]);
        block[..MAX_SALT_LEN].copy_from_slice(&self.salt);
        // The key id is the label and a 48-bit index that is zero: it ends where the salt ends.
        block[MAX_SALT_LEN - 7] ^= label;
        let key = &self.key[..self.profile.key_len()];
        match self.profile {
            Profile::Aes128CmSha1_80 | Profile::AeadAes128Gcm => {
                fill_with_counter_blocks::<aes::Aes128>(key, &block, out);
            }
            Profile::AeadAes256Gcm => fill_with_counter_blocks::<aes::Aes256>(key, &block, out),
        }
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

/// The labels of RFC 3711 §4.3.2.
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
}

/// What one kind of packet (SRTP or SRTCP) is protected with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionKeys {
    #[zeroize(skip)]
    profile: Profile,
    encryption: [u8; MAX_KEY_LEN],
    authentication: [u8; MAX_AUTH_KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
}

impl SessionKeys {
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

    /// Session keys that a published vector states outright.
    #[cfg(test)]
    pub(crate) fn stated(profile: Profile, encryption: &[u8], salt: &[u8]) -> Self {
        let master = MasterKey::new(profile, encryption, salt).expect("vectors have right lengths");
        Self {
            profile,
            encryption: master.key,
            authentication: [0; MAX_AUTH_KEY_LEN],
            salt: master.salt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{self, hex};

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        for case in vectors::key_derivation() {
            let master = MasterKey::new(
                Profile::from_name(&case.profile).expect("a profile of the table"),
                &hex(&case.master_key),
                &hex(&case.master_salt),
            )
            .expect("the vector has the profile's lengths");
            for (labels, expected) in [(Labels::RTP, &case.rtp), (Labels::RTCP, &case.rtcp)] {
                let Some(expected) = expected else { continue };
                let keys = master.session(labels);
                assert_eq!(
                    keys.encryption(),
                    hex(&expected.encryption),
                    "{}",
                    case.source
                );
                assert_eq!(keys.authentication(), hex(&expected.authentication));
                assert_eq!(
                    keys.salt()[..keys.profile().salt_len()],
                    hex(&expected.salt)
                );
            }
        }
    }

    #[test]
    fn exported_material_is_split_as_rfc_5764_says() {
        let profile = Profile::AeadAes128Gcm;
        let material: Vec<u8> = (0..MasterKey::exported_len(profile) as u8).collect();
        let (client, server) = MasterKey::split_exported(profile, &material).expect("right length");
        assert_eq!(client.key[..16], material[..16]);
        assert_eq!(server.key[..16], material[16..32]);
        assert_eq!(client.salt[..12], material[32..44]);
        assert_eq!(server.salt[..12], material[44..56]);
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_with_a_sentence() {
        let refused = MasterKey::new(Profile::AeadAes256Gcm, &[0; 16], &[0; 12]).err();
        assert_eq!(
            refused.map(|error| error.to_string()).as_deref(),
            Some("AEAD_AES_256_GCM takes a master key of 32 bytes, got 16"),
        );
        assert!(MasterKey::new(Profile::AeadAes256Gcm, &[0; 32], &[0; 14]).is_err());
        assert!(MasterKey::split_exported(Profile::AeadAes128Gcm, &[0; 55]).is_err());
    }
}
