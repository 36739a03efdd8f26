//! What a leg is told once, when it begins.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealcast_srtp::{Lifetime, Profile};
use sealcast_tls::dtls::Role;
use sealcast_tls::{Fingerprint, Identity, TlsError, Version};

use crate::codes;

/// Which end of the leg this is.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Side {
    /// ICE controlled. Remote candidates are never probed: a pair arises from an authenticated
    /// check of the peer, so nobody can aim our packets at a third party.
    Server,
    /// ICE controlling. Probes the remote candidates it was given.
    Client,
}

/// A username fragment and a password (RFC 8445 §5.3). The password is not shown by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

impl IceCredentials {
    /// Fresh credentials from BoringSSL's generator: 48 bits of fragment, 192 of password.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            ufrag: random_ice_chars(8),
            pwd: random_ice_chars(32),
        }
    }

    /// RFC 8839 §5.4: 4 to 256 and 22 to 256 characters, letters, digits, `+` and `/`.
    pub(crate) fn check(&self, whose: &'static str) -> Result<(), LegError> {
        for (what, text, shortest) in [("ice-ufrag", &self.ufrag, 4), ("ice-pwd", &self.pwd, 22)] {
            if !(shortest..=256).contains(&text.len()) {
                let len = text.len();
                return Err(LegError::BadCredentials(format!(
                    "the {whose} {what} has {len} characters: RFC 8839 wants {shortest} to 256"
                )));
            }
            let is_ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
            if !text.bytes().all(is_ice_char) {
                return Err(LegError::BadCredentials(format!(
                    "the {whose} {what} has a character that is not a letter, digit, + or /"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// Characters of the 64-letter alphabet of RFC 8839, six bits each.
fn random_ice_chars(count: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; count];
    crate::ice::draw(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
        .collect()
}

/// What the DTLS handshake of a leg may be.
#[derive(Clone)]
pub struct DtlsParameters {
    /// `Role::Client` is `setup:active`.
    pub role: Role,
    /// Our certificate and key: fresh for each leg.
    pub identity: Arc<Identity>,
    /// The peer's certificate must match one of these.
    pub expected: Vec<Fingerprint>,
    /// Oldest version admitted.
    pub min_version: Version,
    /// Newest version admitted.
    pub max_version: Version,
    /// Key exchange groups in order, joined by `:`.
    pub groups: String,
    /// SRTP profiles in order.
    pub srtp_profiles: Vec<Profile>,
}

/// Everything a leg needs to know before its first datagram.
#[derive(Clone)]
pub struct LegConfig {
    /// Which end this is.
    pub side: Side,
    /// Ours: at least 128 bits of the password must be unguessable.
    pub local_credentials: IceCredentials,
    /// The peer's, from its SDP.
    pub remote_credentials: IceCredentials,
    /// The addresses that sockets are bound to, not the advertised ones.
    pub local_addresses: Vec<SocketAddr>,
    /// Where a client may find its server; ignored by a server leg.
    pub remote_candidates: Vec<SocketAddr>,
    /// The handshake.
    pub dtls: DtlsParameters,
    /// How many packets the keys of the handshake protect (RFC 3711 §9.2). DTLS-SRTP agrees on keys
    /// once: the leg ends with them.
    pub key_lifetime: Lifetime,
    /// From the proved path to established keys.
    pub handshake_timeout: Duration,
    /// From the beginning to a nominated path.
    pub path_timeout: Duration,
}

impl LegConfig {
    /// What a leg gets for a path and for a handshake unless its policy says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn check(&self) -> Result<(), LegError> {
        self.local_credentials.check("local")?;
        self.remote_credentials.check("remote")
    }
}

/// A leg that cannot begin.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum LegError {
    /// A username fragment or password that ICE does not admit.
    #[error("{0}")]
    BadCredentials(String),
    /// None of the local addresses can be an ICE candidate.
    #[error("no local address can be an ICE candidate: {0}")]
    NoLocalAddress(String),
    /// The handshake cannot be set up as asked.
    #[error("{0}")]
    Tls(#[from] TlsError),
}

impl LegError {
    /// The code for events and documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadCredentials(_) => codes::ICE_BAD_CREDENTIALS,
            Self::NoLocalAddress(_) => codes::ICE_NO_LOCAL_ADDRESS,
            Self::Tls(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_credentials_are_admissible_and_differ() {
        let (one, other) = (IceCredentials::generate(), IceCredentials::generate());
        assert_eq!(one.check("local"), Ok(()));
        assert_ne!(one, other);
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials = IceCredentials::generate();
        assert!(!format!("{credentials:?}").contains(&credentials.pwd));
    }

    #[test]
    fn short_credentials_are_refused_with_a_sentence() {
        let short = IceCredentials {
            ufrag: "abcd".into(),
            pwd: "tooshort".into(),
        };
        let sentence = short
            .check("remote")
            .expect_err("8 characters are too few")
            .to_string();
        assert_eq!(
            sentence,
            "the remote ice-pwd has 8 characters: RFC 8839 wants 22 to 256"
        );
    }
}
