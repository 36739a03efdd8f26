//! Master keys: what two ends agreed on, and why one is not taken.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::profile::Profile;

/// Of AES-256.
pub(crate) const MAX_KEY_LEN: usize = 32;

/// Salts are at most 14 bytes; a shorter one stands at the front (RFC 7714 §11 pads with zeros).
pub(crate) const MAX_SALT_LEN: usize = 14;

/// Why a key was not taken, changed or removed.
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
    /// All keys of one context are for one profile.
    #[error("the context is for {expected} and the key is for {got}", expected = .expected.name(), got = .got.name())]
    ProfileDiffers {
        /// The profile of the context.
        expected: Profile,
        /// The profile of the key.
        got: Profile,
    },
    /// All identifiers of one context have one length: a receiver could not find them otherwise.
    #[error("the master key identifiers of this context have {expected} bytes, got {got}")]
    MkiLength {
        /// What the first key had, in bytes.
        expected: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// Another key of the context has this identifier.
    #[error("the context already has a key with this identifier")]
    MkiTaken,
    /// The context has no key with this identifier.
    #[error("the context has no key with this identifier")]
    MkiUnknown,
    /// A peer that changes keys without removing the old ones must not fill the memory.
    #[error("a context holds at most {most} keys; remove those that are no longer used")]
    TooManyKeys {
        /// The most.
        most: usize,
    },
    /// The sender protects with this key; it must use another one first.
    #[error(
        "the sender protects with this key; let it use another key before this one is removed"
    )]
    StillInUse,
    /// A living sender of this process has the same master key and salt, and the two have not
    /// declared SSRCs of their own: their keystreams could be the same (RFC 3711 §9.1).
    #[error(
        "a living sender has the same master key and salt; use that one, or declare disjoint sets of SSRCs for both"
    )]
    InUseElsewhere,
    /// A sender of this process has protected packets with the same master key and salt, and this
    /// one would start again at index 0 (RFC 3711 §9.1).
    #[error(
        "a sender that is gone has protected packets with the same master key and salt; agree on a new key, or declare disjoint sets of SSRCs"
    )]
    UsedBefore,
    /// The profile does not encrypt, and the options do not ask for that.
    #[error("{profile} does not encrypt; only tests and tools may ask for it", profile = .profile.name())]
    NullCipher {
        /// The profile asked for.
        profile: Profile,
    },
    /// The engine refused the key; BoringSSL does this only when it is out of memory.
    #[error("the cipher could not be set up")]
    Engine,
}

impl KeyError {
    pub(crate) const BAD_KEY: &'static str = "SRTP.BAD_KEY";
    pub(crate) const KEY_IN_USE: &'static str = "SRTP.KEY_IN_USE";
    pub(crate) const KEY_USED_BEFORE: &'static str = "SRTP.KEY_USED_BEFORE";
    pub(crate) const NULL_CIPHER: &'static str = "SRTP.NULL_CIPHER";

    /// The code that events and documents use.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUseElsewhere => Self::KEY_IN_USE,
            Self::UsedBefore => Self::KEY_USED_BEFORE,
            Self::NullCipher { .. } => Self::NULL_CIPHER,
            Self::Engine => crate::SrtpError::Engine.code(),
            Self::KeyLength { .. }
            | Self::SaltLength { .. }
            | Self::MaterialLength { .. }
            | Self::ProfileDiffers { .. }
            | Self::MkiLength { .. }
            | Self::MkiTaken
            | Self::MkiUnknown
            | Self::TooManyKeys { .. }
            | Self::StillInUse => Self::BAD_KEY,
        }
    }
}

/// The master key and salt of one direction. Wiped on drop; it can be neither shown nor compared.
///
/// The bytes lie in one place from the beginning, and a move moves a pointer to it: a key that is
/// moved itself leaves a copy behind which nothing wipes.
pub struct MasterKey {
    profile: Profile,
    bytes: Box<Bytes>,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes {
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
            bytes: Box::new(Bytes {
                key: [0; MAX_KEY_LEN],
                salt: [0; MAX_SALT_LEN],
            }),
        };
        master.bytes.key[..key.len()].copy_from_slice(key);
        master.bytes.salt[..salt.len()].copy_from_slice(salt);
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

    pub(crate) fn key(&self) -> &[u8] {
        &self.bytes.key[..self.profile.key_len()]
    }

    /// Zeros follow a salt that is shorter than the array.
    pub(crate) fn salt(&self) -> &[u8; MAX_SALT_LEN] {
        &self.bytes.salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_material_is_split_as_rfc_5764_says() {
        let profile = Profile::AeadAes128Gcm;
        let material: Vec<u8> = (0..MasterKey::exported_len(profile) as u8).collect();
        let (client, server) = MasterKey::split_exported(profile, &material).expect("right length");
        assert_eq!(client.key()[..], material[..16]);
        assert_eq!(server.key()[..], material[16..32]);
        assert_eq!(client.salt()[..12], material[32..44]);
        assert_eq!(server.salt()[..12], material[44..56]);
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
