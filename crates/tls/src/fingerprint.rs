//! Certificate fingerprints (RFC 8122 §5): parsed, printed, compared.
//!
//! SHA-1 and weaker have no value here, so they cannot be admitted. Choosing the strongest of
//! several `a=fingerprint` lines (RFC 8122 §5.1) is the caller's; this file only compares.

use std::fmt;

use boring::hash::MessageDigest;
use boring::x509::X509Ref;

use crate::TlsError;

/// Hash of a fingerprint.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum FingerprintHash {
    /// SHA-256, what every browser sends.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FingerprintHash {
    /// All of them, weakest first.
    pub const ALL: [FingerprintHash; 3] = [
        FingerprintHash::Sha256,
        FingerprintHash::Sha384,
        FingerprintHash::Sha512,
    ];

    /// The name in SDP (RFC 8122 §5, hash-func).
    pub fn name(self) -> &'static str {
        match self {
            FingerprintHash::Sha256 => "sha-256",
            FingerprintHash::Sha384 => "sha-384",
            FingerprintHash::Sha512 => "sha-512",
        }
    }

    /// The hash of that name; names are compared without case (RFC 8122 §5).
    pub fn from_name(name: &str) -> Option<FingerprintHash> {
        FingerprintHash::ALL
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Length of the digest in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            FingerprintHash::Sha256 => 32,
            FingerprintHash::Sha384 => 48,
            FingerprintHash::Sha512 => 64,
        }
    }

    fn message_digest(self) -> MessageDigest {
        match self {
            FingerprintHash::Sha256 => MessageDigest::sha256(),
            FingerprintHash::Sha384 => MessageDigest::sha384(),
            FingerprintHash::Sha512 => MessageDigest::sha512(),
        }
    }
}

/// Digest of a certificate's DER encoding, with the hash that made it.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct Fingerprint {
    /// The hash.
    pub hash: FingerprintHash,
    /// The digest.
    pub digest: Vec<u8>,
}

impl Fingerprint {
    /// Parses the two fields of `a=fingerprint:` (RFC 8122 §5), for example `sha-256` and
    /// `AB:CD:…`. Upper and lower case are both read.
    pub fn parse(hash_name: &str, value: &str) -> Result<Fingerprint, TlsError> {
        let hash = FingerprintHash::from_name(hash_name).ok_or_else(|| {
            TlsError::BadFingerprint(format!(
                "fingerprint hash {hash_name:?} is not accepted: use sha-256, sha-384 or sha-512"
            ))
        })?;
        let mut digest = Vec::with_capacity(hash.digest_len());
        for pair in value.split(':') {
            // from_str_radix would also read "+1", hence the digit check.
            let is_octet = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            let octet = is_octet
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten();
            let within = digest.len() < hash.digest_len();
            match octet {
                Some(octet) if within => digest.push(octet),
                Some(_) => break,
                None => {
                    return Err(TlsError::BadFingerprint(format!(
                        "fingerprint octet {} is not two hexadecimal digits",
                        digest.len() + 1
                    )))
                }
            }
        }
        let expected_len = hash.digest_len();
        if value.len() != expected_len * 3 - 1 {
            return Err(TlsError::BadFingerprint(format!(
                "a {} fingerprint has {expected_len} octets separated by colons",
                hash.name()
            )));
        }
        Ok(Fingerprint { hash, digest })
    }

    /// The fingerprint of a certificate.
    pub(crate) fn of(
        certificate: &X509Ref,
        hash: FingerprintHash,
    ) -> Result<Fingerprint, TlsError> {
        let digest = certificate
            .digest(hash.message_digest())
            .map_err(TlsError::engine("hash a certificate"))?;
        Ok(Fingerprint {
            hash,
            digest: digest.to_vec(),
        })
    }

    /// Whether the certificate has this fingerprint. The digests are compared in constant time;
    /// a digest of another length is no match (`memcmp::eq` panics on unequal lengths).
    pub(crate) fn matches(&self, certificate: &X509Ref) -> bool {
        let Ok(presented) = certificate.digest(self.hash.message_digest()) else {
            return false;
        };
        presented.len() == self.digest.len() && boring::memcmp::eq(&presented, &self.digest)
    }

    /// The value alone, `AB:CD:…`.
    pub fn value(&self) -> String {
        colon_hex(&self.digest)
    }
}

/// Prints as in SDP: `sha-256 AB:CD:…`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash.name(), self.value())
    }
}

/// Octets as upper-case hexadecimal with colons.
pub(crate) fn colon_hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for (position, octet) in octets.iter().enumerate() {
        if position > 0 {
            text.push(':');
        }
        for nibble in [octet >> 4, octet & 0x0f] {
            text.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
        }
    }
    text
}
