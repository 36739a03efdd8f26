//! How the peer must prove who it is: by a promised fingerprint, or by an authority's word.

use std::sync::Arc;

use boring::ssl::SslAlert;

use super::failure::Failure;
use crate::trust::{Authority, Distrust, Fault};
use crate::{codes, Fingerprint};

/// What the presented certificate is held against.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The certificate must have one of these fingerprints (RFC 8122 §6.2); nothing else about it
    /// counts.
    Fingerprints(Vec<Fingerprint>),
    /// The certificate must have been issued below one of these roots.
    Authority(Arc<Authority>),
}

impl From<Vec<Fingerprint>> for Expected {
    fn from(fingerprints: Vec<Fingerprint>) -> Expected {
        Expected::Fingerprints(fingerprints)
    }
}

/// Why a certificate is not admitted, and the alert that says so to the peer.
pub(super) struct Refusal {
    pub failure: Failure,
    pub alert: SslAlert,
}

impl Refusal {
    /// A certificate that has none of the promised fingerprints.
    pub fn of_fingerprint(presented: &str, promised: &str) -> Refusal {
        let detail = format!("the peer presented {presented}; the signalling promised {promised}");
        Refusal {
            failure: Failure::new(codes::DTLS_FINGERPRINT_MISMATCH, detail),
            alert: SslAlert::BAD_CERTIFICATE,
        }
    }
}

impl From<Distrust> for Refusal {
    fn from(distrust: Distrust) -> Refusal {
        let code = match distrust.fault {
            Fault::UnknownCa => codes::DTLS_UNKNOWN_CA,
            Fault::Expired => codes::DTLS_CERTIFICATE_EXPIRED,
            Fault::NotYetValid => codes::DTLS_CERTIFICATE_NOT_YET_VALID,
            Fault::WrongUsage => codes::DTLS_WRONG_USAGE,
            Fault::Name => codes::DTLS_NAME_MISMATCH,
            Fault::Rule => codes::DTLS_CERTIFICATE_REFUSED,
        };
        Refusal {
            failure: Failure::new(code, distrust.detail),
            alert: distrust.alert,
        }
    }
}
