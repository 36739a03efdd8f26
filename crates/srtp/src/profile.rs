//! The one table of SRTP protection profiles. Every length used anywhere comes from a row here.

/// An SRTP protection profile: a cipher, an authentication transform and their lengths.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Profile {
    /// AES-128 in counter mode with HMAC-SHA1 cut to 80 bits (RFC 3711, RFC 5764 §4.1.2).
    Aes128CmSha1_80,
    /// The same with tags of 32 bits on SRTP and 80 on SRTCP (RFC 5764 §4.1.2).
    Aes128CmSha1_32,
    /// No encryption at all, for tests and tools: see [`NullCipher`](crate::NullCipher).
    NullSha1_80,
    /// No encryption and a tag of 32 bits on SRTP, for tests and tools.
    NullSha1_32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
    /// AES-192 in counter mode with HMAC-SHA1 cut to 80 bits (RFC 6188).
    Aes192CmSha1_80,
    /// AES-192 in counter mode, tags of 32 bits on SRTP and 80 on SRTCP (RFC 6188).
    Aes192CmSha1_32,
    /// AES-256 in counter mode with HMAC-SHA1 cut to 80 bits (RFC 6188).
    Aes256CmSha1_80,
    /// AES-256 in counter mode, tags of 32 bits on SRTP and 80 on SRTCP (RFC 6188).
    Aes256CmSha1_32,
}

/// What encrypts the packets of a profile.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Cipher {
    /// RFC 3711 §4.1.3.
    Null,
    /// RFC 3711 §4.1.1, RFC 6188 §2.
    AesCm,
    /// RFC 7714.
    AesGcm,
}

/// One row of the table. Lengths are in bytes.
struct Row {
    profile: Profile,
    id: Option<u16>,
    name: &'static str,
    openssl_name: Option<&'static str>,
    sdes_name: Option<&'static str>,
    cipher: Cipher,
    key_len: usize,
    salt_len: usize,
    auth_key_len: usize,
    rtp_tag_len: usize,
    rtcp_tag_len: usize,
}

/// The E flag and the 31-bit index that every SRTCP packet carries (RFC 3711 §3.4).
pub(crate) const SRTCP_INDEX_LEN: usize = 4;

/// Tags of HMAC-SHA1. SRTCP always takes the long one (RFC 5764 §4.1.2, RFC 6188 §3, §4).
const LONG_TAG: usize = 10;
const SHORT_TAG: usize = 4;

/// Ordered as [`Profile`] is, so that a profile is its own row number; a test holds this.
const TABLE: [Row; Profile::ALL.len()] = [
    // RFC 5764 §4.1.2, RFC 3711 §4.1.1 and §4.2.1; SDES: RFC 4568 §6.2.
    Row {
        profile: Profile::Aes128CmSha1_80,
        id: Some(0x0001),
        name: "AES128_CM_SHA1_80",
        openssl_name: Some("SRTP_AES128_CM_SHA1_80"),
        sdes_name: Some("AES_CM_128_HMAC_SHA1_80"),
        cipher: Cipher::AesCm,
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: LONG_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    Row {
        profile: Profile::Aes128CmSha1_32,
        id: Some(0x0002),
        name: "AES128_CM_SHA1_32",
        openssl_name: Some("SRTP_AES128_CM_SHA1_32"),
        sdes_name: Some("AES_CM_128_HMAC_SHA1_32"),
        cipher: Cipher::AesCm,
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: SHORT_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    // DEVIATES RFC 5764 §4.1.2: it gives this profile keys and salts of length 0, which leaves
    // nothing to derive the authentication key from; 16 and 14 is what deployed libraries take.
    Row {
        profile: Profile::NullSha1_80,
        id: Some(0x0005),
        name: "NULL_SHA1_80",
        openssl_name: None,
        sdes_name: None,
        cipher: Cipher::Null,
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: LONG_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    Row {
        profile: Profile::NullSha1_32,
        id: Some(0x0006),
        name: "NULL_SHA1_32",
        openssl_name: None,
        sdes_name: None,
        cipher: Cipher::Null,
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: SHORT_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    // RFC 7714 §12, §14.1 and §14.2.
    Row {
        profile: Profile::AeadAes128Gcm,
        id: Some(0x0007),
        name: "AEAD_AES_128_GCM",
        openssl_name: Some("SRTP_AEAD_AES_128_GCM"),
        sdes_name: Some("AEAD_AES_128_GCM"),
        cipher: Cipher::AesGcm,
        key_len: 16,
        salt_len: 12,
        auth_key_len: 0,
        rtp_tag_len: 16,
        rtcp_tag_len: 16,
    },
    Row {
        profile: Profile::AeadAes256Gcm,
        id: Some(0x0008),
        name: "AEAD_AES_256_GCM",
        openssl_name: Some("SRTP_AEAD_AES_256_GCM"),
        sdes_name: Some("AEAD_AES_256_GCM"),
        cipher: Cipher::AesGcm,
        key_len: 32,
        salt_len: 12,
        auth_key_len: 0,
        rtp_tag_len: 16,
        rtcp_tag_len: 16,
    },
    // RFC 6188 §3 and §5; DTLS-SRTP has no number for these, SDES has names.
    Row {
        profile: Profile::Aes192CmSha1_80,
        id: None,
        name: "AES_192_CM_SHA1_80",
        openssl_name: None,
        sdes_name: Some("AES_192_CM_HMAC_SHA1_80"),
        cipher: Cipher::AesCm,
        key_len: 24,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: LONG_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    Row {
        profile: Profile::Aes192CmSha1_32,
        id: None,
        name: "AES_192_CM_SHA1_32",
        openssl_name: None,
        sdes_name: Some("AES_192_CM_HMAC_SHA1_32"),
        cipher: Cipher::AesCm,
        key_len: 24,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: SHORT_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    // RFC 6188 §4 and §5.
    Row {
        profile: Profile::Aes256CmSha1_80,
        id: None,
        name: "AES_256_CM_SHA1_80",
        openssl_name: None,
        sdes_name: Some("AES_256_CM_HMAC_SHA1_80"),
        cipher: Cipher::AesCm,
        key_len: 32,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: LONG_TAG,
        rtcp_tag_len: LONG_TAG,
    },
    Row {
        profile: Profile::Aes256CmSha1_32,
        id: None,
        name: "AES_256_CM_SHA1_32",
        openssl_name: None,
        sdes_name: Some("AES_256_CM_HMAC_SHA1_32"),
        cipher: Cipher::AesCm,
        key_len: 32,
        salt_len: 14,
        auth_key_len: 20,
        rtp_tag_len: SHORT_TAG,
        rtcp_tag_len: LONG_TAG,
    },
];

impl Profile {
    /// Every profile of this crate: in the order of their registered numbers, then the others.
    pub const ALL: [Profile; 10] = [
        Profile::Aes128CmSha1_80,
        Profile::Aes128CmSha1_32,
        Profile::NullSha1_80,
        Profile::NullSha1_32,
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
        Profile::Aes192CmSha1_80,
        Profile::Aes192CmSha1_32,
        Profile::Aes256CmSha1_80,
        Profile::Aes256CmSha1_32,
    ];

    /// Those that a DTLS handshake can negotiate here (RFC 5764 §4.1.2): the ones with an
    /// [`openssl_name`](Self::openssl_name).
    pub fn of_dtls() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|profile| profile.openssl_name().is_some())
    }

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The number in the DTLS-SRTP registry, if it has one (RFC 5764 §4.1.2, RFC 7714 §14.2).
    #[must_use]
    pub const fn id(self) -> Option<u16> {
        self.row().id
    }

    /// The profile with this registered number, if this crate has it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.id == Some(id))
            .map(|row| row.profile)
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

    /// The name BoringSSL's `SSL_set_srtp_profiles` takes; `None` if DTLS cannot negotiate it.
    #[must_use]
    pub const fn openssl_name(self) -> Option<&'static str> {
        self.row().openssl_name
    }

    /// The crypto-suite of an `a=crypto` line (RFC 4568 §6.2, RFC 6188 §5, RFC 7714 §14.1).
    #[must_use]
    pub const fn sdes_name(self) -> Option<&'static str> {
        self.row().sdes_name
    }

    /// The profile with this [`sdes_name`](Self::sdes_name).
    #[must_use]
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.sdes_name == Some(name))
            .map(|row| row.profile)
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

    /// Bytes that protection adds to an RTP packet, without an MKI.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        self.row().rtp_tag_len
    }

    /// Bytes that protection adds to an RTCP packet, without an MKI: the tag, and the E flag with
    /// the index.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.row().rtcp_tag_len + SRTCP_INDEX_LEN
    }

    /// Whether one algorithm encrypts and authenticates.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self.row().cipher, Cipher::AesGcm)
    }

    /// Whether packets are encrypted. The profiles that are not are for tests and tools only; a
    /// context refuses them unless its [`Options`](crate::Options) say otherwise.
    #[must_use]
    pub const fn encrypts(self) -> bool {
        !matches!(self.row().cipher, Cipher::Null)
    }

    pub(crate) const fn auth_key_len(self) -> usize {
        self.row().auth_key_len
    }

    pub(crate) const fn rtp_tag_len(self) -> usize {
        self.row().rtp_tag_len
    }

    pub(crate) const fn rtcp_tag_len(self) -> usize {
        self.row().rtcp_tag_len
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
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
            if let Some(id) = profile.id() {
                assert_eq!(Profile::from_id(id), Some(profile));
            }
            if let Some(name) = profile.sdes_name() {
                assert_eq!(Profile::from_sdes_name(name), Some(profile));
            }
            if let Some(name) = profile.openssl_name() {
                assert_eq!(name, format!("SRTP_{}", profile.name()));
            }
        }
        assert_eq!(Profile::from_id(0x0009), None);
        assert_eq!(Profile::from_name("AES_CM_128_HMAC_SHA1_80"), None);
        assert_eq!(Profile::from_sdes_name("AES128_CM_SHA1_80"), None);
    }

    #[test]
    fn srtcp_never_has_a_tag_shorter_than_80_bits() {
        for profile in Profile::ALL {
            assert!(profile.rtcp_tag_len() >= LONG_TAG);
        }
    }

    #[test]
    fn a_profile_without_encryption_can_be_negotiated_by_no_protocol() {
        for profile in Profile::ALL.into_iter().filter(|p| !p.encrypts()) {
            assert_eq!(profile.openssl_name(), None);
            assert_eq!(profile.sdes_name(), None);
        }
    }
}
