//! What an endpoint may agree to: the grant that policy made, in the engine's words.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::expected::Expected;
use crate::{Identity, TlsError, Version};

/// Smallest and largest datagram that may be asked for. Below 256 the engine has no room for a
/// handshake fragment; above a jumbo frame nothing crosses a network whole.
const MTU_RANGE: RangeInclusive<u16> = 256..=9_000;

/// Who speaks first.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Role {
    /// `a=setup:active`: sends the ClientHello.
    Client,
    /// `a=setup:passive`: waits for it.
    Server,
}

/// Everything an endpoint may agree to.
#[derive(Clone, Debug)]
pub struct DtlsConfig {
    /// Who speaks first.
    pub role: Role,
    /// Our certificate and key.
    pub identity: Arc<Identity>,
    /// How the peer must prove who it is.
    pub expected: Expected,
    /// Oldest admissible version.
    pub min_version: Version,
    /// Newest admissible version.
    pub max_version: Version,
    /// Key exchange groups in order, joined by `:`. If 1.2 is admitted it must list `P-256`,
    /// because there the list also limits the curve of certificates, ours included.
    pub groups: String,
    /// SRTP profiles in order, in BoringSSL's names, joined by `:`.
    pub srtp_profiles: String,
    /// Largest datagram to send, without IP and UDP headers.
    pub mtu: u16,
    /// Time from creation after which an unfinished handshake fails.
    pub handshake_timeout: Duration,
    /// First retransmission timer; from the round-trip time where it is known.
    pub initial_timeout: Duration,
}

impl DtlsConfig {
    /// Refuses what cannot be carried out. Versions and lists are judged with the context.
    pub(super) fn check(&self) -> Result<(), TlsError> {
        let refuse = |sentence: &str| Err(TlsError::BadPolicy(sentence.to_owned()));
        if matches!(&self.expected, Expected::Fingerprints(none) if none.is_empty()) {
            return refuse("a DTLS endpoint needs at least one admissible fingerprint");
        }
        if !MTU_RANGE.contains(&self.mtu) {
            return refuse("mtu must be between 256 and 9000");
        }
        Ok(())
    }
}
