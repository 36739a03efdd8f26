//! The one table of SRTP protection profiles. Every length used anywhere comes from a row here.

/// A DTLS-SRTP protection profile.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Profile {
    /// AES-128 in counter mode with HMAC-SHA1 cut to 80 bits (RFC 3711, RFC 5764 §4.1.2).
    Aes128CmSha1_80,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
}

/// One row of the table. Lengths are in bytes.
struct Row {
    profile: Profile,
    id: u16,
    name: &'static str,
    openssl_name: &'static str,
    key_len: usize,
    salt_len: usize,
    auth_key_len: usize,
    tag_len: usize,
    is_aead: bool,
}

/// The E flag and the 31-bit index that every SRTCP packet carries (RFC 3711 §3.4).
pub(crate) const SRTCP_INDEX_LEN: usize = 4;

/// Largest tag of any profile.
pub(crate) const MAX_TAG_LEN: usize = 16;

/// Ordered as [`Profile`] is, so that a profile is its own row number; a test holds this.
const TABLE: [Row; 3] = [
    // RFC 5764 §4.1.2, RFC 3711 §4.1.1 and §4.2.1.
    Row {
        profile: Profile::Aes128CmSha1_80,
        id: 0x0001,
        name: "AES128_CM_SHA1_80",
        openssl_name: "SRTP_AES128_CM_SHA1_80",
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        tag_len: 10,
        is_aead: false,
    },
    // RFC 7714 §12 and §14.2.
    Row {
        profile: Profile::AeadAes128Gcm,
        id: 0x0007,
        name: "AEAD_AES_128_GCM",
        openssl_name: "SRTP_AEAD_AES_128_GCM",
        key_len: 16,
        salt_len: 12,
        auth_key_len: 0,
        tag_len: 16,
        is_aead: true,
    },
    Row {
        profile: Profile::AeadAes256Gcm,
        id: 0x0008,
        name: "AEAD_AES_256_GCM",
        openssl_name: "SRTP_AEAD_AES_256_GCM",
        key_len: 32,
        salt_len: 12,
        auth_key_len: 0,
        tag_len: 16,
        is_aead: true,
    },
];

impl Profile {
    /// Every profile of this crate, in the order of their registered numbers.
    pub const ALL: [Profile; 3] = [
        Profile::Aes128CmSha1_80,
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
    ];

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The number in the DTLS-SRTP registry (RFC 5764 §4.1.2, RFC 7714 §14.2).
    #[must_use]
    pub const fn id(self) -> u16 {
        self.row().id
    }

    /// The profile with this registered number, if this crate has it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        TABLE.iter().find(|row| row.id == id).map(|row| row.profile)
    }

    /// The name that policies, seals and configuration use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The profile with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.profile)
    }

    /// The name BoringSSL's `SSL_set_srtp_profiles` takes.
    #[must_use]
    pub const fn openssl_name(self) -> &'static str {
        self.row().openssl_name
    }

    /// Length of the master key and of each session encryption key, in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.row().key_len
    }

    /// Length of the master salt and of each session salt, in bytes.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        self.row().salt_len
    }

    /// Bytes that protection adds to an RTP packet.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        self.row().tag_len
    }

    /// Bytes that protection adds to an RTCP packet: the tag and the E flag with the index.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.row().tag_len + SRTCP_INDEX_LEN
    }

    /// Whether one algorithm encrypts and authenticates.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        self.row().is_aead
    }

    pub(crate) const fn auth_key_len(self) -> usize {
        self.row().auth_key_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_is_its_own_row_of_the_table() {
        for (number, profile) in Profile::ALL.into_iter().enumerate() {
            assert_eq!(profile as usize, number);
            assert_eq!(profile.row().profile, profile);
        }
    }

    #[test]
    fn names_and_numbers_lead_back_to_their_profile() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_id(profile.id()), Some(profile));
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
            assert_eq!(profile.openssl_name(), format!("SRTP_{}", profile.name()));
            assert!(profile.rtp_overhead() <= MAX_TAG_LEN);
        }
        assert_eq!(Profile::from_id(0x0002), None);
        assert_eq!(Profile::from_name("AES_CM_128_HMAC_SHA1_80"), None);
    }
}
